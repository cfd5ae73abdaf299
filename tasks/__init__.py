"""Steps that touch video, files and services. Each module is a set of plain functions that run without Prefect."""
