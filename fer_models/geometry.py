"""Sizes that preparation and models agree on; imports nothing, so that preparation workers start fast."""

#: Side of the stored, square face and optical flow images, in px.
FACE_SIZE_PX = 48
