"""Opening what somebody named: a file and nothing else, and not more of it than it can mean."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_file(path: Path, most: int, *, only_file: bool = True) -> bytes:
    """The first `most` bytes of the file at `path`, and one more where there are more. Raises OSError.

    Links are followed. A pipe, a device or a socket is refused without waiting for it, which might be for ever; a
    pipe is read to its end where `only_file` is False. A path with a NUL in it is a ValueError.
    """
    with open(path, "rb", opener=_open_file if only_file else None) as file:
        return file.read(most + 1) or b""  # None: a file of the kernel that has nothing to say


def _open_file(path: str, flags: int) -> int:
    number = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "it is no regular file, but a folder, a pipe or a device")
    return number
