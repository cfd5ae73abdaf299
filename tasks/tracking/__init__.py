"""MLflow is spoken here only."""
