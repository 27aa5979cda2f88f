"""Floor 4: work that is pulled. The queue, its front, the API workers call, and a worker's own side of it.

Law: nothing here knows processes or signals. Decisions are the queue's, which reads no clock and no socket.
"""
