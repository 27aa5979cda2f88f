"""The client whom a trusted proxy's request names."""
from drawbar.exchange.exchange cimport Exchange

cdef object client_behind(Exchange exchange, tuple peer, str scheme, object proxies)
