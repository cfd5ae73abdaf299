"""What runs, in which order: Prefect flows and the command line."""
