"""Python objects for header fields, made once and used again."""
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t
from drawbar.wire.head cimport Field

cdef enum:
    KEY_SLOTS = 512             # of the hash table; a power of two
    KEY_LIMIT = 256             # names kept; names past it get their objects made each time
    VALUE_BYTES = 256           # longer values are not kept

cdef struct Key:
    uint32_t hash
    uint32_t size               # of the lower-case name
    PyObject* lower             # bytes: the name in lower case
    PyObject* key               # what the gateway calls it
    PyObject* value             # last value seen
    PyObject* pair              # last (key, value) made of them
    uint32_t request            # number of the last request that had it

cdef class KeyTable:
    cdef Key slots[KEY_SLOTS]
    cdef int used
    cdef Key* find(self, const char* base, const Field* field) except NULL
    cdef object make_key(self, bytes lower)
    cdef Key spare              # answers for names that are not kept

cdef str text_value(Key* key, const char* data, uint32_t size)
cdef tuple bytes_pair(Key* key, const char* data, uint32_t size)
