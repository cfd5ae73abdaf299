"""Pages and figures for readers."""
