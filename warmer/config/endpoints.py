"""What an entry says of an HTTP endpoint: its keys, each with its meaning, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from warmer.config import values
from warmer.config.faults import WrongValueError, quote
from warmer.config.mapping import Told, key, text, words
from warmer.core.address import is_inside
from warmer.core.endpoint import DEFAULT_WAKING, DEFAULT_WITHIN, Reading
from warmer.core.secret import SecretRef
from warmer.core.spec import Target, TargetKind
from warmer.core.units import format_duration

METHODS = ("GET", "HEAD", "POST", "PUT")
MAX_URL = 2_000
"""Characters: longer ones are cut somewhere on the way."""
MAX_WITHIN = timedelta(hours=1)
_SECRET_WORDS = frozenset(
    {"auth", "authorization", "apikey", "cookie", "credential", "credentials", "jwt", "key", "password", "passwd"}
    | {"secret", "session", "sig", "signature", "token", "tokens"}
)
_NO_SECRETS = frozenset({"idempotency-key"})
_HEADER_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"
_PATH = r"/[!-z|~]*\{id\}[!-z|~]*"
_JSON_PATH = r"[^\s]+"
_READING = re.compile(rf"(?P<path>{_JSON_PATH})(?: (?P<unit>s|ms))?")
_CANCEL = re.compile(rf"(?:(?P<method>POST|PUT|DELETE) )?(?P<path>{_PATH})")
_SCHEMES = ("env", "file", "credential")


def is_secret_name(name: str) -> bool:
    """Whether what goes by that name is a secret as a rule: a header's value, or a parameter of an address."""
    folded = name.casefold()
    return folded not in _NO_SECRETS and not _SECRET_WORDS.isdisjoint(re.split(r"[^a-z0-9]+", folded))


def read_url(value: Any) -> Target:
    """The address of an endpoint. It may hold anything but a secret, and so is never repeated in a fault."""
    form = "write it as in https://example.test/warm"
    if not isinstance(value, str):
        raise WrongValueError(f"{values.kind_of(value)} stands where an address is meant", form)
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise WrongValueError("this address cannot be read", form) from None
    if parts.username is not None or parts.password is not None:
        raise WrongValueError("this address holds a user or a password", "leave them out; `headers` take secrets")
    if not re.fullmatch(r"[!-~]+", value) or not host or parts.fragment or parts.scheme not in ("http", "https"):
        raise WrongValueError("this is not the address of an endpoint", f"{form}, without a fragment")
    if len(value) > MAX_URL:
        raise WrongValueError(f"this address has over {MAX_URL:,} characters", "send what is long as `body`")
    if any(is_secret_name(name) or name.casefold() in ("code", "sas") for name, _ in parse_qsl(parts.query)):
        raise WrongValueError(
            "a secret stands in this address in clear",
            "take it out of the file and revoke it; send it as one of `headers`, as env:NAME or file:PATH",
        )
    if parts.scheme == "http" and not is_inside(host):
        raise WrongValueError(
            "what is sent there would travel in clear",
            "write https://; http:// is for this machine and private networks: names without a dot or that end in "
            ".svc, .local or .internal, and private addresses",
        )
    return Target(kind=TargetKind.URL, owner="", name=value)


def read_method(value: Any) -> str:
    """How the endpoint is asked."""
    return values.one_of(value.upper() if isinstance(value, str) else value, "a method", METHODS)


def read_header_name(value: Any) -> str:
    """The name of a header."""
    if not isinstance(value, str) or not re.fullmatch(_HEADER_NAME, value):
        raise WrongValueError(f"{quote(str(value))} is not the name of a header", "write one such as Authorization")
    return value


def read_header_text(value: Any) -> tuple[str, SecretRef | None]:
    """What a header says: a text, and the secret at its end. What was written is never repeated: it may be one."""
    if not isinstance(value, str):
        raise WrongValueError(
            f"{values.kind_of(value)} stands where the text of a header is meant",
            'put it in quotes, as in "1"; a secret is written as in Bearer env:NAME',
        )
    if value.partition(":")[0] in _SCHEMES and ":" in value:
        return "", values.read_secret_ref(value)
    before, space, last = value.rpartition(" ")
    if last.partition(":")[0] in _SCHEMES and ":" in last:
        return read_plain_header(before) + space, values.read_secret_ref(last)
    return read_plain_header(value), None


