"""Every fault on the wire, over sockets: what is said, whom it holds, what is sent meanwhile, how it comes back."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from harness.wire import Asked, Break, Wire, answer, changed, hanging, in_place, instead, late, rewritten

from warmer.clock import FastClock
from warmer.core.beat import Reason, Status
from warmer.core.hours import ActiveHours
from warmer.core.spec import AccountSpec, ModelSpec, PolicyName, Spec, Target, TargetKind
from warmer.engine.account import Account
from warmer.engine.desk import Desk
from warmer.engine.fleet import Fleet
from warmer.engine.heartbeat import Tick
from warmer.engine.recovery import Recovery
from warmer.engine.schedule_local import LocalSchedule
from warmer.ledger import open_ledger
from warmer.log import Event
from warmer.providers.replicate import Replicate
from warmer.sandbox.journal import Call
from warmer.sandbox.server import SandboxServer
from warmer.sandbox.traits import Account as Plan
from warmer.sandbox.world import World

TIMEOUT_S = 1.0
"""Real seconds of silence until a reply is given up."""
EVERY_S = 60.0
BEGIN = datetime(2026, 11, 24, 9, tzinfo=UTC)
VICTIM, *OTHERS = "replicate/hello-world", "salesforce/blip", "openai/whisper"
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
OF_THE_ACCOUNT = {Reason.ACCOUNT_REFUSED, Reason.CREDIT_EXHAUSTED, Reason.THROTTLED, Reason.UNREACHABLE}
NEWS = (
    Event.ACCOUNT_PAUSED,
    Event.ACCOUNT_RESUMED,
    Event.MODEL_DISABLED,
    Event.MODEL_ENABLED,
    Event.TRAFFIC_FAILED,
    Event.TRAFFIC_RESUMED,
    Event.LEDGER_FAILED,
    Event.TICK_CRASHED,
)
AN_HOUR = timedelta(hours=1)
DATE, ISO = rb"(?<=date: )[^\r]+", rb"(?<=\dT)\d\d(?=:\d\d:\d\d)"
ANY = ("create", "get", "cancel", "list", "model", "account")
ELSEWHERE = "http://127.0.0.1:9"
"""Where nobody is to be sent, and no token."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault. `holds` is the reason of the ticks that it stops, None where it stops none."""

    on: tuple[str, ...]  # operations
    do: Break | None  # None: nobody listens
    all: bool = False  # for every model, not for the victim alone
    holds: Reason | None
    news: tuple[Event, ...] = ()
    says: str = ""  # in what is said of it
    lasts_s: float = 150.0
    traffic: bool = False
    at_start: bool = False  # before anything is known of the models
    mends: bool = True
    speed: float = 100.0  # what takes 90 s is no more taken for ours: real time may stall for almost a second


PAUSE = (Event.ACCOUNT_PAUSED, Event.ACCOUNT_RESUMED)
DISABLE = (Event.MODEL_DISABLED, Event.MODEL_ENABLED)
BLIND = (Event.TRAFFIC_FAILED, Event.TRAFFIC_RESUMED)
HTML = b"<html><body><h1>Bad Gateway</h1></body></html>"
BOMB = answer("201 Created", gzip.compress(b" " * 100_000_000, 9), "Content-Encoding: gzip")
PROBLEM = {"title": "No", "detail": "Not like this.", "status": 0}


def on_create(do: Break | None, holds: Reason | None, *news: Event, **more: Any) -> Row:
    return Row(on=("create",), do=do, holds=holds, news=news, **more)


def refused(status: str, **more: Any) -> Break:
    return in_place(answer(status, PROBLEM | {"status": int(status[:3])} | more))


def throttled(body: Any, *headers: str) -> Row:
    do = in_place(answer("429 Too Many Requests", body, *headers))
    return on_create(do, Reason.THROTTLED, *PAUSE, all=True, says="too often")


def with_keys(**keys: Any) -> Break:
    return rewritten(lambda body: body | keys)


def without(*keys: str) -> Break:
    return rewritten(lambda body: {key: value for key, value in body.items() if key not in keys})


def repeating_its_id() -> Break:
    """Every create is answered with the id of the first."""
    first: list[str] = []

    def change(body: Any) -> Any:
        first.append(body["id"])
        return body | {"id": first[0]}

    return rewritten(change)


