# cython: language_level=3
"""What an operator decided about exchanges, as plain C fields for the hot path.

The supervisor's worker fills it from the configuration; nothing below knows where a value came from.
"""
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy
from posix.time cimport clock_gettime, timespec
from drawbar.wire.dates cimport HTTP_DATE_BYTES, put_http_date
from drawbar.wire.tables cimport known_name, name_hash


cdef extern from "<time.h>" nogil:
    enum:
        CLOCK_REALTIME_COARSE


cdef uint32_t _ms(object seconds) except? 0xffffffff:
    """0 means never, as everywhere in the configuration."""
    return <uint32_t>min(max(0, round(seconds * 1000)), 0x7fffffff)


cdef class Policy:
    """Limits and settings of every exchange of a site. Times are in seconds (0: never), sizes in bytes."""

    def __init__(self, *, int head_bytes=32_768, int target_bytes=8_190, int fields=100,
                 int64_t body_bytes=1 << 30, int extension_bytes=4_096, int trailer_bytes=8_192,
                 double head_timeout=30, double keepalive_timeout=75, double body_timeout=30, double send_timeout=60,
                 double linger_timeout=5, int keepalive_requests=0, size_t body_memory_bytes=65_536,
                 size_t output_high_bytes=262_144, size_t output_low_bytes=65_536,
                 size_t response_spill_bytes=1 << 30, object temp_dir=None, str server_header="drawbar",
                 bint server_timing=False, object on_complete=None, object on_refused=None, object on_app_error=None,
                 object proxies=None):
        self.head.head_bytes = head_bytes
        self.head.target_bytes = target_bytes
        self.head.fields = fields
        self.body.body_bytes = body_bytes
        self.body.extension_bytes = extension_bytes
        self.body.trailer_bytes = trailer_bytes
        self.body.trailer_fields = fields
        self.head_timeout_ms = _ms(head_timeout)
        self.keepalive_timeout_ms = _ms(keepalive_timeout)
        self.body_timeout_ms = _ms(body_timeout)
        self.send_timeout_ms = _ms(send_timeout)
        self.linger_timeout_ms = _ms(linger_timeout)
        self.keepalive_requests = keepalive_requests
        self.body_memory_bytes = body_memory_bytes
        self.output_high_bytes = output_high_bytes
        self.output_low_bytes = output_low_bytes
        self.response_spill_bytes = response_spill_bytes
        self.temp_dir = temp_dir
        self.on_complete = on_complete
        self.on_refused = on_refused
        self.on_app_error = on_app_error
        self.proxies = proxies
        if proxies is not None:
            for field in proxies.fields:
                name = field.encode()
                self.believed |= <uint32_t>1 << <int>known_name(name, len(name), name_hash(name, len(name)))
        self.server_timing = server_timing
        if len(server_header) > 64:
            raise ValueError("the Server header is at most 64 characters long")
        self.server_header = f"Server: {server_header}\r\n".encode("ascii") if server_header else b""
        self.server_size = <int>len(self.server_header)
        self.date_second = -1

    cdef int refresh_date(self) except -1:
        """Makes `date` true for this second (RFC 9110 section 6.6.1); formats it once a second."""
        cdef timespec now
        cdef bytes line
        cdef char date[HTTP_DATE_BYTES]
        clock_gettime(<int>CLOCK_REALTIME_COARSE, &now)
        if now.tv_sec != self.date_second:
            put_http_date(date, now.tv_sec)
            line = b"Date: " + date[:HTTP_DATE_BYTES] + b"\r\n" + self.server_header
            memcpy(self.date, <const char*>line, len(line))
            self.date_size = <int>len(line)
            self.date_second = now.tv_sec
        return 0
