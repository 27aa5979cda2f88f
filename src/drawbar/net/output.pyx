# cython: language_level=3
"""What a connection still has to send: copied blocks, borrowed bytes objects, files and spill, in order.

Law: the queue owns its items; an item owns its block, and a reference to its owner. All calls are made with the GIL
held, which also is the queue's lock. The one exception is a large write to a spill file: it releases the GIL with the
item marked busy, and a busy item is neither sent from beyond what is written nor freed.

Sockets never block here, so the GIL is kept around send(2): releasing it costs more than the call saves, and a thread
that must win it back from a computing application waits a whole switch interval (docs/decisions/0002).
"""
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.errno cimport EAGAIN, EINTR, EIO, errno
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.unistd cimport close
from drawbar.net.spill cimport spill_open, spill_write
from drawbar.wire.writer cimport buffer_free, buffer_reserve


cdef extern from "<sys/socket.h>" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        void* msg_name
        iovec* msg_iov
        size_t msg_iovlen
    enum:
        MSG_NOSIGNAL
        MSG_DONTWAIT
    ssize_t send(int fd, const void* data, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr* message, int flags)

cdef extern from "<sys/sendfile.h>" nogil:
    ssize_t sendfile(int to, int source, int64_t* offset, size_t size)


cdef Item* item_new(Pool* pool) except NULL:
    cdef Item* item = pool.free
    if item is not NULL:
        pool.free = item.next
        pool.size -= 1
        item.next = NULL
        return item
    item = <Item*>calloc(1, sizeof(Item))
    if item is NULL:
        raise MemoryError()
    item.fd = -1
    try:
        buffer_reserve(&item.block, BLOCK_BYTES)
    except MemoryError:
        free(item)
        raise
    return item


cdef void item_free(Pool* pool, Item* item) noexcept:
    cdef PyObject* owner = item.owner
    if item.owns_fd:
        close(item.fd)
    item.owner = NULL
    item.fd = -1
    item.owns_fd = 0
    item.offset = 0
    item.left = 0
    if pool.size < POOL_BLOCKS and item.block.capacity <= 4 * BLOCK_BYTES:
        item.block.size = 0
        item.kind = ITEM_BLOCK
        item.next = pool.free
        pool.free = item
        pool.size += 1
    else:
        buffer_free(&item.block)
        free(item)
    # Last: dropping a reference may run Python code, which may come back here.
    Py_XDECREF(owner)


cdef void pool_clear(Pool* pool) noexcept:
    cdef Item* item
    while pool.free is not NULL:
        item = pool.free
        pool.free = item.next
        buffer_free(&item.block)
        free(item)
    pool.size = 0


cdef void output_clear(Output* output, Pool* pool) noexcept:
    cdef Item* item
    while output.head is not NULL:
        item = output.head
        if item.busy:
            # Its writer clears the queue again when it is back.
            break
        output.head = item.next
        item_free(pool, item)
    if output.head is NULL:
        output.tail = NULL
    output.memory = 0
    output.waiting = 0
    output.spilled = 0


cdef inline void _append(Output* output, Item* item) noexcept:
    item.next = NULL
    if output.tail is NULL:
        output.head = item
    else:
        output.tail.next = item
    output.tail = item


cdef void output_block(Output* output, Item* item) noexcept:
    item.kind = ITEM_BLOCK
    item.data = item.block.data
    item.left = item.block.size
    output.memory += item.left
    output.waiting += item.left
    _append(output, item)


cdef int _spill_more(Output* output, Item* item, const char* data, size_t size) except -1:
    """Adds to the spill file that is the queue's last item."""
    cdef int64_t end = item.offset + <int64_t>item.left
    if size < RELEASE_BYTES:
        spill_write(item.fd, data, size, end)
    else:
        item.busy = 1
        try:
            with nogil:
                spill_write(item.fd, data, size, end)
        finally:
            item.busy = 0
    item.left += size
    output.waiting += size
    output.spilled += size
    return 0


cdef int output_bytes(Output* output, Pool* pool, object owner, const char* data, size_t size) except -1:
    cdef Item* item = output.tail
    if size == 0:
        return 0
    if item is not NULL and item.kind == ITEM_SPILL:
        return _spill_more(output, item, data, size)
    if item is not NULL and item.kind == ITEM_BLOCK and item.block.capacity - item.block.size >= size and (
            size <= BLOCK_BYTES):
        memcpy(item.block.data + item.block.size, data, size)
        item.block.size += size
        item.left += size
    else:
        item = item_new(pool)
        if owner is None or size <= BLOCK_BYTES // 2:
            if item.block.capacity < size:
                try:
                    buffer_reserve(&item.block, size)
                except MemoryError:
                    item_free(pool, item)
                    raise
            memcpy(item.block.data, data, size)
            item.block.size = size
            item.kind = ITEM_BLOCK
            item.data = item.block.data
        else:
            item.kind = ITEM_BORROWED
            item.data = data
            Py_INCREF(owner)
            item.owner = <PyObject*>owner
        item.left = size
        _append(output, item)
    output.memory += size
    output.waiting += size
    return 0


