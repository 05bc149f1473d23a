"""What the file asks for, valid once it exists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from warmer.core.budget import Cap
from warmer.core.endpoint import Endpoint
from warmer.core.hours import ActiveHours
from warmer.core.price import TABLE, Billing, Price, PriceTable, price_of
from warmer.core.secret import SecretRef as SecretRef  # known by this name wherever a spec is

DEFAULT_BASE_URL = "https://api.replicate.com/v1"
DEFAULT_TOKEN = SecretRef(scheme="env", name="REPLICATE_API_TOKEN")
WEBHOOKS = "/webhooks/replicate"
"""Where the daemon takes webhooks: a path of `listen`, and of `public_url`."""
AUTO_INTERVAL = timedelta(seconds=50)
"""What `every: auto` means where nothing can be learned: under the shortest idle time-out users measured, 60 s."""
MIN_EVERY = timedelta(seconds=1)
MIN_DEADLINE = timedelta(seconds=5)
"""The provider's shortest Cancel-After."""
DEFAULT_DEADLINE = timedelta(minutes=10)
"""Longer than the usual boot: cutting a boot short may waste it."""
MOST_INSTANCES = 5
"""The provider's highest floor of a deployment. Source: `min_instances`, Replicate HTTP API."""
DEFAULT_COLD_TARGET = 0.02
"""What `adaptive` holds where the file names neither a target nor a price: one call in fifty may be cold."""


class Engine(StrEnum):
    """Who calls for the beats of a file that several processes run."""

    LOCAL = "local"  # each process for all of them; what two want at once, one of them claims
    SHARED = "shared"  # all processes of one ledger divide them


class PolicyName(StrEnum):
    """Who decides the next beat."""

    FIXED = "fixed"
    AWARE = "aware"
    ADAPTIVE = "adaptive"
    FLOOR = "floor"
    OBSERVE = "observe"


