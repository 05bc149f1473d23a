"""What reads foreign bytes, and what has to hold of it whatever they are.

Each target takes bytes and returns, or it raises: then those bytes are a find. A target raises nothing of its own
accord but AssertionError.
"""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from warmer import config
from warmer.cli.traces import read_trace
from warmer.config import ledger as ledgers
from warmer.config import values
from warmer.config.edit import edited
from warmer.config.faults import MOST, WrongValueError
from warmer.config.prices import parse_table
from warmer.core.beat import BeatRequest, Contract, Prediction
from warmer.core.hours import ActiveHours, HoursError, hidden_rules, week
from warmer.core.price import Billing
from warmer.core.schema_input import component, kind_of, validate_input
from warmer.core.smallest import fitting_input, smallest_input
from warmer.core.spec import AccountSpec, PolicyName, Spec, Target, TargetKind
from warmer.core.units import format_duration, format_instant, parse_duration, parse_instant, to_micros
from warmer.errors import ConfigError, ModelRefused, ProviderError, TraceError, UsageError
from warmer.providers.problems import LONGEST_RETRY, problem_of, retry_hint, stated_limit
from warmer.providers.replicate import Replicate
from warmer.providers.replies import page_of, prediction_of
from warmer.sandbox.world_file import world_of
from warmer.testing import VirtualClock, run
from warmer.web.border import Hosts

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SECRET = "r8_warmer_secret_of_the_fuzzer"
MODEL = Target(kind=TargetKind.MODEL, owner="a", name="b")
DEPLOYMENT = Target(kind=TargetKind.DEPLOYMENT, owner="a", name="b")
_LINE = re.compile(r"\r\n|[\r\n]")

