"""Servers and workers of this machine."""
