"""Trained models in the form of other programs: ONNX and LiteRT."""
