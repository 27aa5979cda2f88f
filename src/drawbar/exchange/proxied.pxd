"""Connections that begin with a PROXY header."""
from drawbar.exchange.http1_end cimport Http1Site
from drawbar.net.connection cimport Connection
from drawbar.net.listener cimport Connector
from drawbar.wire.proxy_header cimport ProxyHeader
from drawbar.wire.writer cimport Buffer

cdef class ProxiedConnector(Connector):
    cdef Http1Site site

cdef class ProxiedConnection(Connection):
    cdef Http1Site site
    cdef Buffer header          # what has come of it
    cdef int _go_on(self, ProxyHeader* found) except -1
    cdef int _ended(self, const char* why) except -1
    cdef int _refuse(self, const char* why) except -1
