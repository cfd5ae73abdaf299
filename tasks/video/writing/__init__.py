"""Pictures become a video again: MP4 files with the frame times and the sound of the video that they were made of."""
