"""What processes write down for each other, as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def read_note(text: str, kind: type[T]) -> T | None:
    """The `kind` that a note holds. None where it is empty, or where nobody of this version has written it.

    A note is of use for minutes and no record of anything: where another version of warmer wrote it otherwise, it is
    begun anew rather than stumbled over by every process each time.
    """
    if not text:
        return None
    try:
        found: T = _adapter_of(kind).validate_python(json.loads(text))
    except (ValueError, RecursionError):
        return None
    return found


_adapter_of: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)