def read_plain_header(value: Any) -> str:
    """The text of a header that is no secret."""
    if not isinstance(value, str):
        raise WrongValueError(f"{values.kind_of(value)} stands where a text is meant", 'put it in quotes, as in "1"')
    if not re.fullmatch(r"[ -~]*", value) or value != value.strip():
        raise WrongValueError("no header can say this", "use letters, digits and signs of ASCII, no space at an end")
    return value


def read_body(value: Any) -> Any:
    """What is sent: a text as it is, anything else as JSON."""
    if value is None:
        raise WrongValueError("nothing stands where a body is meant", "write JSON as in {inputs: hi}, or a text")
    return values.json_of(value)


def read_statuses(value: Any) -> tuple[int, ...]:
    """One HTTP status, or some."""
    return tuple(dict.fromkeys(map(_status, value if isinstance(value, list) else [value])))


def read_some_statuses(value: Any) -> tuple[int, ...]:
    """The same, at least one of them."""
    if value == []:
        raise WrongValueError("no status is none that could be good", "write one such as 200, or leave the key out")
    return read_statuses(value)


def _status(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        shown = str(value) if isinstance(value, int) and not isinstance(value, bool) else values.kind_of(value)
        raise WrongValueError(f"{shown} is no status of a reply", "write 200 to 599, without quotes")
    return value


def read_json_values(value: Any) -> dict[str, Any]:
    """Values of JSON by their paths."""
    if not isinstance(value, dict) or not value:
        raise WrongValueError(
            f"{values.kind_of(value) if value != {} else 'nothing'} stands where values by their paths are meant",
            "write a mapping: json: {status: ok}",
        )
    return {read_json_path(path): values.json_of(wanted) for path, wanted in value.items()}


def read_json_path(value: Any) -> str:
    """Where a value stands in JSON."""
    if not isinstance(value, str) or not re.fullmatch(_JSON_PATH, value):
        raise WrongValueError("this is no path into JSON", "write keys with dots between them, as in data.0.status")
    return value


def read_within(value: Any) -> timedelta:
    """The longest that a warm one takes."""
    return values.duration_in(value, "2s", timedelta(milliseconds=1), MAX_WITHIN)


def read_poll_path(value: Any) -> str:
    """Where to look at what was accepted under an id."""
    if not isinstance(value, str) or not re.fullmatch(_PATH, value):
        raise WrongValueError(
            "this is no path with an id in it",
            "write it from the first / on, with {id} where the id goes, as in /v2/abc/status/{id}",
        )
    return value


def read_states(value: Any) -> tuple[str, ...]:
    """One word for how it stands, or some."""
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(one, str) and one for one in found):
        raise WrongValueError("this is no state, nor a list of them", "write words as the host does, as in COMPLETED")
    return tuple(dict.fromkeys(found))


def read_cancel(value: Any) -> str:
    """What stops what was accepted under an id."""
    match = _CANCEL.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise WrongValueError("this is no request with an id in it", "write it as in POST /v2/abc/cancel/{id}")
    return f"{match['method'] or 'POST'} {match['path']}"


def read_reading(value: Any) -> Reading:
    """Where a duration stands in JSON, and its unit."""
    match = _READING.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise WrongValueError(
            "this is no path into JSON with a unit", "write it as in delayTime ms, or metrics.run s for seconds"
        )
    return Reading(path=match["path"], unit=match["unit"] or "s")


def _mapping(what: str, example: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, dict) or not value:
            raise WrongValueError(f"{what} are a mapping of at least one", f"write {example}")
        return value

    return check


_STATUS = {"type": "integer", "minimum": 200, "maximum": 599}
_WORDS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}

