# cython: language_level=3
"""Every application call is a process of its own, forked for it and gone with it.

Law: this process has one thread and calls no application. It forks, and from then on serves the record by record that
the child sends of its response (exchange/relay.pyx); whatever becomes of the child, its client gets an answer. A call
holds its place until its process has been reaped, so there are never more processes than calls allowed. Calls beyond
them wait, first come, first served; one whose client left while it waited is not made.

A child lets go of the reactor before it calls the app, writes to nothing but its line, and leaves by os._exit: what
else its parent holds, exit handlers included, is not its own to end.

Its end is read from a pidfd (pidfd_open(2), Linux 5.3), and not from the line: a process that an app starts and leaves
behind may hold a copy of that.
"""
from collections import deque
import os
import signal
import sys

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, itimerspec
from posix.unistd cimport close, read
from drawbar.exchange.exchange cimport (
    Exchange, Executor, Job, RESPONSE_DONE, RESPONSE_SENT, now_ns)
from drawbar.exchange.relay cimport RECORD_BYTES, go_on, obey, relay
from drawbar.exchange.sentinel cimport TOO_LATE
from drawbar.net.reactor cimport EPOLLIN, ROOM_AMPLE, ROOM_NONE, ROOM_QUEUED, Reactor, Source, TURN_KEPT, Turn
from drawbar.net.scoreboard cimport atomic_load, entry_time_out

from drawbar.exchange.errors import AppError


cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL
    ssize_t recv(int fd, void* into, size_t room, int flags)
    ssize_t send(int fd, const void* data, size_t size, int flags)
    enum:
        AF_UNIX
        SOCK_SEQPACKET
        SOCK_CLOEXEC
    int socketpair(int domain, int kind, int protocol, int* ends)

cdef extern from "<sys/timerfd.h>" nogil:
    enum:
        TFD_CLOEXEC
        TFD_NONBLOCK
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec* fresh, itimerspec* old)

cdef enum:
    FAREWELL_NS = 100_000_000   # from a call's timeout to the death of its process, in which it may write its stack

cdef bytes TIMED_OUT = TOO_LATE
cdef bytes NO_PROCESS = b"503 Service Unavailable\n\nthe server cannot start a process for the request\n"
cdef bytes TEXT = b"text/plain; charset=utf-8"


cdef int _flush() except -1:
    """Writes what the standard streams still hold, if anybody takes it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            # Closed, by whomever: what it held is lost either way.
            continue
    return 0


cdef class _Descriptor(Source):
    """One of a call's descriptors in the parent. Closed in every other child: a copy would outlive the call."""
    cdef _Process process

    cdef int let_go(self, Reactor reactor) except -1:
        """Closed as soon as it is out of the set: the next child would keep what is in no set."""
        if self.fd >= 0:
            reactor.remove(self)
            close(self.fd)
            self.fd = -1
        return 0

    cdef void on_forked(self) noexcept:
        close(self.fd)

    cdef void on_failed(self) noexcept:
        if self.process is not None:
            self.process.kill()


cdef class _Line(_Descriptor):
    """Can be read: the child says something, or has closed its end."""

    cdef Turn on_events(self, uint32_t events) except *:
        cdef _Process process = self.process
        process.heard()
        return TURN_KEPT


cdef class _End(_Descriptor):
    """Can be read: the child has ended."""

    cdef Turn on_events(self, uint32_t events) except *:
        # Held here: its end lets go of it everywhere else.
        cdef _Process process = self.process
        process.ended()
        return TURN_KEPT


cdef _Descriptor _descriptor(_Descriptor made, _Process process, int fd):
    made.process = process
    made.fd = fd
    return made


cdef class _Clock(Source):
    """Can be read: a call is due."""
    cdef ForkExecutor executor

    cdef Turn on_events(self, uint32_t events) except *:
        cdef uint64_t count
        read(self.fd, &count, sizeof(count))
        self.executor._look_at_clock()
        return TURN_KEPT

    cdef void on_forked(self) noexcept:
        close(self.fd)


