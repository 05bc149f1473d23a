"""warmer inside an application: what `from warmer import …` gives. docs/library.md shows it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from warmer import config, log
from warmer.cli import wiring
from warmer.clock import SystemClock
from warmer.core.backtest.compare import Comparison, compare
from warmer.core.backtest.policies import REFERENCES, Settings, policy
from warmer.core.backtest.trace import Trace, microseconds
from warmer.core.backtest.world import World
from warmer.core.spec import AccountSpec, Spec
from warmer.core.told import Told
from warmer.core.warmth import Warmth
from warmer.engine.daemon import Daemon
from warmer.engine.supervisor import Supervisor
from warmer.errors import UsageError


def load_config(path: Path | str | None = None) -> Spec:
    """The file at `path`, or where `warmer` looks for it. Raises ConfigError with every fault, each with its place."""
    return config.load(config.find(None if path is None else Path(path), os.environ, Path()), only_file=True)


class Warmer:
    """The models of a file, kept warm in the application's own event loop for as long as it is entered.

    It is `warmer run` without its HTTP port: `listen`, `public_url` and `admin_token` of the file are left alone, and
    so are signals. Beats are claimed in the ledger, so several of it on one ledger send none twice.
    """

    def __init__(self, spec: Spec, *, follow: bool = True) -> None:
        """`follow`: edits of the file come into force within a second, as they do under `warmer run`."""
        self._spec, self._follow = spec, follow
        self._daemon: Daemon | None = None
        self._running: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        """Returns once it keeps the models warm. Raises UsageError where a secret cannot be read, LedgerError where
        the ledger cannot be used."""
        if self._running is not None:
            raise RuntimeError("this one was entered before: make another one")
        log.lend()
        ready, clock, ledger = _Ready(), SystemClock(), wiring.ledger_of(self._spec)
        self._daemon = Daemon(
            _silent(self._spec),
            load=lambda: _silent(load_config(self._spec.path)),
            connect=wiring.hosts_of(self._spec, clock, ledger),
            ledger=ledger,
            clock=clock,
            schedule=wiring.schedule_of(self._spec),
            supervisor=ready,
            contacts=wiring.contacts_of,
        )
        self._running = asyncio.ensure_future(self._daemon.run(watch=self._follow, signals=False))
        up = asyncio.ensure_future(ready.happened.wait())
        try:
            await asyncio.wait({self._running, up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
        if self._running.done():
            self._running.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Leaves within 5 s, with nothing of it left running at the provider. Raises what it ended by, if it did."""
        if self._daemon is not None and self._running is not None:
            self._daemon.stop()
            await self._running

    @property
    def models(self) -> Sequence[str]:
        """The names of the models in force."""
        return self._there.console.models

    async def called(
        self,
        model: str,
        *,
        prediction_id: str | None = None,
        created_at: datetime | None = None,
        completed_at: datetime | None = None,
    ) -> bool:
        """Tell of a call that the application makes, or has made: it keeps the model warm, so a beat is saved at once.

        The stamps are those of the provider's reply; without them the call is of now. With its `prediction_id` it is
        recognised when the account's list shows it. False where it was on record already. Raises UsageError where the
        file has no such model, ValueError for stamps that cannot be.
        """
        console = self._there.console
        self._check(model)
        for moment in (created_at, completed_at):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("a stamp needs its zone: give it as the provider did")
        told = Told.at(
            console.stamp(),
            model,
            created_at=created_at,
            completed_at=completed_at,
            prediction_id=prediction_id,
        )
        return await console.tell(told)

    async def warmth(self, *models: str) -> tuple[Warmth, ...]:
        """How likely each of these is warm now, and how long a call would wait: best first; of all models where none is
        named. Raises UsageError where the file has no such model."""
        for model in models:
            self._check(model)
        return await self._there.console.warmth(models or self.models)

    def _check(self, model: str) -> None:
        if model not in self.models:
            raise UsageError(f"the file has no model {model!r}: it has {', '.join(self.models)}")

    @property
    def _there(self) -> Daemon:
        if self._daemon is None:
            raise RuntimeError("enter it first: async with Warmer(…) as warmer")
        return self._daemon


def backtest(
    calls: Mapping[str, Sequence[float]],
    policies: Sequence[str] = ("aware", "adaptive"),
    *,
    idle_timeout: timedelta = timedelta(seconds=60),
    interval: timedelta = timedelta(seconds=50),
    boot: timedelta = timedelta(seconds=12),
    cold_target: float | None = None,
    cold_start_worth: float = Settings().cold_start_worth,
    seed: int = 0,
) -> Comparison:
    """What each policy would have sent for `calls`, model to seconds in order, and who would still have waited.

    As `warmer backtest` has it: beside the policies, rows for nothing and for the cron job, and bounds by who knows the
    future. Raises ValueError for what cannot be.
    """
    world = World(
        idle_timeout=microseconds(idle_timeout.total_seconds()),
        boot_median=microseconds(boot.total_seconds()),
        seed=seed,
    )
    settings = Settings(
        interval=microseconds(interval.total_seconds()), cold_start_worth=cold_start_worth, cold_target=cold_target
    )
    chosen = [policy(name, settings) for name in dict.fromkeys((*REFERENCES, *policies))]
    return compare(Trace.of("calls", calls), chosen, settings, world)


class _Ready(Supervisor):
    """Whoever supervises the application is not told of what is only a part of it."""

    def __init__(self) -> None:
        super().__init__({})
        self.happened = asyncio.Event()

    def ready(self, status: str) -> None:
        self.happened.set()


def _silent(spec: Spec) -> Spec:
    """`spec` for one that nobody can call."""
    return replace(
        spec,
        listen=None,
        public_url=None,
        admin_token=None,
        account=replace(spec.account, webhook_url=None),
        models=tuple(
            replace(model, host=replace(model.host, webhook_url=None)) if isinstance(model.host, AccountSpec) else model
            for model in spec.models
        ),
    )
