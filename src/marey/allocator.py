"""Memory that a process has used stays with it."""

import ctypes
import sys

# Names of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Let the C library keep freed memory instead of giving it back to the system.

    A network allocates and frees maps of tens of megabytes with every layer. glibc maps such
    blocks afresh each time, and touching their pages for the first time took a third of the
    time of a small network on a CPU. For programs of our own: it changes the whole process,
    whose memory then stays at its peak. Does nothing where there is no glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_TOP_PAD, 64 * 2**20)
