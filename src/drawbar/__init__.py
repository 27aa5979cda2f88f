"""Drawbar: a web and application server in which work is pulled, never pushed."""

__version__ = "0.1.0"
