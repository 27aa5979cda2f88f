# cython: language_level=3
"""The page of figures that all processes of one server share: who has a cell, and what all of them come to.

Law: a memory file without a name (memfd_create(2)) holds a header, the totals of cells given back, and the cells. A
worker writes its own cell and nothing else. Giving a cell back adds its figures to the totals in one step, so what
is counted never goes back, whoever dies when: the next totals are written beside the present ones together with the
serial of the cell they include, and adding one to `retirements` makes both true at once.

Reading takes no lock and can hold nobody up: sums are made again when a cell was given back meanwhile. Claiming and
giving back, which masters do and during an upgrade two of them, take a robust mutex in the header: it works across
fork and exec and without /proc (which a chroot may lack), and the kernel lets go of it for a process that dies.
"""
from libc.errno cimport ESRCH, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset, strncpy
from posix.signal cimport kill
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec
from posix.unistd cimport close, ftruncate, getpid
from drawbar.net.addresses cimport HostNames, Sockaddr, host_name, host_names_clear

import os

from drawbar.net.figures import BOUNDS_S, Counters, Histogram as HistogramFigures, InFlight


cdef extern from "<sys/mman.h>" nogil:
    enum:
        MFD_CLOEXEC
        MFD_ALLOW_SEALING
        PROT_READ
        PROT_WRITE
        MAP_SHARED
    void* MAP_FAILED
    int memfd_create(const char* name, unsigned int flags)
    void* mmap(void* address, size_t size, int protection, int flags, int fd, int64_t offset)
    int munmap(void* address, size_t size)

cdef extern from "<fcntl.h>" nogil:
    enum:
        F_ADD_SEALS
        F_SEAL_SEAL
        F_SEAL_SHRINK
        F_SEAL_GROW
        FALLOC_FL_PUNCH_HOLE
        FALLOC_FL_KEEP_SIZE
    int fcntl(int fd, int command, int argument)
    int fallocate(int fd, int mode, int64_t offset, int64_t size)

cdef extern from "<errno.h>" nogil:
    enum:
        EOWNERDEAD

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_mutexattr_t:
        pass
    enum:
        PTHREAD_PROCESS_SHARED
        PTHREAD_MUTEX_ROBUST
    int pthread_mutexattr_init(pthread_mutexattr_t* attributes)
    int pthread_mutexattr_setpshared(pthread_mutexattr_t* attributes, int shared)
    int pthread_mutexattr_setrobust(pthread_mutexattr_t* attributes, int robust)
    int pthread_mutexattr_destroy(pthread_mutexattr_t* attributes)
    int pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_consistent(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)

cdef enum:
    VERSION = 2                 # of the layout below and in the .pxd: one more with every change to either
    PAGE_BYTES = 4096           # cells begin on a page of memory, so that unused ones cost none
    CAUSES = 32                 # kinds of restarts that are told apart; the last takes all further ones
    CAUSE_BYTES = 32            # of a cause's name, with the NUL

cdef uint64_t APART = <uint64_t>1 << 63     # in a claim: what is counted there stays out of the sums
cdef uint64_t MAGIC = 0x7261626b63617264    # "drackbar"

cdef struct Cause:
    char name[CAUSE_BYTES]
    uint64_t count

cdef struct Header:
    uint64_t magic
    uint32_t version
    uint32_t header_bytes
    uint32_t cell_bytes
    uint32_t cells
    uint64_t retirements        # the low bit says which of `retired` holds
    uint64_t serials            # of claims
    Retired retired[2]
    Cause causes[CAUSES]
    pthread_mutex_t lock
    # Then, for each cell, the serial of its claim as a word; 0: free. Looking at a cell itself makes its memory real.

cdef tuple PHASES = ("starting", "serving", "draining")
cdef tuple LEADERS = ("moves", "waits", "calls")
cdef dict STATES = {
    <int>ENTRY_RUNNING: "running",
    <int>ENTRY_HELD: "running",
    <int>ENTRY_ANSWERING: "answering",
    <int>ENTRY_TIMED_OUT: "timed out",
}

if tuple(int(BOUNDS_NS[i]) for i in range(BUCKETS - 1)) != tuple(round(bound * 1e9) for bound in BOUNDS_S):
    raise ImportError("the bounds in figures.py and scoreboard.pxd differ")


