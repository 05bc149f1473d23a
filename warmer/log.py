"""Log lines: one a thing that happened, facts as fields, units in their names."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, TextIO

import structlog

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
    ACCOUNT_PAUSED = "account.paused"
    ACCOUNT_RESUMED = "account.resumed"
    CONFIG_RELOADED = "config.reloaded"
    CONFIG_REJECTED = "config.rejected"
    TRAFFIC_FAILED = "traffic.failed"
    LEDGER_FAILED = "ledger.failed"
    TICK_CRASHED = "tick.crashed"
    LIBRARY_WARNED = "library.warned"


Now = Callable[[], datetime]


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
        else structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=18)
    )
    mask = _Mask(secrets)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamp(now or (lambda: datetime.now(UTC))),
            structlog.processors.dict_tracebacks if as_json else structlog.processors.format_exc_info,
            _plain,
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


def get() -> Any:
    """The logger. `log.info(Event.BEAT_DONE, model=…)`."""
    return structlog.get_logger()


def _stamp(now: Now) -> structlog.typing.Processor:
    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        event["timestamp"] = format_instant(now())
        return event

    return stamp


def _plain(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Values as JSON has them: money as decimal strings, instants as ISO 8601, durations as seconds."""
    for key, value in event.items():
        if isinstance(value, Enum):
            event[key] = value.value
        elif isinstance(value, Decimal):
            event[key] = f"{value:f}"
        elif isinstance(value, datetime):
            event[key] = format_instant(value)
        elif isinstance(value, timedelta):
            event[key] = value.total_seconds()
        elif isinstance(value, float):
            event[key] = round(value, 6)
    return event


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
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = self._masked(value)
        return event

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class _Bridge(logging.Handler):
    """Hands warnings of libraries to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, Event.LIBRARY_WARNED.value, library=record.name, message=record.getMessage()
        )
