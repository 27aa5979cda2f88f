"""Programs that serve an application in place of workers of ours, in whatever language.

Lives here: how one is started, and how its processes are told from others. What it does then is its own: it dials the
front at the place it is given, and takes requests as any worker does. The master knows it by its session, stops it by
SIGTERM, and sends it no signal that only our own workers understand.
"""
