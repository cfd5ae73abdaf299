"""Trained weights that others published: what is known of each file, and a cache that fetches them."""
