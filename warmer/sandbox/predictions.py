"""One prediction, from creation to the removal of its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from warmer.sandbox.traits import Billing, Traits

RUN_LIMIT = timedelta(minutes=30)  # of running. Source: replicate.com/docs/topics/predictions/lifecycle
DATA_KEPT = timedelta(
    hours=1
)  # input, output and logs of a prediction made by API. Source: the same site, data retention


class Status(StrEnum):
    """Where a prediction stands."""

    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"  # its deadline came before it started

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in (Status.STARTING, Status.PROCESSING)


class Found(StrEnum):
    """What a prediction found: the truth that the daemon's verdict is measured against."""

    WARM = "warm"  # the instance that ran it was up when it was created
    COLD = "cold"  # it waited for a boot, or a part of one


@dataclass(slots=True, kw_only=True, eq=False)
class Prediction:
    """One call of a model. Only the world changes it."""

    id: str
    number: int  # of creation in this world, from 0
    traits: Traits
    version: str  # as the API shows it: 64 hex digits, or "hidden"
    deployment: str | None  # owner/name
    billing: Billing
    usd_per_second: Decimal
    caller: str
    stranger: bool  # made by another account: it is not in our list
    created_at: datetime
    deadline: datetime | None
    input: Mapping[str, Any] | None  # None once removed
    planned_run: timedelta
    planned_output: Any  # what it will have made by the end of the run; a list of tokens where the model streams
    planned_error: str | None  # set: it will fail, with this text
    stream_token: str  # the secret part of its stream address
    webhook: str | None = None
    webhook_events: tuple[str, ...] | None = None  # None = not asked for

    status: Status = Status.STARTING
    found: Found = Found.COLD  # final once started or over
    started_at: datetime | None = None
    first_token_at: datetime | None = None  # when a streaming model makes it; final once over
    completed_at: datetime | None = None
    output: Any = None
    error: str | None = None
    logs: str | None = ""
    data_removed: bool = False
    billed_usd: Decimal | None = None  # None: billed by instance

    @property
    def model(self) -> str:
        """`owner/name` of the model that runs."""
        return self.traits.slug

    @property
    def target(self) -> str:
        """`owner/name` of what was called: the deployment, or else the model."""
        return self.deployment or self.model

    @property
    def wait(self) -> timedelta | None:
        """Queue and boot together; None while it has not started."""
        return None if self.started_at is None else self.started_at - self.created_at

    @property
    def run(self) -> timedelta | None:
        """How long it ran; None before its end, and where it never started."""
        if self.started_at is None or self.completed_at is None:
            return None
        return self.completed_at - self.started_at

    def output_at(self, now: datetime) -> Any:
        """The output so far: a streaming model's grows token by token, any other's appears at the end."""
        if self.status is not Status.PROCESSING or not self.traits.streams or self.started_at is None:
            return self.output
        tokens: Sequence[str] = self.planned_output
        since, each = now - self.started_at - self._prefill, self._each_token
        if since < timedelta(0):
            return None
        return list(tokens[: int(since / each) if each else None]) or None

    def next_output(self, now: datetime) -> datetime | None:
        """When a streaming model makes its next token; None where none is to come."""
        if self.status is not Status.PROCESSING or not self.traits.streams or self.started_at is None:
            return None
        tokens: Sequence[str] = self.planned_output
        made = len(self.output_at(now) or ())
        if made >= len(tokens):
            return None
        # A microsecond more, so that rounding never asks twice for the same token.
        return self.started_at + self._prefill + self._each_token * (made + 1) + timedelta(microseconds=1)

    def start(self, now: datetime) -> None:
        """It runs from now on."""
        self.status, self.started_at = Status.PROCESSING, now
        if self.traits.streams:
            self.first_token_at = now + self._prefill + self._each_token

    def end(self, now: datetime, status: Status) -> None:
        """It is over, as `status` says."""
        self.status, self.completed_at = status, now
        if self.first_token_at is not None and self.first_token_at > now:
            self.first_token_at = None

    @property
    def _prefill(self) -> timedelta:
        return min(timedelta(seconds=self.traits.prefill_s), self.planned_run)

    @property
    def _each_token(self) -> timedelta:
        return (self.planned_run - self._prefill) / len(self.planned_output)
