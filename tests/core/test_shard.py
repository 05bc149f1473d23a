from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.shard import Shard, parse_shard

NAMES = st.lists(st.text(min_size=1, max_size=30).filter(lambda name: name.isprintable()), unique=True, max_size=40)


def shards(count: int) -> list[Shard]:
    return [Shard(number=number, count=count) for number in range(1, count + 1)]


@given(names=NAMES, count=st.integers(1, 12))
def test_the_shards_together_hold_every_model_exactly_once(names: list[str], count: int) -> None:
    held = Counter(name for shard in shards(count) for name in names if shard.holds(name))
    assert held == Counter(names)


def test_a_thousand_models_are_shared_out_evenly() -> None:
    held = [sum(shard.holds(f"acme/model-{number}") for number in range(1000)) for shard in shards(5)]
    assert sum(held) == 1000
    assert min(held) > 150


def test_a_name_stays_in_its_shard_from_one_release_to_the_next() -> None:
    held = {name: next(s.number for s in shards(5) if s.holds(name)) for name in ("chat", "sdxl", "wächter")}
    assert held == {"chat": 1, "sdxl": 2, "wächter": 4}


@pytest.mark.parametrize(
    ("text", "index", "shard"),
    [("2/5", None, "2/5"), ("2/5", "4", "2/5"), ("auto/5", "0", "1/5"), ("auto/5", "4", "5/5"), ("1/1", None, "1/1")],
)
def test_a_shard_is_written_out_or_taken_from_the_job(text: str, index: str | None, shard: str) -> None:
    assert str(parse_shard(text, index)) == shard


@pytest.mark.parametrize(
    ("text", "index", "words"),
    [
        ("6/5", None, "numbered 1 to 5"),
        ("0/5", None, "such as 2/5"),
        ("2", None, "such as 2/5"),
        ("2/", None, "such as 2/5"),
        ("-1/5", None, "such as 2/5"),
        ("auto/5", None, "not set"),
        ("auto/5", "", "not set"),
        ("auto/5", "x", "not set"),
        ("auto/5", "5", "no part 6 of 5"),
    ],
)
def test_a_shard_that_cannot_be_says_what_to_write(text: str, index: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_shard(text, index)
