"""What a connection still has to send: copied blocks, borrowed bytes objects, files and spill, in order."""
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t
from drawbar.wire.writer cimport Buffer

cdef enum:
    BLOCK_BYTES = 4096          # a fresh block; a response head and a small body fit
    POOL_BLOCKS = 64            # blocks kept for reuse, for all connections of a reactor together
    FLUSH_PIECES = 64           # iovecs of one sendmsg
    SENDFILE_BYTES = 262_144    # of one sendfile call: the GIL is held meanwhile
    RELEASE_BYTES = 262_144     # writes to a spill file from this size on release the GIL

cdef enum Flushed:
    FLUSH_DONE = 0              # everything is with the kernel
    FLUSH_BLOCKED = 1           # the socket takes no more at present
    FLUSH_BROKEN = 2            # the peer is gone, or the file gave less than promised: `error` says which

cdef enum ItemKind:
    ITEM_BLOCK                  # `block` holds the bytes
    ITEM_BORROWED               # `owner` keeps `data` alive
    ITEM_FILE                   # `left` bytes of `fd` from `offset` on; `owner` keeps it open, or it is ours
    ITEM_SPILL                  # the same for the spill file, which grows while it is the last item

cdef struct Item:
    Item* next
    Buffer block                # of ITEM_BLOCK; kept for reuse
    const char* data            # next byte to send
    size_t left                 # bytes to send
    PyObject* owner
    int64_t offset
    int fd
    uint8_t kind
    uint8_t owns_fd
    uint8_t busy                # a thread is writing to this spill file without the GIL

cdef struct Pool:
    Item* free
    int size

cdef struct Output:
    Item* head
    Item* tail
    size_t memory               # bytes waiting in memory
    size_t waiting              # bytes waiting in all, spill and files included
    size_t spilled              # bytes now in the spill file
    size_t sent                 # bytes handed to the kernel since the owner last set it to 0
    int error                   # errno of FLUSH_BROKEN

cdef Item* item_new(Pool* pool) except NULL
cdef void item_free(Pool* pool, Item* item) noexcept
cdef void pool_clear(Pool* pool) noexcept
cdef void output_clear(Output* output, Pool* pool) noexcept
# Appends a block filled by the caller.
cdef void output_block(Output* output, Item* item) noexcept
# Appends `size` bytes: into the last block when they fit, else by reference to `owner`, or by copy when that is None.
cdef int output_bytes(Output* output, Pool* pool, object owner, const char* data, size_t size) except -1
# Appends part of a file. `owner` None: the descriptor is closed when sent.
cdef int output_file(Output* output, Pool* pool, object owner, int fd, int64_t offset, size_t size) except -1
# Moves what waits in memory beyond `keep` bytes to the spill file, from the end. OSError when the file takes no more.
cdef int output_spill(Output* output, Pool* pool, size_t keep, object directory) except -1
cdef Flushed output_flush(Output* output, Pool* pool, int fd) noexcept
