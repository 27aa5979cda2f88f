"""Listening sockets: how a bind becomes sockets, whose they are, and how they close without losing a connection.

Lives here: what the master holds and every child gets. A lower room: it must not know processes, so neither worker nor
fork server nor master, and nothing that is read from a connection.
"""
