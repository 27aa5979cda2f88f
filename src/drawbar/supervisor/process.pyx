"""What a process of ours asks of Linux that the standard library has no call for.

One call only: titles and thread names are written through /proc (`title.py`), which needs no native code.
"""

from libc.errno cimport errno


cdef extern from "<sys/prctl.h>" nogil:
    int prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4, unsigned long arg5)
    int PR_SET_PDEATHSIG


def signal_on_parent_death(int number):
    """Has the kernel send signal `number` to this process when the thread that forked it ends; 0 takes it back.

    prctl(2), PR_SET_PDEATHSIG. A parent that is dead already is not noticed: compare os.getppid() afterwards.
    The setting is lost in a fork and by a change of user, so each child asks for itself, after dropping privileges.
    """
    if prctl(PR_SET_PDEATHSIG, <unsigned long> number, 0, 0, 0) != 0:
        raise OSError(errno, "prctl(PR_SET_PDEATHSIG)")
