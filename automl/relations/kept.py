"""What was read of objects and is needed again: the last of it, as long as they stay the same."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")
Identity = tuple[str, int, int]  # of an object: URI, length and time


class Kept(Generic[T]):
    """Values of objects with the checksum of the content that they are of; the oldest go first.

    Parameters
    ----------
    most_bytes : of all values together

    >>> kept = Kept[str](most_bytes=10)
    >>> for name in ("a", "b", "c"):
    ...     kept.keep((name, 1, 0), "etag", name, n_bytes=4)
    >>> kept.of(("a", 1, 0)), kept.of(("c", 1, 0)), kept.of(("c", 1, 0), etag="other")
    (None, ('etag', 'c'), None)
    """

    def __init__(self, *, most_bytes: int) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Identity, tuple[str, T, int]] = OrderedDict()
        self._n_bytes = 0

    def of(self, identity: Identity, *, etag: str = "") -> tuple[str, T] | None:
        """The checksum and what was kept; None where there is nothing, or of another content."""
        found = self._kept.get(identity)
        if found is None or etag not in ("", found[0]):
            return None
        self._kept.move_to_end(identity)
        return found[:2]

    def keep(self, identity: Identity, etag: str, value: T, *, n_bytes: int) -> None:
        """In place of what there was."""
        self.forget(identity)
        self._kept[identity] = etag, value, n_bytes
        self._n_bytes += n_bytes
        while self._n_bytes > self._most:
            self._n_bytes -= self._kept.popitem(last=False)[1][2]

    def forget(self, identity: Identity) -> None:
        """Nothing, where there is none."""
        if identity in self._kept:
            self._n_bytes -= self._kept.pop(identity)[2]
