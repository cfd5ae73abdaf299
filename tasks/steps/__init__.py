"""The Prefect tasks: thin wrappers around plain functions, the only modules of `tasks` that import Prefect."""
