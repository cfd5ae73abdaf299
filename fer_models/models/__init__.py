"""Arms and the Keras models that they name."""
