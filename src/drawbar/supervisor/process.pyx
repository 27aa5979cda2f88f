"""What a process of ours asks of Linux that the standard library has no call for: to end or die with its parent, to be
the parent of grandchildren left behind, to stay open to inspection, to give memory back, a timer that is a descriptor,
and a signal that is one.

Only that: titles and thread names are written through /proc (`host/title.py`), which needs no native code.

The parent's death arrives as a signal of its own whose handler is C: it runs whatever the interpreter does, were it
stuck in an extension with the lock held. The handler arms a timer and asks the process to stop (SIGTERM); a process
that has not stopped when the timer runs out is ended by SIGALRM, whose default action nobody here changes.
"""

cimport cython
from libc.errno cimport errno
from libc.string cimport memset
from posix.signal cimport SA_RESTART, kill, sigaction, sigaction_t, sigemptyset
from posix.time cimport ITIMER_REAL, itimerval, setitimer, timespec
from posix.unistd cimport getpid, write


cdef extern from "<sys/prctl.h>" nogil:
    int prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4, unsigned long arg5)
    int PR_SET_PDEATHSIG
    int PR_SET_CHILD_SUBREAPER
    int PR_SET_DUMPABLE

cdef extern from "<signal.h>" nogil:
    int SIGKILL
    int SIGTERM
    int SIGRTMAX

cdef extern from "<malloc.h>" nogil:
    int malloc_trim(size_t pad)

cdef extern from "<sys/timerfd.h>" nogil:
    enum:
        CLOCK_MONOTONIC
        TFD_CLOEXEC
        TFD_NONBLOCK
    struct itimerspec:
        timespec it_value
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec* new_value, itimerspec* old_value)

cdef extern from "<time.h>" nogil:
    ctypedef void* timer_t
    struct sigevent:
        int sigev_notify
        int sigev_signo
    enum:
        SIGEV_SIGNAL
    int timer_create(int clock, sigevent* event, timer_t* timer)
    int timer_settime(timer_t timer, int flags, const itimerspec* new_value, itimerspec* old_value)

# What is left to the process when its parent is dead. Written before the handler is installed, never after.
cdef itimerval grace
# Of tell_of_signal(): where its signal is told, how long an answer may take, and what then rings.
cdef int told_fd
cdef int sure_signal
cdef itimerspec answer_time
cdef timer_t answer_timer


def end_with_parent(double grace_s):
    """When the thread that forked this process ends: SIGTERM to it at once, and death after `grace_s` more seconds.

    prctl(2), PR_SET_PDEATHSIG. A parent that is dead already is not noticed: compare os.getppid() afterwards.
    The setting is lost in a fork and by a change of user, so each child asks for itself, after dropping privileges.
    """
    cdef sigaction_t action
    # Zero would not arm the timer (setitimer(2)).
    cdef long long microseconds = max(1, <long long> (grace_s * 1e6))
    memset(&grace, 0, sizeof(grace))
    grace.it_value.tv_sec = microseconds // 1000000
    grace.it_value.tv_usec = microseconds % 1000000
    memset(&action, 0, sizeof(action))
    action.sa_handler = on_parent_death
    action.sa_flags = SA_RESTART
    sigemptyset(&action.sa_mask)
    # The last of the real-time signals: the ones with names have other uses, and libraries count from the first.
    if sigaction(SIGRTMAX, &action, NULL) != 0 or prctl(PR_SET_PDEATHSIG, SIGRTMAX, 0, 0, 0) != 0:
        raise OSError(errno, "prctl(PR_SET_PDEATHSIG)")


def die_with_parent():
    """When the thread that forked this process ends, it is killed: whatever it is doing, and whatever it would rather.

    prctl(2), PR_SET_PDEATHSIG, with what end_with_parent() says of it.
    """
    if prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0:
        raise OSError(errno, "prctl(PR_SET_PDEATHSIG)")


def stop_with_parent():
    """When the thread that forked this process ends, it is asked to stop (SIGTERM): for one that becomes a program
    which knows no other signal.

    prctl(2), PR_SET_PDEATHSIG, with what end_with_parent() says of it. It outlasts execve(2).
    """
    if prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0:
        raise OSError(errno, "prctl(PR_SET_PDEATHSIG)")


