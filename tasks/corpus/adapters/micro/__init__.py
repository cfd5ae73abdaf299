"""Corpora of micro-expressions: images of a high-speed camera, and a sheet with onset, apex and offset."""
