"""A beat from request to observation: the values, none of the doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from warmer.core.budget import Limit, Spending
from warmer.core.price import Billing, Cost, Price
from warmer.core.spec import Target


class Status(StrEnum):
    """The life of a prediction. UNKNOWN is a word the provider never used before: taken as an end, not waited on."""

    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"  # the deadline came before the start
    STARTED = "started"  # canceled by us as soon as it had started, as its entry asks: no word of the provider's
    UNKNOWN = "unknown"

    @property
    def is_open(self) -> bool:
        """Whether the prediction may still change."""
        return self in (Status.STARTING, Status.PROCESSING)

    @property
    def is_good(self) -> bool:
        """Whether a beat that ended so has done what it is for."""
        return self in (Status.SUCCEEDED, Status.STARTED)


class Verdict(StrEnum):
    """What a beat or a request found."""

    WARM = "warm"
    COLD = "cold"
    UNSURE = "unsure"


class Reason(StrEnum):
    """Why a beat was sent or a tick was skipped: one a tick, and no other words."""

    # a beat was sent
    FIRST_SIGHT = "first_sight"  # nothing is known of the model's last activity
    INTERVAL_OVER = "interval_over"  # fixed: the interval has passed
    IDLE = "idle"  # aware: nobody, customer or warmer, used the model for the interval
    PROBE = "probe"  # longer idle than the interval in force: what it finds tells the idle time-out
    OPENING = "opening"  # the active hours begin soon: time to boot
    LIKELY = "likely"  # adaptive: a call is likely enough in the time that the beat buys
    ORDERED = "ordered"  # somebody asked for it: the file alone would have sent nothing
    # a tick was skipped
    PAUSED = "paused"  # somebody asked for nothing to be sent
    CLOSED = "closed"  # outside the active hours
    NOT_DUE = "not_due"  # fixed: the interval is still running
    RECENT_ACTIVITY = "recent_activity"  # aware: somebody used the model within the interval
    UNLIKELY = "unlikely"  # adaptive: no call is likely enough to be worth a beat
    NOT_WORTH_WARMING = "not_worth_warming"  # adaptive: at the price of a cold start, beats do not pay for this model
    FLOOR_HELD = "floor_held"  # floor: the deployment's floor holds its instances, so that no beat is needed
    OBSERVING = "observing"  # observe: nothing is ever sent
    ALWAYS_ON = "always_on"  # an official model: a beat would warm nothing
    IN_FLIGHT = "in_flight"  # the model's last beat is still out
    CLAIMED_ELSEWHERE = "claimed_elsewhere"  # another process sends this very beat
    MODEL_DISABLED = "model_disabled"  # the provider refuses this model as the file has it
    OVER_BUDGET = "over_budget"  # what is left under a cap is less than the beat may cost
    PRICE_UNKNOWN = "price_unknown"  # a cap binds the model, and nobody knows what a beat may cost
    BACKING_OFF = "backing_off"  # the model's last beats failed
    ACCOUNT_REFUSED = "account_refused"  # 401
    CREDIT_EXHAUSTED = "credit_exhausted"  # 402
    THROTTLED = "throttled"  # 429
    UNREACHABLE = "unreachable"  # the provider cannot be reached at all

    @property
    def sends(self) -> bool:
        """Whether a tick with this reason sent a beat."""
        return self in _SENDING


_SENDING = frozenset(
    (
        Reason.FIRST_SIGHT,
        Reason.INTERVAL_OVER,
        Reason.IDLE,
        Reason.PROBE,
        Reason.OPENING,
        Reason.LIKELY,
        Reason.ORDERED,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A prediction as the provider reports it. Anything it left out is None."""

    id: str
    status: Status
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    predict_s: float | None = None  # metrics.predict_time
    total_s: float | None = None  # metrics.total_time
    error: str | None = None
    model: str | None = None  # owner/name
    version: str | None = None
    deployment: str | None = None  # owner/name
    deadline: datetime | None = None
    input: Mapping[str, Any] | None = field(default=None, repr=False)  # gone from the account's list after an hour
    stream: str | None = field(
        default=None, repr=False
    )  # where its output can be read as it comes, by whoever knows it
    boot_s: float | None = None  # of the boot that it met, where the host tells that apart; it may have waited less
    woke: bool | None = None  # whether something had to start first, where the host tells; else its wait does

    @property
    def wait_s(self) -> float | None:
        """Seconds before the run: queue and boot together.

        Both stamps are the provider's: a skewed clock here must not pass for a slow boot.
        Source: `created_at` and `started_at` of a prediction; `total_time - predict_time` where a stamp is missing.
        """
        if self.started_at is not None:
            return max(0.0, (self.started_at - self.created_at).total_seconds())
        if self.total_s is not None and self.predict_s is not None:
            return max(0.0, self.total_s - self.predict_s)
        return None

    @property
    def run_s(self) -> float | None:
        """Seconds of computing: `metrics.predict_time`, or completed - started."""
        if self.predict_s is not None:
            return self.predict_s
        if self.started_at is not None and self.completed_at is not None:
            return max(0.0, (self.completed_at - self.started_at).total_seconds())
        return None

    @property
    def is_free(self) -> bool:
        """Whether a class that bills runs or outputs charges nothing: failed, or ended before it started."""
        if self.status in (Status.FAILED, Status.ABORTED):
            return True
        return self.status is Status.CANCELED and self.started_at is None and not self.predict_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """When one prediction, ours or a customer's, occupied its model. All stamps are the provider's."""

    id: str
    status: Status
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    wait_s: float | None
    woke: bool | None = None  # whether something had to start first, where that was told

    @classmethod
    def of(cls, seen: Prediction | Observation | Request) -> Use:
        """The times of `seen`. A beat that never reached the provider used nothing: do not ask for that."""
        return cls(
            id=seen.id if isinstance(seen, Prediction) else seen.prediction_id or "",
            status=seen.status,
            created_at=seen.created_at,
            started_at=seen.started_at,
            completed_at=seen.completed_at,
            wait_s=seen.wait_s,
            woke=_woke(seen),
        )

    def was_waiting_at(self, moment: datetime) -> bool:
        """Whether it had come and not yet started. What ended nobody knows when is not waited for."""
        end = self.started_at or self.completed_at
        return self.created_at <= moment and (self.status.is_open if end is None else end > moment)

    def was_running_at(self, moment: datetime) -> bool:
        """Whether it had started and not yet ended: an instance was up. What ended nobody knows when proves nothing."""
        if self.started_at is None or self.started_at > moment:
            return False
        return self.status.is_open if self.completed_at is None else self.completed_at > moment


