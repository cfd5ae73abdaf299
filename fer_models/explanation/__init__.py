"""Where a model looks: Grad-CAM, and whether its maps depend on the model."""
