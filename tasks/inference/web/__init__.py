"""The web page of `fer serve`: a video goes up, and what a model says of it is shown beside it.

Whoever reaches the page may send anything. The server itself looks into no video and loads no model: it takes bytes up
to a size, gives them to a process of their own that has little it could harm, and hands out what that process wrote.
"""
