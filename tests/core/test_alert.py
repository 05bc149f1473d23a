"""One alert an episode, whatever its cause does."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from warmer.core.alert import CALM, FIRST_PAUSE, TRIES, Alert, AlertKind, Episodes, Sign, advance, told

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CHAT = Sign(kind=AlertKind.COLD_STREAK, scope="chat", text="chat is cold")
CODE = Sign(kind=AlertKind.MODEL_DISABLED, scope="code", text="code is refused")
SPENT = Sign(
    kind=AlertKind.BUDGET_REACHED, scope="daily of all models", text="no more", until=NOON + timedelta(hours=12)
)


class Post:
    """Looks for signs, and sends what is due."""

    def __init__(self) -> None:
        self.known: Episodes = {}
        self.sent: list[tuple[datetime, Alert]] = []
        self.tried: list[datetime] = []
        self.is_down = False

    def look(self, now: datetime, *signs: Sign) -> None:
        self.known, alerts = advance(self.known, signs, now)
        if alerts:
            self.tried.append(now)
            if not self.is_down:
                self.known = told(self.known, alerts)
                self.sent += [(now, alert) for alert in alerts]

    def told_of(self, sign: Sign) -> list[bool]:
        """For each alert of it, whether it said that it is over."""
        return [alert.is_over for _, alert in self.sent if alert.key == sign.key]


def test_an_episode_is_told_when_it_begins_and_when_it_is_over() -> None:
    post = Post()
    post.look(NOON)
    assert not post.sent
    for minute in range(5):
        post.look(NOON + minute * MINUTE, CHAT)
    for minute in range(5, 60):
        post.look(NOON + minute * MINUTE)
    (begun, first), (ended, last) = post.sent
    assert (begun, first.is_over, first.text) == (NOON, False, "chat is cold")
    assert (ended, last.is_over) == (NOON + 4 * MINUTE + CALM, True)
    assert post.known == {}


def test_what_is_as_it_was_changes_nothing() -> None:
    post = Post()
    post.look(NOON, CHAT, CODE)
    known = post.known
    assert advance(known, [CHAT, CODE], NOON + timedelta(seconds=15)) == (known, ())
    assert advance({}, [], NOON) == ({}, ())


def test_a_budget_is_told_once_in_its_window_and_anew_in_the_next() -> None:
    post, night = Post(), NOON + timedelta(hours=12)
    post.look(NOON, SPENT)
    post.look(NOON + 3 * CALM)  # a restart has forgotten it
    post.look(NOON + 4 * CALM, SPENT)
    next_day = replace(SPENT, until=night + timedelta(days=1))
    post.look(night, next_day)
    post.look(night + timedelta(days=1, hours=2))
    assert [alert.is_over for _, alert in post.sent] == [False, False]
    assert post.known == {}


def test_an_alert_that_is_not_sent_is_tried_again_some_times_and_no_more() -> None:
    post = Post()
    post.is_down = True
    for second in range(0, 3 * 3600, 15):
        post.look(NOON + timedelta(seconds=second), CHAT)
    assert len(post.tried) == TRIES
    pauses = [(later - earlier) / FIRST_PAUSE for earlier, later in itertools.pairwise(post.tried)]
    assert pauses == [1, 2, 4, 8]
    for second in range(3 * 3600, 6 * 3600, 15):
        post.look(NOON + timedelta(seconds=second))
    assert len(post.tried) == TRIES  # nobody heard of it: nobody hears that it is over
    assert post.known == {}


def test_one_that_was_not_sent_is_sent_by_the_next_process() -> None:
    post = Post()
    post.known, lost = advance(post.known, [CHAT], NOON)
    assert lost
    post.look(NOON + timedelta(seconds=30), CHAT)
    assert not post.sent
    post.look(NOON + FIRST_PAUSE, CHAT)
    post.look(NOON + 2 * FIRST_PAUSE, CHAT)
    assert post.told_of(CHAT) == [False]


def test_what_begins_again_before_it_was_told_to_be_over_goes_on() -> None:
    post = Post()
    post.look(NOON, CHAT)
    post.is_down = True
    post.look(NOON + CALM)
    post.is_down = False
    post.look(NOON + CALM + MINUTE, CHAT)
    post.look(NOON + CALM + 5 * MINUTE, CHAT)
    assert post.told_of(CHAT) == [False]


def test_a_clock_that_is_set_back_ends_nothing_early_and_nothing_late() -> None:
    post = Post()
    post.look(NOON, CHAT)
    back = NOON - timedelta(days=3)
    post.look(back)
    post.look(back + CALM - MINUTE)
    assert post.told_of(CHAT) == [False]
    post.look(back + CALM)
    assert post.told_of(CHAT) == [False, True]


steps = st.lists(st.tuples(st.integers(1, 3600), st.sets(st.sampled_from([CHAT, CODE]))), max_size=60)


@given(steps)
def test_begins_and_ends_take_turns_and_no_more_begin_than_there_was_calm_before(
    moves: list[tuple[int, set[Sign]]],
) -> None:
    post, now = Post(), NOON
    seen: dict[Sign, list[datetime]] = {CHAT: [], CODE: []}
    for seconds, signs in moves:
        now += timedelta(seconds=seconds)
        post.look(now, *signs)
        for sign in signs:
            seen[sign].append(now)
    post.look(now + CALM)
    for sign, moments in seen.items():
        heard = post.told_of(sign)
        calms = sum(later - earlier >= CALM - MINUTE for earlier, later in itertools.pairwise(moments))
        assert heard == [False, True] * (len(heard) // 2)
        assert bool(moments) <= len(heard) // 2 <= calms + bool(moments)


@given(st.lists(st.tuples(st.integers(1, int(CALM.total_seconds()) - 61), st.booleans()), min_size=1, max_size=80))
def test_a_model_that_flaps_is_one_alert(moves: list[tuple[int, bool]]) -> None:
    post, now = Post(), NOON
    post.look(now, CHAT)
    quiet = 0
    for seconds, is_wrong in moves:
        quiet += seconds
        is_wrong = is_wrong or quiet >= CALM.total_seconds() - 60
        quiet = 0 if is_wrong else quiet
        now += timedelta(seconds=seconds)
        post.look(now, *([CHAT] if is_wrong else []))
    assert post.told_of(CHAT) == [False]


@given(steps, st.lists(st.booleans(), max_size=60))
def test_several_processes_tell_of_an_episode_once(moves: list[tuple[int, set[Sign]]], who: list[bool]) -> None:
    """The episodes are one note: whichever process looks, the next one goes on from there."""
    shared: Episodes = {}
    heard, now = list[Alert](), NOON
    for (seconds, signs), is_first in zip(moves, who, strict=False):
        now += timedelta(seconds=seconds)
        for seen in [signs, set[Sign]()] if is_first else [set[Sign](), signs]:  # one of two sees nothing of it
            shared, alerts = advance(shared, seen, now)
            shared = told(shared, alerts)
            heard += alerts
    for sign in (CHAT, CODE):
        ends = [alert.is_over for alert in heard if alert.key == sign.key]
        assert ends == [bool(index % 2) for index in range(len(ends))]
