"""A circular list whose links lie in its members: in, out and to either end in O(1), without allocating.

A chain owns nothing: who links a member in also sees to it that the member lives until it is out again.
"""
from cpython.object cimport PyObject

cdef struct Link:
    Link* next                  # NULL while in no chain
    Link* previous
    PyObject* owner             # the member; NULL in the chain's own link


cdef inline void chain_init(Link* chain) noexcept nogil:
    chain.next = chain
    chain.previous = chain
    chain.owner = NULL


cdef inline void _between(Link* before, Link* link, Link* after) noexcept nogil:
    link.previous = before
    link.next = after
    before.next = link
    after.previous = link


cdef inline void chain_append(Link* chain, Link* link) noexcept nogil:
    _between(chain.previous, link, chain)


cdef inline void chain_push(Link* chain, Link* link) noexcept nogil:
    _between(chain, link, chain.next)


cdef inline void chain_remove(Link* link) noexcept nogil:
    link.next.previous = link.previous
    link.previous.next = link.next
    link.next = NULL
    link.previous = NULL


cdef inline PyObject* chain_first(Link* chain) noexcept nogil:
    """Borrowed; NULL when it is empty."""
    return chain.next.owner