cdef class _Process(Job):
    """A call's process as its parent sees it. Stands for the call with the exchange while it runs."""
    cdef ForkExecutor executor
    cdef Job call
    cdef readonly int pid
    cdef _Line line
    cdef _End end
    cdef bint holds             # a reply, until the client has taken some of the response
    cdef bint late              # answered in its place
    cdef bint doomed            # killed by us
    cdef uint64_t due_ns        # when it is late, or, being late, dies; 0: never

    cdef int heard(self) except -1:
        """A record has come."""
        cdef Exchange exchange = self.exchange
        cdef char room[RECORD_BYTES + 1]
        cdef ssize_t n = recv(self.line.fd, room, sizeof(room), MSG_DONTWAIT)
        if n < 0 and (errno == EAGAIN or errno == EINTR):
            return 0
        if n <= 0:
            # It has nothing more to say; whether all is said, its end will show.
            self.line.let_go(self.executor.reactor)
            return 0
        if self.late:
            return self.reply(go_on(exchange, True))
        try:
            if n > RECORD_BYTES:
                raise ValueError("a record is too long")
            reply = obey(exchange, room[:n])
        except Exception as error:
            self.executor.reactor.report(error)
            self.kill()
            return 0
        if exchange.response >= RESPONSE_SENT:
            self.due_ns = 0
        if exchange.response == RESPONSE_SENT and not exchange.gone and (
                exchange.waiting() > exchange.policy.output_high_bytes):
            self.holds = True
            return exchange.want_drained()
        return self.reply(reply)

    cdef int reply(self, bytes reply) except -1:
        # It cannot wait: one reply is under way at a time, and the socket takes more than that.
        send(self.line.fd, <const char*>reply, len(reply), MSG_DONTWAIT | MSG_NOSIGNAL)
        return 0

    cdef int drained(self) except -1:
        if self.holds:
            self.holds = False
            self.reply(go_on(self.exchange, self.late))
        return 0

    cdef int disconnected(self) except -1:
        # One that has only shut its side still reads.
        if self.exchange.gone:
            self.drained()
        return 0

    cdef void kill(self) noexcept:
        """Ends it at once. Its id is its own until ended() has reaped it."""
        self.doomed = True
        try:
            os.kill(self.pid, signal.SIGKILL)
        except OSError as error:
            self.executor.reactor.report(error)

    cdef int ended(self) except -1:
        """Reaps it, answers what it left unanswered, and gives its place to the next."""
        cdef Exchange exchange = self.exchange
        cdef Job call = self.call
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            # Somebody who waits for any child was faster.
            pid, status = self.pid, 0
        if pid == 0:
            return 0
        self.executor._forget(self)
        if exchange.response < RESPONSE_DONE and not self.late:
            call.failed(AppError(
                f"its process ({self.pid}) ended before its response did: "
                f"{self.executor.describe(status, self.doomed)}"))
        call.dismiss()
        self.executor._next()
        return 0

    cdef int look_at_clock(self, uint64_t now) except -1:
        cdef Exchange exchange = self.exchange
        if self.due_ns == 0 or self.due_ns > now:
            return 0
        if self.late:
            self.due_ns = 0
            self.kill()
            return 0
        self.late = True
        self.due_ns = now + <uint64_t>FAREWELL_NS
        try:
            self.executor.on_late(exchange, self.pid)
            self.answer_late()
        except Exception as error:
            self.executor.reactor.report(error)
            exchange.abort()
        return 0

    cdef int answer_late(self) except -1:
        """The 504, counted as a timeout: as others count one, between the head of the answer and its end."""
        cdef Exchange exchange = self.exchange
        cdef bytes length = b"%d" % len(TIMED_OUT)
        exchange.replace()
        exchange.begin(504, NULL, 0)
        exchange.field(b"Content-Type", 12, TEXT, len(TEXT))
        exchange.field(b"Content-Length", 14, length, len(length))
        exchange.write(TIMED_OUT, TIMED_OUT, len(TIMED_OUT), False)
        if exchange.entry is not NULL:
            entry_time_out(exchange.reactor.page, exchange.entry, atomic_load(&exchange.entry.word))
        return exchange.finish()