def adopt_grandchildren():
    """Makes this process the parent of every descendant whose own parent ends: waitpid() then tells of them, too.

    prctl(2), PR_SET_CHILD_SUBREAPER. Descendants that are there already are included; children do not inherit it.
    """
    if prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(errno, "prctl(PR_SET_CHILD_SUBREAPER)")


def make_timer():
    """A descriptor that can be read when the time given to set_timer() is over (timerfd_create(2))."""
    # In the standard library from Python 3.13 on.
    cdef int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
    if fd < 0:
        raise OSError(errno, "timerfd_create")
    return fd


def set_timer(int fd, double seconds):
    """Has the timer run out once, in so many seconds from now; what it was set to before is forgotten. Any thread."""
    cdef itimerspec value
    # Zero would not arm it.
    cdef long long nanoseconds = max(1, <long long> (seconds * 1e9))
    memset(&value, 0, sizeof(value))
    value.it_value.tv_sec = nanoseconds // 1000000000
    value.it_value.tv_nsec = nanoseconds % 1000000000
    if timerfd_settime(fd, 0, &value, NULL) != 0:
        raise OSError(errno, "timerfd_settime")


def stay_dumpable():
    """After a change of user: what /proc shows of this process is that user's own again, and a crash leaves a core.

    prctl(2), PR_SET_DUMPABLE. Without it the process cannot open /dev/stdout or be looked at by a debugger of its user.
    """
    if prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0:
        raise OSError(errno, "prctl(PR_SET_DUMPABLE)")


def tell_of_signal(int number, int event_fd, double seconds, int unanswered):
    """From now on signal `number` makes the event descriptor readable; the signal `unanswered` follows after `seconds`
    unless signal_answered() is called before.

    The handler is C, and so is what follows: it comes about while the interpreter is stuck. For the process that calls
    it, not for its children: timers are not inherited (timer_create(2)). Once in a process.
    """
    global told_fd, sure_signal
    cdef sigaction_t action
    cdef sigevent event
    cdef long long nanoseconds = max(1, <long long> (seconds * 1e9))
    memset(&answer_time, 0, sizeof(answer_time))
    answer_time.it_value.tv_sec = nanoseconds // 1000000000
    answer_time.it_value.tv_nsec = nanoseconds % 1000000000
    told_fd = event_fd
    sure_signal = unanswered
    memset(&event, 0, sizeof(event))
    event.sigev_notify = SIGEV_SIGNAL
    event.sigev_signo = unanswered
    memset(&action, 0, sizeof(action))
    action.sa_handler = on_told_signal
    action.sa_flags = SA_RESTART
    sigemptyset(&action.sa_mask)
    if timer_create(CLOCK_MONOTONIC, &event, &answer_timer) != 0:
        raise OSError(errno, "timer_create")
    if sigaction(number, &action, NULL) != 0:
        raise OSError(errno, "sigaction")


def nobody_answers():
    """What tell_of_signal() would have follow follows at once: in a child, whose descriptor it is not."""
    global told_fd
    told_fd = -1


def signal_answered():
    """What tell_of_signal() would have follow does not."""
    cdef itimerspec never
    memset(&never, 0, sizeof(never))
    timer_settime(answer_timer, 0, &never, NULL)


def give_back_memory():
    """Returns free pages inside the heap to the system (malloc_trim(3)): what importing left, before it is shared."""
    with nogil:
        malloc_trim(0)


# Tracing would take the interpreter's lock, in a handler that must not.
@cython.linetrace(False)
@cython.profile(False)
cdef void on_parent_death(int number) noexcept nogil:
    """Only system calls: the process was interrupted anywhere (signal-safety(7); setitimer is one on Linux)."""
    cdef int kept = errno
    setitimer(ITIMER_REAL, &grace, NULL)
    kill(getpid(), SIGTERM)
    (&errno)[0] = kept


@cython.linetrace(False)
@cython.profile(False)
cdef void on_told_signal(int number) noexcept nogil:
    """As above: timer_settime is async-signal-safe (signal-safety(7)). The timer first, as the answer ends it."""
    cdef int kept = errno
    cdef unsigned long long one = 1
    if told_fd < 0:
        kill(getpid(), sure_signal)
    else:
        timer_settime(answer_timer, 0, &answer_time, NULL)
        write(told_fd, &one, sizeof(one))
    (&errno)[0] = kept