Url = Annotated[Target, PlainValidator(read_url), text("https?://.+", format="uri")]
Method = Annotated[str, PlainValidator(read_method), words(METHODS)]
Headers = Annotated[
    dict[
        Annotated[str, PlainValidator(read_header_name)],
        Annotated[tuple[str, SecretRef | None], PlainValidator(read_header_text)],
    ],
    BeforeValidator(_mapping("headers", "headers: {Authorization: Bearer env:NAME}")),
    WithJsonSchema(_TEXTS),
]
Body = Annotated[Any, PlainValidator(read_body), WithJsonSchema({})]
GoodStatuses = Annotated[
    tuple[int, ...],
    PlainValidator(read_some_statuses),
    WithJsonSchema({"anyOf": [_STATUS, {"type": "array", "items": _STATUS, "minItems": 1}]}),
]
Statuses = Annotated[
    tuple[int, ...],
    PlainValidator(read_statuses),
    WithJsonSchema({"anyOf": [_STATUS, {"type": "array", "items": _STATUS}]}),
]
PlainHeaders = Annotated[
    dict[Annotated[str, PlainValidator(read_header_name)], Annotated[str, PlainValidator(read_plain_header)]],
    BeforeValidator(_mapping("headers of a reply", "header: {X-State: ready}")),
    WithJsonSchema(_TEXTS),
]
JsonValues = Annotated[
    dict[str, Any], PlainValidator(read_json_values), WithJsonSchema({"type": "object", "minProperties": 1})
]
JsonPath = Annotated[str, PlainValidator(read_json_path), text(_JSON_PATH)]
Within = Annotated[timedelta, PlainValidator(read_within), text(rf"(?=\d){values.DURATION}")]
PollPath = Annotated[str, PlainValidator(read_poll_path), text(_PATH)]
States = Annotated[tuple[str, ...], PlainValidator(read_states), WithJsonSchema(_WORDS)]
Cancel = Annotated[str, PlainValidator(read_cancel), text(rf"(?:(?:POST|PUT|DELETE) )?{_PATH}")]
TimeAt = Annotated[Reading, PlainValidator(read_reading), text(rf"{_JSON_PATH}(?: (?:s|ms))?")]


class WarmShape(Told):
    """What tells that a reply came from an instance that serves, and what that it had to start first."""

    example = "warm: {status: 200, within: 2s}"
    empty = "this says nothing of what is warm"

    status: GoodStatuses = key("Status of a good reply, one or a list; without it any from 200 to 299 but 202.", 200)
    header: PlainHeaders = key("Headers that a good reply has, and their values; without it any.", {"X-State": "ready"})
    # Named by its alias: pydantic has a `json` of its own.
    content: JsonValues = key(
        "Values that a good reply has, by their paths in its JSON; without it any.", {"status": "ok"}, alias="json"
    )
    within: Within = key(
        "Longest that a warm instance takes, 1ms to 1h: what takes longer had to start one.",
        "500ms",
        default=format_duration(DEFAULT_WITHIN),
    )
    waking: Statuses = key(
        "Status of a host whose instance is still starting, one or a list: it is asked again until it answers.",
        [502, 503],
        default=DEFAULT_WAKING[0],
    )


class PollShape(Told):
    """Where a host that answers with an id tells what became of it."""

    example = "poll: {path: '/v2/abc/status/{id}', state: status, done: COMPLETED}"
    empty = "this says nothing of where to look"

    path: PollPath = key("Where to look, with {id} where the id goes; a path of the same host.", "/v2/abc/status/{id}")
    id: JsonPath = key("Where the first reply has its id, a path into its JSON.", "request_id", default="id")
    state: JsonPath = key("Where later replies say how it stands; without it their status alone says it.", "status")
    done: States = key(
        "What `state` says of one that ended well, one word or a list; has to be there with `state`.", "COMPLETED"
    )
    running: States = key(
        "What `state` says of one that has begun to run, one word or a list; without it all before its end is waiting.",
        "IN_PROGRESS",
    )
    failed: States = key(
        "What `state` says of one that ended badly, one word or a list; without it none is known.",
        ["FAILED", "TIMED_OUT"],
    )
    cancel: Cancel = key(
        "What stops one that is given up: POST, PUT or DELETE, a path; without it, it goes on.",
        "POST /v2/abc/cancel/{id}",
    )


class TimesShape(Told):
    """Where the host tells how long a call waited and ran."""

    example = "times: {wait: delayTime ms, run: executionTime ms}"
    empty = "this tells no times"

    wait: TimeAt = key(
        "Where its JSON has the wait for an instance, and in what unit, s or ms; without it that is measured.",
        "delayTime ms",
    )
    run: TimeAt = key(
        "Where its JSON has the run, and in what unit, s or ms; without it that is measured.", "executionTime ms"
    )
