# cython: language_level=3
"""The clock that no application can stop: requests that get no answer in time get one.

Law: the sentinel's thread never takes the GIL and touches no Python object. Whatever the application does, be it stuck
in C code with the GIL held, the client has its 504 in time. The thread sleeps until the oldest call is due, and a whole
timeout when none runs: what starts in between is due later. So it costs nothing.

Who answers is decided by one compare-and-swap on the request's entry: the exchange that is about to send its head, or
this thread (scoreboard.pxd). What the sentinel has won it also sends, when nothing else is queued on the connection;
otherwise, and for all that follows, it leaves a claim for the reactor. Descriptors are sent to under `watch.mutex`,
which whoever closes one takes too: it cannot become somebody else's meanwhile. Nobody waits for the GIL with it held.

Claims are taken with the GIL held, by the leader or by a thread that lost the race for its answer. Taking one tells the
exchange, which closes its connection in good order, and the executor, which counts the call no longer. When nobody
takes a claim within PATIENCE_NS, the thread itself writes the line, and has the thread of the call write its own stack.
"""
cimport cython
from libc.errno cimport EINTR, errno
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset, strlen
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec
from posix.unistd cimport close, getpid, read, write
from drawbar.exchange.exchange cimport Exchange, Job
from drawbar.exchange.log_stamp cimport LOG_STAMP_BYTES, put_log_stamp
from drawbar.net.reactor cimport Reactor
from drawbar.net.scoreboard cimport (
    ENTRIES, ENTRY_HELD, ENTRY_RUNNING, ENTRY_TIMED_OUT, Entry, atomic_load, entry_time_out, monotonic_ns)
from drawbar.wire.dates cimport HTTP_DATE_BYTES, put_http_date

import os


cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_attr_t:
        pass
    int pthread_mutex_init(pthread_mutex_t* mutex, void* attributes)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)
    int pthread_attr_init(pthread_attr_t* attributes)
    int pthread_attr_destroy(pthread_attr_t* attributes)
    int pthread_attr_setstacksize(pthread_attr_t* attributes, size_t size)
    int pthread_create(pthread_t* thread, pthread_attr_t* attributes, void* (*run)(void*) noexcept nogil, void* with_)
    int pthread_join(pthread_t thread, void** result)
    int pthread_setname_np(pthread_t thread, const char* name)

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    enum:
        SIG_SETMASK
    int sigfillset(sigset_t* signals)
    int sigdelset(sigset_t* signals, int number)
    int pthread_sigmask(int how, const sigset_t* signals, sigset_t* before)
    int pthread_kill(pthread_t thread, int number)

cdef extern from "<semaphore.h>" nogil:
    int sem_init(sem_t* semaphore, int shared, unsigned int value)
    int sem_destroy(sem_t* semaphore)
    int sem_post(sem_t* semaphore)
    int sem_clockwait(sem_t* semaphore, int clock, const timespec* until)

cdef extern from "<sys/eventfd.h>" nogil:
    enum:
        EFD_CLOEXEC
        EFD_NONBLOCK
    int eventfd(unsigned int initial, int flags)

cdef extern from "<sys/socket.h>" nogil:
    enum:
        SHUT_WR
        MSG_NOSIGNAL
        MSG_DONTWAIT
    int shutdown(int fd, int how)
    ssize_t send(int fd, const void* data, size_t size, int flags)

cdef enum:
    STACK_BYTES = 262_144       # of the thread
    LINE_BYTES = 512            # of the log

cdef const char* TOO_LATE = b"504 Gateway Timeout\n\nthe application did not answer in time\n"
cdef const char* REPORT = b"recycle timeout\n"


# -- the thread

