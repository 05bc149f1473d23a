"""A page as a file, for `--html FILE`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from warmer.errors import UsageError


def check_page(path: Path) -> None:
    """Raises UsageError where no page could be written to `path`: better now than after minutes of work."""
    try:
        if not path.parent.is_dir():
            raise UsageError(f"--html: there is no folder {path.parent} (make it, or name a file in another one)")
        if path.exists() and not path.is_file():
            raise UsageError(f"--html: {path} is no file (name one, such as backtest.html)")
    except OSError as exc:
        raise _refused(path, exc) from exc
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"--html: nothing can be written into {path.parent} (name a file in another folder)")


def write_page(path: Path, page: str) -> None:
    """`page` at `path`, whole or not at all. Raises UsageError where it cannot be written."""
    written = path.with_name(f".{path.name}.{os.getpid()}")  # another process may write the same page
    try:
        written.write_text(page, encoding="utf-8", errors="replace")  # a file's name need not be text
        written.replace(path)
    except OSError as exc:
        with suppress(OSError):
            written.unlink()
        raise _refused(path, exc) from exc


def _refused(path: Path, why: OSError) -> UsageError:
    return UsageError(f"--html: {path} cannot be written: {why.strerror} (name another file)")