def an_hour_ahead(stamp: re.Match[bytes]) -> bytes:
    text = stamp[0].decode()
    if text.isdigit():  # of a stamp, the hour
        return b"%02d" % ((int(text) + 1) % 24)
    return format_datetime(parsedate_to_datetime(text) + AN_HOUR, usegmt=True).encode()


def by_another_clock(*patterns: bytes) -> Break:
    """The stamps of the reply are of a clock that is an hour ahead."""
    return changed(lambda reply: re.sub(b"|".join(patterns), an_hour_ahead, reply))


WAITING = Reason.BACKING_OFF
# Slower: a journey of two seconds tells nothing of the clock at its end.
THEIRS: dict[str, Any] = {"all": True, "holds": None, "at_start": True, "mends": False, "lasts_s": 150.0, "speed": 20.0}
ROWS: dict[str, Row] = {
    # The connection.
    "refused": Row(on=(), do=None, all=True, holds=Reason.UNREACHABLE, news=PAUSE, says="no connection"),
    "slow": on_create(late(0.5), None),
    "cut before it was accepted": on_create(in_place(b""), WAITING, says="was lost"),
    "cut after it was accepted": on_create(instead(b""), None),
    "cut amid the reply's head": on_create(changed(lambda reply: reply[:30]), None),
    "cut amid the reply's body": on_create(changed(lambda reply: reply[:-20]), None),
    "hanging before it was accepted": on_create(hanging(carried_out=False), WAITING, says="was lost", lasts_s=250),
    "hanging after it was accepted": on_create(hanging(carried_out=True), None, lasts_s=250),
    # No.
    "401": on_create(refused("401 Unauthorized"), Reason.ACCOUNT_REFUSED, *PAUSE, all=True, says="token"),
    "402": on_create(refused("402 Payment Required"), Reason.CREDIT_EXHAUSTED, *PAUSE, all=True, says="credit"),
    "403": on_create(refused("403 Forbidden"), Reason.MODEL_DISABLED, *DISABLE, says="let the token's account run"),
    "404": on_create(refused("404 Not Found"), Reason.MODEL_DISABLED, *DISABLE, says="check the spelling"),
    "409": on_create(refused("409 Conflict"), WAITING, says="another try later"),
    "422": on_create(refused("422 Unprocessable Entity"), Reason.MODEL_DISABLED, *DISABLE, says="correct `input`"),
    "429 by header": throttled({}, "Retry-After: 20"),
    "429 by body": throttled({"retry_after": 20}),
    "429 by its words": throttled({"detail": "Request was throttled. Expected available in 20 seconds."}),
    "429 absurd": throttled({"retry_after": 10**30}, "Retry-After: 99999999999999"),
    "429 garbage": throttled(HTML, "Retry-After: soon"),
    # Not well.
    "500": on_create(in_place(answer("500 Internal Server Error", HTML)), WAITING, says="provider failed"),
    "502 after it was accepted": on_create(instead(answer("502 Bad Gateway", HTML)), None),
    "503": on_create(in_place(answer("503 Service Unavailable", HTML)), WAITING, says="provider failed"),
    # What cannot be read.
    "truncated JSON": on_create(instead(answer("201 Created", b'{"id": "ab')), None),
    "JSON of a wrong type": on_create(instead(answer("201 Created", [1, 2, 3])), None),
    "HTML for JSON": on_create(instead(answer("201 Created", HTML, "Content-Type: text/html")), None),
    "keys of wrong types": on_create(with_keys(status=7, created_at=[], version={}, input=4, metrics="?"), None),
    "an id that is none": on_create(with_keys(id="../../account"), None),
    "huge": on_create(instead(answer("201 Created", b" " * 20_000_000)), None),
    "a bomb": on_create(instead(BOMB), None),
    "missing fields": on_create(without("created_at", "status", "version", "model", "urls", "deadline"), None),
    "unknown status": on_create(with_keys(status="teleporting"), None),
    "an id used before": on_create(repeating_its_id(), None),
    "a clock that is an hour ahead": Row(on=ANY, do=by_another_clock(DATE, ISO), **THEIRS),
    "a Date that is an hour ahead": Row(on=ANY, do=by_another_clock(DATE), **THEIRS),
    # Elsewhere.
    "redirected": on_create(in_place(answer("307 Elsewhere", b"", f"Location: {ELSEWHERE}/v1/predictions")), WAITING),
    "foreign addresses": Row(
        on=("create", "get", "model"), do=with_keys(urls={"get": ELSEWHERE, "cancel": ELSEWHERE}), holds=None
    ),
    # Later.
    "starting for ever": Row(
        on=("get",), do=with_keys(status="starting", completed_at=None), holds=WAITING, says="cancelled", lasts_s=300
    ),
    "processing for ever": Row(
        on=("get",), do=with_keys(status="processing", completed_at=None), holds=WAITING, says="cancelled", lasts_s=300
    ),
    "a status nobody knows": Row(on=("get",), do=with_keys(status="teleporting"), holds=WAITING),
    "polls that fail": Row(
        on=("get",), do=in_place(answer("500 Oops", HTML)), holds=WAITING, says="cancelled", lasts_s=300
    ),
    "a model not described": Row(on=("model",), do=in_place(answer("500 Oops", HTML)), holds=WAITING, at_start=True),
    "a model described as nonsense": Row(
        on=("model",), do=instead(answer("200 OK", [4])), holds=WAITING, at_start=True
    ),
    "no network from the start": Row(
        on=(), do=None, all=True, holds=Reason.UNREACHABLE, news=PAUSE, says="no connection", at_start=True
    ),
    # The account's list.
    "a list that fails": Row(
        on=("list",), do=in_place(answer("500 Oops", HTML)), all=True, holds=None, news=BLIND, traffic=True
    ),
    "a list of nonsense": Row(
        on=("list",), do=instead(answer("200 OK", {"results": 4})), all=True, holds=None, news=BLIND, traffic=True
    ),
    "a list whose rows are odd": Row(
        on=("list",),
        do=instead(answer("200 OK", {"results": [None, 4, {"id": []}, {"id": "x"}], "next": ELSEWHERE})),
        all=True,
        holds=None,
        traffic=True,
    ),
}


