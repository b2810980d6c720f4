"""Freed memory that goes back to the operating system."""

from __future__ import annotations

import contextlib
import ctypes
import sys

# A table below is not worth the call.
LEAST_BYTES = 2**25


def give_back(n_bytes: int) -> None:
    """Hand back what was freed, after something of so many bytes was let go of.

    The C library keeps the holes that columns of a few MB leave, and Arrow keeps its own; a search
    on a million rows held 190 MB of such after its table was gone. A few milliseconds; elsewhere
    than on Linux with glibc nothing happens.
    """
    if n_bytes < LEAST_BYTES:
        return
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