cdef int output_file(Output* output, Pool* pool, object owner, int fd, int64_t offset, size_t size) except -1:
    cdef Item* item = item_new(pool)
    item.kind = ITEM_FILE
    item.fd = fd
    item.offset = offset
    item.left = size
    item.owns_fd = owner is None
    if owner is not None:
        Py_INCREF(owner)
        item.owner = <PyObject*>owner
    _append(output, item)
    output.waiting += size
    return 0


cdef int output_spill(Output* output, Pool* pool, size_t keep, object directory) except -1:
    """Whole items move, from the first that does not fit into `keep` bytes on; a file in between ends what can move."""
    cdef Item* before = NULL        # the last item that stays
    cdef Item* item
    cdef Item* first
    cdef Item* spill
    if _first_beyond(output, keep, &before) is NULL:
        return 0
    spill = item_new(pool)
    try:
        spill.fd = spill_open(directory)
    except BaseException:
        item_free(pool, spill)
        raise
    spill.kind = ITEM_SPILL
    spill.owns_fd = 1
    # Opening a file releases the GIL: the queue may have been sent from, or cleared, meanwhile.
    first = _first_beyond(output, keep, &before)
    if first is NULL:
        item_free(pool, spill)
        return 0
    spill.busy = 1
    if before is NULL:
        output.head = spill
    else:
        before.next = spill
    output.tail = spill
    try:
        _move(output, first, spill)
    finally:
        spill.busy = 0
        while first is not NULL:
            item = first
            first = item.next
            item_free(pool, item)
    return 0


cdef Item* _first_beyond(Output* output, size_t keep, Item** before) noexcept:
    """The first item of those at the end that can move to a file, and the one before it; NULL when all fit."""
    cdef Item* item = output.head
    cdef Item* previous = NULL
    cdef Item* first = NULL
    cdef size_t total = 0
    while item is not NULL:
        if item.kind > ITEM_BORROWED or item.busy:
            first = NULL
        else:
            if first is NULL and total + item.left > keep:
                first = item
                before[0] = previous
            total += item.left
        previous = item
        item = item.next
    return first


cdef int _move(Output* output, Item* first, Item* spill) except -1:
    """Writes a chain of memory items that are out of the queue to the spill file."""
    cdef Item* item = first
    cdef int64_t end = 0
    while item is not NULL:
        output.memory -= item.left
        item = item.next
    item = first
    while item is not NULL:
        if item.left < RELEASE_BYTES:
            spill_write(spill.fd, item.data, item.left, end)
        else:
            with nogil:
                spill_write(spill.fd, item.data, item.left, end)
        end += item.left
        item = item.next
    spill.left = end
    output.spilled += end
    return 0


cdef inline void _drop_head(Output* output, Pool* pool) noexcept:
    cdef Item* item = output.head
    output.head = item.next
    if output.head is NULL:
        output.tail = NULL
    item_free(pool, item)


cdef inline void _sent(Output* output, Pool* pool, size_t size) noexcept:
    """Takes `size` bytes of memory items off the queue's front."""
    cdef Item* item
    output.memory -= size
    output.waiting -= size
    output.sent += size
    while size > 0:
        item = output.head
        if size < item.left:
            item.data += size
            item.left -= size
            return
        size -= item.left
        item.left = 0
        _drop_head(output, pool)


cdef ssize_t _send_memory(Output* output, int fd) noexcept:
    cdef iovec pieces[FLUSH_PIECES]
    cdef msghdr message
    cdef Item* item = output.head
    cdef size_t n = 0
    if item.next is NULL:
        return send(fd, item.data, item.left, MSG_NOSIGNAL | MSG_DONTWAIT)
    while item is not NULL and n < FLUSH_PIECES and item.kind <= ITEM_BORROWED:
        pieces[n].iov_base = <void*>item.data
        pieces[n].iov_len = item.left
        n += 1
        item = item.next
    memset(&message, 0, sizeof(message))
    message.msg_iov = pieces
    message.msg_iovlen = n
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT)


cdef Flushed output_flush(Output* output, Pool* pool, int fd) noexcept:
    cdef Item* item
    cdef ssize_t n
    cdef int64_t offset
    while output.head is not NULL:
        item = output.head
        if item.busy:
            # Its writer flushes again when it is back.
            return FLUSH_BLOCKED
        if item.left == 0:
            _drop_head(output, pool)
            continue
        if item.kind <= ITEM_BORROWED:
            n = _send_memory(output, fd)
            if n >= 0:
                _sent(output, pool, n)
                continue
        else:
            offset = item.offset
            n = sendfile(fd, item.fd, &offset, min(item.left, <size_t>SENDFILE_BYTES))
            if n == 0:
                # The file is shorter than its sender said.
                output.error = EIO
                return FLUSH_BROKEN
            if n > 0:
                item.offset += n
                item.left -= n
                output.waiting -= n
                output.sent += n
                if item.kind == ITEM_SPILL:
                    output.spilled -= n
                continue
        if errno == EINTR:
            continue
        if errno == EAGAIN:
            return FLUSH_BLOCKED
        output.error = errno
        return FLUSH_BROKEN
    return FLUSH_DONE
