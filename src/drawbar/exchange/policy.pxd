"""What an operator decided about exchanges, as plain C fields for the hot path."""
from libc.stdint cimport int64_t, uint32_t
from drawbar.wire.body cimport BodyLimits
from drawbar.wire.head cimport HeadLimits

cdef class Policy:
    cdef HeadLimits head
    cdef BodyLimits body
    cdef readonly uint32_t head_timeout_ms
    cdef readonly uint32_t keepalive_timeout_ms
    cdef readonly uint32_t body_timeout_ms
    cdef readonly uint32_t send_timeout_ms
    cdef readonly uint32_t linger_timeout_ms
    cdef readonly uint32_t keepalive_requests   # 0: no limit
    cdef readonly size_t body_memory_bytes
    cdef readonly size_t output_high_bytes
    cdef readonly size_t output_low_bytes
    cdef readonly size_t response_spill_bytes
    cdef readonly object temp_dir
    cdef readonly object on_complete        # callable(exchange) after the last byte, or None
    cdef readonly object on_refused         # callable(peer, status, why, bytes, log_files), or None
    cdef readonly object on_app_error       # callable(exchange, exception), or None
    cdef public object log_files            # drawbar.exchange.log_files.LogFiles of exchanges that begin now, or None
    cdef readonly object proxies            # drawbar.exchange.forwarded.Proxies, or None: no proxy is trusted
    cdef uint32_t believed                  # bit n: Known n is believed from a trusted proxy
    cdef bint server_timing                 # responses say how long they waited, and took
    cdef bytes server_header                # "Server: drawbar\r\n", or empty
    cdef int64_t date_second
    cdef char date[160]                     # "Date: ...\r\nServer: drawbar\r\n"
    cdef int date_size
    cdef int server_size
    cdef int refresh_date(self) except -1
