"""`warmer demo`: the sandbox, its customers and the daemon together, at high speed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from warmer.cli import wiring
from warmer.cli.options import JsonOption, duration
from warmer.core.endpoint import Endpoint
from warmer.core.spec import AccountSpec, CogServer, Host, Spec
from warmer.ports import Clock, Provider

if TYPE_CHECKING:
    from warmer.cli.demo_outcome import Outcome
    from warmer.sandbox.server import SandboxServer

_LOG, _LEDGER = Path("demo.jsonl"), Path("demo.db")
_TOKEN = "r8_warmer_demo"  # noqa: S105 - any token opens the sandbox
_SOME_DAY = datetime(2026, 11, 24, tzinfo=UTC)
"""The demo plays on the first active hours from here on: the same hour each time."""


_EVERY_KIND = """\
models:
  - deployment: acme/upscaler
  - name: echo, on Cog
    cog: {url}/cog
    input: {{text: hi}}
  - name: upscaling, at a URL
    url: {url}/call/{behind}
    times: {{wait: wait_s s, run: run_s s}}
    price: {{per_second: 0.000225}}
"""


def demo(
    lasting: Annotated[
        timedelta,
        typer.Option("--for", parser=duration, metavar="DURATION", help="How much of the world's time to play."),
    ] = timedelta(minutes=60),
    speed: Annotated[float, typer.Option(help="How many times as fast as real time.", min=1, max=200)] = 80.0,
    seed: Annotated[int, typer.Option(help="Another seed, other customers.")] = 0,
    every_kind: Annotated[
        bool, typer.Option("--every-kind", help="Keep a deployment, a Cog server and an endpoint warm too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """See what warmer does, in a minute: the sample file's models, visited by customers, on the embedded sandbox.

    Nothing leaves this machine and no token is needed. Writes demo.jsonl (the log) and demo.db (the ledger) here.
    """
    wiring.require_sandbox()

    from warmer import config, report
    from warmer.cli.demo_outcome import print_outcome

    spec = replace(config.load(wiring.sample()), ledger=f"sqlite:///{_LEDGER.absolute()}")
    for leftover in (_LOG, *(Path(f"{_LEDGER}{suffix}") for suffix in ("", "-wal", "-shm"))):
        leftover.unlink(missing_ok=True)
    began = time.monotonic()
    with _LOG.open("w", encoding="utf-8") as lines:
        show = sys.stdout.isatty() and not as_json
        outcome = asyncio.run(_play(spec, lasting, speed, seed, every_kind=every_kind, lines=lines, show=show))
    if as_json:
        report.write_json(outcome.document(), sys.stdout)
    else:
        print_outcome(outcome, took=timedelta(seconds=time.monotonic() - began), out=sys.stdout)
        typer.echo(f"logs: {_LOG}   ledger: {_LEDGER}   next: edit config/warmer.yaml, `warmer check`, `warmer run`")
    raise typer.Exit(0 if outcome.adds_up else 1)


async def _play(
    spec: Spec, lasting: timedelta, speed: float, seed: int, *, every_kind: bool, lines: TextIO, show: bool
) -> Outcome:
    from warmer import config, log
    from warmer.cli.demo_outcome import BEHIND, Outcome
    from warmer.clock import FastClock
    from warmer.engine.daemon import Daemon
    from warmer.engine.schedule_local import LocalSchedule
    from warmer.providers.cog import Cog
    from warmer.providers.endpoint import HttpEndpoint
    from warmer.providers.replicate import Replicate
    from warmer.sandbox.customers import DEMO, arrivals
    from warmer.sandbox.server import SandboxServer
    from warmer.sandbox.world import World

    hours = spec.models[0].hours
    begin = hours.next_open(_SOME_DAY) or _SOME_DAY
    server = SandboxServer(World(begin=begin, seed=seed), speed=speed)
    visits = [(group, arrivals(group, begin, begin + lasting, seed=seed)) for group in DEMO]
    async with server:
        clock = FastClock(server.now(), speed)
        spec = replace(spec, account=replace(spec.account, base_url=f"{server.url}/v1"))

        if every_kind:
            more = config.parse(_EVERY_KIND.format(url=server.url, behind=BEHIND).encode(), path="every kind").models
            spec = replace(spec, models=(*spec.models, *(replace(model, hours=hours) for model in more)))

        def connect(host: Host) -> Provider:
            match host:
                case CogServer():
                    return Cog(host, clock)
                case Endpoint():
                    return HttpEndpoint(host, {}, clock)
                case AccountSpec():
                    return Replicate(host, _TOKEN, clock)

        log.configure(stream=lines, json=True, secrets=[_TOKEN], now=clock.now)
        daemon = Daemon(
            spec,
            load=lambda: spec,
            connect=connect,
            ledger=wiring.ledger_of(spec),
            clock=clock,
            schedule=lambda on_due: LocalSchedule(on_due, speed=speed),
        )
        serving = asyncio.create_task(daemon.run(watch=False, signals=False))
        customers = [
            asyncio.create_task(_visit(server, clock, group.target, group.input, times)) for group, times in visits
        ]
        watching = asyncio.create_task(_watch(server, spec, begin, lasting)) if show else None
        await clock.sleep((begin + lasting - clock.now()).total_seconds())
        await asyncio.gather(*customers)
        while server.world.journal.running_now(caller="customer"):
            await clock.sleep(1)
        if watching is not None:
            watching.cancel()
        daemon.stop()
        await serving
        await _read_the_rest(spec, connect(spec.account), clock)
    return Outcome.of(spec, server, visits, begin=begin, lasting=lasting, seed=seed)


async def _visit(
    server: SandboxServer, clock: Clock, target: str, call: Mapping[str, Any], times: Sequence[datetime]
) -> None:
    for moment in times:
        await clock.sleep((moment - clock.now()).total_seconds())
        server.call(target, call)


async def _read_the_rest(spec: Spec, provider: Provider, clock: Clock) -> None:
    """The calls since the daemon's last look at the list, so that the report has all of them."""
    from warmer.engine.account import Account
    from warmer.engine.desk import Desk

    desk = Desk(wiring.ledger_of(spec))
    await Account.over(provider, desk, clock, lambda: spec.models).traffic.refresh(0)
    await provider.close()
    desk.close()


async def _watch(server: SandboxServer, spec: Spec, begin: datetime, lasting: timedelta) -> None:
    """A live table, by the sandbox's own journal."""
    from rich.live import Live
    from rich.table import Table

    from warmer import report
    from warmer.cli.demo_outcome import slug_of

    with Live(console=report.console_on(sys.stdout), refresh_per_second=4, transient=True) as live:
        while True:
            passed = int((server.now() - begin).total_seconds() / 60)
            table = Table(
                box=None, title=f"{passed} of {lasting.total_seconds() / 60:.0f} minutes", title_justify="left"
            )
            for header in ("model", "calls", "found cold", "beats", "now"):
                table.add_column(header, justify="left" if header == "model" else "right")
            for model in spec.models:
                journal, slug = server.world.journal, slug_of(model)
                calls = journal.creates(caller="customer", target=slug)
                share = journal.cold_share(caller="customer", target=slug)
                beats = journal.creates(caller="warmer", target=slug)
                up = any(stay.ready_at and not stay.off_at for stay in journal.instances(server.now(), target=slug))
                table.add_row(model.name, str(calls), report.share(share), str(beats), "warm" if up else "cold")
            live.update(table)
            await asyncio.sleep(0.25)