cdef class ForkExecutor(Executor):
    """maximum: processes at once.

    fork: as os.fork(), with all that the child must do before it calls an app. describe: an exit status, and whether it
    was we who ended it, in words such as "killed by SIGSEGV". timeout: seconds from the call to the head of its
    response, 0: any time; then on_late(exchange, pid) is called, and the process killed FAREWELL_NS later. on_short:
    told, once each time it begins, with the error, that the system gives no more processes.
    """
    cdef Reactor reactor
    cdef readonly int maximum
    cdef readonly set running
    cdef object queue
    cdef object fork
    cdef object describe
    cdef object on_late
    cdef object on_short
    cdef bint short             # of processes: the last fork failed
    cdef uint64_t timeout_ns
    cdef _Clock clock

    def __init__(self, Reactor reactor, int maximum, *, fork, describe, on_short, double timeout=0.0,
                 on_late=None):
        self.reactor = reactor
        self.maximum = maximum
        reactor.page.threads = maximum
        self.running = set()
        self.queue = deque()
        self.fork = fork
        self.describe = describe
        self.on_late = on_late
        self.on_short = on_short
        self.timeout_ns = <uint64_t>(timeout * 1e9)
        if self.timeout_ns:
            self.clock = _Clock.__new__(_Clock)
            self.clock.executor = self
            self.clock.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
            if self.clock.fd < 0:
                raise OSError(errno, os.strerror(errno))
            reactor.add(self.clock, EPOLLIN)

    @property
    def waiting(self):
        """Calls waiting for their turn."""
        return len(self.queue)

    @property
    def processes(self):
        """Ids of the processes of calls that run."""
        cdef _Process process
        return {process.pid for process in self.running}

    def run(self):
        """Leads until the reactor is stopped, or has come to the end of its drain and the last process has ended."""
        cdef Reactor reactor = self.reactor
        while not reactor.stopped and not (
                reactor.draining and reactor.connections == 0 and not self.running and not self.queue):
            reactor.turn(reactor.timeout_ms())

    cdef Turn submit(self, Job job) except *:
        if self.queue or len(self.running) >= self.maximum:
            self.queue.append(job)
        else:
            self._start(job)
        self._note_room()
        return TURN_KEPT

    cdef int _note_room(self) except -1:
        """Tells the reactor whether another call could start."""
        if self.queue:
            return self.reactor.set_room(ROOM_QUEUED)
        return self.reactor.set_room(ROOM_NONE if len(self.running) >= self.maximum else ROOM_AMPLE)

    cdef int _next(self) except -1:
        """A process has ended: those that wait take its place."""
        cdef Job job
        while self.queue and len(self.running) < self.maximum:
            job = self.queue.popleft()
            if not job.wanted():
                job.dismiss()
            elif not self._start(job):
                break
        return self._note_room()

    cdef bint _start(self, Job job) except *:
        """False: it is back in the queue, and to wait for a process to end."""
        cdef Exchange exchange = job.exchange
        cdef int pid
        cdef int ends[2]
        # The child has the head for as long as it likes, and the parent the answer to give if there is none.
        exchange.own_head()
        # What is buffered would be written by both.
        _flush()
        if socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0:
            return self._put_off(job, OSError(errno, os.strerror(errno)))
        try:
            pid = self.fork()
        except OSError as error:
            close(ends[0])
            close(ends[1])
            return self._put_off(job, error)
        # Each closes the other's.
        close(ends[0] if pid == 0 else ends[1])
        if pid == 0:
            self._live(job, ends[1])
        self._follow(job, pid, ends[0])
        return True

    cdef int _tell_short(self, object error) except -1:
        if not self.short:
            self.short = True
            self.on_short(error)
        return 0

    cdef bint _put_off(self, Job job, object error) except *:
        """The system gives no process: with others about to end it is only a matter of time."""
        self._tell_short(error)
        if self.running:
            self.queue.appendleft(job)
            return False
        self._refuse(job)
        return True

    cdef int _refuse(self, Job job) except -1:
        cdef Exchange exchange = job.exchange
        exchange.respond(503, NO_PROCESS, TEXT)
        return job.dismiss()

    cdef int _live(self, Job job, int line) except -1:
        """The life of a child. Does not return."""
        cdef int code = 1
        try:
            self.reactor.abandon()
            job.exchange = relay(job.exchange, line)
            job.run()
            _flush()
            code = 0
        except BaseException as error:
            self.reactor.report(error)
        finally:
            os._exit(code)

    cdef int _follow(self, Job job, int pid, int line) except -1:
        """In the parent: the exchange is the child's from here on."""
        cdef _Process process = _Process.__new__(_Process)
        cdef Exchange exchange = job.exchange
        process.executor = self
        process.call = job
        process.exchange = exchange
        process.pid = pid
        process.line = _descriptor(_Line.__new__(_Line), process, line)
        try:
            process.end = _descriptor(_End.__new__(_End), process, os.pidfd_open(pid))
            self.reactor.add(process.line, EPOLLIN)
            self.reactor.add(process.end, EPOLLIN)
        except OSError as error:
            # Nobody could follow it. It may have begun: it is not made a second time.
            self._tell_short(error)
            process.kill()
            os.waitpid(pid, 0)
            self._forget(process)
            return self._refuse(job)
        self.short = False
        self.running.add(process)
        exchange.job = process
        exchange.called()
        if self.timeout_ns:
            process.due_ns = now_ns() + self.timeout_ns
            self._look_at_clock()
        return 0

    cdef int _forget(self, _Process process) except -1:
        self.running.discard(process)
        for descriptor in (process.line, process.end):
            if descriptor is not None:
                (<_Descriptor>descriptor).let_go(self.reactor)
                (<_Descriptor>descriptor).process = None
        return 0

    cdef int _look_at_clock(self) except -1:
        """Sees to the calls that are due, and has itself called for the next."""
        cdef _Process process
        cdef itimerspec until
        cdef uint64_t now = now_ns()
        cdef uint64_t first = 0
        for process in list(self.running):
            process.look_at_clock(now)
            if process.due_ns and (first == 0 or process.due_ns < first):
                first = process.due_ns
        if first:
            first = first - now if first > now else 1
        until.it_interval.tv_sec = until.it_interval.tv_nsec = 0
        until.it_value.tv_sec = first // 1_000_000_000
        until.it_value.tv_nsec = first % 1_000_000_000
        timerfd_settime(self.clock.fd, 0, &until, NULL)
        return 0
