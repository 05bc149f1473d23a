"""One value of the file each: from what YAML gives to what the core takes, or WrongValueError with what to write.

Strict: a number is no text and a text no number, for what looks alike (`30`, `"30"`, `30s`) is seldom meant alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from functools import cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from warmer.config.faults import BY_REFERENCE, IN_CLEAR, WrongValueError, near_miss, quote, suggest
from warmer.core.hours import ActiveHours, HoursError
from warmer.core.price import Billing, PriceTable
from warmer.core.spec import (
    MIN_DEADLINE,
    MIN_EVERY,
    MOST_INSTANCES,
    Engine,
    Listen,
    PolicyName,
    SecretRef,
    Target,
    TargetKind,
)
from warmer.core.units import format_duration, parse_duration

MAX_EVERY = timedelta(days=30)
"""Past this a gap keeps nothing warm."""
MAX_DEADLINE = timedelta(hours=24)
"""No boot and run together last a day; a beat that does is stuck."""
MAX_LEAD = timedelta(hours=1)
"""Longer than the longest boot."""
MIN_RETENTION, MAX_RETENTION = timedelta(days=1), timedelta(days=36_500)
"""What is going on takes hours; a hundred years are for good."""
MAX_PER_MINUTE = 1_000_000
MAX_PORT = 65_535
MAX_NAME = 200
"""Characters: a name is a column of a table and a part of an address."""
MAX_LINE = 2_000
"""Characters of one hours line; longer ones are lists."""

DURATION = r"(?:\d+(?:\.\d+)?d)?(?:\d+(?:\.\d+)?h)?(?:\d+(?:\.\d+)?m)?(?:\d+(?:\.\d+)?s)?(?:\d+(?:\.\d+)?ms)?"
SLUG = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
SKU = r"[a-z0-9][a-z0-9.-]{0,99}"
VERSION = r"[0-9a-f]{64}"
SHARE = r"\d{1,2}(?:\.\d{1,6})?\s?%"
LISTEN = r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}"
REFERENCE = r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+|credential:[A-Za-z0-9._-]+"


_LONGEST_ZONE = 100
"""Characters: IANA's longest has some thirty."""


def read_zone(value: Any) -> ZoneInfo:
    """An IANA zone."""
    name = _text(value, "Europe/Berlin")
    try:
        if len(name) > _LONGEST_ZONE:  # each `/` of one would be imported as a package within the one before
            raise ValueError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WrongValueError(f"there is no time zone {quote(name)}", _zone_meant(name)) from None


def _zone_meant(name: str) -> str:
    zones = _zones()
    by_city = {zone.rpartition("/")[2]: zone for zone in sorted(zones)}
    city = near_miss(name.rpartition("/")[2].replace(" ", "_"), by_city)
    meant = near_miss(name, zones) or (by_city[city] if city else None)
    return f"did you mean `{meant}`?" if meant else "write an IANA name, such as Europe/Berlin or UTC"


@cache
def _zones() -> frozenset[str]:
    # Every file of the zone database is looked into.
    return frozenset(available_timezones())


def read_country(value: Any) -> str:
    """A country whose public holidays are known."""
    country = _text(value, "DE")
    try:
        ActiveHours(lines=("24/7",), zone=ZoneInfo("UTC"), country=country)
    except HoursError as error:
        raise WrongValueError(error.problem, error.hint) from None
    return country


def read_line(value: Any, zone: ZoneInfo, country: str | None) -> str:
    """One line of opening hours."""
    line = _text(value, "Mo-Fr 08:00-20:00")
    if len(line) > MAX_LINE:
        raise WrongValueError(
            f"this hours line has {len(line):,} characters, over {MAX_LINE:,}", "write a list of shorter ones"
        )
    try:
        ActiveHours(lines=(line,), zone=zone, country=country)
    except HoursError as error:
        raise WrongValueError(error.problem, error.hint) from None
    return line


