"""Corpora of people who act: who is seen and what is shown stands in the names of files and folders."""
