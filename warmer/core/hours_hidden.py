"""Where one rule of an hours line hides part of another, and the spelling that hides nothing.

After `;` a rule that opens replaces the whole calendar day it matches, and with it what a window of the night before
has after midnight. A window of its own loses what it has after midnight where an earlier rule matches that day.
So the notation has it, and it is seldom meant. It is found by evaluating the rules, alone and together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import permutations
from zoneinfo import ZoneInfo

from warmer.core.hours_notation import (
    MONTHS,
    WEEKDAYS,
    Stretch,
    open_stretches,
    outside_comments,
    quote,
    readable,
    split_rules,
    tidy,
    union,
)

LOOK_AHEAD = timedelta(days=400)
"""A year, and the same season of the next."""


class Effect(Enum):
    """What one rule does to another, as a sentence of both and of the first occasion."""

    HIDES = "{by} hides part of {rule}, first on {when}"
    HIDES_TAIL = "{by} hides what {rule} opens after midnight, first on {when}"
    SHUTS_TAIL = "{by} shuts whole calendar days: {rule} of the night before ends at midnight, first on {when}"
    UNDOES = "{by} comes after {rule} and opens in spite of it, first on {when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenRule:
    """One rule of a line loses something to another. As text: a sentence, with the spelling to write instead."""

    rule: str  # loses
    by: str  # takes
    effect: Effect
    start: datetime  # the first coming occasion, naive wall time
    end: datetime
    instead: tuple[str, ...]  # the line, or the list of lines, that loses nothing; evaluated. Empty: none is known

    def __str__(self) -> str:
        when = _when(self.start, self.end)
        found = self.effect.value.format(by=quote(self.by), rule=quote(self.rule), when=when)
        if not self.instead:
            return f"{found}; if that is not meant, open those hours in a line of their own"
        lines = " and ".join(f"`{line}`" for line in self.instead)
        return f"{found}; if that is not meant, write {'the list ' if len(self.instead) > 1 else ''}{lines}"


def hidden_rules(line: str, zone: ZoneInfo, country: str | None, now: datetime) -> tuple[HiddenRule, ...]:
    """What the rules of one valid line hide of each other in the LOOK_AHEAD from `now` (aware), the soonest first.

    A rule that says `off` takes away on purpose. It is mentioned only where it cuts a window of the night before, and
    where it has no effect at all because a rule after it opens again.
    """
    texts = split_rules(tidy(line))
    if len(texts) < 2:
        return ()
    start = now.astimezone(zone).replace(tzinfo=None)
    look = _Look(country=country, start=start, end=start + LOOK_AHEAD)
    rules = tuple(look.rule(text) for text in texts)
    whole = look.opens(_joined(rules))
    found = (*_losses(rules, whole, look), *_idle_offs(rules, whole, look))
    return tuple(sorted(found, key=lambda hidden: (hidden.start, hidden.end)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """One rule, evaluated alone."""

    text: str
    opens: list[Stretch]
    shuts: list[Stretch]  # where an `off` in it says so
    tail: list[Stretch]  # what its windows open after midnight


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One span of wall time to evaluate lines in."""

    country: str | None
    start: datetime
    end: datetime

    def opens(self, *lines: str) -> list[Stretch]:
        return union(stretch for line in lines for stretch in open_stretches(line, self.country, self.start, self.end))

    def rule(self, text: str) -> _Rule:
        opens = self.opens(text)
        without_off, until_midnight = outside_comments(text, _off_to_open), outside_comments(text, _until_midnight)
        return _Rule(
            text=text,
            opens=opens,
            shuts=_without(self.opens(without_off), opens) if without_off != text else [],
            tail=_without(opens, self.opens(until_midnight)) if until_midnight != text else [],
        )

    def first(
        self, candidates: Iterable[tuple[str, ...]], *, at_least: Iterable[Stretch], at_most: Iterable[Stretch]
    ) -> tuple[str, ...]:
        """The first of the spellings that opens all that it has to and nothing that it may not."""
        least, most = union(at_least), union(at_most)
        for lines in candidates:
            if all(readable(line, self.country) for line in lines):
                opened = self.opens(*lines)
                if not _without(least, opened) and not _without(opened, most):
                    return lines
        return ()


