"""Every face of a video, followed as a track of its own in one pass over its frames.

`cutting.cut_tracks` is to many faces what `tasks.video.cutting.cut_frames` is to one subject.
"""
