"""One request and its response in flight, and the connections they travel on.

Lives here: the seam every gateway and handler speaks to, and HTTP/1 connections below it. Must not know who answers.
"""
