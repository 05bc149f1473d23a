"""What a demo came to, held against the sandbox's own journal and against what people do today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

from warmer import report
from warmer.cli import wiring
from warmer.core.beat import Observation, Verdict
from warmer.core.insight import Percentiles, Summary, summarise
from warmer.core.learned import Learned
from warmer.core.price import PER_SECOND
from warmer.core.rollup import beats_by_hour, calls_by_hour
from warmer.core.schema_input import component
from warmer.core.smallest import smallest_input
from warmer.core.spec import ModelSpec, Spec, TargetKind
from warmer.engine.learning import Learning
from warmer.sandbox.customers import Replay, Visits, replay, replay_with_cron
from warmer.sandbox.journal import Call
from warmer.sandbox.world import World

BEHIND = "nightmareai/real-esrgan"
"""What the sandbox runs for the demo's endpoint."""
if TYPE_CHECKING:
    from warmer.sandbox.server import SandboxServer

_BILL_MAY_DIFFER = Decimal("0.01")
_ESTIMATE_MAY_DIFFER = Decimal("0.05")
_DRAINED = timedelta(hours=1)
"""By then every instance of the world is off, and billed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model: what warmer saw, what the sandbox knows, and what the same customers would have met otherwise."""

    seen: Summary
    true_bill_usd: Decimal
    true_cold: int  # customers' calls that found no instance up, by the journal
    unwarmed: Replay | None  # None: no customers call it
    cron: Replay | None
    learned_s: tuple[float, float] | None  # the band of the idle time-out; None where it is not known
    idle_timeout_s: float | None  # the true one; None: no customers call it
    last_idle_usd: Decimal  # what keeping its last instance cost: for how long that was, nobody has seen

    @property
    def adds_up(self) -> bool:
        """Whether the cost is what was billed, as near as that can be known."""
        cost, billed = self.seen.cost, self.true_bill_usd
        may_differ = billed * (_ESTIMATE_MAY_DIFFER if cost.is_estimated else _BILL_MAY_DIFFER) + self.last_idle_usd
        return cost.usd is not None and abs(cost.usd - billed) <= may_differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The whole demo."""

    rows: tuple[Row, ...]
    lasting: timedelta
    verdicts: int  # beats and calls, warm or cold
    verdicts_wrong: int  # of them, not what the journal says
    verdicts_unsure: int

    @property
    def cost_usd(self) -> Decimal:
        """By warmer's ledger."""
        return sum((row.seen.cost_usd for row in self.rows), Decimal(0))

    @property
    def true_bill_usd(self) -> Decimal:
        """By the sandbox's journal."""
        return sum((row.true_bill_usd for row in self.rows), Decimal(0))

    @property
    def adds_up(self) -> bool:
        """Whether every verdict is right, and each bill within 1 %; an estimate within 5 % and one idle time-out."""
        return self.verdicts_wrong == 0 and all(row.adds_up for row in self.rows)

    @classmethod
    def of(
        cls,
        spec: Spec,
        server: SandboxServer,
        visits: Sequence[tuple[Visits, Sequence[datetime]]],
        *,
        begin: datetime,
        lasting: timedelta,
        seed: int,
    ) -> Outcome:
        """Hold the ledger against the world of `server`, replay its visits without warmer, and with the cron job."""
        ledger, world = wiring.ledger_of(spec), server.world
        world.advance(world.now + _DRAINED)
        beats, calls = list(ledger.beats()), list(ledger.requests())
        names = [model.name for model in spec.models]
        learning = Learning(lambda: spec.models)
        calls_made = world.journal.calls()
        truth = {call.id: call.found.value for call in calls_made}
        truth |= _found_otherwise(spec, beats, calls_made, server.cog.up_at)
        finds = [(b.prediction_id, b.verdict) for b in beats] + [(c.prediction_id, c.verdict) for c in calls]
        told = [(truth[i], verdict.value) for i, verdict in finds if i and verdict is not Verdict.UNSURE]
        groups = {group.target: (group, times) for group, times in visits}
        rows = []
        summaries = summarise(
            beats_by_hour(beats, spec.zone),
            calls_by_hour(calls, spec.zone),
            models=names,
            zone=spec.zone,
            ticks=ledger.ticks(begin),
        )
        for model, seen in zip(spec.models, summaries, strict=False):
            slug = slug_of(model)
            ours = [call for call in calls_made if call.target == slug]
            group, times = groups.get(slug, (None, ()))
            rows.append(
                Row(
                    seen=seen,
                    true_bill_usd=_billed(world, slug, ours),
                    true_cold=sum(c.caller == "customer" and c.found.value == "cold" for c in ours),
                    unwarmed=None
                    if group is None
                    else replay(World(begin=begin, seed=seed), group.target, times, group.input),
                    cron=None
                    if group is None
                    else replay_with_cron(
                        World(begin=begin, seed=seed),
                        group.target,
                        times,
                        group.input,
                        _beat_input(model, world),
                        until=begin + lasting,
                    ),
                    learned_s=_band(learning.knowledge(ledger, model, begin + lasting).learned),
                    idle_timeout_s=None if group is None else world.model(slug).idle_timeout_s,
                    last_idle_usd=_last_idle_usd(model, world),
                )
            )
        return cls(
            rows=tuple(rows),
            lasting=lasting,
            verdicts=len(told),
            verdicts_wrong=sum(found != verdict for found, verdict in told),
            verdicts_unsure=len(finds) - len(told),
        )

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "schema": 1,
            "minutes": self.lasting.total_seconds() / 60,
            "models": [
                report.summary_facts(row.seen)
                | {
                    "true_cold": row.true_cold,
                    "true_bill_usd": row.true_bill_usd,
                    "unwarmed_cold_share": _share(row.unwarmed),
                    "cron_beats": row.cron and row.cron.beats,
                    "cron_cold_share": _share(row.cron),
                    "cron_bill_usd": row.cron and row.cron.billed_usd,
                    "learned_low_s": row.learned_s and row.learned_s[0],
                    "learned_high_s": row.learned_s and row.learned_s[1],
                    "true_idle_timeout_s": row.idle_timeout_s,
                    "ticks": row.seen.reasons,
                }
                for row in self.rows
            ],
            "beats": sum(row.seen.beats for row in self.rows),
            "cron_beats": sum(row.cron.beats for row in self.rows if row.cron is not None),
            "cost_usd": self.cost_usd,
            "true_bill_usd": self.true_bill_usd,
            "verdicts": self.verdicts,
            "verdicts_wrong": self.verdicts_wrong,
            "verdicts_unsure": self.verdicts_unsure,
            "adds_up": self.adds_up,
        }