@cython.linetrace(False)
@cython.profile(False)
cdef void _answer(Watch* watch, Claim* claim) noexcept nogil:
    """The 504 as the client gets it; a HEAD gets its head (RFC 9110 section 9.3.2)."""
    cdef timespec now
    cdef char date[HTTP_DATE_BYTES]
    cdef const char* body = TOO_LATE
    if claim.text_size >= 5 and memcmp(claim.text, b"HEAD ", 5) == 0:
        body = b""
    claim.body = strlen(body)
    clock_gettime(CLOCK_REALTIME, &now)
    put_http_date(date, now.tv_sec)
    claim.size = <size_t>snprintf(
        claim.answer, ANSWER_BYTES,
        b"HTTP/1.1 504 Gateway Timeout\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
        b"Date: %.*s\r\n%sConnection: close\r\n\r\n%s",
        <int>strlen(TOO_LATE), <int>HTTP_DATE_BYTES, <const char*>date, <const char*>watch.server, body)


@cython.linetrace(False)
@cython.profile(False)
cdef bint _call_off(Watch* watch, uint32_t index, uint64_t word, uint64_t now) noexcept nogil:
    """Claims a request that is due, and answers it when it can be answered from here. False: there is no memory."""
    cdef Entry* entry = &watch.page.entries[index]
    cdef Claim* claim = <Claim*>calloc(1, sizeof(Claim))
    cdef uint64_t one = 1
    cdef ssize_t n
    if claim is NULL:
        return False
    pthread_mutex_lock(&watch.mutex)
    if not entry_time_out(watch.page, entry, word):
        pthread_mutex_unlock(&watch.mutex)
        free(claim)
        return True
    # From here on the entry stays as it is until the claim is taken, which needs the mutex.
    claim.index = index
    claim.word = word & ~<uint64_t>0xff | <uint64_t>ENTRY_TIMED_OUT
    claim.claimed_ns = now
    claim.thread = entry.thread
    claim.text_size = min(<size_t>entry.text_size, sizeof(claim.text))
    memcpy(claim.text, entry.text, claim.text_size)
    _answer(watch, claim)
    if word & 0xff == <uint64_t>ENTRY_RUNNING and entry.fd >= 0:
        n = send(entry.fd, claim.answer, claim.size, MSG_DONTWAIT | MSG_NOSIGNAL)
        claim.sent = <size_t>n if n > 0 else 0
        if claim.sent == claim.size:
            shutdown(entry.fd, SHUT_WR)
    if watch.last is NULL:
        watch.first = claim
    else:
        watch.last.next = claim
    watch.last = claim
    pthread_mutex_unlock(&watch.mutex)
    write(watch.event_fd, &one, sizeof(one))
    if not watch.reported and watch.report_fd >= 0:
        write(watch.report_fd, REPORT, 16)
    watch.reported = True
    return True


@cython.linetrace(False)
@cython.profile(False)
cdef void _write_line(Watch* watch, Claim* claim) noexcept nogil:
    """The claim's line, as the log writes its own (supervisor/logs.py)."""
    cdef char line[LINE_BYTES]
    cdef char stamp[LOG_STAMP_BYTES]
    cdef timespec now
    cdef int size
    clock_gettime(CLOCK_REALTIME, &now)
    put_log_stamp(stamp, &now)
    size = snprintf(line, LINE_BYTES, b"%s error: request %.*s%s\n", <const char*>stamp,
                    <int>claim.text_size, <const char*>claim.text, <const char*>watch.ending)
    if size > 0:
        write(watch.log_fd, line, min(size, <int>LINE_BYTES - 1))


@cython.linetrace(False)
@cython.profile(False)
cdef uint64_t _dump(Watch* watch, uint64_t now) noexcept nogil:
    """Tells of the claims nobody takes. When to look again; 0: not for the sake of claims."""
    cdef Claim* claim
    cdef uint64_t again = 0
    cdef uint64_t asked = 0
    pthread_mutex_lock(&watch.mutex)
    claim = watch.first
    while claim is not NULL:
        if not claim.told:
            if now - claim.claimed_ns < <uint64_t>PATIENCE_NS:
                again = claim.claimed_ns + <uint64_t>PATIENCE_NS
                break
            claim.told = True
            if watch.log_fd >= 0:
                _write_line(watch, claim)
            # In its own handler no frame moves while it is read, as it would in a thread that somebody else looks at.
            # It is there: to end it would need the GIL, and with it the claim would have been taken.
            if watch.dump_signal and claim.thread and claim.thread != asked:
                asked = claim.thread
                pthread_kill(<pthread_t>asked, watch.dump_signal)
        claim = claim.next
    pthread_mutex_unlock(&watch.mutex)
    return again


