"""An entry with `url`: what its keys must agree on, the endpoint that it describes, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from warmer.config.document import Document
from warmer.config.endpoints import is_secret_name
from warmer.config.faults import Faults
from warmer.config.values import MAX_NAME
from warmer.core.endpoint import Endpoint, Header, Poll, Warm
from warmer.core.price import Billing, Price
from warmer.core.spec import Target
from warmer.core.units import format_duration

KEYS = ("method", "headers", "body", "warm", "poll", "times")
"""Of an entry with `url`, and of no other."""
UNHEEDED = {
    "input": "what is sent to an endpoint is its `body`",
    "measure": "nothing says what the first token of an endpoint is",
    "cancel_on_start": "nothing says when a call of an endpoint begins to run",
    "hardware": "the table of prices is Replicate's: write a `price`",
}
"""Keys of a model that mean nothing for an endpoint, and why."""
_OURS = frozenset({"accept-encoding", "connection", "content-length", "te", "transfer-encoding", "upgrade"})


def check_endpoint(
    entry: Mapping[str, Any],
    defaults: Mapping[str, Any],
    target: str | None,
    at: int,
    document: Document,
    faults: Faults,
) -> None:
    """What an entry says of an endpoint makes sense together, and stands in no other entry."""

    def add(key: str, problem: str, hint: str) -> None:
        faults.add(document.key_place(("models", at, key)), problem, hint)

    if target != "url":
        for key in (key for key in KEYS if key in entry and target is not None):
            add(key, f"only an endpoint has `{key}`", "write `url: https://…`, or leave this key out")
        return
    for key, why in UNHEEDED.items():
        if key in entry:
            add(key, f"an endpoint does not heed `{key}`", f"leave it out: {why}")
    if entry.get("traffic") == "auto":
        add("traffic", "no list tells who calls an endpoint", "leave `traffic` out; POST /api/v1/requests tells calls")
    url = entry["url"]
    if "name" not in entry and isinstance(url, str) and len(url) > MAX_NAME:
        add("url", f"this address is longer than the {MAX_NAME} characters of a name", "give the entry a `name`")
    if "body" in entry and str(entry.get("method", "POST")).upper() in ("GET", "HEAD"):
        add("body", f"a {str(entry['method']).upper()} has no body", "write `method: POST`, or leave `body` out")
    _check_headers(entry.get("headers"), at, document, faults)
    _check_poll(entry.get("poll"), at, document, faults)
    _check_price(entry, defaults, at, document, faults)


def _check_headers(headers: Any, at: int, document: Document, faults: Faults) -> None:
    seen = set[str]()
    for name, written in headers.items() if isinstance(headers, dict) else ():
        place, folded = document.key_place(("models", at, "headers", name)), str(name).casefold()
        if folded in seen:
            faults.add(place, "this header is here already: capitals make no difference", "keep one")
        seen.add(folded)
        if folded in _OURS:
            faults.add(place, f"warmer sends `{name}` by itself", "leave it out")
        elif is_secret_name(str(name)) and isinstance(written, str) and not _has_reference(written):
            faults.add(
                document.place(("models", at, "headers", name)),
                "a secret stands here in clear",
                "take it out of the file and revoke it; write it as in env:NAME, Bearer env:NAME or file:PATH",
            )


def _has_reference(written: str) -> bool:
    """Whether a header's text names a secret at its end, well or badly."""
    return any(word.startswith(("env:", "file:", "credential:")) for word in (written, written.rpartition(" ")[2]))


def _check_poll(poll: Any, at: int, document: Document, faults: Faults) -> None:
    if not isinstance(poll, dict) or not poll:
        return
    if "path" not in poll:
        faults.add(document.place(("models", at, "poll")), "`path` is missing", "write `path: /status/{id}`")
    if "state" in poll and "done" not in poll:
        place = document.key_place(("models", at, "poll", "state"))
        faults.add(place, "`state` is of no use without its words", "write `done: COMPLETED`, or as the host says")
    for key in (key for key in ("done", "running", "failed") if key in poll and "state" not in poll):
        place = document.key_place(("models", at, "poll", key))
        faults.add(place, f"`{key}` has no `state` to be found in", "write `state: status`, or where the host has it")


