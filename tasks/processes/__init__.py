"""Child processes that decode videos, for every room that has many of them."""
