"""The faults that warmer has to bear, each with what it makes of it: one list, for tests and `make bench-faults`."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from enum import StrEnum
from typing import Any

from harness.wire import (
    Answer,
    Asked,
    Break,
    Carry,
    answer,
    asking,
    changed,
    dribbling,
    hanging,
    in_place,
    instead,
    late,
    redone,
    rewritten,
)
from warmer.core.beat import Reason
from warmer.log import Event


class Outage(StrEnum):
    """What is wrong with all that a daemon asks, without a reply from anybody."""

    REFUSED = "refused"  # nobody listens
    SWALLOWED = "swallowed"  # every packet is lost
    NO_NAMES = "no-names"  # the resolver fails
    NO_NETWORK = "no-network"  # the machine has no route
    CLOCK = "clock"  # ours is an hour ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, and what is to come of it. `holds`: the reason of the ticks that it stops; None: it stops none."""

    on: tuple[str, ...] = ("create",)  # operations
    do: Break | None = None
    outage: Outage | None = None
    also: Mapping[str, Break] | None = None  # more, by operation
    of_account: bool = False  # concerns every model
    holds: Reason | None = None
    says: str = ""  # in what is said of it
    run_s: float = 1.0  # of what is created
    traffic: bool = False
    bill_may_pass: bool = False  # the host goes on with what it was told to end, and bills it

    @property
    def episode(self) -> tuple[Event, Event] | None:
        """What is said once when it begins, and once when it is over."""
        return _EPISODES.get(self.holds, _BLIND if self.traffic else None)

    def breaks(self, operation: str) -> Break | None:
        """What it does to such requests."""
        if self.also and operation in self.also:
            return self.also[operation]
        return self.do if operation in self.on else None


_PAUSE = (Event.ACCOUNT_PAUSED, Event.ACCOUNT_RESUMED)
_BLIND = (Event.TRAFFIC_FAILED, Event.TRAFFIC_RESUMED)
_EPISODES: Mapping[Reason | None, tuple[Event, Event]] = {
    Reason.UNREACHABLE: _PAUSE,
    Reason.ACCOUNT_REFUSED: _PAUSE,
    Reason.CREDIT_EXHAUSTED: _PAUSE,
    Reason.THROTTLED: _PAUSE,
    Reason.MODEL_DISABLED: (Event.MODEL_DISABLED, Event.MODEL_ENABLED),
    Reason.BACKING_OFF: (Event.MODEL_FAILED, Event.MODEL_RECOVERED),
}

HELD = Reason.BACKING_OFF
ANY = ("create", "get", "cancel", "list", "model", "account")
ELSEWHERE = "http://127.0.0.1:9"
"""Where nobody is to be sent, and no token."""
AN_HOUR = timedelta(hours=1)
LONG_RUN_S = 3000.0
RUNS_ON = "steps"
"""An input beside those that were sent, as hosts fill in: a run lasts a second more for each."""
HTML = "<html><body><h1>Bad Gateway</h1></body></html>"
OOPS = answer("500 Oops", HTML)
BOMB = answer("201 Created", gzip.compress(b" " * 100_000_000, 9), "Content-Encoding: gzip")
PROBLEM = {"title": "No", "detail": "Not like this.", "status": 0}
ODD = "a\x00b\x1b[31m\ud800\u2028\U0001f525"


def refused(status: str, **more: Any) -> Break:
    return in_place(answer(status, PROBLEM | {"status": int(status[:3])} | more))


def throttled(body: Any, *headers: str, on: tuple[str, ...] = ("create",)) -> Fault:
    do = in_place(answer("429 Too Many Requests", body, *headers))
    return Fault(on=on, do=do, of_account=True, holds=Reason.THROTTLED, says="too often")


def cut_off(outage: Outage, holds: Reason | None = Reason.UNREACHABLE) -> Fault:
    return Fault(outage=outage, of_account=True, holds=holds, says="no connection" if holds else "")


def disabled(status: str, says: str, on: tuple[str, ...] = ("create",)) -> Fault:
    return Fault(on=on, do=refused(status), holds=Reason.MODEL_DISABLED, says=says)


def setting(**keys: Any) -> Break:
    return rewritten(lambda body: body | keys)


def dropping(*keys: str) -> Break:
    return rewritten(lambda body: {key: value for key, value in body.items() if key not in keys})


