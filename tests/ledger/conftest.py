from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from harness.postgres import Server

from warmer.core.beat import (
    BeatKey,
    BeatRequest,
    Claim,
    Observation,
    Prediction,
    Reason,
    Request,
    Status,
    Verdict,
)
from warmer.core.listing import Import
from warmer.core.price import Billing, Price
from warmer.core.spec import Target, TargetKind
from warmer.ledger import SqlLedger, open_ledger
from warmer.ports import Ledger

ROOT = Path(__file__).parents[2]
KINDS = ("sqlite", "postgres")
T4 = Price(per_second=Decimal("0.000225"), source="gpu-t4@2026-11-18")
MODEL = "meta/llama"
START = datetime(2026, 11, 21, 9, 0, 0, 123_457, tzinfo=UTC)


class Database:
    """A database of its own that any number of ledgers may be opened on."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opened: list[Ledger] = []

    def open(self) -> Ledger:
        ledger = open_ledger(self.url)
        self._opened.append(ledger)
        return ledger

    def close(self) -> None:
        for ledger in self._opened:
            ledger.close()


class Facts:
    """Makes what a ledger keeps: beats and calls at so many seconds after START, everything else ordinary."""

    model, start = MODEL, START

    def at(self, seconds: float) -> datetime:
        return START + timedelta(seconds=seconds)

    def key(self, slot: int = 1, *, model: str = MODEL, instance: int = 0) -> BeatKey:
        return BeatKey(model=model, slot=slot, instance=instance)

    def claim(
        self, slot: int = 1, *, at: float = 0, model: str = MODEL, instance: int = 0, price: Price | None = T4
    ) -> Claim:
        return Claim(
            key=self.key(slot, model=model, instance=instance),
            at=self.at(at),
            policy="aware",
            reason=Reason.IDLE,
            request=BeatRequest(
                target=Target(kind=TargetKind.MODEL, owner="meta", name="llama", version="f00"),
                version="f00",
                billing=Billing.PUBLIC,
                input={"prompt": "hi – “ü” \u2028", "max_tokens": 1, "seeds": [1, None, 2.5]},
                deadline=timedelta(minutes=10),
                price=price,
            ),
        )

    def prediction(self, prediction_id: str = "beat-1", *, created: float = 0.25) -> Prediction:
        return Prediction(id=prediction_id, status=Status.STARTING, created_at=self.at(created))

    def observation(
        self,
        prediction_id: str | None = "beat-1",
        *,
        model: str = MODEL,
        created: float = 0.25,
        started: float | None = 0.5,
        completed: float | None = 1.5,
        verdict: Verdict = Verdict.WARM,
        **other: Any,
    ) -> Observation:
        seen = Observation(
            model=model,
            prediction_id=prediction_id,
            policy="aware",
            reason=Reason.IDLE,
            created_at=self.at(created),
            started_at=None if started is None else self.at(started),
            completed_at=None if completed is None else self.at(completed),
            gap_s=61.5,
            wait_s=None if started is None else started - created,
            run_s=None if None in (started, completed) else completed - started,  # type: ignore[operator]  # not None
            verdict=verdict,
            status=Status.SUCCEEDED,
            error=None,
            cost_usd=Decimal("0.000225"),
            price="0.000225/s gpu-t4@2026-11-18",
            billing=Billing.PUBLIC,
        )
        return replace(seen, **other)

    def call(
        self,
        prediction_id: str = "call-1",
        *,
        model: str = MODEL,
        created: float = 0,
        started: float | None = 0.5,
        completed: float | None = 1.5,
        **other: Any,
    ) -> Request:
        seen = Request(
            model=model,
            prediction_id=prediction_id,
            created_at=self.at(created),
            started_at=None if started is None else self.at(started),
            completed_at=None if completed is None else self.at(completed),
            gap_s=None,
            wait_s=None if started is None else started - created,
            run_s=None if None in (started, completed) else completed - started,  # type: ignore[operator]  # not None
            verdict=Verdict.UNSURE if started is None else Verdict.WARM,
            status=Status.STARTING if started is None else Status.PROCESSING if completed is None else Status.SUCCEEDED,
        )
        return replace(seen, **other)

    def import_(self, started: float = 0, **progress: Any) -> Import:
        """An import begun at that second, of the hour before START."""
        return Import(started_at=self.at(started), since=self.at(-3600), scope="all", **progress)

    def record(self, ledger: Ledger, slot: int, *, created: float, **facts: Any) -> Observation:
        """One beat of `slot` from claim to end, its prediction called `beat-SLOT`."""
        seen = self.observation(f"beat-{slot}", created=created, **facts)
        assert ledger.claim(self.claim(slot, at=created - 0.25, model=seen.model))
        assert ledger.finish(self.key(slot, model=seen.model), seen)
        return seen


@contextmanager
def own_database(server: Server, **like: str) -> Iterator[str]:
    url = server.database(**like)
    yield url
    server.drop(url)


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture(params=KINDS)
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Addresses of empty databases, as many as wanted."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield (f"sqlite:///{tmp_path}/{number}/ledger.db" for number in itertools.count()).__next__
        else:
            yield lambda: stack.enter_context(own_database(request.getfixturevalue("postgres")))


@pytest.fixture
def address(fresh: Callable[[], str]) -> str:
    """Of an empty database, of every kind that warmer keeps its record in, one after another."""
    return fresh()


@pytest.fixture(scope="session")
def blanks(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Ledgers that are made once, by kind, and copied: their migrations take longer than most tests."""

    @cache
    def blank(kind: str) -> str:
        url = f"sqlite:///{tmp_path_factory.mktemp('blank') / 'ledger.db'}"
        if kind == "postgres":
            url = request.getfixturevalue("postgres").database()
        open_ledger(url).close()
        return url

    return blank


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path, blanks: Callable[[str], str]) -> Iterator[Database]:
    """A ledger with nothing in it, in every kind of database. The contract is the same for all."""
    blank = blanks(request.param)
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{shutil.copy(blank.removeprefix('sqlite:///'), tmp_path / 'ledger.db')}"
        else:
            url = stack.enter_context(own_database(request.getfixturevalue("postgres"), like=blank))
        made = Database(url)
        stack.callback(made.close)
        yield made


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return database.open()


@pytest.fixture
def open_at() -> Iterator[Callable[..., SqlLedger]]:
    """Opens ledgers in files, and closes them in the end."""
    opened: list[SqlLedger] = []

    def opening(path: Path, **options: Any) -> SqlLedger:
        opened.append(open_ledger(f"sqlite:///{path}", **options))
        return opened[-1]

    yield opening
    for one in opened:
        one.close()


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python programs that know warmer, and leaves none behind."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
