# cython: language_level=3
"""Python objects for header fields, made once and used again.

Names recur in every request, and most values recur in the next one. A table maps a field's name to the object its
gateway uses for it and remembers the last value: when the bytes are the same, so is the object. What a client can
make it hold is bounded by KEY_LIMIT and VALUE_BYTES.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport uint32_t
from libc.string cimport memcmp, memset
from drawbar.wire.head cimport Field
from drawbar.wire.tables cimport same_name


cdef extern from "Python.h":
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    int PyUnicode_KIND(object text)
    void* PyUnicode_DATA(object text)
    str PyUnicode_DecodeLatin1(const char* data, Py_ssize_t size, const char* errors)


cdef class KeyTable:
    """One gateway's names. Subclasses say what a name is called."""

    def __dealloc__(self):
        cdef int i
        for i in range(KEY_SLOTS):
            _forget(&self.slots[i])
        _forget(&self.spare)

    cdef object make_key(self, bytes lower):
        raise NotImplementedError

    cdef Key* find(self, const char* base, const Field* field) except NULL:
        """The entry of the field's name; made when there is room for another, else a spare one."""
        cdef uint32_t i = field.hash & (KEY_SLOTS - 1)
        cdef const char* name = base + field.name
        cdef Key* entry
        while self.slots[i].key is not NULL:
            entry = &self.slots[i]
            if entry.hash == field.hash and entry.size == field.name_size and same_name(
                    name, PyBytes_AS_STRING(<object>entry.lower), entry.size):
                return entry
            i = (i + 1) & (KEY_SLOTS - 1)
        entry = &self.slots[i]
        if self.used >= KEY_LIMIT:
            entry = &self.spare
            _forget(entry)
        else:
            self.used += 1
        lower = name[:field.name_size].lower()
        key = self.make_key(lower)
        Py_INCREF(lower)
        Py_INCREF(key)
        entry.lower = <PyObject*>lower
        entry.hash = field.hash
        entry.size = field.name_size
        entry.key = <PyObject*>key
        return entry


cdef void _forget(Key* entry) noexcept:
    Py_XDECREF(entry.lower)
    Py_XDECREF(entry.key)
    Py_XDECREF(entry.value)
    Py_XDECREF(entry.pair)
    memset(entry, 0, sizeof(Key))


cdef str text_value(Key* key, const char* data, uint32_t size):
    """The value as WSGI wants it: bytes as latin-1 text (PEP 3333, "Unicode Issues")."""
    cdef PyObject* old = key.value
    cdef str value
    # A string of the one-byte kind holds latin-1 itself, so the bytes compare directly.
    if old is not NULL and PyUnicode_GET_LENGTH(<object>old) == size and PyUnicode_KIND(<object>old) == 1 and memcmp(
            PyUnicode_DATA(<object>old), data, size) == 0:
        return <str><object>old
    value = PyUnicode_DecodeLatin1(data, size, NULL)
    if size <= VALUE_BYTES:
        Py_INCREF(value)
        key.value = <PyObject*>value
        Py_XDECREF(old)
    return value


cdef tuple bytes_pair(Key* key, const char* data, uint32_t size):
    """The field as ASGI wants it: (lower-case name, value), both bytes."""
    cdef PyObject* old = key.value
    cdef tuple pair
    cdef bytes value
    if old is not NULL and <uint32_t>PyBytes_GET_SIZE(<object>old) == size and memcmp(
            PyBytes_AS_STRING(<object>old), data, size) == 0:
        return <tuple><object>key.pair
    value = data[:size]
    pair = (<object>key.key, value)
    if size <= VALUE_BYTES:
        Py_INCREF(value)
        Py_INCREF(pair)
        key.value = <PyObject*>value
        Py_XDECREF(old)
        old = key.pair
        key.pair = <PyObject*>pair
        Py_XDECREF(old)
    return pair
