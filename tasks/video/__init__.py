"""One video in; its frames, segments and a report on it out, in memory."""