def entry(slug: str, *, traffic: bool) -> ModelSpec:
    owner, name = slug.split("/")
    return ModelSpec(
        name=slug,
        target=Target(kind=TargetKind.MODEL, owner=owner, name=name),
        hours=ActiveHours.always_open(),
        policy=PolicyName.FIXED,
        every=timedelta(seconds=EVERY_S),
        deadline=timedelta(seconds=120),
        traffic=traffic,
    )


def port_of(server: SandboxServer) -> int:
    return int(server.url.rpartition(":")[2])


class Scene:
    """Everything of one account with three models, before a sandbox behind a wire."""

    def __init__(self, folder: Path, row: Row, server: SandboxServer, wire: Wire) -> None:
        self.row, self.server, self.wire = row, server, wire
        self.clock = FastClock(server.now(), row.speed)
        self.ledger = open_ledger(f"sqlite:///{folder}/ledger.db")
        limits = AccountSpec(base_url=f"{wire.url}/v1", creates_per_minute=100_000, reads_per_minute=1_000_000)
        models = tuple(entry(slug, traffic=row.traffic) for slug in (VICTIM, *OTHERS))
        self.spec = Spec(zone=ZoneInfo("UTC"), models=models, account=limits)
        self.provider = Replicate(limits, "r8_warmer_secret", self.clock, timeout_s=TIMEOUT_S)
        desk = Desk(self.ledger)
        self.account = Account.over(self.provider, desk, self.clock, lambda: models)
        self.fleet = Fleet(self.spec, self.account, self.clock, on_tick=self._look)
        self.timers = LocalSchedule(self.fleet.due, speed=row.speed)
        self.recovery = Recovery(desk, self.clock, lambda: self.account.heartbeat.out, self.fleet.poke)
        self.held: dict[str, set[Reason]] = {slug: set() for slug in (VICTIM, *OTHERS)}

    def _look(self, _: Tick) -> None:
        for model in self.spec.models:
            if (hold := self.account.standing.hold(model)) is not None:
                self.held[model.name].add(hold.reason)

    def created(self, slug: str | None = None) -> list[Call]:
        return self.server.world.journal.calls(target=slug)

    async def until(self, happened: Callable[[], bool]) -> None:
        while not happened():
            await self.clock.sleep(10.0)

    async def all_well(self) -> None:
        """Return once each model had a beat that began now or later and ended well."""
        now = self.server.now()

        def well(slug: str) -> bool:
            found = self.ledger.beats(model=slug)
            return any(beat.created_at >= now and beat.status is Status.SUCCEEDED for beat in found)

        await self.until(lambda: all(well(slug) for slug in (VICTIM, *OTHERS)))

    async def break_wire(self) -> None:
        def broken(asked: Asked) -> Break | None:
            if asked.operation not in self.row.on:
                return None
            ids = [call.id for call in self.created(VICTIM)]
            return self.row.do if self.row.all or asked.names(VERSION, VICTIM, *ids) else None

        self.wire.broken = broken
        if self.row.do is None:
            await self.wire.cut()

    async def mend_wire(self) -> None:
        self.wire.broken = lambda asked: None
        if self.row.do is None:
            await self.wire.mend()

    async def play(self) -> int:
        """How many creates of the victim came while the wire was broken."""
        sweeping = asyncio.create_task(
            self.recovery.keep_on(lambda: self.account, lambda: self.spec, at_start=True), name="sweeping"
        )
        if self.row.at_start:
            await self.break_wire()
        self.timers.start()
        self.fleet.start(self.timers)
        if not self.row.at_start:
            await self.all_well()
            await self.break_wire()
        self.wire.asked.clear()
        since = self.server.now()
        await self.clock.sleep(self.row.lasts_s)
        tried = sum(asked.operation == "create" and asked.names(VERSION) for asked in self.wire.asked)
        if not self.row.all:
            for slug in OTHERS:
                assert len([call for call in self.created(slug) if call.created_at > since]) >= 2
        if self.row.mends:
            await self.mend_wire()
        await self.all_well()
        await self.until(lambda: not self.recovery.following)
        self.timers.stop()
        await self.fleet.drained(timedelta(hours=1))
        sweeping.cancel()
        await self.provider.close()
        return tried


