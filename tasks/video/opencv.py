"""What OpenCV reads from the environment when it is loaded; imports nothing, so that it can be set before."""

#: For every process that decodes, wherever it runs.
ENVIRONMENT = {
    # 8192x8192: a small file that claims to be a huge image is refused before it fills the memory
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(2**26),
    "OPENCV_LOG_LEVEL": "SILENT",  # a damaged image is told by its outcome
}
