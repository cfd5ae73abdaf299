"""Arms x seeds x folds: trained, evaluated, compared and explained. Draws nothing."""
