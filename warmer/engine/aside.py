"""Long reckonings in a process of their own: what somebody would like to see takes no time from beats.

The other process has a low priority, no environment but where Python is, and a time after which it ends itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
_CHILD = "from warmer.engine.aside import serve; serve()"
_GRACE_S = 1
_NICENESS = 15
"""Well below what somebody waits for."""


class Aside:
    """One such process at a time. What it is given and gives has to be picklable."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        """`variables`: of the environment, those that its work needs."""
        self._variables = variables or {}
        self._alone = asyncio.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    @classmethod
    def with_ledger(cls) -> Aside:
        """One whose work may be given a ledger, which is opened anew there: by what libpq goes by."""
        return cls(ledger_variables())

    async def do(self, work: Callable[..., T], *given: Any, within_s: float) -> T:
        """The result of `work(*given)`, or what it raises. Raises TimeoutError where it takes longer than that."""
        async with self._alone:
            is_done, result = await asyncio.to_thread(self._ask, work, given, within_s)
        if not is_done:
            raise result
        return result  # type: ignore[no-any-return] # what came out of another process

    def close(self) -> None:
        """Begin nothing any more, and end what was begun."""
        self._is_closed = True
        if self._child is not None:
            self._child.kill()

    def _ask(self, work: Callable[..., Any], given: tuple[Any, ...], within_s: float) -> tuple[bool, Any]:
        if self._is_closed:
            raise TimeoutError
        asked = pickle.dumps((work, given, within_s))
        self._child = begin(_CHILD, self._variables)
        with self._child as child:
            try:
                told, _ = child.communicate(asked, timeout=within_s)
            except subprocess.TimeoutExpired:
                child.kill()
                raise TimeoutError from None
        if child.returncode:
            raise TimeoutError  # it ended itself, or was ended, for want of time or memory
        answer: tuple[bool, Any] = pickle.loads(told)  # noqa: S301 - our own process said it
        return answer


def begin(work: str, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process that does `work`, a line of Python, with no environment but `variables`. It is asked by its pipes."""
    # A session of its own: what is typed at a terminal is for the daemon, which ends it.
    return subprocess.Popen(  # noqa: S603 - our own interpreter, and nobody's text
        [sys.executable, "-P", "-c", work],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PYTHONTZPATH": os.pathsep.join(zoneinfo.TZPATH),
            **variables,
        },
        start_new_session=True,
    )


def ledger_variables() -> dict[str, str]:
    """Of the environment, what a ledger may need that is opened elsewhere: what libpq goes by."""
    return {name: text for name, text in os.environ.items() if name == "HOME" or name[:2] == "PG"}


def serve() -> None:
    """What the other process does."""
    work, given, within_s = pickle.load(sys.stdin.buffer)  # noqa: S301 - the process that began this one said it
    signal.alarm(int(within_s) + _GRACE_S)  # whoever began it may be gone by then
    with contextlib.suppress(OSError):  # where a supervisor allows no such thing, it is as important as a beat
        os.nice(_NICENESS)
    pickle.dump(outcome(work, *given), sys.stdout.buffer)


def outcome(work: Callable[..., Any], *given: Any) -> tuple[bool, Any]:
    """Whether `work(*given)` has a result, and that; or what it raises, which is for whoever asked."""
    try:
        return True, work(*given)
    except Exception as exc:  # noqa: BLE001 - whatever it is
        return False, exc
