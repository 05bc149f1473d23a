"""Log lines: one a thing that happened, facts as fields, units in their names."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
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
    MODEL_JUDGED = "model.judged"
    IDLE_TIMEOUT_LEARNED = "idle_timeout.learned"
    COLD_TARGET_MISSED = "cold_target.missed"
    FLOOR_RAISED = "floor.raised"
    FLOOR_LOWERED = "floor.lowered"
    FLOOR_OVERRULED = "floor.overruled"
    FLOOR_FAILED = "floor.failed"
    FLOOR_LEFT = "floor.left"
    ACCOUNT_PAUSED = "account.paused"
    ACCOUNT_RESUMED = "account.resumed"
    BUDGET_REACHED = "budget.reached"
    CONFIG_RELOADED = "config.reloaded"
    CONFIG_REJECTED = "config.rejected"
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
    LIBRARY_WARNED = "library.warned"


Now = Callable[[], datetime]

_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
# Without local variables: one of them may be the token, or a part of it that no mask knows.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure(
    *, stream: TextIO | None = None, json: bool | None = None, secrets: Iterable[str] = (), now: Now | None = None
) -> None:
    """Send log lines to `stream` (default: stdout), as JSON unless it is a terminal.

    Every one of `secrets` is masked wherever it stands, whoever put it there. `now` stamps the lines: the wall clock
    unless time is sped up.
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
    mask = _Mask(secrets)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamp(now or (lambda: datetime.now(UTC))),
            _TRACEBACKS if as_json else structlog.processors.format_exc_info,
            mask.values,
            _order,
            renderer,
            mask.text,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    # Libraries speak through the standard logging; what they say must not be lost, nor drown ours.
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()], force=True)
    logging.captureWarnings(True)


def get() -> Any:
    """The logger. `log.info(Event.BEAT_DONE, model=…)`."""
    return structlog.get_logger()


def _stamp(now: Now) -> structlog.typing.Processor:
    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        event["timestamp"] = format_instant(now())
        return event

    return stamp


def _order(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """When, how grave, what: first, so that a raw line can be read."""
    head = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return head | dict(event)


class _Mask:
    """Replaces secrets by `***`: the last line of defence, not the only one."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted((s for s in secrets if len(s) >= 4), key=len, reverse=True)

    def text(self, _: Any, __: str, line: Any) -> Any:
        return self._masked(line) if isinstance(line, str) else line

    def values(self, _: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        # Before the line is made: in JSON, a secret with a quote or a backslash would no longer look like itself.
        return {key: plain(value, self._masked) for key, value in event.items()}

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
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
