"""A bar on stderr for what takes a while, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial


@contextmanager
def progress(what: str, total: float) -> Iterator[Callable[..., None]]:
    """Gives a function to be told of steps: `advance`, or `completed` of `total`; `description` for another `what`."""
    from rich.progress import Progress

    from warmer import report

    with Progress(console=report.console_on(sys.stderr), transient=True, disable=not sys.stderr.isatty()) as bar:
        yield partial(bar.update, bar.add_task(what, total=total))
