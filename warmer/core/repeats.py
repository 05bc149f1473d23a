"""Inputs that come again: what a response cache would spare. Inputs themselves are never kept, only salted hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

KEPT = timedelta(hours=24)
"""How long the cache keeps a response that is reckoned with."""
_HASH_BYTES = 8
"""Of a million inputs two in ten million times any two get one hash."""


def input_hash(given: Mapping[str, Any] | None, model: str, salt: bytes) -> str | None:
    """A salted hash of what was sent to `model`; None where nothing was, or the list does not show it any more.

    The order of its keys does not matter. Without `salt` nobody can test a guess of an input.
    """
    if not given:
        return None
    text = json.dumps([model, given], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), key=salt, digest_size=_HASH_BYTES).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """Which calls sent what had been sent before. Raises ValueError where no call's input was seen."""

    calls: int  # whose input was seen
    lately: tuple[datetime, ...]  # when those came that repeat an input of the last KEPT
    repeated: int  # those that repeat any on record

    def __post_init__(self) -> None:
        if not self.calls:
            raise ValueError("no call's input was seen")

    @classmethod
    def of(cls, calls: Iterable[tuple[datetime, str | None]]) -> Self | None:
        """Of calls in order of time, each with the hash of its input. None where none has one."""
        last_at: dict[str, datetime] = {}
        count = repeated = 0
        lately = list[datetime]()
        for at, known_as in calls:
            if known_as is None:
                continue
            before = last_at.get(known_as)
            last_at[known_as] = at
            count += 1
            repeated += before is not None
            if before is not None and at - before <= KEPT:
                lately.append(at)
        return cls(calls=count, lately=tuple(lately), repeated=repeated) if count else None
