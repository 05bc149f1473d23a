"""One part of a file's models, for a process among several that share them out by number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b

_WRITTEN = re.compile(r"([1-9]\d{0,3}|auto)/([1-9]\d{0,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Part `number`, from 1, of `count` parts."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"there is no part {self.number} of {self.count}: they are numbered 1 to {self.count}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, name: str) -> bool:
        """Whether the model called `name` is in this part.

        By the name alone: a model that is added or removed moves no other, and every machine comes to the same.
        """
        return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) % self.count == self.number - 1


def parse_shard(text: str, index: str | None) -> Shard:
    """`2/5`, or `auto/5` for the part of a job's own `index`, which counts from 0. Raises ValueError."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError("write the part and how many there are, such as 2/5, or auto/5 in an Indexed Job")
    number, count = written.groups()
    if number != "auto":
        return Shard(number=int(number), count=int(count))
    if index is None or not index.isdecimal():
        raise ValueError("auto is the part by JOB_COMPLETION_INDEX, which is not set: run it in an Indexed Job")
    return Shard(number=int(index) + 1, count=int(count))
