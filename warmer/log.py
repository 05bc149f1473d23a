"""Log lines: one a thing that happened, facts as fields, units in their names."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

import structlog

from warmer.core.plain import plain
from warmer.core.units import format_instant


class Event(StrEnum):
    """Every line warmer logs, `noun.past_verb`. Renaming one is a breaking change."""

    DAEMON_STARTED = "daemon.started"
    DAEMON_READY = "daemon.ready"
    DAEMON_STOPPED = "daemon.stopped"
    BEAT_SENT = "beat.sent"
    BEAT_DONE = "beat.done"
    BEAT_SKIPPED = "beat.skipped"
    BEAT_FAILED = "beat.failed"
    MODEL_RESOLVED = "model.resolved"
    MODEL_DISABLED = "model.disabled"
    MODEL_ENABLED = "model.enabled"
    MODEL_FAILED = "model.failed"
    MODEL_RECOVERED = "model.recovered"
    MODEL_JUDGED = "model.judged"
    VERSION_DIFFERED = "version.differed"
    INPUT_REPLACED = "input.replaced"
    CANCEL_DROPPED = "cancel.dropped"
    CANCEL_RESUMED = "cancel.resumed"
    IDLE_TIMEOUT_LEARNED = "idle_timeout.learned"
    COLD_TARGET_MISSED = "cold_target.missed"
    FLOOR_RAISED = "floor.raised"
    FLOOR_LOWERED = "floor.lowered"
    FLOOR_OVERRULED = "floor.overruled"
    FLOOR_FAILED = "floor.failed"
    FLOOR_LEFT = "floor.left"
    ACCOUNT_PAUSED = "account.paused"
    ACCOUNT_RESUMED = "account.resumed"
    STREAM_MISSED = "stream.missed"
    BUDGET_REACHED = "budget.reached"
    ALERT_SENT = "alert.sent"
    ALERT_FAILED = "alert.failed"
    PING_FAILED = "ping.failed"
    PING_RESUMED = "ping.resumed"
    OVERRIDE_SET = "override.set"
    OVERRIDE_ENDED = "override.ended"
    CONFIG_RELOADED = "config.reloaded"
    CONFIG_REJECTED = "config.rejected"
    CONFIG_TRIED = "config.tried"
    TRAFFIC_FAILED = "traffic.failed"
    TRAFFIC_RESUMED = "traffic.resumed"
    TRAFFIC_MISSED = "traffic.missed"
    LEDGER_FAILED = "ledger.failed"
    LEDGER_RESUMED = "ledger.resumed"
    WORKER_JOINED = "worker.joined"
    WORKER_LEFT = "worker.left"
    TICK_CRASHED = "tick.crashed"
    WEB_OPENED = "web.opened"
    WEB_FAILED = "web.failed"
    WEBHOOKS_OPENED = "webhooks.opened"
    WEBHOOKS_FAILED = "webhooks.failed"
    WEBHOOK_REFUSED = "webhook.refused"
    LIBRARY_WARNED = "library.warned"


Now = Callable[[], datetime]

_SHORTEST = 4
"""Characters: what is shorter is in every other word."""
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
# Without local variables: one of them may be the token, or a part of it that no mask knows.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure(
    *, stream: TextIO | None = None, json: bool | None = None, secrets: Iterable[str] = (), now: Now | None = None
) -> None:
    """Send log lines to `stream` (default: stdout), as JSON unless it is a terminal.

    Every one of `secrets` is masked wherever it stands, whoever put it there, as are those of `mask`. `now` stamps the
    lines: the wall clock unless time is sped up.
    """
    out = stream if stream is not None else sys.stdout
    as_json = json if json is not None else not out.isatty()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        # The default formatter prints local variables, and one of them may be the token.
        else structlog.dev.ConsoleRenderer(
            colors=out.isatty(), pad_event_to=18, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        )
    )
    masks = _Masks(secrets)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamp(now or (lambda: datetime.now(UTC))),
            _TRACEBACKS if as_json else structlog.processors.format_exc_info,
            masks.values,
            _hand_on,
            _order,
            renderer,
            masks.text,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    # Libraries speak through the standard logging; what they say must not be lost, nor drown ours.
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()], force=True)
    logging.captureWarnings(True)


def lend() -> None:
    """Send log lines, as JSON, to the standard logging of the application that warmer is part of.

    Their loggers are `warmer` and below. Where the application has configured structlog, they go its way.
    """
    if structlog.is_configured():
        return
    masks = _Masks(())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            _TRACEBACKS,
            masks.values,
            _hand_on,
            structlog.processors.JSONRenderer(ensure_ascii=False),
            masks.text,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def mask(*secrets: str) -> None:
    """Have these masked wherever they stand from now on, for as long as this process lives."""
    _secrets.update(secrets)


_secrets = set[str]()
"""Every secret this process has read: what is under way may still go with the one before."""


def get() -> Any:
    """The logger. `log.info(Event.BEAT_DONE, model=…)`."""
    return structlog.get_logger()


@contextmanager
def followed(by: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """Have `by` called with each line's values, secrets masked, in the thread that says it."""
    _followers.append(by)
    try:
        yield
    finally:
        _followers.remove(by)


_followers: list[Callable[[Mapping[str, Any]], None]] = []


def _hand_on(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    for follower in tuple(_followers):
        follower(event)
    return event


def _stamp(now: Now) -> structlog.typing.Processor:
    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        event["timestamp"] = format_instant(now())
        return event

    return stamp


def _order(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """When, how grave, what: first, so that a raw line can be read."""
    head = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return head | dict(event)


class _Masks:
    """Replaces secrets by `***`: the last line of defence, not the only one."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._own = frozenset(secrets)
        self._known = frozenset[str]()
        self._longest_first = list[str]()

    def text(self, _: Any, __: str, line: Any) -> Any:
        return self._masked(line) if isinstance(line, str) else line

    def values(self, _: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        # Before the line is made: in JSON, a secret with a quote or a backslash would no longer look like itself.
        if (known := self._own | _secrets) != self._known:
            self._known = known
            self._longest_first = sorted((one for one in known if len(one) >= _SHORTEST), key=len, reverse=True)
        return {key: plain(value, self._masked) for key, value in event.items()}

    def _masked(self, text: str) -> str:
        for secret in self._longest_first:
            text = text.replace(secret, "***")
        return text


class _Bridge(logging.Handler):
    """Hands warnings of libraries to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # the library's arguments do not fit its text
            message = str(record.msg)
        facts: dict[str, Any] = {"library": record.name, "message": message}
        if record.exc_info and record.exc_info[0] is not None:
            facts["exc_info"] = record.exc_info
        level = max((known for known in _LEVELS if known <= record.levelno), default=logging.DEBUG)
        structlog.get_logger().log(level, Event.LIBRARY_WARNED.value, **facts)