def with_stamps(**stamps: str) -> Break:
    """The stamps that are there are these."""
    return rewritten(lambda body: body | {key: stamp for key, stamp in stamps.items() if body.get(key)})


def as_text(old: str, new: str) -> Break:
    """JSON that Python's writer would not write."""
    return rewritten(lambda body: json.dumps(body).replace(old, new).encode())


def zipped(times: int, names: str, part: float = 1.0) -> Break:
    """Packed so often, called so, and so much of it comes."""

    def whole(head: bytes, body: bytes) -> bytes:
        for _ in range(times):
            body = gzip.compress(body)
        body = body[: int(len(body) * part)]
        return head + f"\r\nContent-Encoding: {names}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    return redone(whole)


def counting(length: str) -> Break:
    """A Content-Length that is not the body's."""
    return redone(lambda head, body: head + b"\r\nContent-Length: " + length.encode() + b"\r\n\r\n" + body)


def in_chunks(whole: bool) -> Break:
    def cut(head: bytes, body: bytes) -> bytes:
        chunk = b"%x\r\n%s\r\n" % (len(body), body)
        return head + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + (chunk + b"0\r\n\r\n" if whole else chunk[:-40])

    return redone(cut)


def with_an_id_of_another() -> Break:
    """The id of the oldest prediction in the account's list."""

    async def broken(asked: Asked, carry: Carry) -> Answer:
        reply = await carry(asked)
        head = re.sub(rb"^POST \S+", b"GET /v1/predictions", asked.without("content-length").head)
        listed = await carry(Asked(head, b""))
        ids = re.findall(rb'"id": ?"([^"]+)"', listed)
        return re.sub(rb'("id": ?)"[^"]+"', rb'\1"%s"' % ids[-1], reply, count=1)

    return broken


def unheeded(asked: Asked) -> Asked:
    """A create as by a host that knows no deadline, of a run that would pass any."""
    body = json.loads(asked.body)
    body["input"][RUNS_ON] = LONG_RUN_S
    return asked.without("cancel-after").saying(json.dumps(body).encode())


def _an_hour_ahead(stamp: re.Match[bytes]) -> bytes:
    text = stamp[0].decode()
    if text.isdigit():  # of a stamp, the hour
        return b"%02d" % ((int(text) + 1) % 24)
    return format_datetime(parsedate_to_datetime(text) + AN_HOUR, usegmt=True).encode()


_DATE, _ISO = rb"(?<=date: )[^\r]+", rb"(?<=\dT)\d\d(?=:\d\d:\d\d)"


def by_another_clock(*patterns: bytes) -> Fault:
    """The stamps of the reply are of a clock that is an hour ahead."""
    do = changed(lambda reply: re.sub(b"|".join(patterns), _an_hour_ahead, reply))
    return Fault(on=ANY, do=do, of_account=True)


def dated(date: str) -> Fault:
    return Fault(on=ANY, do=changed(lambda reply: re.sub(_DATE, date.encode(), reply)), of_account=True)


def listing(do: Break) -> Fault:
    return Fault(on=("list",), do=do, of_account=True, traffic=True)


