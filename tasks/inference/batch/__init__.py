"""A trained model on many videos: a folder of results that each run completes.

A video has a folder of its own below that folder, with the tables and pictures that were asked for; what stands there
is not made again as long as video, model and wishes stay what they were. Videos are decoded, and pictures drawn, in
child processes; the process that holds the model asks it.
"""
