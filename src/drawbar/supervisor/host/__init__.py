"""The machine around the server: service manager, terminal, file system, users, and the kernel's figures.

Lives here: what a process says to the system it runs on or asks of it, each module for itself. A lower room: it must
not know what the process is for, so neither worker nor fork server nor master; whoever asks says on whose behalf.
"""