def print_outcome(outcome: Outcome, *, took: timedelta, out: IO[str]) -> None:
    """The closing table, and whether it adds up."""
    minutes = outcome.lasting.total_seconds() / 60
    out.write(
        f"warmer demo: {len(outcome.rows)} models, {minutes:.0f} minutes in {took.total_seconds():.0f} s, "
        "against the embedded sandbox\n\n"
    )
    headers = (
        "model",
        "calls",
        "found cold",
        "unwarmed",
        "wait p95",
        "unwarmed",
        "beats",
        "30 s cron",
        "cost",
        "true bill",
    )
    report.write_table(headers, [*map(_cells, outcome.rows), _totals(outcome)], out)
    learned = [
        f"{row.seen.model.rpartition('/')[2]} {row.learned_s[0]:.0f}-{row.learned_s[1]:.0f} s "
        f"(true {row.idle_timeout_s:.0f} s)"
        for row in outcome.rows
        if row.learned_s is not None and row.idle_timeout_s is not None
    ]
    if learned:
        out.write(f"\nidle time-outs learned: {', '.join(learned)}\n")
    verdict = "adds up" if outcome.adds_up else "does NOT add up"
    out.write(
        f"\n{verdict} with the sandbox's journal: {outcome.verdicts - outcome.verdicts_wrong} of {outcome.verdicts} "
        f"verdicts right ({outcome.verdicts_unsure} unsure), "
        f"cost {report.money(outcome.cost_usd)} against a true bill of {report.money(outcome.true_bill_usd)}\n"
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.seen.model,
        str(row.seen.calls),
        report.share(row.seen.cold_share),
        report.share(_share(row.unwarmed)),
        report.seconds(row.seen.waits.p95),
        report.seconds(_waits(row.unwarmed).p95),
        str(row.seen.beats),
        "-" if row.cron is None else str(row.cron.beats),
        report.cost(row.seen),
        report.money(row.true_bill_usd),
    )


