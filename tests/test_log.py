from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from warmer import log
from warmer.core.beat import Reason

SECRET = "r8_C4naryC4naryC4naryC4naryC4naryC4nary1"
NOW = datetime(2026, 11, 21, 9, 0, 0, 123_456, tzinfo=UTC)
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(out: io.StringIO) -> Lines:
    log.configure(stream=out, secrets=[SECRET], now=lambda: NOW)
    return lambda: [json.loads(line, parse_constant=pytest.fail) for line in out.getvalue().split("\n")[:-1]]


class Colour(Enum):
    RED = "red"


def fail_with(message: str) -> None:
    token_in_a_variable = SECRET[:20]
    try:
        raise ValueError(f"because of {SECRET}")
    except ValueError as exc:
        raise RuntimeError(message + token_in_a_variable[:0]) from exc


# -- JSON --------------------------------------------------------------------------------------------------------------


def test_a_stream_that_is_no_terminal_gets_json_lines_time_level_and_event_first(
    lines: Lines, out: io.StringIO
) -> None:
    log.get().info(log.Event.BEAT_DONE, model="a/b", gap_s=1.5)
    log.get().warning(log.Event.BEAT_FAILED, error="no – “ü”")

    assert lines() == [
        {"timestamp": "2026-11-21T09:00:00.123Z", "level": "info", "event": "beat.done", "model": "a/b", "gap_s": 1.5},
        {"timestamp": "2026-11-21T09:00:00.123Z", "level": "warning", "event": "beat.failed", "error": "no – “ü”"},
    ]
    assert [list(line)[:3] for line in lines()] == [["timestamp", "level", "event"]] * 2
    assert "“ü”" in out.getvalue()  # as a person reads it


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("0.000100"), "0.000100"),
        (Decimal("1E-7"), "0.0000001"),
        (datetime(2026, 11, 21, 10, tzinfo=timezone(timedelta(hours=1))), "2026-11-21T09:00:00.000Z"),
        (date(2026, 11, 21), "2026-11-21"),
        (timedelta(minutes=1, milliseconds=500), 60.5),
        (Reason.IDLE, "idle"),
        (Colour.RED, "red"),
        (0.1 + 0.2, 0.3),
        (float("nan"), None),
        (float("inf"), None),
        (None, None),
        (True, True),
        (7, 7),
        ("text", "text"),
        (("a", Decimal("1.10")), ["a", "1.10"]),
        ({"x": {Reason.IDLE: [timedelta(seconds=1), Decimal(2)]}}, {"x": {"idle": [1.0, "2"]}}),
        (frozenset({Decimal(1)}), ["1"]),
        (Path("/etc/warmer"), "/etc/warmer"),
        (ValueError("it was wrong"), "it was wrong"),
    ],
)
def test_values_are_written_as_json_has_them_at_any_depth(lines: Lines, value: object, written: object) -> None:
    log.get().info("beat.done", value=value)

    assert lines()[0]["value"] == written


def test_one_thing_that_happened_is_one_line(lines: Lines) -> None:
    log.get().info("beat.failed", error="two\nlines\u2028and more")

    assert len(lines()) == 1


def test_what_is_below_info_is_not_written(lines: Lines) -> None:
    log.get().debug("beat.done")

    assert lines() == []


# -- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [True, False])
def test_a_secret_is_masked_wherever_it_stands(out: io.StringIO, as_json: bool) -> None:
    log.configure(stream=out, json=as_json, secrets=[SECRET])
    logger = log.get()
    logger.info(SECRET)
    logger.info("a", text=f"Bearer {SECRET}, {SECRET}")
    logger.info("b", nested={"headers": [("Authorization", f"Bearer {SECRET}")], SECRET: 1}, plain=(SECRET,))
    logger.info("c", exception_as_value=ValueError(SECRET), path=Path("/tmp") / SECRET)
    logger.bind(**{SECRET: SECRET}).info("d")
    logging.getLogger("lib").warning("said %s", SECRET, extra={"more": SECRET})
    try:
        fail_with(f"outer {SECRET}")
    except RuntimeError as exc:
        logger.error("e", exc_info=exc)
        logger.exception("f")
        logging.getLogger("lib").exception("oh")

    text = out.getvalue()
    assert SECRET not in text
    assert SECRET[:20] not in text  # a variable that held a part of it
    assert "***" in text
    assert text.count("outer ***") == 3


@pytest.mark.parametrize("secret", ['with"quote', "with\\backslash", "ünïcödé-secret", "with\ttab"])
def test_a_secret_is_masked_even_where_json_would_spell_it_otherwise(out: io.StringIO, secret: str) -> None:
    log.configure(stream=out, secrets=[secret])
    log.get().info("a", value=f"<{secret}>", nested=[secret])

    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["value"] == "<***>"
    assert json.loads(line)["nested"] == ["***"]


