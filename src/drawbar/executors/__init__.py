"""Where an application is called: in place, on threads, as tasks.

Lives here: which thread runs a call, and when. Must not know any protocol.
"""