def read_listen(value: Any) -> Listen | None:
    """Where the daemon answers over HTTP; None is `off`."""
    example = "127.0.0.1:9177"
    if value == "off":
        return None
    if value is False:
        raise WrongValueError("`false` is no address to listen on", "write `listen: off`")
    if isinstance(value, int) and not isinstance(value, bool):
        raise WrongValueError(f"{value} is a port without a host", f"write 127.0.0.1:{value} for this machine alone")
    written = _text(value, f"{example}, or off")
    if not re.fullmatch(LISTEN, written, re.ASCII):
        raise WrongValueError(f"{quote(written)} is not of the form HOST:PORT", _listen_meant(written, example))
    host, _, port = written.rpartition(":")
    host = host.strip("[]")
    if int(port) > MAX_PORT:
        raise WrongValueError(f"there is no port {port}", f"write 1 to {MAX_PORT}, or 0 for any free one")
    if ":" in host or re.fullmatch(r"[\d.]+", host):
        try:
            ip_address(host)
        except ValueError:
            raise WrongValueError(f"{quote(host)} is not an address", f"write {example}") from None
    return Listen(host=host, port=int(port))


def _listen_meant(written: str, example: str) -> str:
    if re.fullmatch(r":\d{1,5}", written):
        return f"write 127.0.0.1{written} for this machine alone, 0.0.0.0{written} for every network it is in"
    if "://" in written:
        return f"leave `{written.partition('://')[0]}://` and paths out: {example}"
    if written.count(":") > 1:
        return 'put an IPv6 address in brackets and the whole in quotes: "[::1]:9177"'
    return f"write {example}, or off"


def read_secret_ref(value: Any) -> SecretRef:
    """Where a secret is to be read from. What was written is never repeated: it may be the secret."""
    if not isinstance(value, str):
        raise WrongValueError(
            f"{kind_of(value)} stands where a reference to a secret is meant", "write env:NAME or file:PATH"
        )
    if not re.fullmatch(REFERENCE, value) or not value.isprintable():
        scheme = value.partition(":")[0]
        if scheme not in ("env", "file", "credential") or scheme == value:
            raise WrongValueError(IN_CLEAR, BY_REFERENCE)
        what = {"env": "a variable: env:REPLICATE_API_TOKEN", "file": "a file: file:/run/secrets/token"}
        raise WrongValueError(
            "this reference names nothing", f"name {what.get(scheme, 'a credential: credential:token')}"
        )
    scheme, _, name = value.partition(":")
    if scheme == "file" and name.startswith("~"):
        raise WrongValueError("`~` stands for no home here", "write the path out")
    if scheme == "credential" and name.strip(".") == "":
        raise WrongValueError("this reference names nothing", "name a credential: credential:token")
    return SecretRef(scheme=scheme, name=name)


def read_base_url(value: Any) -> str:
    """The address of the API, without a slash at its end."""
    return _address(
        value,
        "https://api.replicate.com/v1",
        "https://HOST/v1",
        "the address of an API",
        in_clear="the token would travel in clear",
        instead="`token` says where the token is",
    )


def read_public_url(value: Any) -> str:
    """The address by which the daemon is reached from outside, without a slash at its end."""
    return _address(
        value,
        "https://warmer.example.com",
        "https://HOST",
        "an address of yours",
        in_clear="Replicate sends webhooks over TLS alone, not",
        instead="webhooks are signed, and need none",
    )


def _address(value: Any, example: str, form: str, what: str, *, in_clear: str, instead: str) -> str:
    url = _text(value, example)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise WrongValueError("this address cannot be read", f"write {form}") from None
    if parts.username is not None or parts.password is not None:
        raise WrongValueError("this address holds a user or a password", f"leave them out; {instead}")
    if not re.fullmatch(r"[!-~]+", url) or not host or parts.query or parts.fragment:
        raise WrongValueError(f"this is not {what}", f"write {form}, without query and fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise WrongValueError(
            f"{in_clear} over {quote(parts.scheme)}",
            "write https://; http:// is for this machine alone, such as http://127.0.0.1:8080/v1",
        )
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_rate(value: Any) -> int:
    """Requests a minute."""
    if not isinstance(value, int) or isinstance(value, bool):
        shown = quote(str(value)) if isinstance(value, Decimal) else kind_of(value)
        raise WrongValueError(f"{shown} is no whole number of requests a minute", "write it as in 600")
    if not 1 <= value <= MAX_PER_MINUTE:
        raise WrongValueError(f"{value} requests a minute cannot be", f"write 1 to {MAX_PER_MINUTE}")
    return value