CREATES = {
    # The connection.
    "slow": Fault(do=late(0.2)),
    "cut before it was accepted": Fault(do=in_place(b""), holds=HELD, says="was lost"),
    "cut after it was accepted": Fault(do=instead(b"")),
    "cut amid the reply's head": Fault(do=changed(lambda reply: reply[:30])),
    "cut amid the reply's body": Fault(do=changed(lambda reply: reply[:-20])),
    "hanging before it was accepted": Fault(do=hanging(carried_out=False), holds=HELD, says="was lost"),
    "hanging after it was accepted": Fault(do=hanging(carried_out=True)),
    "a head that dribbles, before": Fault(do=dribbling(carried_out=False), holds=HELD, says="was lost"),
    "a head that dribbles, after": Fault(do=dribbling(carried_out=True)),
    "not HTTP": Fault(do=instead(b"SSH-2.0-OpenSSH_9.6\r\n")),
    "a head of 1 MB": Fault(do=instead(answer("201 Created", {}, "X-Long: " + "x" * 1_000_000))),
    "early hints": Fault(do=changed(lambda reply: b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3 + reply)),
    "another protocol": Fault(do=instead(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")),
    "HTTP/1.0 without a length": Fault(
        do=redone(lambda head, body: head.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n\r\n" + body)
    ),
    "a length too long": Fault(do=counting("99999")),
    "a length too short": Fault(do=counting("10")),
    "a length below zero": Fault(do=counting("-1")),
    "in chunks": Fault(do=in_chunks(whole=True)),
    "cut amid a chunk": Fault(do=in_chunks(whole=False)),
    "redirected": Fault(do=in_place(answer("307 Elsewhere", b"", f"Location: {ELSEWHERE}/v1/predictions")), holds=HELD),
    # No.
    "403": disabled("403 Forbidden", "let the token's account run"),
    "404": disabled("404 Not Found", "check the spelling"),
    "409": Fault(do=refused("409 Conflict"), holds=HELD, says="another try later"),
    "413": disabled("413 Content Too Large", "smaller"),
    "422": disabled("422 Unprocessable Entity", "correct `input`"),
    "404 of a proxy": Fault(do=in_place(answer("404 Not Found", HTML)), holds=HELD, says="not the API"),
    "500": Fault(do=in_place(answer("500 Internal Server Error", HTML)), holds=HELD, says="provider failed"),
    "502 after it was accepted": Fault(do=instead(answer("502 Bad Gateway", HTML))),
    "503": Fault(do=in_place(answer("503 Service Unavailable", HTML)), holds=HELD, says="provider failed"),
    "529, no number known": Fault(do=in_place(answer("529 ?", HTML)), holds=HELD, says="provider failed"),
    # What cannot be read.
    "204": Fault(do=instead(b"HTTP/1.1 204 No Content\r\n\r\n")),
    "empty": Fault(do=instead(answer("201 Created"))),
    "truncated JSON": Fault(do=instead(answer("201 Created", '{"id": "ab'))),
    "JSON of a wrong type": Fault(do=instead(answer("201 Created", [1, 2, 3]))),
    "JSON too deep": Fault(do=instead(answer("201 Created", "[" * 100_000))),
    "HTML for JSON": Fault(do=instead(answer("201 Created", HTML, "Content-Type: text/html"))),
    "bytes for text": Fault(do=rewritten(lambda body: json.dumps(body).encode("utf-16"))),
    "huge": Fault(do=instead(answer("201 Created", b" " * 20_000_000))),
    "a bomb": Fault(do=instead(BOMB)),
    "5 MB of good JSON": Fault(do=setting(output="x" * 5_000_000)),
    "packed": Fault(do=zipped(1, "gzip")),
    "packed twice": Fault(do=zipped(2, "gzip")),
    "packed twice, and so called": Fault(do=zipped(2, "gzip, gzip")),
    "packed and cut short": Fault(do=zipped(1, "gzip", 0.6)),
    "packed as was not asked for": Fault(do=zipped(0, "br")),
    # What can be read, and is wrong.
    "keys of wrong types": Fault(do=setting(status=7, created_at=[], version={}, input=4, metrics="?")),
    "missing fields": Fault(do=dropping("created_at", "status", "version", "model", "urls", "deadline")),
    "an id that is none": Fault(do=setting(id="../../account")),
    "an id used before": Fault(do=with_an_id_of_another()),
    "another model": Fault(do=setting(model="somebody/else", version="0" * 64)),
    "unknown status": Fault(do=setting(status="teleporting")),
    "foreign addresses": Fault(on=("create", "get", "model"), do=setting(urls={"get": ELSEWHERE, "cancel": ELSEWHERE})),
    "odd letters": Fault(on=("create", "get"), do=setting(output=ODD, logs=ODD * 1000, error=ODD)),
    "made an hour ago": Fault(do=with_stamps(created_at="2026-11-24T08:00:00Z")),
    "made in a year": Fault(on=("create", "get"), do=with_stamps(created_at="2027-11-24T09:00:00Z")),
    "made in 1970": Fault(on=("create", "get"), do=with_stamps(created_at="1970-01-01T00:00:00Z")),
    "made in 9999": Fault(on=("create", "get"), do=with_stamps(created_at="9999-12-31T23:59:59.999Z")),
}
LATER = {
    "stamps in a year": Fault(
        on=("get",), do=with_stamps(started_at="2027-11-24T09:00:00Z", completed_at="2027-11-24T09:00:02Z")
    ),
    "stamps in 1970": Fault(
        on=("get",), do=with_stamps(started_at="1970-01-01T00:00:00Z", completed_at="1970-01-01T00:00:02Z")
    ),
    "metrics below zero": Fault(on=("get",), do=setting(metrics={"predict_time": -5, "total_time": -1e300})),
    "metrics not a number": Fault(on=("get",), do=as_text('"predict_time":', '"predict_time": NaN, "total_time":')),
    "metrics without end": Fault(on=("get",), do=as_text('"predict_time":', '"predict_time": 1e999, "x":')),
    "starting for ever": Fault(on=("get",), do=setting(status="starting", completed_at=None), holds=HELD, says="past"),
    "processing for ever": Fault(
        on=("get",), do=setting(status="processing", completed_at=None), holds=HELD, says="past"
    ),
    "a status nobody knows": Fault(on=("get",), do=setting(status="teleporting"), holds=HELD),
    "ended, nothing else": Fault(on=("get",), do=rewritten(lambda body: {key: body[key] for key in ("id", "status")})),
    "polls that fail": Fault(on=("get",), do=in_place(OOPS), holds=HELD, says="past"),
    "polls that find nothing": Fault(on=("get",), do=refused("404 Not Found"), holds=HELD, says="past"),
    "polls that hang": Fault(on=("get",), do=hanging(carried_out=True), holds=HELD, says="past"),
    "polls of another": Fault(on=("get",), do=setting(id="somebodyelse"), holds=HELD, says="past"),
    "a deadline unheeded": Fault(do=asking(unheeded), holds=HELD, bill_may_pass=True),
    "the same, and no cancel": Fault(
        do=asking(unheeded), also={"cancel": in_place(OOPS)}, holds=HELD, says="not cancelled", bill_may_pass=True
    ),
    "a model not described": Fault(on=("model",), do=in_place(OOPS), holds=HELD),
    "a model described as nonsense": Fault(on=("model",), do=instead(answer("200 OK", [4])), holds=HELD),
    "a model that nobody knows": disabled("404 Not Found", "check the spelling", on=("model",)),
}
OF_MODELS: Mapping[str, Fault] = CREATES | LATER
"""Each for one model: the others know nothing of it."""
OF_ACCOUNT: Mapping[str, Fault] = {
    "refused": cut_off(Outage.REFUSED),
    "every packet lost": cut_off(Outage.SWALLOWED),
    "no names": cut_off(Outage.NO_NAMES),
    "no network": cut_off(Outage.NO_NETWORK),
    "nobody answers": replace(cut_off(Outage.REFUSED), outage=None, on=ANY, do=hanging(carried_out=False)),
    "everything cut": replace(cut_off(Outage.REFUSED), outage=None, on=ANY, do=in_place(b"")),
    "500 to everything": Fault(on=ANY, do=in_place(OOPS), of_account=True, holds=HELD),
    "401": Fault(do=refused("401 Unauthorized"), of_account=True, holds=Reason.ACCOUNT_REFUSED, says="token"),
    "401 to everything": Fault(
        on=ANY, do=refused("401 Unauthorized"), of_account=True, holds=Reason.ACCOUNT_REFUSED, says="token"
    ),
    "402": Fault(do=refused("402 Payment Required"), of_account=True, holds=Reason.CREDIT_EXHAUSTED, says="credit"),
    "429 by header": throttled({}, "Retry-After: 20"),
    "429 by body": throttled({"retry_after": 20}),
    "429 by its words": throttled({"detail": "Request was throttled. Expected available in 20 seconds."}),
    "429 absurd": throttled({"retry_after": 10**30}, "Retry-After: 99999999999999"),
    "429 garbage": throttled(HTML, "Retry-After: soon"),
    "429 to everything": throttled({}, "Retry-After: 20", on=ANY),
    "a clock that is an hour ahead": by_another_clock(_DATE, _ISO),
    "a Date that is an hour ahead": by_another_clock(_DATE),
    "a Date of 1970": dated("Thu, 01 Jan 1970 00:00:00 GMT"),
    "our clock is an hour ahead": cut_off(Outage.CLOCK, None),
    "a list that fails": listing(in_place(OOPS)),
    "a list of nonsense": listing(instead(answer("200 OK", {"results": 4}))),
    "a list that hangs": listing(hanging(carried_out=False)),
    "a list whose rows are odd": Fault(
        on=("list",),
        do=instead(answer("200 OK", {"results": [None, 4, {"id": []}, {"id": "x"}], "next": ELSEWHERE})),
        of_account=True,
    ),
}
"""Each for all models of an account."""
FAULTS: Mapping[str, Fault] = {**OF_ACCOUNT, **OF_MODELS}
