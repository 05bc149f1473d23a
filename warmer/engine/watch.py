"""Notices that the configuration file has become another one."""

from __future__ import annotations

import os

POLL_S = 0.2
"""Between two looks. Two equal looks make a change: it is in force well within a second."""

Signature = tuple[int, int, int, int] | None


class Watched:
    """A path, followed through whatever editors and platforms do to it.

    Asking for the file's status a few times a second sees a rename over it, a swapped symlink anywhere on the way (as
    Kubernetes does with a ConfigMap), an edit in place and a file that comes back, on every file system; change
    notifications of the kernel miss some of these.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._known = self._seen = _signature(path)

    def changed(self) -> bool:
        """Whether the file is another than at the last True, and has held still since the look before."""
        now = _signature(self._path)
        settled, self._seen = now == self._seen, now
        if now is None or now == self._known or not settled:
            return False
        self._known = now
        return True


def _signature(path: str) -> Signature:
    try:
        status = os.stat(path)  # noqa: PTH116 - follows symlinks; a Path would only be made to be thrown away
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