def read_model(value: Any) -> Target:
    """`owner/name`, or `owner/name:version`."""
    written = _text(value, "owner/name")
    slug, colon, version = written.partition(":")
    owner, name = _slug(written, slug)
    if colon and not re.fullmatch(VERSION, version):
        raise WrongValueError(
            f"{quote(version)} is not a version",
            f"write its 64 hexadecimal digits, or {owner}/{name} alone for the latest",
        )
    return Target(kind=TargetKind.MODEL, owner=owner, name=name, version=version or None)


def read_deployment(value: Any) -> Target:
    """`owner/name` of a deployment."""
    written = _text(value, "owner/name")
    slug, colon, _ = written.partition(":")
    owner, name = _slug(written, slug)
    if colon:
        raise WrongValueError("a deployment is called without a version: it has its own", f"write {owner}/{name}")
    return Target(kind=TargetKind.DEPLOYMENT, owner=owner, name=name)


def _slug(written: str, slug: str) -> tuple[str, str]:
    if re.fullmatch(SLUG, slug):
        owner, _, name = slug.partition("/")
        return owner, name
    found = re.match(rf"https?://(?:www\.)?replicate\.com/({SLUG})", written)
    raise WrongValueError(
        f"{quote(written)} is not of the form owner/name", f"write {found[1]}" if found else "write both, with one /"
    )


def read_name(value: Any) -> str:
    """What a model is called in every log line."""
    name = _text(value, "my-model")
    if name != name.strip() or not name:
        raise WrongValueError("this name is empty, or has a space at an end", "write a word")
    if len(name) > MAX_NAME:
        raise WrongValueError(f"this name has {len(name)} characters", f"write {MAX_NAME} or fewer")
    if not name.isprintable():
        raise WrongValueError("this name has a character that cannot be printed", "use letters, digits and signs")
    return name


def read_retention(value: Any) -> timedelta:
    """How long rows of the ledger are kept."""
    return duration_in(value, "30d", MIN_RETENTION, MAX_RETENTION)


def read_engine(value: Any) -> Engine:
    """Who calls for the beats."""
    return Engine(one_of(value, "an engine", Engine))


def read_policy(value: Any) -> PolicyName:
    """Who decides the next beat."""
    return PolicyName(one_of(value, "a policy", PolicyName))


def read_billing(value: Any) -> Billing:
    """Who is billed for what."""
    return Billing(one_of(value, "a billing class", Billing))


def read_prices(value: Any) -> str:
    """The path of a price table."""
    path = _text(value, "prices.yaml")
    if not path or not path.isprintable():
        raise WrongValueError("this names no file", "write its path, such as prices.yaml")
    return path


def read_hardware(value: Any, table: PriceTable) -> str:
    """A SKU of the price table: of any other the price would be unknown."""
    sku = _text(value, "gpu-t4")
    if sku not in table.per_second:
        meant = near_miss(sku, table.per_second)
        hint = f"did you mean `{meant}`?" if meant else "write one, such as cpu, gpu-t4 or gpu-l40s, or give a `price`"
        raise WrongValueError(f"{quote(sku)} is not a SKU with a known price", hint)
    return sku


def read_every(value: Any) -> timedelta | None:
    """The longest gap; None is `auto`."""
    return None if value == "auto" else duration_in(value, "30s, or auto", MIN_EVERY, MAX_EVERY)


def read_lead(value: Any) -> timedelta | None:
    """How long before opening the first beat goes out; None is `auto`."""
    return None if value == "auto" else duration_in(value, "2m, or auto", timedelta(0), MAX_LEAD)


def read_instances(value: Any) -> int:
    """What a deployment's floor is raised to."""
    if not isinstance(value, int) or isinstance(value, bool):
        shown = quote(str(value)) if isinstance(value, Decimal) else kind_of(value)
        raise WrongValueError(f"{shown} is no whole number of instances", "write it as in 1")
    if not 1 <= value <= MOST_INSTANCES:
        raise WrongValueError(f"a floor cannot be raised to {value} instances", f"write 1 to {MOST_INSTANCES}")
    return value


