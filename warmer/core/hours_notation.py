"""Reading one line of opening hours, and saying what to write where it cannot be read.

The notation is OpenStreetMap's `opening_hours` (https://wiki.openstreetmap.org/wiki/Key:opening_hours/specification),
as the library opening-hours-py reads it. What the library accepts and then ignores, or reads otherwise than anybody
means it, is refused here: a line that is accepted means what `docs/hours.md` says.

Everything is in wall time: naive datetimes, no zone. `core.hours` turns them into instants.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from opening_hours import (  # type: ignore[attr-defined] # its stub leaves the exceptions out
    OpeningHours,
    ParserError,
    State,
    UnknownCountryError,
)

Stretch = tuple[datetime, datetime]
"""From (included) and to (excluded): naive wall time, or instants in UTC."""

ERA: Stretch = (datetime(2026, 1, 1), datetime(2126, 1, 1))  # noqa: DTZ001 wall time has no zone
"""Where a line must open at least once to be of use: a fixed century, so that a line valid once is valid for ever."""

WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_EXAMPLE = "write it as in `Mo-Fr 08:00-20:00; PH off`, see docs/hours.md"
_COMMENT = re.compile(r'"[^"]*"')


class HoursError(ValueError):
    """Hours that cannot be followed. `problem` says what is wrong, `hint` what to write."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(f"{problem} ({hint})")
        self.problem = problem
        self.hint = hint


@lru_cache(maxsize=1024)
def read(line: str, country: str | None) -> OpeningHours:
    """The line, ready to be asked, or HoursError. `country` (ISO 3166 alpha-2) gives `PH` its dates."""
    text = tidy(line)
    if not text:
        raise HoursError("an hours line is empty", "write `24/7` for always, or as in `Mo-Fr 08:00-20:00`")
    hours = _parse(line, country)
    _refuse_misread(text, _COMMENT.sub(" ", str(hours)), country)
    if next(_open(hours, *ERA), None) is None:
        raise HoursError(f"{quote(text)} never opens", _what_opens(text))
    return hours


