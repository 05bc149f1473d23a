"""The file as pydantic models: every key with its meaning, default and examples, for validation and for editors.

A key that the file leaves out is not in `model_fields_set`, and its field is None whatever its type says: what holds
then is the default of `core.spec`. Here it is told to readers.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from warmer.config import amounts, endpoints, servers, values
from warmer.config import ledger as ledgers
from warmer.config.faults import WrongValueError
from warmer.config.mapping import Mapped, Told
from warmer.config.mapping import key as _key
from warmer.config.mapping import text as _text
from warmer.config.mapping import words as _words
from warmer.core.price import PER_SECOND, TABLE, Billing
from warmer.core.spec import MOST_INSTANCES, Engine, Listen, PolicyName, SecretRef, Target

_EXAMPLE_HOURS = "Mo-Fr 08:00-20:00; PH off"


def _line(value: Any, info: ValidationInfo) -> str:
    zone, country = (info.context or {}).get("place", (ZoneInfo("UTC"), None))
    return values.read_line(value, zone, country)


def _sku(value: Any, info: ValidationInfo) -> str:
    return values.read_hardware(value, (info.context or {}).get("prices", TABLE))


def _lines(value: Any) -> Any:
    if isinstance(value, list) and not value:
        raise WrongValueError("this list of hours is empty", "write a line, or leave the key out for always")
    return value if isinstance(value, list) else [value]


def _refs(value: Any) -> Any:
    if value == []:
        raise WrongValueError("this list of addresses is empty", "write one as in env:NAME, or leave the key out")
    return value if isinstance(value, list) else [value]


def _accounts(value: Any) -> Any:
    if not isinstance(value, dict) or not value:
        raise WrongValueError("`accounts` is no mapping of names to accounts", f"write {OtherAccountShape.example}")
    return value


def _entries(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise WrongValueError("`models` is no list of at least one model", "write `models: [{model: owner/name}]`")
    return value


Zone = Annotated[ZoneInfo, PlainValidator(values.read_zone), _text()]
Country = Annotated[str, PlainValidator(values.read_country), _text("[A-Z]{2}")]
ListenAt = Annotated[Listen | None, PlainValidator(values.read_listen), _text(f"off|{values.LISTEN}")]
Ledger = Annotated[str, PlainValidator(ledgers.read_ledger), _text(ledgers.URL)]
LedgerPassword = Annotated[SecretRef, PlainValidator(ledgers.read_password_ref), _text(values.REFERENCE)]
EngineName = Annotated[Engine, PlainValidator(values.read_engine), _words(Engine)]
Secret = Annotated[SecretRef, PlainValidator(values.read_secret_ref), _text(values.REFERENCE)]
PublicUrl = Annotated[str, PlainValidator(values.read_public_url), _text("https?://.+", format="uri")]
BaseUrl = Annotated[str, PlainValidator(values.read_base_url), _text("https?://.+", format="uri")]
Rate = Annotated[
    int,
    PlainValidator(values.read_rate),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": values.MAX_PER_MINUTE}),
]
Model = Annotated[Target, PlainValidator(values.read_model), _text(f"{values.SLUG}(?::{values.VERSION})?")]
Deployment = Annotated[Target, PlainValidator(values.read_deployment), _text(values.SLUG)]
Cog = Annotated[Target, PlainValidator(servers.read_cog), _text(servers.COG, format="uri")]
Name = Annotated[str, PlainValidator(values.read_name), _text(minLength=1, maxLength=values.MAX_NAME)]
Hours = Annotated[
    list[Annotated[str, PlainValidator(_line)]],
    BeforeValidator(_lines),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
    ),
]
Policy = Annotated[PolicyName, PlainValidator(values.read_policy), _words(PolicyName)]
Every = Annotated[timedelta | None, PlainValidator(values.read_every), _text(rf"auto|(?=\d){values.DURATION}")]
Lead = Annotated[timedelta | None, PlainValidator(values.read_lead), _text(rf"auto|(?=\d){values.DURATION}")]
Instances = Annotated[
    int,
    PlainValidator(values.read_instances),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST_INSTANCES}),
]
Share = Annotated[float, PlainValidator(values.read_share), _text(values.SHARE)]
ColdStartPrice = Annotated[
    Decimal,
    PlainValidator(amounts.read_cold_start_price),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": float(amounts.MAX_COLD_START_PRICE)}),
]
Usd = Annotated[
    Decimal,
    PlainValidator(amounts.read_cap),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": float(amounts.MAX_CAP)}),
]
Deadline = Annotated[timedelta, PlainValidator(values.read_deadline), _text(rf"(?=\d){values.DURATION}")]
Input = Annotated[dict[str, Any], PlainValidator(values.read_input), WithJsonSchema({"type": "object"})]
BillingClass = Annotated[Billing, PlainValidator(values.read_billing), _words(Billing)]
PerSecond = Annotated[
    Decimal,
    PlainValidator(amounts.read_per_second),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": float(amounts.MAX_PER_SECOND)}),
]
PerOutput = Annotated[
    Decimal,
    PlainValidator(amounts.read_per_output),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": float(amounts.MAX_PER_OUTPUT)}),
]
PerHour = Annotated[
    Decimal,
    PlainValidator(amounts.read_per_hour),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": float(amounts.MAX_PER_HOUR)}),
]
Prices = Annotated[str, PlainValidator(values.read_prices), _text(minLength=1)]
# A table of the owner's own may have other SKUs: those of the package are for editors to complete.
Sku = Annotated[
    str,
    PlainValidator(_sku),
    WithJsonSchema({"anyOf": [{"enum": list(PER_SECOND)}, {"type": "string", "pattern": f"^(?:{values.SKU})$"}]}),
]
Kept = Annotated[timedelta, PlainValidator(values.read_retention), _text(rf"(?=\d){values.DURATION}")]
AlertsOf = Annotated[bool, PlainValidator(values.read_alerts), _words(("on", "off"))]
_REFERENCE = {"type": "string", "pattern": f"^(?:{values.REFERENCE})$"}
Secrets = Annotated[
    list[Secret],
    BeforeValidator(_refs),
    WithJsonSchema({"anyOf": [_REFERENCE, {"type": "array", "items": _REFERENCE, "minItems": 1}]}),
]
CancelOnStart = Annotated[bool, PlainValidator(values.read_cancel_on_start), WithJsonSchema({"type": "boolean"})]
Measure = Annotated[bool, PlainValidator(values.read_measure), _words(("first_token", "off"))]
Traffic = Annotated[bool, PlainValidator(values.read_traffic), _words(("auto", "off"))]


class PriceShape(Mapped):
    """What a second or an output of a beat costs; goes before the price table."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["per_second"]}, {"required": ["per_output"]}]})
    example = "price: {per_second: 0.000225}"

    per_second: PerSecond = _key("USD for one second that is billed.", 0.000225)
    per_output: PerOutput = _key("USD for one output of an official model, or one call of an endpoint.", 0.003)

    @model_validator(mode="before")
    @classmethod
    def _is_of_one_thing(cls, value: Any) -> Any:
        given = [key for key in ("per_second", "per_output") if isinstance(value, dict) and key in value]
        if len(given) == 2:
            raise WrongValueError("a price is of a second or of an output, not of both", "keep what is billed")
        if value == {}:
            raise WrongValueError("this price says nothing", f"write {cls.example}")
        return value


