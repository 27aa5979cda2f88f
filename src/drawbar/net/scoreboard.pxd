# cython: linetrace=False, profile=False
"""The page of figures that all processes of one server share: its layout, and what the owner of a cell writes.

Written through `CellPage*` by the one worker that has the cell, with the GIL held and by plain stores (`timed_out` and
an entry's `word` excepted); read by anybody without a lock, as each figure is one aligned word.

An entry's `word` is its serial and its state in one, so that a compare-and-swap hits this request and no later one:

    RUNNING   the application has the request, and nothing that is queued on the connection stands before its answer
    HELD      the same, but other bytes are queued there: whoever writes now would write into the middle of them
    ANSWERING the exchange sends its head, or has
    TIMED_OUT somebody else answered or will: the exchange sends nothing more

Untraced, by the line above: threads without the GIL run some of this, and a tracer would wait for it. Decorators of
inline functions in declarations are not heard.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef extern from *:
    """
    #include <stdint.h>
    /* Set by the benchmark that measures what all this costs, and by nobody else. */
    #ifdef DRAWBAR_NO_COUNTERS
    #define DRAWBAR_COUNTING 0
    #else
    #define DRAWBAR_COUNTING 1
    #endif
    static inline uint64_t drawbar_load(const uint64_t *word) {
        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
    }
    static inline void drawbar_store(uint64_t *word, uint64_t value) {
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
    }
    static inline void drawbar_add(uint64_t *word, uint64_t value) {
        __atomic_fetch_add(word, value, __ATOMIC_RELAXED);
    }
    static inline int drawbar_swap(uint64_t *word, uint64_t expected, uint64_t value) {
        return __atomic_compare_exchange_n(word, &expected, value, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }
    """
    bint COUNTING "DRAWBAR_COUNTING"
    uint64_t atomic_load "drawbar_load"(const uint64_t* word) noexcept nogil
    void atomic_store "drawbar_store"(uint64_t* word, uint64_t value) noexcept nogil
    void atomic_add "drawbar_add"(uint64_t* word, uint64_t value) noexcept nogil
    bint atomic_swap "drawbar_swap"(uint64_t* word, uint64_t expected, uint64_t value) noexcept nogil

cdef enum:
    ENTRIES = 4096              # requests in flight a worker can list; past it they are served, and only counted
    BUCKETS = 19                # of a histogram: 18 bounds (BOUNDS_NS) and what is longer
    STATUS_CLASSES = 6          # [0]: broken off before there was a status; [1] to [5]: 1xx to 5xx, and what is above
    GENERATIONS = 3             # of Python's collector
    TEXT_BYTES = 80             # of "METHOD target" in an entry; longer ones are cut

cdef enum EntryState:           # the low byte of an entry's `word`
    ENTRY_FREE = 0
    ENTRY_RUNNING = 1
    ENTRY_HELD = 2
    ENTRY_ANSWERING = 3
    ENTRY_TIMED_OUT = 4

cdef enum EntryKind:
    ENTRY_HTTP = 0
    ENTRY_RAW = 1               # another protocol took the connection over

cdef enum Phase:
    PHASE_STARTING = 0          # claimed; its worker is not there yet, or loads its application
    PHASE_SERVING = 1
    PHASE_DRAINING = 2

cdef enum Leader:               # what the thread that leads is doing
    LEADER_MOVES = 0            # events: `beat_ns` must move
    LEADER_WAITS = 1            # sleeps until there are events
    LEADER_CALLS = 2            # is inside an application, which may take its time

cdef struct Entry:              # one request in flight; 128 bytes
    uint64_t word               # serial << 8 | state
    uint64_t started_ns         # when it was whole, or its head when the body is streamed; monotonic
    uint64_t called_ns          # when its application was called; 0: it waits for that
    uint64_t thread             # threading.get_ident() of the thread it was called on
    int fd                      # of its connection
    uint32_t next               # free list: index + 1
    uint8_t kind
    uint8_t text_size
    uint8_t ip_family           # of the peer: 4, 6, or 0 for a Unix socket
    uint8_t spare
    uint16_t port               # of the peer
    uint8_t ip[16]
    char text[TEXT_BYTES]

cdef struct Histogram:
    uint64_t buckets[BUCKETS]   # each on its own, not cumulative
    uint64_t sum_ns

cdef struct Tally:              # what only ever grows
    uint64_t requests[STATUS_CLASSES]
    Histogram latency           # from the whole request to the last byte of its answer
    Histogram queued            # from the whole request to the call of its application
    uint64_t bytes_in
    uint64_t bytes_out
    uint64_t connections        # accepted
    uint64_t refused            # answered by the server itself, before any application; also in `requests`
    uint64_t timed_out          # by whoever won entry_time_out(); atomic, and not in `requests`: see totals()
    uint64_t collections[GENERATIONS]
    uint64_t collecting_ns      # Python's collector at work

cdef struct CellPage:           # what one worker writes
    uint64_t beat_ns            # the last turn of the reactor began
    uint64_t started_ns         # wall clock, CLOCK_REALTIME
    int64_t owner_pid           # the master that claimed it
    int64_t pid                 # the worker; 0: not there yet
    int64_t slot
    int64_t generation
    uint32_t phase
    uint32_t leader
    uint32_t connections        # open now
    uint32_t in_flight          # with their application, or waiting for it: all, listed or not
    uint32_t busy               # of those, called
    uint32_t threads            # calls there may be at once; 0: any number
    uint32_t free_entry         # index + 1
    uint32_t fresh_entry        # entries from here on were never used
    uint64_t serials            # of entries
    Tally tally
    Entry entries[ENTRIES]

cdef struct Retired:            # the sum of all cells given back, the last of which had this serial
    uint64_t serial
    Tally tally

cdef class Cell:
    """One worker's place. `page` is private memory until it belongs to a board, and again after disown()."""
    cdef CellPage* page
    cdef CellPage* private
    cdef object board           # keeps the mapping
    cdef readonly int index     # -1: private
    cpdef disown(self)

cdef extern from *:
    """
    static const uint64_t drawbar_bounds_ns[18] = {
        100000u, 250000u, 500000u, 1000000u, 2500000u, 5000000u, 10000000u, 25000000u, 50000000u, 100000000u,
        250000000u, 500000000u, 1000000000u, 2500000000u, 5000000000u, 10000000000u, 30000000000u, 60000000000u};
    """
    const uint64_t BOUNDS_NS "drawbar_bounds_ns"[18]


cdef inline uint64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1_000_000_000 + <uint64_t>now.tv_nsec


cdef inline void observe(Histogram* histogram, uint64_t ns) noexcept nogil:
    cdef int i = 0
    while i < BUCKETS - 1 and ns > BOUNDS_NS[i]:
        i += 1
    histogram.buckets[i] += 1
    histogram.sum_ns += ns


cdef inline EntryState entry_state(const Entry* entry) noexcept nogil:
    return <EntryState>(atomic_load(&entry.word) & 0xff)


# -- by the owner, with the GIL held. NULL for `entry` is a request that found no entry: everything succeeds.

# An entry for a request that is handed to its application. The caller has filled nothing yet; NULL: none is left.
cdef inline Entry* entry_new(CellPage* page) noexcept nogil:
    cdef Entry* entry
    if page.free_entry:
        entry = &page.entries[page.free_entry - 1]
        page.free_entry = entry.next
    elif page.fresh_entry < ENTRIES:
        entry = &page.entries[page.fresh_entry]
        page.fresh_entry += 1
    else:
        return NULL
    return entry


# Makes a filled entry visible. `held`: something else is queued on its connection.
cdef inline void entry_publish(CellPage* page, Entry* entry, bint held) noexcept nogil:
    page.serials += 1
    atomic_store(&entry.word, page.serials << 8 | <uint64_t>(ENTRY_HELD if held else ENTRY_RUNNING))


# An entry of another page is another's: a forked child inherits exchanges, not their entries.
cdef inline bint entry_listed(CellPage* page, const Entry* entry) noexcept nogil:
    return page.entries <= entry < page.entries + ENTRIES


# The request is over.
cdef inline void entry_free(CellPage* page, Entry* entry) noexcept nogil:
    if not entry_listed(page, entry):
        return
    atomic_store(&entry.word, entry.word & ~<uint64_t>0xff)
    entry.next = page.free_entry
    page.free_entry = <uint32_t>(entry - page.entries) + 1


# Before bytes that are not the answer are queued (100 Continue, 103). False: it timed out, so send nothing.
cdef inline bint entry_hold(Entry* entry) noexcept nogil:
    cdef uint64_t word
    if entry is NULL:
        return True
    while True:
        word = atomic_load(&entry.word)
        if word & 0xff != ENTRY_RUNNING:
            return word & 0xff != ENTRY_TIMED_OUT
        if atomic_swap(&entry.word, word, word & ~<uint64_t>0xff | ENTRY_HELD):
            return True


# Everything queued on the connection is with the kernel.
cdef inline void entry_unhold(Entry* entry) noexcept nogil:
    cdef uint64_t word
    if entry is NULL:
        return
    word = atomic_load(&entry.word)
    if word & 0xff == ENTRY_HELD:
        atomic_swap(&entry.word, word, word & ~<uint64_t>0xff | ENTRY_RUNNING)


# Before the head of the answer is queued. False: it timed out, so send nothing.
cdef inline bint entry_answer(Entry* entry) noexcept nogil:
    cdef uint64_t word
    if entry is NULL:
        return True
    while True:
        word = atomic_load(&entry.word)
        if word & 0xff == ENTRY_TIMED_OUT:
            return False
        if atomic_swap(&entry.word, word, word & ~<uint64_t>0xff | ENTRY_ANSWERING):
            return True


# -- by anybody, without the GIL: `word` is what was read before the decision.

# Calls the request off, unless it changed since. True: the caller is the only one to answer it now. When `word` said
# HELD, not from here: its answer must queue behind what is queued on the connection.
cdef inline bint entry_time_out(CellPage* page, Entry* entry, uint64_t word) noexcept nogil:
    if not atomic_swap(&entry.word, word, word & ~<uint64_t>0xff | ENTRY_TIMED_OUT):
        return False
    atomic_add(&page.tally.timed_out, 1)
    return True
