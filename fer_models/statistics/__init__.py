"""Scores, intervals, tests and verdicts over predictions."""
