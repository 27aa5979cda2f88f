"""HTTP/1.1 on bytes: heads, bodies and messages, in both roles.

Lives here: grammar and framing, as functions over memory somebody else owns. Must not know sockets, clocks or threads.
"""
