# cython: language_level=3
"""Has every thread of this process write its own stack, one after the other, from signal handlers in C.

Law: no lock of the interpreter's is taken and no object of Python's touched, so it comes about however stuck the
process is. And nobody reads the frames of a thread that runs: they would move under the reader, which may crash. In its
own signal handler a thread's frames stand still. So the thread that hears of the request asks the others in turn, by a
signal to each, and waits until that one has written, a while at most: a thread may be stuck in the kernel, or hold
signals back.

What writes a stack is the handler of the standard library's faulthandler, which does nothing for a thread that has no
state of the interpreter's, and nothing while another thread is inside it.
"""
cimport cython
from libc.errno cimport errno
from libc.stdint cimport uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memset
from posix.fcntl cimport O_CLOEXEC, O_DIRECTORY, O_RDONLY, open
from posix.signal cimport sigaction, sigaction_t, sigemptyset
from posix.unistd cimport close, getpid, write
from drawbar.net.scoreboard cimport atomic_load, atomic_store, atomic_swap, monotonic_ns

cdef extern from "<Python.h>" nogil:
    ctypedef struct PyThreadState:
        pass
    PyThreadState* PyGILState_GetThisThreadState()

cdef extern from "<signal.h>" nogil:
    enum:
        SA_RESTART

cdef extern from "<unistd.h>" nogil:
    long syscall(long number, ...)

cdef extern from "<sys/syscall.h>" nogil:
    enum:
        SYS_getdents64
        SYS_gettid
        SYS_tgkill

cdef extern from "<sys/prctl.h>" nogil:
    int prctl(int option, unsigned long arg2)
    int PR_GET_NAME

cdef extern from "<poll.h>" nogil:
    ctypedef struct pollfd:
        pass
    int poll(pollfd* fds, unsigned long count, int timeout_ms)

cdef enum:
    PATIENCE_NS = 100_000_000   # for one thread to write its stack; a page of text takes a thousandth of that
    SWEEP_NS = 600_000_000      # for all of them: less than the master's DUMP_S, after which it kills
    NAME_OFFSET = 19            # of a name in struct linux_dirent64 (getdents64(2))
    SIZE_OFFSET = 16

ctypedef void (*Handler)(int) noexcept nogil

cdef Handler dump               # faulthandler's
cdef int one_signal             # asks one thread
cdef int log_fd
cdef uint64_t sweeper           # the process in which some thread asks the others; 0: none does
cdef volatile int answered      # the thread that has written last


def have_each_thread_write(int all_signal, int one, int fd):
    """From now on signal `all_signal` to this process has each of its threads write its stack.

    faulthandler must be registered for the signal `one` with the descriptor `fd`, to write the stack of one thread:
    it also goes by that signal to the thread alone, as somebody else may send it.
    """
    global dump, one_signal, log_fd
    cdef sigaction_t action
    if sigaction(one, NULL, &action) != 0:
        raise OSError(errno, "sigaction")
    # As `void*`: the declaration of the handler does not say that it needs no lock.
    if <Handler><void*>action.sa_handler is not on_one:
        dump = <Handler><void*>action.sa_handler
    one_signal = one
    log_fd = fd
    # As faulthandler has it: what the thread was waiting in goes on.
    action.sa_handler = <void (*)(int) noexcept>on_one
    if sigaction(one, &action, NULL) != 0:
        raise OSError(errno, "sigaction")
    memset(&action, 0, sizeof(action))
    action.sa_handler = <void (*)(int) noexcept>on_all
    action.sa_flags = SA_RESTART
    sigemptyset(&action.sa_mask)
    if sigaction(all_signal, &action, NULL) != 0:
        raise OSError(errno, "sigaction")


# Tracing would take the interpreter's lock, in a handler that must not.
@cython.linetrace(False)
@cython.profile(False)
cdef void on_one(int number) noexcept nogil:
    """This thread's stack; its number first when it is one of many."""
    global answered
    cdef int kept = errno
    cdef int thread = <int>syscall(SYS_gettid)
    if PyGILState_GetThisThreadState() is not NULL:
        if atomic_load(&sweeper) == <uint64_t>getpid():
            _title(thread)
        dump(number)
    answered = thread
    (&errno)[0] = kept


@cython.linetrace(False)
@cython.profile(False)
cdef void on_all(int number) noexcept nogil:
    """The stacks of all threads, this one's first. While another thread is at it there is nothing to do."""
    cdef int kept = errno
    cdef uint64_t process = <uint64_t>getpid()
    cdef uint64_t others = atomic_load(&sweeper)
    # A child may have been forked meanwhile: it is another process's business that it has on record.
    if others != process and atomic_swap(&sweeper, others, process):
        on_one(one_signal)
        _ask_others(<int>process)
        atomic_store(&sweeper, 0)
        # By now another request is heard.
        _say(b"end of the stacks\n", 0)
    (&errno)[0] = kept


@cython.linetrace(False)
@cython.profile(False)
cdef void _ask_others(int process) noexcept nogil:
    """By /proc, with system calls alone: readdir(3) would allocate memory (signal-safety(7))."""
    cdef char entries[4096]
    cdef char* name
    cdef uint64_t end = monotonic_ns() + <uint64_t>SWEEP_NS
    cdef int own = <int>syscall(SYS_gettid)
    cdef int thread
    cdef long size, at
    cdef int directory = open(b"/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if directory < 0:
        _say(b"the other threads cannot be listed: no /proc, or no descriptor left\n", 0)
        return
    while True:
        size = syscall(SYS_getdents64, directory, entries, sizeof(entries))
        if size <= 0:
            break
        at = 0
        while at < size:
            name = &entries[at + NAME_OFFSET]
            at += (<unsigned char>entries[at + SIZE_OFFSET]) | (<unsigned char>entries[at + SIZE_OFFSET + 1]) << 8
            thread = 0
            while c'0' <= name[0] <= c'9':
                thread = thread * 10 + name[0] - c'0'
                name += 1
            if thread and thread != own and not _ask(process, thread, end):
                _say(b"thread %d does not answer\n", thread)
    close(directory)


@cython.linetrace(False)
@cython.profile(False)
cdef bint _ask(int process, int thread, uint64_t end) noexcept nogil:
    """Has a thread write its stack; False when it has not done so in time. One that has just ended needs none."""
    global answered
    cdef uint64_t until = min(monotonic_ns() + <uint64_t>PATIENCE_NS, end)
    answered = 0
    if syscall(SYS_tgkill, process, thread, one_signal) != 0:
        return True
    while answered != thread:
        if monotonic_ns() >= until:
            return False
        poll(NULL, 0, 1)
    return True


@cython.linetrace(False)
@cython.profile(False)
cdef void _title(int thread) noexcept nogil:
    cdef char name[16]
    cdef char line[64]
    name[0] = 0
    prctl(PR_GET_NAME, <unsigned long>&name[0])
    cdef int size = snprintf(line, sizeof(line), b"thread %d, %.15s:\n", thread, &name[0])
    write(log_fd, line, size)


@cython.linetrace(False)
@cython.profile(False)
cdef void _say(const char* form, int thread) noexcept nogil:
    cdef char line[96]
    cdef int size = snprintf(line, sizeof(line), form, thread)
    write(log_fd, line, min(size, <int>sizeof(line) - 1))
