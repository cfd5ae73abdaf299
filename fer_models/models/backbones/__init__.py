"""Networks that others trained, defined here: their weights are read as arrays, never as a description of a model."""