Fuzzed = Callable[[bytes], None]


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _json(content: bytes) -> Any:
    """A JSON value; None where it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


# -- the file --------------------------------------------------------------------------------------------------------


def _check_places(error: ConfigError, content: bytes) -> None:
    """Each fault is told at a place that is there, in a line that can be read."""
    lines = _LINE.split(content.decode("utf-8", "replace"))
    assert 1 <= len(error.faults) <= MOST + 1
    for fault in error.faults:
        assert 1 <= fault.line <= len(lines), fault
        assert 1 <= fault.column <= len(lines[fault.line - 1]) + 2, fault
        assert fault.problem
        assert len(str(fault)) < 1000, fault
        assert str(fault).isprintable(), fault
        assert not re.search("r8_[A-Za-z0-9]{12}", str(fault)), fault


def file(content: bytes) -> None:
    """The configuration: a spec that says what it was read from, or faults with their places."""
    try:
        spec = config.parse(content, path="/nowhere/warmer.yaml")
    except ConfigError as error:
        _check_places(error, content)
        return
    shown = config.show(spec)
    assert config.show(config.parse(config.dump(shown).encode(), path=spec.path)) == shown
    _change(content, spec)


def _change(content: bytes, spec: Spec) -> None:
    """One entry is changed in the text, and only that, or it is told why not."""
    first = spec.models[0]
    wanted = replace(first, policy=PolicyName.OBSERVE, shadow=None, cold_target=None, cold_start_price=None)
    try:
        after = edited(content, {first.name: wanted}, path=spec.path)
    except UsageError:
        return
    said = config.parse(after, path=spec.path)
    assert said.models[0].policy is PolicyName.OBSERVE
    assert config.show(said)["models"][1:] == config.show(spec)["models"][1:]


def prices(content: bytes) -> None:
    """A price table."""
    try:
        table = parse_table(content, path="/nowhere/prices.yaml")
    except ConfigError as error:
        _check_places(error, content)
    else:
        assert all(usd >= 0 for usd in table.per_second.values())


def hours(content: bytes) -> None:
    """A line of opening hours, its country before it: it can be followed, or it is told why not."""
    text = _text(content)
    country, _, line = text.rpartition("|")
    try:
        values.read_line(line, ZoneInfo("UTC"), country or None)
        # Berlin: where wall times happen twice or never.
        open_ = ActiveHours(lines=(line,), zone=ZoneInfo("Europe/Berlin"), country=country or None)
    except (WrongValueError, HoursError) as error:
        assert error.problem
        return
    assert len(line) <= values.MAX_LINE
    opens, closes = open_.next_open(NOW), open_.next_close(NOW)
    assert opens is None or (opens > NOW and open_.contains(opens))
    assert closes is None or (closes > NOW and not open_.contains(closes))
    for start, end in open_.windows(NOW, NOW + timedelta(days=14)):
        assert NOW <= start < end
    week(open_, NOW)
    hidden_rules(line, ZoneInfo("Europe/Berlin"), country or None, NOW)


_MONEY = ("cap", "per_second", "per_output", "per_hour", "cold_start_price")
_READERS: dict[str, Callable[[Any], Any]] = {
    name.removeprefix("read_"): reader
    for module in (values, ledgers)
    for name, reader in vars(module).items()
    if name.startswith("read_") and name not in ("read_line", "read_hardware")
}


def value(content: bytes) -> None:
    """One value of the file: which on the first line, then a text or JSON. Times, money, addresses, names."""
    name, _, written = content.partition(b"\n")
    read = _READERS.get(_text(name))
    if read is None:
        return
    for given in (_text(written), _json(written)):
        try:
            found = read(given)
        except WrongValueError as error:
            assert error.problem
            assert len(error.problem) + len(error.hint) < 900
        else:
            assert _text(name) not in _MONEY or to_micros(found) >= 0


def moment(content: bytes) -> None:
    """Durations and instants, which are read back as they are written."""
    text = _text(content)
    try:
        length = parse_duration(text)
    except ValueError as error:
        assert "write" in str(error) or "longer" in str(error)
    else:
        assert parse_duration(format_duration(length)) == length
    try:
        at = parse_instant(text)
    except ValueError:
        return
    if at.year >= 1000:
        assert abs(parse_instant(format_instant(at)) - at) < timedelta(milliseconds=1)


# -- what the provider says ------------------------------------------------------------------------------------------


def reply(content: bytes) -> None:
    """JSON of the provider: values of ours, whatever it holds."""
    body = _json(content)
    found = prediction_of(body, NOW)
    assert found is None or _is_sound(found)
    page = page_of(body, NOW)
    assert page is None or all(_is_sound(each) for each in page.predictions)
    stated = stated_limit(body)
    assert stated is None or stated.per_minute >= 1
    hint = _text(content[:40])
    assert timedelta(0) < retry_hint(body, hint, NOW) <= LONGEST_RETRY
    for status in (400, 401, 402, 403, 404, 408, 409, 422, 429, 500):
        error = problem_of(status, body, about="a/b", now=NOW, retry_after=hint, creating=status % 2 == 0)
        assert isinstance(error, ProviderError)
        assert len(str(error)) < 2000
        assert str(error).isprintable()


def _is_sound(found: Prediction) -> bool:
    return (
        found.created_at.tzinfo is not None
        and (found.wait_s is None or found.wait_s >= 0)
        and (found.run_s is None or found.run_s >= 0)
        and (found.error is None or (len(found.error) <= 500 and found.error.isprintable()))
        and found.is_free in (True, False)
    )


def schema(content: bytes) -> None:
    """The schemas of a model, and the example beside them: an input of a bounded size, which fits or is said not to."""
    body = _json(content)
    schemas = body if isinstance(body, dict) else {}
    takes, gives = component(schemas, "Input"), component(schemas, "Output")
    example = schemas.get("example")
    made = smallest_input(takes, example if isinstance(example, dict) else None)
    described = Contract(
        target=MODEL,
        version="v",
        billing=Billing.PUBLIC,
        input_schema=takes,
        example_input=example if isinstance(example, dict) else None,
    )
    try:
        assert not validate_input(fitting_input(described), takes)
    except ModelRefused as error:
        assert str(error).isprintable()
        assert len(str(error)) < 2000
    assert len(json.dumps(made)) < len(content) + 200_000
    assert all(isinstance(fault, str) for fault in validate_input(made, takes))
    assert kind_of(takes, gives)


_CALLS: tuple[Callable[[Replicate], Any], ...] = (
    lambda it: it.create(
        BeatRequest(target=MODEL, version="v", billing=Billing.PUBLIC, input={}, deadline=timedelta(minutes=1))
    ),
    lambda it: it.read("p1"),
    lambda it: it.cancel("p1"),
    lambda it: it.recent(NOW - timedelta(hours=1)),
    lambda it: it.describe(MODEL),
    lambda it: it.describe(DEPLOYMENT),
    lambda it: it.versions(MODEL),
    lambda it: it.verify(),
    lambda it: it.scaler.instances(DEPLOYMENT),
    lambda it: it.scaler.set_minimum(DEPLOYMENT, 1),
)
_BODILESS = (204, 304)


def exchange(content: bytes) -> None:
    """One call over HTTP. The first line is which call and the status, then headers, an empty line, and the body."""
    head, _, body = content.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    number, _, status = first.partition(" ")
    call = _CALLS[int(number) if re.fullmatch("[0-9]", number) else 0]
    code = int(status) if re.fullmatch("[2-5][0-9][0-9]", status) else 200
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines[:8]) if _is_header(name)]

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(code, headers=headers, stream=httpx.ByteStream(b"" if code in _BODILESS else body))

    async def ask() -> None:
        account = AccountSpec(base_url="https://api.example.test/v1")
        replicate = Replicate(account, SECRET, VirtualClock(NOW), transport=httpx.MockTransport(answer))
        try:
            found = await call(replicate)
            if isinstance(found, Contract):
                smallest_input(found.input_schema, found.example_input)
        except ProviderError as error:
            assert SECRET not in str(error)
            assert error.__cause__ is None
            assert len(str(error)) < 2000
        finally:
            await replicate.close()
        assert abs(replicate.skew) < timedelta(days=10_000 * 366)

    run(ask())


def _is_header(name: str) -> bool:
    return re.fullmatch("[A-Za-z0-9-]{1,40}", name) is not None


# -- and others ------------------------------------------------------------------------------------------------------

_FOLDER = Path(tempfile.mkdtemp(prefix="warmer-fuzz-"))


def trace(content: bytes) -> None:
    """A file of past traffic, plain or compressed."""
    path = _FOLDER / ("any.csv.gz" if content[:2] == b"\x1f\x8b" else "any.csv")
    path.write_bytes(content)
    try:
        found = read_trace(path)
    except TraceError as error:
        assert str(error).startswith(f"{path}:")
        assert str(error).isprintable()
        assert str(error).endswith(")")  # what to write
        assert len(str(error)) < 1000 + len(str(path))
    else:
        assert found.name == "any"


def world(content: bytes) -> None:
    """A file of the sandbox's world."""
    try:
        document = tomllib.loads(_text(content))
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    try:
        world_of(document, begin=NOW)
    except ValueError as error:
        assert str(error)


_LOCAL, _NAMED = Hosts("127.0.0.1", "127.0.0.1"), Hosts("warmer.internal", "10.0.0.7")
_OURS = re.compile(r"\s*((localhost|127(\.\d{1,3}){3})\.?|\[[0-9a-f:.]+\])(:\d{0,5})?\s*", re.IGNORECASE)


def host(content: bytes) -> None:
    """A Host header: who listens on this machine alone answers to no name but its own."""
    text = content.decode("latin-1")
    assert not _LOCAL.allow(text) or _OURS.fullmatch(text)
    assert _NAMED.allow(text) in (True, False)


TARGETS: dict[str, Fuzzed] = {
    one.__name__: one for one in (file, prices, hours, value, moment, reply, schema, exchange, trace, world, host)
}
