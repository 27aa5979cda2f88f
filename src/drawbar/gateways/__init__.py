"""How an application is called: WSGI and ASGI, and how its name becomes an object.

Lives here: the contract of each interface, kept on both sides. Must not know sockets or configuration files.
"""
