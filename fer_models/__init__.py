"""Arrays in, numbers out: models, training, metrics and Grad-CAM. Knows nothing of files, videos or Prefect."""
