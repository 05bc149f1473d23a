"""What a demo came to, held against the sandbox's own journal and against what people do today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import IO, Any

from warmer import report
from warmer.cli import wiring
from warmer.core.beat import Verdict
from warmer.core.insight import Percentiles, Summary, summarise
from warmer.core.learned import Learned
from warmer.core.rollup import beats_by_hour, calls_by_hour
from warmer.core.schema_input import component
from warmer.core.smallest import smallest_input
from warmer.core.spec import ModelSpec, Spec
from warmer.engine.learning import Learning
from warmer.sandbox.customers import Replay, Visits, replay, replay_with_cron
from warmer.sandbox.world import World

_BILL_MAY_DIFFER = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model: what warmer saw, what the sandbox knows, and what the same customers would have met otherwise."""

    seen: Summary
    true_bill_usd: Decimal
    true_cold: int  # customers' calls that found no instance up, by the journal
    unwarmed: Replay
    cron: Replay
    learned_s: tuple[float, float] | None  # the band of the idle time-out; None where it is not known
    idle_timeout_s: float  # the true one


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
        """Whether every verdict is right and the bill within 1 %."""
        off = abs(self.cost_usd - self.true_bill_usd)
        known = all(row.seen.cost.usd is not None for row in self.rows)
        return self.verdicts_wrong == 0 and known and off <= self.true_bill_usd * _BILL_MAY_DIFFER

    @classmethod
    def of(
        cls,
        spec: Spec,
        world: World,
        visits: Sequence[tuple[Visits, Sequence[datetime]]],
        *,
        begin: datetime,
        lasting: timedelta,
        seed: int,
    ) -> Outcome:
        """Hold the ledger against `world`, and replay the same visits without warmer and with the cron job."""
        ledger = wiring.ledger_of(spec)
        beats, calls = list(ledger.beats()), list(ledger.requests())
        names = [model.name for model in spec.models]
        learning = Learning(lambda: spec.models)
        truth = {call.id: call for call in world.journal.calls()}
        finds = [(b.prediction_id, b.verdict) for b in beats] + [(c.prediction_id, c.verdict) for c in calls]
        told = [(truth[i].found.value, verdict.value) for i, verdict in finds if i and verdict is not Verdict.UNSURE]
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
            group, times = groups[model.target.slug]
            ours = [call for call in truth.values() if call.target == model.target.slug]
            rows.append(
                Row(
                    seen=seen,
                    true_bill_usd=sum((c.billed_usd or Decimal(0) for c in ours if c.caller == "warmer"), Decimal(0)),
                    true_cold=sum(c.caller == "customer" and c.found.value == "cold" for c in ours),
                    unwarmed=replay(World(begin=begin, seed=seed), group.target, times, group.input),
                    cron=replay_with_cron(
                        World(begin=begin, seed=seed),
                        group.target,
                        times,
                        group.input,
                        _beat_input(model, world),
                        until=begin + lasting,
                    ),
                    learned_s=_band(learning.knowledge(ledger, model, begin + lasting).learned),
                    idle_timeout_s=world.model(model.target.slug).idle_timeout_s,
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
                    "cron_beats": row.cron.beats,
                    "cron_cold_share": _share(row.cron),
                    "cron_bill_usd": row.cron.billed_usd,
                    "learned_low_s": row.learned_s and row.learned_s[0],
                    "learned_high_s": row.learned_s and row.learned_s[1],
                    "true_idle_timeout_s": row.idle_timeout_s,
                    "ticks": row.seen.reasons,
                }
                for row in self.rows
            ],
            "beats": sum(row.seen.beats for row in self.rows),
            "cron_beats": sum(row.cron.beats for row in self.rows),
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
        if row.learned_s is not None
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
        str(row.cron.beats),
        report.cost(row.seen),
        report.money(row.true_bill_usd),
    )


def _totals(outcome: Outcome) -> tuple[str, ...]:
    rows = outcome.rows
    calls = sum(row.seen.calls for row in rows)
    told = calls - sum(row.seen.calls_unsure for row in rows)
    unwarmed = sum(row.unwarmed.calls for row in rows)
    return (
        "all",
        str(calls),
        report.share(sum(row.seen.calls_cold for row in rows) / told if told else None),
        report.share(sum(row.unwarmed.found_cold for row in rows) / unwarmed if unwarmed else None),
        "",
        "",
        str(sum(row.seen.beats for row in rows)),
        str(sum(row.cron.beats for row in rows)),
        report.money(outcome.cost_usd),
        report.money(outcome.true_bill_usd),
    )


def _band(learned: Learned | None) -> tuple[float, float] | None:
    belief = learned.idle_timeout if learned is not None else None
    return belief.band_s if belief is not None and belief.is_known else None


def _share(of: Replay) -> float | None:
    return round(of.cold_share, 6) if of.calls else None


def _waits(of: Replay) -> Percentiles:
    return Percentiles.of(wait.total_seconds() for wait in of.waits)


def _beat_input(model: ModelSpec, world: World) -> Mapping[str, Any]:
    if model.input is not None:
        return model.input
    traits = world.model(model.target.slug)
    schemas = traits.latest.openapi_schema["components"]["schemas"]
    return smallest_input(component(schemas, "Input"), traits.default_example)