@pytest.mark.parametrize("name", ROWS)
def test_a_fault_on_the_wire(name: str, tmp_path: Path, lines: list[Any]) -> None:
    row = ROWS[name]

    async def play() -> None:
        plan = Plan(creates_per_minute=100_000, reads_per_minute=1_000_000)
        world = World(begin=BEGIN, account=plan)
        async with SandboxServer(world, speed=row.speed) as server, Wire(port_of(server)) as wire, asyncio.timeout(60):
            scene = Scene(tmp_path, row, server, wire)
            check(scene, await scene.play())

    def check(scene: Scene, tried: int) -> None:
        # What was said: each thing once.
        news = [line for line in lines if line["event"] in NEWS]
        assert [line["event"] for line in news] == list(row.news)
        told = [
            "{error} {hint}".format_map({"error": "", "hint": ""} | line)
            for line in lines
            if line["log_level"] == "warning"
        ]
        assert any(row.says in error for error in told) or not row.says, told
        assert all(line["model"] == VICTIM for line in lines if line["log_level"] == "warning" and "model" in line) or (
            row.all
        )
        # Whom it held.
        for slug, held in scene.held.items():
            if row.holds in OF_THE_ACCOUNT:
                assert held == {row.holds}
            else:
                assert held == ({row.holds} if row.holds and slug == VICTIM else set()), slug
        # What was sent meanwhile: nothing twice, and never faster than the rhythm or the pauses.
        assert tried <= 3 + row.lasts_s / 20
        recorded = Counter(beat.prediction_id for beat in scene.ledger.beats() if beat.prediction_id)
        assert recorded == Counter(call.id for call in scene.created())
        assert scene.ledger.open_beats() == ()
        for slug in (VICTIM, *OTHERS):
            moments = [call.created_at for call in scene.created(slug)]
            assert all(later - earlier > timedelta(seconds=EVERY_S - 15) for earlier, later in pairwise(moments))
        # Nothing is left.
        assert all(scene.account.standing.hold(model) is None for model in scene.spec.models)
        assert scene.server.world.journal.running_now() == 0

    asyncio.run(play())