cdef int64_t _pages(int64_t size) noexcept:
    """So many bytes, rounded up to whole pages of memory."""
    return (size + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES

cdef int64_t CELL_BYTES = _pages(sizeof(CellPage))


cdef int64_t _header_bytes(int64_t cells) noexcept:
    return _pages(sizeof(Header) + cells * sizeof(uint64_t))


cdef int _add(Tally* into, const Tally* more) noexcept nogil:
    """A tally is nothing but words to be added up."""
    cdef uint64_t* sums = <uint64_t*>into
    cdef const uint64_t* words = <const uint64_t*>more
    cdef size_t i
    for i in range(sizeof(Tally) // sizeof(uint64_t)):
        sums[i] += words[i]
    return 0


cdef object _histogram(const Histogram* histogram):
    return HistogramFigures(tuple([histogram.buckets[i] for i in range(BUCKETS)]), histogram.sum_ns / 1e9)


cdef object _counters(const Tally* tally):
    cdef list requests = [tally.requests[i] for i in range(STATUS_CLASSES)]
    # Whoever calls a request off does it beside the thread that counts the others.
    requests[5] += tally.timed_out
    return Counters(
        tuple(requests), _histogram(&tally.latency), _histogram(&tally.queued), tally.bytes_in, tally.bytes_out,
        tally.connections, tally.refused, tally.timed_out, tuple([tally.collections[i] for i in range(GENERATIONS)]),
        tally.collecting_ns / 1e9)


cdef class Cell:
    """One worker's place on the board; without a board a private one, so that nobody has to ask."""

    def __cinit__(self):
        self.index = -1
        # Fresh memory of this size comes from the kernel zeroed, and only what is touched is real.
        self.private = <CellPage*>calloc(1, sizeof(CellPage))
        if self.private is NULL:
            raise MemoryError()
        self.page = self.private

    def __dealloc__(self):
        free(self.private)

    def enter(self):
        """The calling process is the worker: what it does first."""
        cdef timespec now
        clock_gettime(CLOCK_REALTIME, &now)
        self.page.started_ns = <uint64_t>now.tv_sec * 1_000_000_000 + <uint64_t>now.tv_nsec
        self.page.beat_ns = monotonic_ns()
        self.page.pid = getpid()

    cpdef disown(self):
        """In a process the worker forked: what is counted here is no longer the worker's."""
        self.page = self.private
        self.board = None
        self.index = -1

    # -- who

    @property
    def is_claimed(self):
        """It belongs to a worker, or to one to come."""
        return self.board is not None and (<Scoreboard>self.board).claims[self.index] != 0

    @property
    def pid(self):
        return self.page.pid

    @property
    def owner_pid(self):
        """The master that claimed it."""
        return self.page.owner_pid

    @property
    def slot(self):
        return self.page.slot

    @property
    def generation(self):
        return self.page.generation

    @property
    def started_ns(self):
        """When the worker entered: wall clock, nanoseconds since the epoch."""
        return self.page.started_ns

    # -- how it is

    @property
    def phase(self):
        """"starting", "serving" or "draining"."""
        return PHASES[min(self.page.phase, <uint32_t>2)]

    @phase.setter
    def phase(self, str phase):
        self.page.phase = PHASES.index(phase)

    @property
    def beat_ns(self):
        """When the present, or last, turn of the reactor began, on the monotonic clock."""
        return self.page.beat_ns

    @property
    def leader(self):
        """"waits" for events, "moves", or "calls": is inside an application."""
        return LEADERS[min(self.page.leader, <uint32_t>2)]

    @property
    def connections(self):
        """Open now."""
        return self.page.connections

    @property
    def busy(self):
        """Calls of the application running now."""
        return self.page.busy

    @property
    def waiting(self):
        """Requests that wait for their call."""
        return max(0, <int64_t>self.page.in_flight - <int64_t>self.page.busy)

    @property
    def threads(self):
        """Calls of the application there may be at once, on threads or otherwise; 0: any number."""
        return self.page.threads

    @property
    def accepted(self):
        """Connections accepted so far."""
        return self.page.tally.connections

    @property
    def requests(self):
        """Requests finished so far."""
        cdef uint64_t total = self.page.tally.timed_out
        for i in range(STATUS_CLASSES):
            total += self.page.tally.requests[i]
        return total

    def counters(self):
        """A copy of everything that only grows."""
        cdef Tally tally = self.page.tally
        return _counters(&tally)

    def in_flight(self):
        """The requests in flight, oldest first. Past ENTRIES of them the rest are only counted."""
        cdef Entry entry
        cdef const Entry* at
        cdef HostNames names
        cdef uint64_t word
        cdef uint32_t i
        cdef list found = []
        memset(&names, 0, sizeof(names))
        try:
            for i in range(min(self.page.fresh_entry, <uint32_t>ENTRIES)):
                at = &self.page.entries[i]
                word = atomic_load(&at.word)
                if word & 0xff == ENTRY_FREE:
                    continue
                entry = at[0]
                # Another request's by now: that one is too young to be missed.
                if atomic_load(&at.word) >> 8 == word >> 8 and (word & 0xff) in STATES:
                    found.append(_in_flight(&entry, word, &names))
        finally:
            host_names_clear(&names)
        return sorted(found, key=lambda request: (request.started_ns, request.serial))


cdef object _in_flight(const Entry* entry, uint64_t word, HostNames* names):
    cdef Sockaddr address
    cdef object peer = None
    if entry.ip_family:
        address.family = entry.ip_family
        address.port = entry.port
        memcpy(address.ip, entry.ip, sizeof(address.ip))
        peer = (host_name(names, &address), entry.port)
    return InFlight(
        entry.text[:min(entry.text_size, <uint8_t>TEXT_BYTES)].decode("latin-1"), entry.started_ns, entry.called_ns,
        entry.thread, word >> 8, STATES[word & 0xff], entry.kind == ENTRY_RAW, peer)


cdef class Scoreboard:
    """The shared page. Made by create() or attach(); close() or its end lets go of the memory and of `fd`."""
    cdef readonly int fd        # inherited by fork; close-on-exec until the owner says otherwise
    cdef char* memory
    cdef size_t size
    cdef Header* header
    cdef uint64_t* claims

    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        self._let_go()

    cdef void _let_go(self) noexcept:
        if self.memory is not NULL:
            munmap(self.memory, self.size)
            self.memory = NULL
            self.header = NULL
            self.claims = NULL
        if self.fd >= 0:
            close(self.fd)
            self.fd = -1

    @staticmethod
    def create(int cells):
        """A new page with room for that many workers at once. Unused cells cost no memory."""
        cdef Scoreboard board = Scoreboard()
        if cells < 1:
            raise ValueError(f"a scoreboard has at least one cell, not {cells}")
        board.fd = memfd_create(b"drawbar-scoreboard", MFD_CLOEXEC | MFD_ALLOW_SEALING)
        if board.fd < 0:
            raise OSError(errno, f"cannot make a memory file: {os.strerror(errno)}")
        if ftruncate(board.fd, _header_bytes(cells) + cells * CELL_BYTES) < 0:
            raise OSError(errno, f"cannot size a memory file: {os.strerror(errno)}")
        # A file cut short would kill whoever reads past its end.
        fcntl(board.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
        board._map()
        board._make_lock()
        board.header.version = VERSION
        board.header.header_bytes = <uint32_t>_header_bytes(cells)
        board.header.cell_bytes = <uint32_t>CELL_BYTES
        board.header.cells = cells
        atomic_store(&board.header.magic, MAGIC)
        return board

    @staticmethod
    def attach(int fd):
        """The page behind an inherited descriptor, which is the board's from then on.

        ValueError when it is none, or one of another layout; the descriptor then stays the caller's.
        """
        cdef Scoreboard board = Scoreboard()
        cdef Header* header
        cdef int64_t size = os.fstat(fd).st_size
        if size < <int64_t>sizeof(Header):
            raise ValueError(f"descriptor {fd} is no scoreboard: it holds {size} bytes")
        board.fd = fd
        try:
            board._map()
            header = board.header
            if atomic_load(&header.magic) != MAGIC:
                raise ValueError(f"descriptor {fd} is no scoreboard")
            if header.version != VERSION or header.header_bytes != _header_bytes(header.cells) or (
                    header.cell_bytes != CELL_BYTES or size != header.header_bytes + header.cells * CELL_BYTES):
                raise ValueError(f"the scoreboard is another release's: its layout is number {header.version}, "
                                 f"ours is {<int>VERSION}")
        except BaseException:
            board.fd = -1
            board._let_go()
            raise
        return board

    cdef int _map(self) except -1:
        cdef void* memory
        self.size = os.fstat(self.fd).st_size
        memory = mmap(NULL, self.size, PROT_READ | PROT_WRITE, MAP_SHARED, self.fd, 0)
        if memory == MAP_FAILED:
            raise OSError(errno, f"cannot map the scoreboard: {os.strerror(errno)}")
        self.memory = <char*>memory
        self.header = <Header*>memory
        self.claims = <uint64_t*>(self.memory + sizeof(Header))
        return 0

    cdef int _make_lock(self) except -1:
        cdef pthread_mutexattr_t attributes
        cdef int failed
        pthread_mutexattr_init(&attributes)
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED)
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST)
        failed = pthread_mutex_init(&self.header.lock, &attributes)
        pthread_mutexattr_destroy(&attributes)
        if failed:
            raise OSError(failed, f"cannot make a shared lock: {os.strerror(failed)}")
        return 0

    cdef int _lock(self) except -1:
        """Held for microseconds, and with the GIL: whoever has it needs nobody."""
        cdef int failed
        self._check_open()
        with nogil:
            failed = pthread_mutex_lock(&self.header.lock)
        if failed == EOWNERDEAD:
            # Whatever it was at: the totals were written in one step, and _clear_retired() ends the rest.
            pthread_mutex_consistent(&self.header.lock)
        elif failed:
            raise OSError(failed, f"cannot lock the scoreboard: {os.strerror(failed)}")
        self._clear_retired()
        return 0

    cdef void _unlock(self) noexcept:
        pthread_mutex_unlock(&self.header.lock)

    cdef int _check_open(self) except -1:
        if self.header is NULL:
            raise ValueError("the scoreboard is closed")
        return 0

    cdef CellPage* _page(self, uint32_t index) noexcept nogil:
        return <CellPage*>(self.memory + self.header.header_bytes + index * CELL_BYTES)

    cdef Retired* _retired(self, uint64_t retirements) noexcept nogil:
        return &self.header.retired[retirements & 1]

    cdef int _check_index(self, int index) except -1:
        self._check_open()
        if not 0 <= index < <int>self.header.cells:
            raise IndexError(f"the scoreboard has cells 0 to {self.header.cells - 1}, not {index}")
        return 0

    @property
    def capacity(self):
        """Workers that can have a cell at once."""
        self._check_open()
        return self.header.cells

    # -- by masters

    def claim(self, int64_t slot, int64_t generation, bint is_apart=False):
        """Index of a cell for a worker to come, with nothing counted yet. OSError when all are taken.

        is_apart: what is counted there never becomes part of the totals.
        """
        cdef CellPage* page
        cdef uint32_t i
        self._lock()
        try:
            for i in range(self.header.cells):
                if self.claims[i] == 0:
                    page = self._page(i)
                    page.owner_pid = getpid()
                    page.slot = slot
                    page.generation = generation
                    self.header.serials += 1
                    atomic_store(&self.claims[i], self.header.serials | (APART if is_apart else 0))
                    return i
        finally:
            self._unlock()
        import errno as codes
        raise OSError(codes.ENOSPC, f"all {self.header.cells} cells of the scoreboard are taken")

    def retire(self, int index):
        """Adds what was counted there to the totals and frees the cell. Its worker must be dead. Idempotent."""
        self._check_index(index)
        self._lock()
        try:
            self._retire(index)
        finally:
            self._unlock()

    cdef void _retire(self, uint32_t index) noexcept:
        cdef Header* header = self.header
        cdef Retired* after = self._retired(header.retirements + 1)
        if self.claims[index] == 0:
            return
        after[0] = self._retired(header.retirements)[0]
        if not self.claims[index] & APART:
            _add(&after.tally, &self._page(index).tally)
        after.serial = self.claims[index]
        atomic_store(&header.retirements, header.retirements + 1)
        self._clear_retired()

    cdef void _clear_retired(self) noexcept:
        """Frees the cell that the totals include already: the last step of _retire(), taken again after a death."""
        cdef uint64_t serial = self._retired(self.header.retirements).serial
        cdef uint32_t i
        if serial == 0:
            return
        for i in range(self.header.cells):
            if self.claims[i] == serial:
                # Gives the memory back, and so zeroes it. In a file of our own size it cannot fail; if it does, clear.
                if fallocate(self.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                             self.header.header_bytes + i * CELL_BYTES, CELL_BYTES) < 0:
                    memset(self._page(i), 0, CELL_BYTES)
                atomic_store(&self.claims[i], 0)

    def sweep(self):
        """Retires the cells of dead workers whose master is dead as well. How many there were."""
        cdef CellPage* page
        cdef uint32_t i
        cdef int swept = 0
        self._lock()
        try:
            for i in range(self.header.cells):
                page = self._page(i) if self.claims[i] else NULL
                if page is not NULL and _is_gone(page.owner_pid) and (page.pid == 0 or _is_gone(page.pid)):
                    self._retire(i)
                    swept += 1
        finally:
            self._unlock()
        return swept

    def count_restart(self, str cause):
        """One more worker was replaced for this cause; a name of at most 31 bytes."""
        cdef bytes name = cause.encode("utf-8")[:CAUSE_BYTES - 1]
        cdef Cause* known
        cdef int i
        self._lock()
        try:
            for i in range(CAUSES):
                known = &self.header.causes[i]
                if known.name[0] == 0:
                    strncpy(known.name, b"other" if i == CAUSES - 1 else name, CAUSE_BYTES - 1)
                if known.name == name or i == CAUSES - 1:
                    known.count += 1
                    return
        finally:
            self._unlock()

    # -- by anybody

    def restarts(self):
        """How many workers were replaced, by cause."""
        cdef int i
        self._check_open()
        return {
            self.header.causes[i].name.decode("utf-8", "replace"): self.header.causes[i].count
            for i in range(CAUSES) if self.header.causes[i].count}

    def cell(self, int index):
        """A window on that cell: for its worker to write, for others to read."""
        cdef Cell cell
        self._check_index(index)
        cell = Cell()
        cell.page = self._page(index)
        cell.board = self
        cell.index = index
        return cell

    def cells(self):
        """The cells that are claimed."""
        cdef uint32_t i
        self._check_open()
        return [self.cell(i) for i in range(self.header.cells) if self._is_live(i, self.header.retirements)]

    cdef bint _is_live(self, uint32_t index, uint64_t retirements) noexcept:
        """It is claimed, and not in the totals yet."""
        cdef uint64_t serial = atomic_load(&self.claims[index])
        return serial != 0 and serial != self._retired(retirements).serial

    def totals(self):
        """Everything ever counted by any worker. Never less than before."""
        cdef Tally tally
        cdef uint64_t retirements
        cdef uint32_t i
        self._check_open()
        while True:
            retirements = atomic_load(&self.header.retirements)
            tally = self._retired(retirements).tally
            for i in range(self.header.cells):
                if self._is_live(i, retirements) and not self.claims[i] & APART:
                    _add(&tally, &self._page(i).tally)
            if atomic_load(&self.header.retirements) == retirements:
                return _counters(&tally)

    def close(self):
        """Lets go of the memory. Cells handed out must not be used any more."""
        self._let_go()


cdef bint _is_gone(int64_t pid) noexcept:
    return kill(<int>pid, 0) < 0 and errno == ESRCH


cdef class CollectionTimer:
    """For gc.callbacks: counts the runs of Python's collector, and how long they hold everything up."""
    cdef Cell cell
    cdef uint64_t since

    def __init__(self, Cell cell not None):
        self.cell = cell

    def __call__(self, str phase, dict info):
        cdef int generation
        if phase == "start":
            self.since = monotonic_ns()
        elif self.since:
            generation = info["generation"]
            self.cell.page.tally.collecting_ns += monotonic_ns() - self.since
            self.cell.page.tally.collections[min(generation, GENERATIONS - 1)] += 1
            self.since = 0