@cython.linetrace(False)
@cython.profile(False)
cdef uint64_t _round(Watch* watch) noexcept nogil:
    """Calls off what is due; when to look again."""
    cdef uint64_t now = monotonic_ns()
    cdef uint64_t again = now + watch.timeout_ns
    cdef uint64_t word, called, due
    cdef uint32_t i
    cdef Entry* entry
    for i in range(watch.page.fresh_entry):
        entry = &watch.page.entries[i]
        word = atomic_load(&entry.word)
        if word & 0xff != <uint64_t>ENTRY_RUNNING and word & 0xff != <uint64_t>ENTRY_HELD:
            continue
        called = atomic_load(&entry.called_ns)
        if called == 0:
            continue
        due = called + watch.timeout_ns
        if due > now:
            again = min(again, due)
        elif not _call_off(watch, i, word, now):
            again = min(again, now + <uint64_t>RETRY_NS)
    due = _dump(watch, monotonic_ns())
    return min(again, due) if due else again


@cython.linetrace(False)
@cython.profile(False)
cdef void* _keep_watch(void* argument) noexcept nogil:
    cdef Watch* watch = <Watch*>argument
    cdef timespec until
    cdef uint64_t again
    while True:
        again = _round(watch)
        until.tv_sec = <long>(again // 1_000_000_000)
        until.tv_nsec = <long>(again % 1_000_000_000)
        while sem_clockwait(&watch.end, CLOCK_MONOTONIC, &until) != 0:
            if errno != EINTR:
                break
        else:
            return NULL


# -- what those with the GIL share with it; a tracer may let go of the GIL at any line, and so must see none of these

@cython.linetrace(False)
@cython.profile(False)
cdef void _detach(Watch* watch, Entry* entry) noexcept nogil:
    pthread_mutex_lock(&watch.mutex)
    entry.fd = -1
    pthread_mutex_unlock(&watch.mutex)


@cython.linetrace(False)
@cython.profile(False)
cdef Claim* _take_all(Watch* watch) noexcept nogil:
    cdef Claim* first
    pthread_mutex_lock(&watch.mutex)
    first = watch.first
    watch.first = watch.last = NULL
    pthread_mutex_unlock(&watch.mutex)
    return first


# -- those with the GIL

cdef class Sentinel:
    """Watches over the requests of one reactor's cell.

    seconds: from the call of an application to its answer. look(thread, task): notes where a call is, as anything;
    tell(text, what look() noted, told, files): logs it to that request's files, unless it is `told` already, and every
    thread's stack with it. Both are called with the GIL. report_fd: where the master hears "recycle timeout". log_fd:
    where the line goes when nobody can be told, and dump_signal: what then makes a thread write its stack. -1, -1
    and 0: not at all.
    """

    def __cinit__(self, Reactor reactor, double seconds, *, object look, object tell, str server_header="",
                  int report_fd=-1, int log_fd=-1, int dump_signal=0):
        cdef Watch* watch = &self.watch
        cdef bytes server = f"Server: {server_header}\r\n".encode("ascii") if server_header else b""
        cdef bytes ending = f" timed out after {seconds:g} s; the worker is replaced".encode("ascii")
        memset(watch, 0, sizeof(Watch))
        watch.event_fd = -1
        if seconds <= 0:
            raise ValueError("a request's time must be more than 0 seconds")
        if <size_t>len(server) >= sizeof(watch.server):
            raise ValueError("the Server header is at most 64 characters long")
        memcpy(watch.server, <const char*>server, len(server))
        memcpy(watch.ending, <const char*>ending, min(<size_t>len(ending), sizeof(watch.ending) - 1))
        self.reactor = reactor
        self.look = look
        self.tell = tell
        watch.page = reactor.page
        watch.timeout_ns = <uint64_t>(seconds * 1e9)
        watch.report_fd = report_fd
        watch.log_fd = log_fd
        watch.dump_signal = dump_signal
        self.owners = <void**>calloc(ENTRIES, sizeof(void*))
        if self.owners is NULL:
            raise MemoryError()
        watch.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if watch.event_fd < 0:
            raise OSError(errno, f"cannot make an event descriptor: {os.strerror(errno)}")

    def __dealloc__(self):
        cdef Claim* claim
        if self.running and self.process == getpid():
            self._end()
        while self.watch.first is not NULL:
            claim = self.watch.first
            self.watch.first = claim.next
            free(claim)
        if self.watch.event_fd >= 0:
            close(self.watch.event_fd)
        if self.owners is not NULL:
            free(self.owners)

    def start(self):
        """Watches from now on. For the process that serves, after the last fork."""
        cdef Watch* watch = &self.watch
        cdef pthread_attr_t attributes
        cdef sigset_t all_signals, before
        cdef int failed
        pthread_mutex_init(&watch.mutex, NULL)
        sem_init(&watch.end, 0, 0)
        # Signals are for the interpreter's threads, and interrupt its main one. Whoever asks each thread for its stack
        # need not wait for this one, which has none.
        sigfillset(&all_signals)
        if watch.dump_signal:
            sigdelset(&all_signals, watch.dump_signal)
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, STACK_BYTES)
        pthread_sigmask(SIG_SETMASK, &all_signals, &before)
        failed = pthread_create(&watch.thread, &attributes, _keep_watch, watch)
        pthread_sigmask(SIG_SETMASK, &before, NULL)
        pthread_attr_destroy(&attributes)
        if failed:
            raise OSError(failed, f"cannot start the thread of the request timeout: {os.strerror(failed)}")
        pthread_setname_np(watch.thread, b"sentinel")
        self.running = True
        self.process = getpid()
        self.reactor.watch(watch.event_fd, self.hear)
        self.reactor.sentinel = self

    def stop(self):
        """Watches no more. Claims that nobody has taken are dropped with this object."""
        self.reactor.sentinel = None
        if self.running:
            self._end()

    def _end(self):
        self.running = False
        sem_post(&self.watch.end)
        with nogil:
            pthread_join(self.watch.thread, NULL)
        sem_destroy(&self.watch.end)
        pthread_mutex_destroy(&self.watch.mutex)

    cdef void own(self, Entry* entry, object exchange) noexcept:
        self.owners[entry - self.watch.page.entries] = <void*>exchange

    cdef void detach(self, Entry* entry) noexcept:
        """The connection is about to close: waits for the sentinel if that sends to it, and keeps it from doing so."""
        _detach(&self.watch, entry)

    def hear(self):
        """Takes the claims there are: for the leader, when the sentinel wakes it."""
        cdef uint64_t count
        read(self.watch.event_fd, &count, sizeof(count))
        self.take()

    cdef int take(self) except -1:
        cdef Claim* first
        cdef Claim* claim
        cdef list exchanges = []
        first = _take_all(&self.watch)
        # All owners must be ours before anything lets another thread run, which may be about to end with its request.
        claim = first
        while claim is not NULL:
            exchanges.append(self._owner(claim))
            claim = claim.next
        for exchange in exchanges:
            claim = first
            first = claim.next
            try:
                if exchange is not None:
                    self._settle(claim, exchange)
            except Exception as error:
                self.reactor.report(error)
            finally:
                free(claim)
        return 0

    cdef Exchange _owner(self, Claim* claim):
        """The exchange that was called off; None when it has come to its end since, as one whose client left may."""
        if atomic_load(&self.watch.page.entries[claim.index].word) != claim.word:
            return None
        return <Exchange>self.owners[claim.index]

    cdef int _settle(self, Claim* claim, Exchange exchange) except -1:
        cdef Job job = exchange.job
        cdef str text = claim.text[:claim.text_size].decode("latin-1")
        cdef object seen = None if claim.told else self.look(claim.thread, job.task if job is not None else None)
        cdef bint told = claim.told
        exchange.timed_out(claim.answer, claim.size, claim.sent, claim.body)
        self.tell("request " + text + self.watch.ending.decode("ascii"), seen, told, exchange.log_files)
        return 0
