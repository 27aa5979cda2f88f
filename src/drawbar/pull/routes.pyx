# cython: language_level=3
"""Which app a request is for.

Law: a pure decision over the request's host and path. The most exact host wins: the name itself, then the longest
suffix of it that a route has, then no host at all. Among the routes of that host the longest prefix does; a prefix ends
where a segment of the path ends. The path is taken as it was sent: what decodes to a prefix is none, so no two
spellings of a path mean two apps to two readers.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcmp
from drawbar.exchange.exchange cimport Exchange
from drawbar.wire.head cimport Head, TARGET_ABSOLUTE


cdef enum:
    NAME_SIZE = 253             # of the longest host name (RFC 1035 section 2.3.4, less what only the wire has)


cdef class Route:
    """Where an app is found.

    host: None: any; "*.example.com": every name below that. prefix: of the path, "/" for all. priority: of its
    requests in the app's queue, 0 (first) to 3. repeatable: its requests may run again whatever their method is.
    """

    def __init__(self, str host=None, str prefix="/", *, int priority=1, bint repeatable=False):
        if not prefix.startswith("/"):
            raise ValueError(f"a prefix begins with a slash, not {prefix!r}")
        if not 0 <= priority <= 3:
            raise ValueError(f"a priority is 0 to 3, not {priority}")
        self.host = host
        self.prefix = prefix
        self.priority = <uint8_t>priority
        self.repeatable = repeatable
        self.start = prefix.rstrip("/").encode("latin-1")
        self.shown = self.start or None

    def __repr__(self):
        return f"<Route {self.host or ''}{self.prefix}>"

    cdef bint covers(self, const char* path, size_t size) noexcept:
        cdef size_t length = len(self.start)
        return size >= length and memcmp(path, <const char*>self.start, length) == 0 and (
            length == 0 or size == length or path[length] == c"/")


cdef bytes _host_of(Exchange exchange):
    """The request's host in lower case, without its port."""
    cdef Head* head = exchange.head
    cdef const char* start
    cdef const char* colon
    cdef uint32_t size
    if head.target_form == TARGET_ABSOLUTE:
        start = exchange.base + head.authority
        size = head.authority_size
    elif head.host >= 0:
        start = exchange.base + head.fields[head.host].value
        size = head.fields[head.host].value_size
    else:
        return b""
    if size and start[0] == c"[":
        colon = <const char*>memchr(start, c"]", size)
        return start[:colon + 1 - start].lower() if colon is not NULL else b""
    colon = <const char*>memchr(start, c":", size)
    return start[:size if colon is NULL else colon - start].lower().rstrip(b".")


cdef class RouteTable:
    """All routes of a front."""

    def __init__(self):
        self.hosts = {}

    def add(self, Route route, object app):
        """Leads a route to `app`. ValueError when it leads somewhere already."""
        cdef object key = route.host.lower().rstrip(".").encode("idna" if not route.host.isascii() else "ascii") \
            if route.host is not None else None
        cdef list routes = self.hosts.setdefault(key, [])
        if any((<Route>other).start == route.start for other in routes):
            raise ValueError(f"two apps at {route.host or 'any host'}, {route.prefix}")
        route.app = app
        routes.append(route)
        routes.sort(key=_length, reverse=True)
        self.has_suffixes = self.has_suffixes or key is not None and key.startswith(b"*.")
        self.only = route if self.only is None and len(self.hosts) == 1 and key is None and len(routes) == 1 and (
            not route.start) else None

    cdef Route find(self, Exchange exchange):
        """The route of a request; None when no app is there."""
        cdef Head* head = exchange.head
        cdef const char* path = exchange.base + head.path
        cdef bytes host
        cdef Route found = None
        cdef Py_ssize_t dot
        if self.only is not None:
            return self.only
        if len(self.hosts) > 1 or None not in self.hosts:
            host = _host_of(exchange)
            found = self._among(host, path, head.path_size)
            # A host of thousands of dots is no name, and would cost as many copies of it.
            dot = host.find(b".", 1) if self.has_suffixes and len(host) <= NAME_SIZE else -1
            while found is None and dot > 0:
                found = self._among(b"*" + host[dot:], path, head.path_size)
                dot = host.find(b".", dot + 1)
        if found is None:
            found = self._among(None, path, head.path_size)
        return found

    cdef Route _among(self, object host, const char* path, size_t size):
        cdef Route route
        for route in self.hosts.get(host, ()):
            if route.covers(path, size):
                return route
        return None


def _length(Route route):
    return len(route.start)