def _losses(rules: tuple[_Rule, ...], whole: list[Stretch], look: _Look) -> Iterator[HiddenRule]:
    losses: dict[tuple[int, int], list[Stretch]] = {}
    for loser, taker in permutations(range(len(rules)), 2):
        rule, by = rules[loser], rules[taker]
        if not (missing := _without(rule.opens, whole)):
            continue
        pair = _joined([rules[number] for number in sorted((loser, taker))])
        lost = _without(missing, look.opens(pair))
        for other in rules:
            if other is not rule and other is not by:  # what it shuts would be shut in any spelling
                lost = _without(lost, other.shuts)
        # An `off` with a time of day means the hours it names; one without means a day, and cuts the night before it.
        cut = [] if re.search(r"\d:\d\d", by.text) else _common(lost, rule.tail)
        if lost := union((*_without(lost, by.shuts), *cut)):
            losses[loser, taker] = lost
    asked = (*whole, *(stretch for lost in losses.values() for stretch in lost))
    for (loser, taker), lost in losses.items():
        rule, by = rules[loser], rules[taker]
        on_purpose, in_tail = (_common(lost[:1], part) for part in (by.shuts, rule.tail))
        yield HiddenRule(
            rule=rule.text,
            by=by.text,
            effect=Effect.SHUTS_TAIL if on_purpose else Effect.HIDES_TAIL if in_tail else Effect.HIDES,
            start=lost[0][0],
            end=lost[0][1],
            instead=look.first(_spellings(rules, max(loser, taker)), at_least=(*whole, *lost), at_most=asked),
        )


def _spellings(rules: tuple[_Rule, ...], number: int) -> Iterator[tuple[str, ...]]:
    """Lines in which one rule might take nothing from those before it, the smallest change first."""
    before, rule, after = rules[:number], rules[number], rules[number + 1 :]
    yield ("; ".join((*(each.text for each in before[:-1]), f"{before[-1].text}, {_joined((rule, *after))}")),)
    yield _joined((*before, *after)), _joined((rule, *(each for each in after if not each.opens)))


def _idle_offs(rules: tuple[_Rule, ...], whole: list[Stretch], look: _Look) -> Iterator[HiddenRule]:
    """Each `off` that changes nothing because a rule after it opens again. A bare `off` is the default said aloud."""
    for number, rule in enumerate(rules):
        others = (*rules[:number], *rules[number + 1 :])
        if rule.opens or rule.text.lower() in {"off", "closed"} or look.opens(_joined(others)) != whole:
            continue
        for by in rules[number + 1 :]:
            if undone := _common(_common(rule.shuts, by.opens), whole):
                wanted = _without(whole, rule.shuts)
                yield HiddenRule(
                    rule=rule.text,
                    by=by.text,
                    effect=Effect.UNDOES,
                    start=undone[0][0],
                    end=undone[0][1],
                    instead=look.first([(_joined((*others, rule)),)], at_least=wanted, at_most=wanted),
                )
                break


def _joined(rules: Sequence[_Rule]) -> str:
    return "; ".join(rule.text for rule in rules)


def _off_to_open(text: str) -> str:
    return re.sub(r"\b(off|closed)\b", "open", text, flags=re.IGNORECASE)


def _until_midnight(text: str) -> str:
    def cut(span: re.Match[str]) -> str:
        start, end = (int(hour) * 60 + int(minute) for hour, minute in (span.groups()[:2], span.groups()[2:]))
        return f"{span[1]}:{span[2]}-24:00" if end <= start or end > 24 * 60 else span[0]

    return re.sub(r"(\d\d?):(\d\d) ?- ?(\d\d?):(\d\d)", cut, text)


def _without(stretches: Sequence[Stretch], taken: Sequence[Stretch]) -> list[Stretch]:
    """What of the first is in none of the second. Both are in order and apart."""
    left: list[Stretch] = []
    passed = 0
    for start, end in stretches:
        while passed < len(taken) and taken[passed][1] <= start:
            passed += 1
        at, rest = passed, start
        while at < len(taken) and taken[at][0] < end:
            if rest < taken[at][0]:
                left.append((rest, taken[at][0]))
            rest = max(rest, taken[at][1])
            at += 1
        if rest < end:
            left.append((rest, end))
    return left


def _common(stretches: Sequence[Stretch], others: Sequence[Stretch]) -> list[Stretch]:
    return _without(stretches, _without(stretches, others))


def _when(start: datetime, end: datetime) -> str:
    """`Su 22 Nov 2026 00:00-02:00`, and both dates where the stretch goes over midnight."""
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    if end <= midnight:
        return f"{_date(start)} {start:%H:%M}-{'24:00' if end == midnight else f'{end:%H:%M}'}"
    return f"{_date(start)} {start:%H:%M} to {_date(end)} {end:%H:%M}"


def _date(day: datetime) -> str:
    return f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]} {day.year}"