class SelfHostShape(Told):
    """What the model would cost on a machine of the owner's own; for `advise`."""

    example = "self_host: {per_hour: 1.20}"
    empty = "this says nothing of a machine of your own"

    per_hour: PerHour = _key("USD for one hour of a GPU of your own, rented or bought.", 1.20)


class BudgetShape(Mapped):
    """The most that beats may cost, by the calendar of the file's zone."""

    example = "budget: {daily: 2.00}"

    daily: Usd = _key("USD from one midnight to the next; without it no limit.", 2.00)
    monthly: Usd = _key("USD from the first of a month to the next; without it no limit.", 40.00)


class RetentionShape(Mapped):
    """How long the ledger keeps beats and customers' calls one by one."""

    example = "retention: {beats: 30d}"

    beats: Kept = _key("How long beats are kept, 1d to 36500d.", "30d", default="3d")
    requests: Kept = _key("How long customers' calls are kept, 1d to 36500d.", "400d", default="90d")


class AlertsShape(Told):
    """Who is told of what is wrong, and of a sign of life."""

    example = "alerts: {to: env:WARMER_ALERTS}"
    empty = "this tells nobody"

    to: Secrets = _key(
        "Where the addresses that alerts go to are read from, one or a list: each an address of Apprise, by env:NAME, "
        "file:PATH or credential:NAME. Without it nobody is told.",
        "env:WARMER_ALERTS",
        ["env:WARMER_ALERTS", "file:/run/secrets/pager"],
    )
    ping: Secret = _key(
        "Where the address is read from that is asked for once a minute while all is well, for a watcher outside; "
        "without it none is.",
        "env:WARMER_PING",
    )


