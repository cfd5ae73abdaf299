"""Figures. Each module has one function that takes plain data and returns a `matplotlib.figure.Figure`."""