def open_stretches(line: str, country: str | None, start: datetime, end: datetime) -> list[Stretch]:
    """When `line` is open between two wall times, in order, clipped to them.

    Not only for a line that `read` accepts: a single rule of it, such as `PH off`, may be asked as well.
    """
    return list(_open(_parse(line, country), start, end))


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The stretches in order: those which touch or overlap are one, empty ones are none."""
    united: list[Stretch] = []
    for start, end in sorted(stretches):
        if united and start <= united[-1][1]:
            united[-1] = united[-1][0], max(united[-1][1], end)
        elif start < end:
            united.append((start, end))
    return united


def readable(line: str, country: str | None) -> bool:
    """Whether `read` accepts the line."""
    try:
        read(line, country)
    except HoursError:
        return False
    return True


def tidy(line: str) -> str:
    """The line with every run of white space (a folded YAML scalar has them) made one space."""
    return " ".join(line.split())


def split_rules(line: str) -> tuple[str, ...]:
    """The rules between the `;` of a line; a `;` inside a quoted comment divides nothing."""
    blanked = _COMMENT.sub(lambda found: "x" * len(found[0]), line)
    cuts = [-1, *(at for at, sign in enumerate(blanked) if sign == ";"), len(line)]
    return tuple(line[left + 1 : right].strip() for left, right in pairwise(cuts))


def outside_comments(line: str, change: Callable[[str], str]) -> str:
    """`line` with `change` applied to all of it but its quoted comments."""
    ends = [0, *(at for found in _COMMENT.finditer(line) for at in found.span()), len(line)]
    pieces = [line[left:right] for left, right in pairwise(ends)]
    return "".join(piece if number % 2 else change(piece) for number, piece in enumerate(pieces))


def quote(text: str) -> str:
    """`text` as an error shows it: in backticks, and not longer than a line."""
    return f"`{text}`" if len(text) <= 80 else f"`{text[:77]}...`"


@lru_cache(maxsize=4096)
def _parse(line: str, country: str | None) -> OpeningHours:
    text = tidy(line)
    try:
        # Neither zone nor coordinates: the library would open a window of the repeated hour at its second pass.
        return OpeningHours(text, country=country, auto_country=False, auto_timezone=False)
    except UnknownCountryError:
        raise _unknown_country(country or "") from None
    except ParserError as error:
        raise HoursError(*_explain(text, str(error), country)) from None


def _parses(line: str, country: str | None) -> bool:
    try:
        _parse(line, country)
    except HoursError:
        return False
    return True


def _open(hours: OpeningHours, start: datetime, end: datetime) -> Iterator[Stretch]:
    opened: datetime | None = None
    for since, until, state, _ in hours.intervals(start, end):
        if state == State.OPEN:
            opened = opened or since
        elif opened:
            yield opened, since
            opened = None
        if opened and until >= end:
            yield opened, end
            return


def _unknown_country(country: str) -> HoursError:
    problem = f"no public holidays are known for the country {quote(country)}"
    if re.fullmatch(r"[a-zA-Z]{2}", country) and country != country.upper():
        return HoursError(problem, f"write it in capitals, `{country.upper()}`")
    if country == "UK":
        return HoursError(problem, "write `GB`")
    if len(country) == 2:
        return HoursError(problem, "leave `country` out and write the dates, as in `Mo-Fr 08:00-20:00; Aug 15 off`")
    return HoursError(problem, "write the two letters of ISO 3166, such as `DE`")


def _refuse_misread(text: str, meant: str, country: str | None) -> None:
    """Refuse what the library accepts and then ignores or reads in a way nobody means.

    `meant` is the library's own spelling of the line, without comments.
    """
    shown = quote(text)
    if found := re.search(r"sunrise|sunset|dawn|dusk", meant):
        raise HoursError(f"{shown} asks for {found[0]}, and there is no place to take it from", "write a time of day")
    if re.search(r"\bunknown\b", meant):
        raise HoursError(f"{shown} says `unknown`", "hours are open or off: leave the rule out, or write `off`")
    if re.search(r"\bSH\b", meant):
        raise HoursError(
            f"{shown} asks for school holidays (SH), whose dates are not known",
            "write the dates, as in `Jul 20-Aug 31 off`",
        )
    if re.search(r"\bPH\b", meant) and country is None:
        raise HoursError(
            f"{shown} asks for public holidays (PH) of no country", "write `country: DE`, with your own, in the file"
        )
    if found := re.search(r"\d\d:\d\d\+", meant):
        raise HoursError(
            f"{shown} leaves the end open at `{found[0]}`", f"write the end, as in `{found[0][:-1]}-24:00`"
        )
    if re.search(r"\d\d:\d\d/", meant):
        raise HoursError(f"{shown} repeats a time (`/`), which opens nothing", "write the span alone, `08:00-20:00`")
    if any(_COMMENT.fullmatch(part.strip()) for part in re.findall(r'(?:"[^"]*"|[^;|,"])+', text)):
        raise HoursError(f"{shown} has a rule of a comment alone, open at all times", "put the comment behind its rule")
    for year, month, day in re.findall(rf"(?:(?<![\d,/-])(\d{{4}}) )?\b({'|'.join(MONTHS)}) (\d\d?)\b", meant):
        last = monthrange(int(year or 2028), MONTHS.index(month) + 1)[1]
        if int(day) > last:
            when = f"{month} {year}" if year else month
            raise HoursError(f"{shown} names {month} {day}, and {when} has {last} days", f"write `{month} {last}`")
    if part := _untimed_part(_COMMENT.sub(" ", text)):
        raise _comma_trap(text, part, country)


def _untimed_part(text: str) -> str | None:
    """What stands before a `, ` and says no time: a rule of its own, open around the clock (`Mo, We 10:00-12:00`)."""
    for rule in re.split(r";|\|\|", text):
        for part in re.split(r",\s+", rule)[:-1]:
            if not re.search(r"\d:\d\d|24/7|\b(?:open|off|closed)\b", part, re.IGNORECASE):
                return part.strip()
    return None


def _comma_trap(text: str, part: str, country: str | None) -> HoursError:
    joined = outside_comments(text, lambda piece: re.sub(r",\s+", ",", piece))
    alike = f"`{joined}` for the same times, or " if _parses(joined, country) else ""
    return HoursError(
        f"{quote(text)} would open {part} around the clock: `, ` begins a new rule",
        f"write {alike}`{part} 00:00-24:00, ...` if that is meant",
    )


def _what_opens(text: str) -> str:
    if re.search(r"\b(off|closed)\b", text, re.IGNORECASE):
        return "`off` only takes away: write it behind what it shortens, as in `Mo-Fr 08:00-20:00; PH off`"
    return f"write days that come between {ERA[0].year} and {ERA[1].year - 1}"


def _explain(text: str, error: str, country: str | None) -> tuple[str, str]:
    """What is wrong with a line that the library cannot parse, and what to write."""
    shown = quote(text)
    if re.fullmatch(r"(?:[\d*,/?-]+ ){4,5}(?:[\d*,/?#L-]+|[A-Za-z,-]+)", text):
        return f"{shown} is cron notation, not opening hours", _from_cron(text, country)
    for hour, minute, after in re.findall(r"(?<!\d)(\d\d?):(\d\d)(?!\d)( ?-)?", text):
        if int(minute) > 59 or int(hour) * 60 + int(minute) > 48 * 60:
            return (
                f"{shown} names a time {hour}:{minute}",
                "minutes go to 59, hours to 24 (48 for an end on the next day)",
            )
        if after and int(hour) >= 24:
            return f"{shown} begins at {hour}:{minute}", "begin before 24:00; past midnight write `22:00-02:00`"
    place = re.search(r"--> 1:(\d+)", error)
    if place is None:
        return f"{shown} cannot be read: {error.partition(': ')[2] or error}", _EXAMPLE
    suggestion = _repaired(text)
    hint = f"write `{suggestion}`" if suggestion != text and readable(suggestion, country) else _EXAMPLE
    # The parser stops inside a word; a reader looks for the word.
    word = next((word for word in re.finditer(r"\S+", text) if word.end() >= int(place[1])), None)
    if (
        suggestion == text
        and (begun := re.search(r"(\d\d?):\d\d ?-?$", text))
        and (not word or word.end() == len(text))
    ):
        start = begun[0].rstrip(" -")
        return f"{shown} has no end", f"write the end too, as in `{start}-{'20:00' if int(begun[1]) < 20 else '06:00'}`"
    if word is None:
        return f"{shown} cannot be read at its end", hint
    return f"{shown} cannot be read at character {word.start() + 1}, {quote(word[0])}", hint


_DAY = {
    "Mo": "mondays?|mon|montags?",
    "Tu": "tuesdays?|tues?|dienstags?|di",
    "We": "wednesdays?|weds?|mittwochs?|mi",
    "Th": "thursdays?|thurs?|thu|donnerstags?|do",
    "Fr": "fridays?|fri|freitags?",
    "Sa": "saturdays?|sat|samstags?|sonnabends?",
    "Su": "sundays?|sun|sonntags?|so",
    "Mo-Su": "daily|every ?day|täglich|jeden tag",
    "Mo-Fr": "weekdays?|workdays?|werktags?|wochentags?",
    "Sa-Su": "weekends?|wochenenden?",
    "PH": "(?:public |bank )?holidays?|feiertag(?:en?|s)?",
    "off": "geschlossen|zu",
    "00:00-24:00": "24 ?x ?7|24/24|24 ?h(?:ours)?|always|immer|all day|ganztägig|around the clock|rund um die uhr",
}
_TO = r"(?:-|–|—|\bto\b|\bbis\b|\buntil\b|\btill?\b|\bthrough\b|\bthru\b)"
_AND = r"(?:,|&|\+|/|\band\b|\bund\b)"
_NAME = r"\b(?:Mo|Tu|We|Th|Fr|Sa|Su|PH)\b"
_TIME = r"(\d\d?)(?:[:.h](\d\d))?(?:\s*(am\b|pm\b|a\.m\.|p\.m\.|h\b|uhr\b|o'clock))?"
_SPAN = r"\d\d:\d\d-\d\d:\d\d"
_DATES = rf"\b(?:week|{'|'.join(MONTHS)})[a-z]*\.?\s+\d\d?(?:\s*-\s*\d\d?)?(?![:.\d])"


def _repaired(text: str) -> str:
    """The line as it was probably meant. The caller looks whether it can be read."""
    return outside_comments(text, _repaired_piece).strip(" ;,")


def _repaired_piece(text: str) -> str:
    for token, words in _DAY.items():
        text = re.sub(rf"(?<!\w)(?:{words})\b\.?", token, text, flags=re.IGNORECASE)
    text = re.sub(r"\b(?:from|von|ab) (?=\d)", "", re.sub(rf"({_NAME})\.", r"\1", text), flags=re.IGNORECASE)
    text = re.sub(rf"({_NAME})\s*{_TO}\s*(?={_NAME})", r"\1-", text)
    text = re.sub(rf"({_NAME})\s*{_AND}\s*(?={_NAME})", r"\1,", text)
    text = re.sub(rf"({_NAME})\s*:", r"\1", text)
    text = re.sub(rf"(?P<dates>{_DATES})|(?<![\w:.-]){_TIME}\s*{_TO}\s*{_TIME}", _span, text, flags=re.IGNORECASE)
    text = re.sub(rf"(-\d\d:\d\d)\s*{_AND}?\s*(?=\d\d:\d\d-)", r"\1,", text)
    text = re.sub(rf"(^|; ?)({_SPAN}) ({_NAME}(?:[-,]{_NAME})*)(?= ?(?:;|$))", r"\1\3 \2", text)
    text = re.sub(rf"(-\d\d:\d\d|\boff)\s+(?={_NAME})", r"\1; ", text)
    text = re.sub(r"\s*;[\s;]*", "; ", text)
    return "24/7" if text.strip() in {"00:00-24:00", "Mo-Su 00:00-24:00"} else text


def _span(found: re.Match[str]) -> str:
    if found["dates"]:
        return found[0]
    start, start_minute, start_half, end, end_minute, end_half = found.groups()[1:]
    start_half, end_half = ((half or "").replace(".", "").lower() for half in (start_half, end_half))
    if not (start_half or end_half) and int(end) < int(start) <= 12:
        return found[0]  # 9 to 5 is not a night: nothing to suggest
    if not start_half and end_half == "pm" and int(start) < int(end) % 12:
        start_half = "pm"  # 2-5pm is an afternoon, 9-5pm a day
    return f"{_clock(start, start_minute, start_half)}-{_clock(end, end_minute, end_half)}"


def _clock(hour: str, minute: str | None, half: str) -> str:
    if half in {"am", "pm"}:
        hour = str(int(hour) % 12 + (12 if half == "pm" else 0))
    return f"{int(hour):02}:{minute or '00'}"


def _from_cron(text: str, country: str | None) -> str:
    """The hours that a cron line of the common kind means, or how to begin."""
    _, hour, day, month, weekday = text.split()[-5:]
    names = ("Su", "Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
    days = re.sub(r"[0-7]", lambda found: names[int(found[0])], weekday) if weekday not in {"*", "?"} else ""
    days = _repaired_piece(days.title())
    hours = re.fullmatch(r"(\d\d?)-(\d\d?)(?:/1)?", hour)
    times = f"{int(hours[1]):02}:00-{int(hours[2]) + 1:02}:00" if hours else "00:00-24:00" if hour == "*" else ""
    line = f"{days} {times}".strip()
    if day == month == "*" and times and readable(line, country):
        return f"write `{'24/7' if line == '00:00-24:00' else line}`; `every` says how often within them"
    return f"{_EXAMPLE}; `every` says how often within them"