class AccountShape(Mapped):
    """The account at Replicate."""

    example = "replicate: {token: env:REPLICATE_API_TOKEN}"

    token: Secret = _key(
        "Where the API token is read from: env:NAME, file:PATH or credential:NAME (systemd).",
        "env:REPLICATE_API_TOKEN",
        "file:/run/secrets/replicate-token",
        "credential:replicate-token",
        default="env:REPLICATE_API_TOKEN",
    )
    base_url: BaseUrl = _key(
        "Address of the API; http:// only on this machine.",
        "http://127.0.0.1:8080/v1",
        default="https://api.replicate.com/v1",
    )
    creates_per_minute: Rate = _key(
        "Predictions the account may create a minute; warmer stays below.", 6, 600, default=600
    )
    reads_per_minute: Rate = _key(
        "Other requests the account may make a minute; warmer stays below.", 3000, default=3000
    )


class OtherAccountShape(AccountShape):
    """One more account at Replicate, beside the one under `replicate`."""

    example = "accounts: {acme: {token: env:ACME_API_TOKEN}}"

    token: Secret = Field(
        description="Where the API token is read from: env:NAME, file:PATH or credential:NAME (systemd).",
        examples=["env:ACME_API_TOKEN"],
    )


class DefaultsShape(Mapped):
    """Any key of a model; holds for every model that does not say otherwise."""

    example = "defaults: {hours: Mo-Fr 08:00-20:00}"

    hours: Hours = _key(
        "When the model shall be warm, as OpenStreetMap opening hours; a list is open when any of its lines is.",
        _EXAMPLE_HOURS,
        ["Mo-Fr 08:00-20:00", "Sa 22:00-02:00"],
        default="24/7",
    )
    policy: Policy = _key(
        "Who decides the next beat: `fixed` sends one every interval, `aware` only when nobody used the model for one, "
        "`adaptive` only when a call is likely enough, `observe` none; `floor` raises a deployment's min_instances for "
        "the hours instead.",
        "aware",
        default="aware",
    )
    every: Every = _key(
        "Longest gap allowed between two uses in active hours, 1s to 30d; `auto` is what was learned of the model, "
        "and 50s where `traffic` is off, so that nothing can be.",
        "30s",
        "auto",
        default="auto",
    )
    lead: Lead = _key(
        "How long before opening the first beat goes out, up to 1h; `auto` is the measured p95 wait for a boot.",
        "2m",
        default="auto",
    )
    cold_target: Share = _key(
        "For `adaptive`: the share of customers' calls that may be cold, held with the fewest beats.",
        "2%",
        default="2%",
    )
    cold_start_price: ColdStartPrice = _key(
        "For `adaptive`, in place of `cold_target`: USD that one avoided cold start is worth; without it the target "
        "holds.",
        0.01,
    )
    instances: Instances = _key(
        "For `floor`: what a deployment's min_instances is raised to in active hours, and its lead before.",
        1,
        default=1,
    )
    shadow: Policy = _key(
        "A policy that is scored on the same calls and sends nothing; `report` compares. Without it none.", "adaptive"
    )
    input: Input = _key(
        "Input of the heartbeat; without it the smallest valid one of the model's schema.",
        {"prompt": "hi", "max_tokens": 1},
    )
    billing: BillingClass = _key("Who is billed for what; without it the API is asked.", "public")
    price: PriceShape = _key(
        "What a second or an output costs; without it the price table's, by `hardware`.",
        {"per_second": 0.000225},
        {"per_output": 0.003},
    )
    hardware: Sku = _key(
        "SKU the model runs on, which gives its price; without it, and without `price`, most costs are unknown.",
        "gpu-t4",
    )
    self_host: SelfHostShape = _key(
        "What a GPU of your own would cost, for `warmer advise` to compare with; without it that is left out.",
        {"per_hour": 1.20},
    )
    budget: BudgetShape = _key(
        "The most that the model's beats may cost, in USD; without it no limit of its own.", {"daily": 0.50}
    )
    deadline: Deadline = _key(
        "When a heartbeat is given up, boot included, 5s to 1d; sent as Cancel-After.", "10m", default="10m"
    )
    measure: Measure = _key(
        "`first_token` times the first token of each beat, of a model that streams.", "first_token", default="off"
    )
    cancel_on_start: CancelOnStart = _key(
        "`true` cancels each beat as soon as it runs, where a run is all that is billed, and for as long as the next "
        "ones are found warm.",
        True,
        default=False,
    )
    alerts: AlertsOf = _key("`off` sends no alerts of the model alone.", "off", default="on")
    account: Name = _key("Which of `accounts` it is called through; without it the one under `replicate`.", "acme")
    traffic: Traffic = _key(
        "`auto` reads customers' calls from the account's prediction list, `off` does not.", "off", default="auto"
    )


