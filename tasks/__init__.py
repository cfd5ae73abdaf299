"""What touches video, files and services: plain functions without Prefect, in rooms by the stages of a video's way."""
