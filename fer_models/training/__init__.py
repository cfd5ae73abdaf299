"""Training: losses, schedules, sampling, and the loop that fits a model to segments."""
