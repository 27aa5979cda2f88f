"""Sockets and time: the reactor, connections, listeners, output queues, spill files.

Lives here: everything about descriptors and deadlines. Must not know what the bytes mean.
"""