def _woke(seen: Prediction | Observation | Request) -> bool | None:
    """What its host told; one that told of a boot has met one, however short its wait was."""
    if isinstance(seen, Request):
        return None
    return True if seen.boot_s is not None else seen.woke if isinstance(seen, Prediction) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What the provider says of a target: what to send, where, and how it bills."""

    target: Target
    version: str | None  # to be sent with the create; None where the path says it all
    billing: Billing
    kind: str = "model"  # what it takes and gives, in a word: text, image, audio …
    input_schema: Mapping[str, Any] | None = field(default=None, repr=False)
    example_input: Mapping[str, Any] | None = field(default=None, repr=False)
    versions: tuple[str, ...] = ()  # newest first, where the provider lists them
    hardware: str | None = None  # stated for deployments only
    schema_to_come: bool = False  # the server is booting, and tells what it takes when it is up


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatRequest:
    """One minimal prediction to be sent."""

    target: Target
    version: str | None
    billing: Billing
    input: Mapping[str, Any]
    deadline: timedelta  # enforced by the host (Cancel-After) and by us
    price: Price | None = None  # None: unknown
    first_token: bool = False  # is to be measured: the reply to its create, which says where, is not waited with
    cancel_on_start: bool = False  # is to be canceled once it runs: the reply to its create is not waited with


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatKey:
    """Which beat: the `slot`th of `instance` of `model`. Two processes that decide from one state want the same."""

    model: str
    slot: int
    instance: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The intent to send a beat, written down before it is sent, with the money that it may take.

    Raises ValueError where a limit binds a beat of which nobody knows what it may cost.
    """

    key: BeatKey
    at: datetime  # by our own clock
    policy: str
    reason: Reason
    request: BeatRequest
    reserve_usd: Decimal | None = None  # the most that the beat may cost; None: unknown
    limits: tuple[Limit, ...] = ()  # that bind it at `at`

    def __post_init__(self) -> None:
        if self.limits and self.reserve_usd is None:
            raise ValueError("a beat of which nobody knows what it may cost is not sent under a cap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a claim. True where the beat is ours to send, or the floor ours to raise."""

    taken: bool
    stopped_by: Spending | None = None  # the cap that it would have passed; None: another process has claimed it

    def __bool__(self) -> bool:
        return self.taken


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBeat:
    """A beat that was claimed and has not been recorded as finished."""

    key: BeatKey
    claimed_at: datetime
    policy: str
    reason: Reason
    request: BeatRequest
    prediction_id: str | None  # None: the create's reply never came


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One finished beat, as facts."""

    model: str
    prediction_id: str | None  # None: it never reached the provider
    policy: str
    reason: Reason
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    gap_s: float | None  # idle time before it; None: nothing was known of earlier activity
    wait_s: float | None
    run_s: float | None
    verdict: Verdict
    status: Status
    error: str | None
    cost_usd: Decimal | None
    price: str | None  # the price used and where it is from
    billing: Billing | None
    version: str | None = None  # that ran, where the provider tells it
    cost_is_estimated: bool = False
    first_token_s: float | None = (
        None  # from its create to its first token, as a caller would feel it; None: not measured
    )
    boot_s: float | None = None  # of the boot that it met, where the host tells that apart

    @property
    def booting_s(self) -> float | None:
        """Seconds that a boot took, by a beat that met one: its wait, or the boot, in the middle of which it came."""
        return max((s for s in (self.wait_s, self.boot_s) if s is not None), default=None)

    @property
    def cost(self) -> Cost:
        """`cost_usd`, and how it is known."""
        return Cost(usd=self.cost_usd, is_estimated=self.cost_is_estimated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One customer's call, as seen in the account's list."""

    model: str
    prediction_id: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    gap_s: float | None
    wait_s: float | None
    run_s: float | None
    verdict: Verdict
    status: Status
    version: str | None = None
    input_hash: str | None = None  # salted; alike where inputs are. None: the list did not show the input any more
