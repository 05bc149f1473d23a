"""Collecting what is wrong with a file: one fault a place, no secret in any."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from warmer.core.plain import one_line
from warmer.errors import ConfigError, Fault

_TOKEN = re.compile(r"(?<![A-Za-z0-9])r8_[A-Za-z0-9]{12,}")
_TOKEN_LIKE = re.compile(r"r8_\w+")
IN_CLEAR = "a token stands here in clear"
MOST = 100
"""Faults told at once: more is some other file, or garbage, and to look for the rest takes long and floods a log."""
BY_REFERENCE = "take it out of the file and revoke it; `token` is written as env:NAME, file:PATH or credential:NAME"


class Place(NamedTuple):
    """Where something stands in a text, both from 1."""

    line: int
    column: int


class WrongValueError(ValueError):
    """A value that cannot be used: what is wrong with it, and what to write."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem, hint)
        self.problem = problem
        self.hint = hint


class Faults:
    """The faults of one file so far, MOST of them. At one place the first stands: the next would only repeat it."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: dict[Place, Fault] = {}

    def add(self, place: Place, problem: str, hint: str = "") -> None:
        """Note a fault. What looks like a token is masked, whichever key it was written for.

        Raises ConfigError where there are too many: the file is not looked at any further.
        """
        if place in self._found:
            return
        if is_one_too_many := len(self._found) == MOST:
            problem, hint = f"there are more than {MOST} faults", "mend these: the others are told then"
        problem, hint = (_TOKEN_LIKE.sub("r8_…", one_line(text)) for text in (problem, hint))
        self._found[place] = Fault(file=self.file, line=place.line, column=place.column, problem=problem, hint=hint)
        if is_one_too_many:
            raise self.error()

    def add_tokens(self, text: str, values: Iterable[tuple[str, Place]] = ()) -> None:
        """Note every token in clear, wherever in the file it stands; comments are read by others too.

        `values` are what the text says: there, an escape does not hide one.
        """
        told = {place.line for place, fault in self._found.items() if fault.problem == IN_CLEAR}
        places = [place_in(text, found.start()) for found in islice(_TOKEN.finditer(text), MOST + 1)]
        for place in (*places, *(place for value, place in values if _TOKEN.search(value))):
            if place.line not in told:
                self.add(place, IN_CLEAR, BY_REFERENCE)
                told.add(place.line)

    def error(self) -> ConfigError:
        """The faults as the error to raise."""
        return ConfigError(*self._found.values())

    def fatal(self, place: Place, problem: str, hint: str = "") -> ConfigError:
        """The error to raise for a fault that leaves nothing to read on."""
        self.add(place, problem, hint)
        return self.error()

    def __bool__(self) -> bool:
        return bool(self._found)


def place_in(text: str, index: int) -> Place:
    """The place of the character at `index`."""
    before = text[:index].replace("\r\n", "\n").replace("\r", "\n")
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"))


def quote(text: str) -> str:
    """`text` as a fault shows it: in backticks, on one line and not longer than that."""
    shown = " ".join(text.split())
    return f"`{shown}`" if len(shown) <= 60 else f"`{shown[:57]}...`"


def near_miss(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    by_folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(word[:80].casefold(), by_folded, n=1, cutoff=0.75)
    return by_folded[close[0]] if close else None


def suggest(word: str, known: Iterable[str]) -> str:
    """Did you mean the near miss; else what there is."""
    known = list(known)
    meant = near_miss(word, known)
    return f"did you mean `{meant}`?" if meant else f"there are: {', '.join(known)}"