def test_of_two_secrets_the_longer_is_masked_whole(out: io.StringIO) -> None:
    log.configure(stream=out, secrets=["r8_short", "r8_short_and_more"])
    log.get().info("a", value="r8_short_and_more r8_short")

    assert json.loads(out.getvalue())["value"] == "*** ***"


def test_an_empty_secret_masks_nothing(out: io.StringIO) -> None:
    log.configure(stream=out, secrets=["", "a"])
    log.get().info("a", value="banana")

    assert json.loads(out.getvalue())["value"] == "banana"


# -- tracebacks --------------------------------------------------------------------------------------------------------


def test_a_traceback_says_where_and_why_and_shows_no_local_variable(lines: Lines, out: io.StringIO) -> None:
    try:
        fail_with("it broke")
    except RuntimeError as exc:
        log.get().error(log.Event.TICK_CRASHED, exc_info=exc, model="a/b")

    (line,) = lines()
    outer, cause = line["exception"]
    assert (outer["exc_type"], outer["exc_value"]) == ("RuntimeError", "it broke")
    assert (cause["exc_type"], cause["exc_value"]) == ("ValueError", "because of ***")
    assert outer["frames"][-1]["name"] == "fail_with"
    assert "locals" not in out.getvalue()
    assert "token_in_a_variable" not in out.getvalue()


def test_a_traceback_on_a_terminal_is_the_plain_one(out: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log.configure(stream=out, json=False, secrets=[SECRET])
        try:
            fail_with("it broke")
        except RuntimeError as exc:
            log.get().error(log.Event.TICK_CRASHED, exc_info=exc)

    assert "Traceback (most recent call last):" in out.getvalue()
    assert "RuntimeError: it broke" in out.getvalue()
    assert "╭" not in out.getvalue()


# -- libraries ---------------------------------------------------------------------------------------------------------


def test_what_libraries_warn_of_is_a_line_like_any_other(lines: Lines) -> None:
    library = logging.getLogger("some.library")
    library.info("chatter")
    library.warning("look: %s", 1)
    library.error("worse")

    assert [(line["level"], line["event"], line["library"], line["message"]) for line in lines()] == [
        ("warning", "library.warned", "some.library", "look: 1"),
        ("error", "library.warned", "some.library", "worse"),
    ]


def test_a_librarys_traceback_is_kept(lines: Lines) -> None:
    try:
        fail_with("inside the library")
    except RuntimeError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved")

    assert lines()[0]["exception"][0]["exc_value"] == "inside the library"


@pytest.mark.parametrize(("level", "name"), [(30, "warning"), (35, "warning"), (49, "error"), (60, "critical")])
def test_a_librarys_own_level_counts_as_the_next_one_below(lines: Lines, level: int, name: str) -> None:
    logging.getLogger("some.library").log(level, "odd")

    assert lines()[0]["level"] == name


def test_a_librarys_broken_message_is_still_said(lines: Lines, out: io.StringIO) -> None:
    log.configure(stream=out)  # and with that the only one who listens: pytest would raise
    logging.getLogger("some.library").warning("%d of them", "many")

    assert lines()[0]["message"] == "%d of them"


def test_pythons_own_warnings_are_lines_too(lines: Lines) -> None:
    warnings.resetwarnings()
    warnings.simplefilter("always")
    logging.captureWarnings(False)
    logging.captureWarnings(True)
    warnings.warn("old API", UserWarning, stacklevel=1)

    (line,) = lines()
    assert line["event"] == "library.warned"
    assert "UserWarning: old API" in line["message"]


# -- a terminal --------------------------------------------------------------------------------------------------------


def test_a_terminal_gets_lines_for_people() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        log.configure(stream=terminal, secrets=[SECRET], now=lambda: NOW)
        log.get().info(log.Event.BEAT_DONE, model="meta/llama", cost_usd=Decimal("0.000225"), token=SECRET)
        terminal.flush()
        raw = os.read(ours, 65_536).decode()
    os.close(ours)

    assert "\x1b[" in raw  # in colour
    text = re.sub(r"\x1b\[[0-9;]*m", "", raw).strip()
    assert text.startswith("2026-11-21T09:00:00.123Z [info     ] beat.done")
    assert "model=meta/llama" in text
    assert "cost_usd=0.000225" in text
    assert "token=***" in text


def test_colour_is_for_terminals_only(out: io.StringIO) -> None:
    log.configure(stream=out, json=False)
    log.get().info("beat.done", model="a/b")

    assert "\x1b" not in out.getvalue()
