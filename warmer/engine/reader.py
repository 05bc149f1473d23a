"""Reads the ledger for who looks, in a process of its own: however many models a page is of, beats go on beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any, TypeVar, cast

from warmer.engine.aside import begin, ledger_variables, outcome
from warmer.engine.desk import Desk
from warmer.errors import LedgerError
from warmer.ports import Ledger

T = TypeVar("T")
_CHILD = "from warmer.engine.reader import serve; serve({niceness})"
STAYS_S = 60.0
"""How long it is kept after somebody looked: it takes some 90 MB."""
WITHIN_S = 60.0


class Reader:
    """One such process, begun when something is asked of it, which takes a second. What it is given and gives has to be
    picklable."""

    def __init__(self, desk: Desk, *, niceness: int) -> None:
        """`niceness`: by how much less important than a beat it is, as of `nice`."""
        self._desk, self._niceness = desk, niceness
        self._alone = asyncio.Lock()
        self._ledger: Ledger | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._proved: subprocess.Popen[bytes] | None = None  # the one that has answered
        self._leaving: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def do(self, work: Callable[[Ledger], T]) -> T:
        """The result of `work`, or what it raises: given a ledger, after what others have asked for.

        Raises LedgerError where it takes longer than WITHIN_S, or where the process ends.
        """
        # Not cut short by a cancellation: an answer is taken by who asked.
        is_done, result = await asyncio.shield(asyncio.ensure_future(self._in_turn(work)))
        if not is_done:
            raise result
        return result  # type: ignore[no-any-return] # what came out of another process

    @property
    def is_at_hand(self) -> bool:
        """Whether the process is there: what is asked of it need not wait for its beginning."""
        return self._child is not None and self._child is self._proved

    def close(self) -> None:
        """Begin nothing any more, and end what was begun."""
        self._is_closed = True
        if self._leaving is not None:
            self._leaving.cancel()
        if not self._alone.locked():
            self._leave()
        elif self._child is not None:
            self._child.kill()  # whoever waits for its answer reads from it yet, and lets go of it

    async def _in_turn(self, work: Callable[[Ledger], Any]) -> tuple[bool, Any]:
        async with self._alone:
            if self._is_closed:
                raise LedgerError("the daemon is about to stop")
            if self._leaving is not None:
                self._leaving.cancel()
            if self._ledger is None:
                self._ledger = await self._desk.do(lambda ledger: ledger)  # which is opened anew there
            try:
                return await asyncio.to_thread(self._ask, work, self._ledger)
            finally:
                stays_s = 0.0 if self._is_closed else STAYS_S
                self._leaving = asyncio.get_running_loop().call_later(stays_s, self._leave)

    def _ask(self, work: Callable[[Ledger], Any], ledger: Ledger) -> tuple[bool, Any]:
        asked, child = pickle.dumps(work), self._child
        if child is None or child.poll() is not None:
            child = self._child = begin(_CHILD.format(niceness=self._niceness), ledger_variables())
            asked = pickle.dumps(ledger) + asked
        late = threading.Timer(WITHIN_S, child.kill)
        late.start()
        try:
            if self._is_closed:
                raise EOFError
            to, back = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
            to.write(asked)
            to.flush()
            answer: tuple[bool, Any] = pickle.load(back)  # noqa: S301 - our own process said it
        except (EOFError, OSError, pickle.UnpicklingError):
            self._child = None
            _end(child)
            raise LedgerError(
                f"what was asked for took longer than {WITHIN_S:.0f} s, or what reads the ledger was ended. Ask again"
            ) from None
        finally:
            late.cancel()
        self._proved = child
        return answer

    def _leave(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            threading.Thread(target=_end, args=[child], daemon=True).start()


def serve(niceness: int) -> None:
    """What the other process does: one work after another, until nobody is there to ask for more."""
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what is said here is no answer
    with contextlib.suppress(OSError):
        os.nice(niceness)
    with contextlib.suppress(EOFError, BrokenPipeError):
        ledger: Ledger = pickle.load(asked)  # noqa: S301 - the process that began this one said it
        while True:
            work = pickle.load(asked)  # noqa: S301 - the same
            pickle.dump(outcome(work, ledger), told)
            told.flush()


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError), child:  # what was not read yet is no matter
        child.kill()
