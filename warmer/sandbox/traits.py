"""What a model, a deployment and the account are: frozen facts that the world behaves by."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from warmer.sandbox.hardware import HARDWARE


class Kind(StrEnum):
    """What a model makes; decides the shape of its output."""

    TEXT = "text"  # an iterator of tokens
    IMAGES = "images"  # a list of file addresses
    IMAGE = "image"  # one file address
    TRANSCRIPT = "transcript"  # an object with text and segments
    CAPTION = "caption"  # one line of text
    GREETING = "greeting"  # "hello " and the input's `text`


class Billing(StrEnum):
    """Who pays for what. Source: replicate.com/docs/topics/billing."""

    PUBLIC = "public"  # run time only; set-up and idle are free
    PRIVATE = "private"  # every second an instance is online
    DEPLOYMENT = "deployment"  # the same, for instances of one's own
    OFFICIAL = "official"  # per output
    FAST_BOOT = "fast_boot"  # run time only, even where private

    @property
    def by_instance(self) -> bool:
        """Whether the bill is for instances online, whatever the predictions on them do."""
        return self in (Billing.PRIVATE, Billing.DEPLOYMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One build of a model. Each version runs on instances of its own."""

    id: str  # 64 hex digits
    created_at: datetime
    openapi_schema: Mapping[str, Any]
    cog_version: str = "0.16.9"

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of the input object; its `$ref`s point into `openapi_schema`."""
        schema: Mapping[str, Any] = self.openapi_schema["components"]["schemas"]["Input"]
        return schema


def version_id(slug: str, number: int) -> str:
    """A stable 64 hex digit id for the `number`th version of `slug`."""
    return hashlib.sha256(f"{slug}@{number}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How the run grows with the input: `seconds` for each unit of the product of `keys`.

    A number counts as itself, text and lists by their length. A key that the input leaves out has its schema's default.
    """

    keys: tuple[str, ...]
    seconds: float

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("keys is empty: name the inputs that make the run longer")
        if self.seconds < 0:
            raise ValueError(f"seconds is {self.seconds}: a run cannot grow shorter than nothing; use 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """One model: what the API tells of it, and how its instances behave, which the API does not tell."""

    owner: str
    name: str
    kind: Kind
    hardware: str  # a key of HARDWARE
    versions: tuple[Version, ...]  # newest first
    description: str = ""
    private: bool = False
    permitted: bool = True  # False: a private model of another account, which for this one is not there
    is_official: bool = False
    fast_boot: bool = False  # a fine-tune that shares its base model's pool: only run time is billed
    usd_per_output: Decimal | None = None  # official models only
    run_count: int = 0
    default_example: Mapping[str, Any] | None = None  # the input of the example on the model's page

    idle_timeout_s: float = 180.0  # how long an idle instance is kept
    idle_timeout_spread: float = 0.0  # sigma of the log-normal factor drawn for each idle stretch; 0 = exact
    boot_s: float = 10.0  # median
    boot_spread: float = 0.15  # sigma of the log-normal factor drawn for each boot
    run_s: float = 1.0  # median run of an input to which no `growth` applies
    run_spread: float = 0.1  # sigma of the log-normal factor drawn for each run
    survives_cancel: bool = True  # whether an instance whose run is canceled is kept as any other
    prefill_s: float = (
        0.0  # of a run, before a streaming model begins its first token; the whole run where that is less
    )
    growth: tuple[Growth, ...] = ()
    overhead_s: float = 0.015  # median between reaching an instance that is up and starting on it
    overhead_spread: float = 0.35
    failure_share: float = 0.0  # of runs, drawn for each
    max_instances: int = 1
    queue_per_instance: int = 2  # waiting for each instance there is before another is booted

    def __post_init__(self) -> None:
        if not (self.owner and self.name):
            raise ValueError("owner and name are both needed: a model is called owner/name")
        if self.hardware not in HARDWARE:
            raise ValueError(f"hardware {self.hardware!r} is not rented out; use one of {', '.join(HARDWARE)}")
        if not self.versions:
            raise ValueError("versions is empty: nothing could run")
        if self.is_official != (self.usd_per_output is not None):
            raise ValueError("usd_per_output belongs to official models, and every official model needs it")
        for key in ("idle_timeout_s", "boot_s", "run_s"):
            if not (math.isfinite(getattr(self, key)) and getattr(self, key) > 0):
                raise ValueError(f"{key} is {getattr(self, key)}: use a number of seconds above 0")
        for key in ("idle_timeout_spread", "boot_spread", "run_spread", "prefill_s", "overhead_s", "overhead_spread"):
            if not (math.isfinite(getattr(self, key)) and getattr(self, key) >= 0):
                raise ValueError(f"{key} is {getattr(self, key)}: use 0 or more")
        if not 0 <= self.failure_share <= 1:
            raise ValueError(f"failure_share is {self.failure_share}: use a share from 0 to 1")
        if self.max_instances < 1:
            raise ValueError(f"max_instances is {self.max_instances}: use 1 or more")
        if self.queue_per_instance < 1:
            raise ValueError(f"queue_per_instance is {self.queue_per_instance}: use 1 or more")

    @property
    def slug(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"

    @property
    def latest(self) -> Version:
        """The version that an unpinned call gets."""
        return self.versions[0]

    @property
    def streams(self) -> bool:
        """Whether predictions have a `urls.stream`."""
        return self.kind is Kind.TEXT

    @property
    def billing(self) -> Billing:
        """The class of a call of this model that does not go through a deployment."""
        if self.is_official:
            return Billing.OFFICIAL
        if self.fast_boot:
            return Billing.FAST_BOOT
        return Billing.PRIVATE if self.private else Billing.PUBLIC

    def version(self, version_id: str) -> Version | None:
        """The version of that id, if this model has it."""
        return next((version for version in self.versions if version.id == version_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One release of a deployment: instances of one's own for one version of a model."""

    owner: str
    name: str
    model: str  # owner/name
    version: str  # 64 hex digits
    hardware: str
    min_instances: int = 0  # the floor: as many are kept up, used or not
    max_instances: int = 1
    number: int = 1  # of the release; each change raises it
    created_at: datetime = datetime(2024, 2, 15, 16, 32, 57, 18467, tzinfo=UTC)

    def __post_init__(self) -> None:
        if self.hardware not in HARDWARE:
            raise ValueError(f"hardware {self.hardware!r} is not rented out; use one of {', '.join(HARDWARE)}")
        if not 0 <= self.min_instances <= 5:
            raise ValueError(f"min_instances is {self.min_instances}: use 0 to 5")
        if not 0 <= self.max_instances <= 20:
            raise ValueError(f"max_instances is {self.max_instances}: use 0 to 20")
        if self.min_instances > self.max_instances:
            raise ValueError(f"min_instances {self.min_instances} is above max_instances {self.max_instances}")

    @property
    def slug(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The one account of the sandbox, and how much it may ask."""

    username: str = "acme"
    name: str = "Acme Corp, Inc."
    tokens: tuple[str, ...] = field(default=(), repr=False)  # empty = any that starts with r8_
    creates_per_minute: int = 600
    reads_per_minute: int = 3000
    low_credit: bool = False  # under $5: 6 creates a minute, burst 1

    def __post_init__(self) -> None:
        for key in ("creates_per_minute", "reads_per_minute"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} is {getattr(self, key)}: use 1 or more")
        if not all(token.startswith("r8_") for token in self.tokens):
            raise ValueError("tokens: each must start with r8_")

    def knows(self, token: str) -> bool:
        """Whether a bearer token is this account's."""
        return token in self.tokens if self.tokens else token.startswith("r8_")