def _check_price(
    entry: Mapping[str, Any], defaults: Mapping[str, Any], at: int, document: Document, faults: Faults
) -> None:
    """A price is of what the class bills: of calls, or of seconds."""
    billing, price = entry.get("billing", defaults.get("billing")), entry.get("price")
    if not isinstance(price, dict) or billing not in (Billing.PUBLIC, Billing.PRIVATE, Billing.CALL):
        return
    wrong = "per_second" if billing == Billing.CALL else "per_output"
    if wrong in price:
        place = document.key_place(("models", at, "price", wrong))
        right = "per_output" if wrong == "per_second" else "per_second"
        faults.add(place, f"`billing: {billing}` bills nothing {wrong.replace('_', ' ')}", f"write `{right}`")


def heeded(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What an endpoint has from `defaults`: they are of models too."""
    return {key: value for key, value in defaults.items() if key not in UNHEEDED and key != "traffic"}


def implied(price: Price | None) -> dict[str, Any]:
    """Keys of an entry that go without saying: no list tells who calls an endpoint, and what has a price is billed."""
    is_by_call = price is not None and price.per_output is not None
    return {"traffic": False} | ({"billing": Billing.CALL} if is_by_call else {})


def endpoint_of(name: str, target: Target, own: Mapping[str, Any]) -> Endpoint:
    """The endpoint that an entry describes. `own`: the keys that it gives, as they were read."""
    poll, times = _given(own.get("poll")), _given(own.get("times"))
    return Endpoint(
        name=name,
        url=target.name,
        method=own.get("method", "POST" if "body" in own else "GET"),
        headers=tuple(
            Header(name=header, text=text, secret=secret) for header, (text, secret) in own.get("headers", {}).items()
        ),
        body=own.get("body"),
        warm=Warm(**_given(own.get("warm"))),
        poll=Poll(**poll) if poll else None,
        wait=times.get("wait"),
        run=times.get("run"),
    )


def shown(endpoint: Endpoint) -> dict[str, Any]:
    """What its entry says of it, every default written out."""
    keys: dict[str, Any] = {"method": endpoint.method}
    if endpoint.headers:
        keys["headers"] = {header.name: str(header) for header in endpoint.headers}
    if endpoint.body is not None:
        keys["body"] = endpoint.body
    keys["warm"] = dict(_warm(endpoint.warm))
    if (poll := endpoint.poll) is not None:
        words = {"done": poll.done, "running": poll.running, "failed": poll.failed}
        keys["poll"] = {"path": poll.path, "id": poll.id}
        keys["poll"] |= {} if poll.state is None else {"state": poll.state}
        keys["poll"] |= {key: list(states) for key, states in words.items() if states}
        keys["poll"] |= {} if poll.cancel is None else {"cancel": poll.cancel}
    times = {key: str(one) for key, one in (("wait", endpoint.wait), ("run", endpoint.run)) if one is not None}
    return keys | ({"times": times} if times else {})


def _warm(warm: Warm) -> Iterator[tuple[str, Any]]:
    if warm.status:
        yield "status", list(warm.status)
    if warm.header:
        yield "header", dict(warm.header)
    if warm.json:
        yield "json", dict(warm.json)
    yield "within", format_duration(warm.within)
    yield "waking", list(warm.waking)


def _given(shape: BaseModel | None) -> dict[str, Any]:
    """The keys that the file gives, as they are called there."""
    if shape is None:
        return {}
    return {type(shape).model_fields[name].alias or name: getattr(shape, name) for name in shape.model_fields_set}