def read_share(value: Any) -> float:
    """A share of calls, such as 2%."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        per_cent = value * 100 if 0 < value < 1 else value
        raise WrongValueError(f"{quote(str(value))} is a number without a unit", f"write {_number(per_cent)}%")
    text = _text(value, "2%")
    if not re.fullmatch(SHARE, text.strip(), re.ASCII):
        raise WrongValueError(f"{quote(text)} is no share", "write per cent below 100, as in 2%")
    share = float(Decimal(text.strip().rstrip("% ")) / 100)
    if share == 0:
        raise WrongValueError(
            "no policy that sees only the past can promise 0 % cold", "write a share above 0, such as 0.1%"
        )
    return share


def read_deadline(value: Any) -> timedelta:
    """How long a beat may take."""
    return duration_in(value, "10m", MIN_DEADLINE, MAX_DEADLINE)


def read_measure(value: Any) -> bool:
    """Whether the time to the first token is measured."""
    if value is False:
        raise WrongValueError("`false` is neither `first_token` nor `off`", "write `measure: off`")
    return one_of(value, "a thing to measure", ("first_token", "off")) == "first_token"


def read_cancel_on_start(value: Any) -> bool:
    """Whether a beat is canceled once it runs."""
    if not isinstance(value, bool):
        raise WrongValueError(f"{kind_of(value)} is neither true nor false", "write `cancel_on_start: true`")
    return value


def read_traffic(value: Any) -> bool:
    """Whether customers' calls are read."""
    if value is False:
        raise WrongValueError("`false` is neither `auto` nor `off`", "write `traffic: off`")
    return one_of(value, "a way to see traffic", ("auto", "off")) == "auto"


def read_alerts(value: Any) -> bool:
    """Whether people are told of a model."""
    if isinstance(value, bool):
        raise WrongValueError(
            f"`{str(value).lower()}` is neither `on` nor `off`", f"write `alerts: {'on' if value else 'off'}`"
        )
    if isinstance(value, dict):
        raise WrongValueError(
            "whom to tell is the same for all models", "write `alerts: {to: …}` at the top level, not indented"
        )
    return one_of(value, "a way to tell of a model", ("on", "off")) == "on"


def _number(value: int | Decimal) -> str:
    return f"{Decimal(value).normalize():f}"


def read_input(value: Any) -> dict[str, Any]:
    """What is sent to the model: the values of JSON."""
    if not isinstance(value, dict):
        raise WrongValueError(
            f"{kind_of(value)} stands where the model's input is meant", "write a mapping: input: {prompt: hi}"
        )
    return {key: json_of(item) for key, item in value.items()}


def json_of(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, dict):
        return {key: json_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_of(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def duration_in(value: Any, example: str, shortest: timedelta, longest: timedelta) -> timedelta:
    """A duration between two others."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        raise WrongValueError(
            f"{quote(str(value))} is a number without a unit", f"write {value}s for seconds, {value}m for minutes"
        )
    text = _text(value, example)
    try:
        # To the millisecond: the finest unit a duration is written in.
        duration = timedelta(milliseconds=round(parse_duration(text) / timedelta(milliseconds=1)))
    except (ValueError, OverflowError):
        raise WrongValueError(
            f"{quote(text)} is not a duration", f"write a number and a unit, as in {example}"
        ) from None
    if duration < shortest:
        raise WrongValueError(f"{quote(text)} is too short", f"write {format_duration(shortest)} or longer")
    if duration > longest:
        raise WrongValueError(f"{quote(text)} is too long", f"write {format_duration(longest)} or shorter")
    return duration


def one_of(value: Any, what: str, known: Iterable[str]) -> str:
    """One of the known words."""
    known = [str(one) for one in known]
    word = _text(value, known[0])
    if word not in known:
        raise WrongValueError(f"{quote(word)} is not {what}", suggest(word, known))
    return word


def _text(value: Any, example: str) -> str:
    if not isinstance(value, str):
        raise WrongValueError(f"{kind_of(value)} stands where a text is meant", f"write it as in {example}")
    return value


def kind_of(value: Any) -> str:
    """What stands there, in words."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | Decimal):
        return "a number"
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return "a text"
    return "nothing"