class TargetKind(StrEnum):
    """What a heartbeat is sent to."""

    MODEL = "model"
    DEPLOYMENT = "deployment"
    COG = "cog"
    URL = "url"

    @property
    def is_of_an_account(self) -> bool:
        """Whether it is called through an account at Replicate, which lists all calls of it."""
        return self in (TargetKind.MODEL, TargetKind.DEPLOYMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A model or a deployment at the provider, or a server that is called by its own address."""

    kind: TargetKind
    owner: str  # empty for a server
    name: str  # of a server its address
    version: str | None = None  # pinned; None is the latest. Always None for what is no model

    @property
    def slug(self) -> str:
        """`owner/name`; the address of a server."""
        return f"{self.owner}/{self.name}" if self.owner else self.name

    def __str__(self) -> str:
        return f"{self.slug}:{self.version}" if self.version else self.slug


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSpec:
    """An account at the provider, and what it allows."""

    name: str | None = None  # by which entries name it; None: the one that they go by without
    token: SecretRef = DEFAULT_TOKEN
    base_url: str = DEFAULT_BASE_URL
    creates_per_minute: int = 600  # the account's documented limits; warmer stays below them
    reads_per_minute: int = 3000
    webhook_url: str | None = None  # where the provider tells how beats ended; None: it is asked

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or "replicate"

    @property
    def label(self) -> str:
        """What tells one account from another. Holds no secret."""
        limits = f"{self.creates_per_minute} and {self.reads_per_minute} a minute"
        return f"{self.base_url} by {self.token}, {limits}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CogServer:
    """A Cog server that is called by its own address."""

    url: str  # without a slash at its end

    @property
    def title(self) -> str:
        """What people call it."""
        return self.url

    @property
    def label(self) -> str:
        """What tells one server from another."""
        return self.url


Host = AccountSpec | CogServer | Endpoint
"""What beats are sent through. One that fails says nothing of another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model to keep warm, exactly as the file asked for it."""

    name: str  # the key in every log line and ledger row
    target: Target
    hours: ActiveHours
    host: Host | None = None  # None: the file's own account
    policy: PolicyName = PolicyName.AWARE
    every: timedelta | None = None  # longest gap allowed; None is `auto`
    lead: timedelta | None = None  # how long before opening the first beat goes out; None is `auto`
    cold_target: float | None = None  # share of calls that may be cold; for `adaptive`
    cold_start_price: Decimal | None = None  # USD that one avoided cold start is worth; for `adaptive`
    instances: int = 1  # that a deployment's floor is raised to; for `floor`
    shadow: PolicyName | None = None  # a candidate that is scored and sends nothing
    input: Mapping[str, Any] | None = None  # None: the smallest valid input of the model's schema
    billing: Billing | None = None  # None: asked of the API
    price: Price | None = None  # None: unknown
    prices: PriceTable = TABLE  # gives the price of hardware that only the provider tells
    caps: tuple[Cap, ...] = ()  # its own and those of all models; by the calendar of `hours`' zone
    self_host_per_hour: Decimal | None = None  # USD that an hour of a GPU of the owner's own costs; None: not told
    deadline: timedelta = DEFAULT_DEADLINE
    cancel_on_start: bool = False  # whether a beat is canceled once it runs, where that is cheaper and still warms
    first_token: bool = False  # whether the time to a beat's first token is measured
    alerts: bool = True  # whether people are told of it alone
    traffic: bool = True  # whether customers' calls are read from the account's list
    where: str = field(default="", compare=False)  # "file:line" of the entry; moving it is no change
    places: Mapping[str, str] = field(
        default_factory=dict, repr=False, compare=False
    )  # those of its `input` and `target`

    def __post_init__(self) -> None:
        if self.policy is PolicyName.FLOOR and self.target.kind is not TargetKind.DEPLOYMENT:
            raise ValueError("only a deployment has a floor")
        if self.shadow is PolicyName.FLOOR:
            raise ValueError("a floor sends no beats that could be scored")
        if not 1 <= self.instances <= MOST_INSTANCES:
            raise ValueError(f"a floor is raised to 1 to {MOST_INSTANCES} instances")
        if self.cold_target is not None and not 0 < self.cold_target < 1:
            raise ValueError("a cold target is a share between 0 and 1")
        if self.cold_start_price is not None and not self.cold_start_price > 0:
            raise ValueError("the price of a cold start is above 0 USD")
        if self.cold_target is not None and self.cold_start_price is not None:
            raise ValueError("a cold target and the price of a cold start are two answers to one question")

    def where_of(self, key: str) -> str:
        """The "file:line" of `key`, `input` or `target`; of the entry where it does not write that."""
        return self.places.get(key, self.where)

    @property
    def cold_share_target(self) -> float:
        """The share of its calls that may be cold, where no price of a cold start says so."""
        return self.cold_target or DEFAULT_COLD_TARGET

    def billing_or(self, told: Billing | None) -> Billing:
        """Who is billed for what: by the file, else as the provider `told`, else as is usual for its target."""
        usual = {TargetKind.DEPLOYMENT: Billing.DEPLOYMENT, TargetKind.COG: Billing.OWN}
        return self.billing or told or usual.get(self.target.kind, Billing.PUBLIC)

    def price_on(self, hardware: str | None) -> Price | None:
        """The price of its beats: the file's, else that of the hardware that the provider tells; None: unknown."""
        return self.price or price_of(hardware, self.prices)

    @property
    def interval(self) -> timedelta:
        """The longest gap to leave between two activities, where nothing was learned."""
        return self.every if self.every is not None else AUTO_INTERVAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the daemon answers over HTTP: on this machine alone, unless the file says otherwise."""

    host: str = "127.0.0.1"  # an address or a name, IPv6 without brackets
    port: int = 9177  # 0: any free one

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long the ledger keeps rows one by one; what they add up to by the hour it keeps for good."""

    beats: timedelta = timedelta(days=3)
    requests: timedelta = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Who is told of what is wrong. The addresses are secrets."""

    to: tuple[SecretRef, ...] = ()  # addresses as Apprise knows them; none: nobody is told
    ping: SecretRef | None = None  # an address that is asked for once a minute while all is well


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The whole file."""

    zone: ZoneInfo
    models: tuple[ModelSpec, ...]
    account: AccountSpec = field(default_factory=AccountSpec)
    prices: str | None = None  # the file of a price table, relative to this one; None: the package's
    listen: Listen | None = Listen()  # None: `off`
    public_url: str | None = None  # by which `listen` is reached from outside; None: it is not
    admin_token: SecretRef | None = None  # that changes over HTTP ask for; None: there are none
    ledger: str | None = None  # a database URL without a password; None: `ledger.db` in the state directory
    ledger_password: SecretRef | None = None  # None: libpq may know it by itself
    retention: Retention = field(default_factory=Retention)
    alerts: Alerts = field(default_factory=Alerts)
    engine: Engine = Engine.LOCAL
    path: str = field(default="", compare=False)  # of the file, as the person named it
    digest: str = field(default="", compare=False)  # of its bytes: says which edit is in force
    _by_name: dict[str, ModelSpec] = field(init=False, repr=False, compare=False)
    _by_host: dict[str, tuple[ModelSpec, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {model.name: model for model in self.models})
        by_host = defaultdict[str, list[ModelSpec]](list)
        for model in self.models:
            by_host[self.host_of(model).label].append(model)
        object.__setattr__(self, "_by_host", {label: tuple(models) for label, models in by_host.items()})

    def host_of(self, model: ModelSpec) -> Host:
        """What the beats of `model` are sent through."""
        return model.host or self.account

    def entries_of(self, label: str) -> tuple[ModelSpec, ...]:
        """The models whose beats are sent through the host with that label."""
        return self._by_host.get(label, ())

    @property
    def hosts(self) -> Mapping[str, Host]:
        """What the beats of all models are sent through, each once, by its label; in the order of the models."""
        return {host.label: host for host in map(self.host_of, self.models)}

    @property
    def shared_as(self) -> str | None:
        """What the account is called by all processes that share the beats; None where each goes by itself."""
        return self.account.label if self.engine is Engine.SHARED else None

    @property
    def caps(self) -> tuple[Cap, ...]:
        """Every cap of the file once, those over all models last."""
        caps = dict.fromkeys(cap for model in self.models for cap in model.caps)
        return tuple(sorted(caps, key=lambda cap: cap.model is None))

    def model(self, name: str) -> ModelSpec | None:
        """The entry called `name`, or None."""
        return self._by_name.get(name)