class ModelShape(DefaultsShape):
    """One model to keep warm."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in servers.TARGETS]})
    example = "- model: owner/name"

    model: Model = _key(
        "The model: owner/name for its latest version, owner/name:VERSION for a pinned one.", "stability-ai/sdxl"
    )
    deployment: Deployment = _key("The deployment, owner/name, in place of a model.", "acme/upscaler")
    cog: Cog = _key("The address of a Cog server of your own, in place of a model.", "http://127.0.0.1:5000")
    url: endpoints.Url = _key(
        "An HTTP endpoint, in place of a model; http:// only on this machine and in private networks.",
        "https://example.test/warm",
    )
    method: endpoints.Method = _key(
        "For `url`: GET, HEAD, POST or PUT; without it POST where there is a `body`, else GET.", "POST"
    )
    headers: endpoints.Headers = _key(
        "For `url`: headers of the request; a secret is a reference, alone or at the end of a text. Without it none.",
        {"Authorization": "Bearer env:HOST_KEY"},
    )
    body: endpoints.Body = _key(
        "For `url`: what is sent; a text as it is, anything else as JSON. Without it nothing.", {"inputs": "hi"}
    )
    warm: endpoints.WarmShape = _key(
        "For `url`: what tells a warm reply from others; without it each key's own default.",
        {"status": 200, "within": "2s"},
    )
    poll: endpoints.PollShape = _key(
        "For `url`: where to look, for a host that answers with an id first; without it the first reply is all.",
        {"path": "/v2/abc/status/{id}", "state": "status", "done": "COMPLETED"},
    )
    times: endpoints.TimesShape = _key(
        "For `url`: where the host tells how long a call waited and ran; without it that is measured.",
        {"wait": "delayTime ms", "run": "executionTime ms"},
    )
    name: Name = _key("What it is called in logs, reports and the ledger; without it the target as written.", "chat")


class FileShape(Mapped):
    """What warmer keeps warm, and when."""

    example = "models: [{model: owner/name}]"

    timezone: Zone = _key("IANA zone in which every `hours` is read.", "Europe/Berlin", default="UTC")
    country: Country = _key(
        "ISO 3166 code of the country whose public holidays are meant by `PH`; without it `PH` is refused.", "DE"
    )
    prices: Prices = _key(
        "File of a price table, relative to this one: a `date`, and USD `per_second` by SKU. Without it the package's.",
        "prices.yaml",
    )
    ledger: Ledger = _key(
        "Database URL of the durable record, a SQLite file or a PostgreSQL; without it `ledger.db` in the state "
        "directory.",
        ledgers.FILE,
        ledgers.SERVER,
    )
    ledger_password: LedgerPassword = _key(
        "Where the password of a PostgreSQL ledger is read from: env:NAME, file:PATH or credential:NAME (systemd). "
        "Without it libpq looks for one, as in ~/.pgpass.",
        "env:WARMER_LEDGER_PASSWORD",
        "file:/run/secrets/ledger-password",
    )
    retention: RetentionShape = _key(
        "How long the ledger keeps beats and customers' calls one by one; what they add up to by the hour stays. "
        "Without it 3d and 90d.",
        {"beats": "30d", "requests": "400d"},
    )
    engine: EngineName = _key(
        "`shared` has any number of processes on one PostgreSQL ledger divide the beats among them; with `local` each "
        "process looks after all models.",
        "shared",
        default="local",
    )
    listen: ListenAt = _key(
        "Where `warmer run` answers over HTTP (health, metrics), HOST:PORT; port 0 is any free one, `off` none.",
        "0.0.0.0:9177",
        "off",
        default="127.0.0.1:9177",
    )
    public_url: PublicUrl = _key(
        "The address by which Replicate reaches `listen` from outside, over TLS: it then tells `warmer run` by webhook "
        "how beats ended, and is hardly asked. Without it, it is asked.",
        "https://warmer.example.com",
    )
    admin_token: Secret = _key(
        "Where the token is read from that changes over HTTP ask for: env:NAME, file:PATH or credential:NAME. Without "
        "it nothing can be changed over HTTP.",
        "env:WARMER_ADMIN_TOKEN",
        "file:/run/secrets/admin-token",
    )
    alerts: AlertsShape = _key(
        "Who is told of what is wrong: cold streaks, budgets, models and accounts that are refused. Without it nobody.",
        {"to": "env:WARMER_ALERTS"},
    )
    replicate: AccountShape = _key(
        "How the account at Replicate is reached, and what it allows; without it each key's own default holds.",
        {"token": "env:REPLICATE_API_TOKEN"},
    )
    accounts: Annotated[dict[str, OtherAccountShape], BeforeValidator(_accounts)] = _key(
        "More accounts at Replicate, by the names that entries give in `account`; without it there is one.",
        {"acme": {"token": "env:ACME_API_TOKEN"}},
    )
    budget: BudgetShape = _key(
        "The most that the beats of all models may cost together, in USD; without it there is no such limit.",
        {"daily": 2.00, "monthly": 40.00},
    )
    defaults: DefaultsShape = _key(
        "Any key of a model, for all models; without it each key's own default holds.", {"hours": _EXAMPLE_HOURS}
    )
    models: Annotated[list[ModelShape], BeforeValidator(_entries)] = Field(
        min_length=1, description="What to keep warm.", examples=[[{"model": "stability-ai/sdxl", "every": "30s"}]]
    )