def _totals(outcome: Outcome) -> tuple[str, ...]:
    rows = outcome.rows
    calls = sum(row.seen.calls for row in rows)
    told = calls - sum(row.seen.calls_unsure for row in rows)
    replays = [row.unwarmed for row in rows if row.unwarmed is not None]
    unwarmed = sum(one.calls for one in replays)
    return (
        "all",
        str(calls),
        report.share(sum(row.seen.calls_cold for row in rows) / told if told else None),
        report.share(sum(one.found_cold for one in replays) / unwarmed if unwarmed else None),
        "",
        "",
        str(sum(row.seen.beats for row in rows)),
        str(sum(row.cron.beats for row in rows if row.cron is not None)),
        report.money(outcome.cost_usd),
        report.money(outcome.true_bill_usd),
    )


def _band(learned: Learned | None) -> tuple[float, float] | None:
    belief = learned.idle_timeout if learned is not None else None
    return belief.band_s if belief is not None and belief.is_known else None


def _share(of: Replay | None) -> float | None:
    return round(of.cold_share, 6) if of is not None and of.calls else None


def _waits(of: Replay | None) -> Percentiles:
    return Percentiles.of(wait.total_seconds() for wait in (() if of is None else of.waits))


def slug_of(model: ModelSpec) -> str:
    """What the sandbox calls that which `model` keeps warm."""
    return BEHIND if model.target.kind is TargetKind.URL else model.target.slug


def _found_otherwise(
    spec: Spec, beats: Sequence[Observation], calls: Sequence[Call], cog_up_at: datetime
) -> dict[str, str]:
    """What beats truly found that came by other doors than the API: those have no id of the journal's."""
    behind = [call for call in calls if call.target == BEHIND]
    found = dict[str, str]()
    for beat in beats:
        entry = spec.model(beat.model)
        if entry is None or beat.prediction_id is None:
            continue
        if entry.target.kind is TargetKind.COG:
            found[beat.prediction_id] = "cold" if beat.created_at < cog_up_at else "warm"
        elif entry.target.kind is TargetKind.URL:
            nearest = min(behind, key=lambda call: abs(call.created_at - beat.created_at))
            found[beat.prediction_id] = nearest.found.value
    return found


def _last_idle_usd(model: ModelSpec, world: World) -> Decimal:
    if model.target.kind is not TargetKind.DEPLOYMENT:
        return Decimal(0)
    deployment = world.deployment(model.target.slug)
    return PER_SECOND[deployment.hardware] * Decimal(str(world.model(deployment.model).idle_timeout_s))


def _billed(world: World, slug: str, calls: Sequence[Call]) -> Decimal:
    """For our beats alone; where instances are billed, for every instance, which nobody else called."""
    runs = sum((call.billed_usd or Decimal(0) for call in calls if call.caller == "warmer"), Decimal(0))
    stays = world.journal.instances(world.now, target=slug)
    return runs + sum((stay.billed_usd or Decimal(0) for stay in stays), Decimal(0))


def _beat_input(model: ModelSpec, world: World) -> Mapping[str, Any]:
    if model.input is not None:
        return model.input
    traits = world.model(model.target.slug)
    schemas = traits.latest.openapi_schema["components"]["schemas"]
    return smallest_input(component(schemas, "Input"), traits.default_example)
