"""What the ledger tells of the hosts of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from warmer.core.backtest.entry import Host
from warmer.core.floor import Spell
from warmer.core.history import Evidence
from warmer.core.idle_timeout import REMEMBERED
from warmer.core.learned import Learned
from warmer.core.spec import ModelSpec, PolicyName
from warmer.ports import Ledger

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def learned_of(ledger: Ledger, now: datetime) -> Callable[[ModelSpec], Learned | None]:
    """For each entry what was learned of its host by `now`; None where its traffic is not read."""
    from warmer.engine.learning import Learning

    learning, spells = Learning(lambda: ()), ledger.floor_spells(_BEGINNING)

    def learned(entry: ModelSpec) -> Learned | None:
        # As if it were only observed: nothing but the host is asked for, so no forecast need be made.
        known = learning.knowledge(ledger, replace(entry, policy=PolicyName.OBSERVE), now).learned
        held = [spell for spell in spells if spell.model == entry.name]
        if known is None or not held:
            return known
        return Learned().after_all(
            one for one in ledger.evidence(entry.name, limit=REMEMBERED) if not any(_met_held(one, by) for by in held)
        )

    return learned


def _met_held(one: Evidence, by: Spell) -> bool:
    """Whether a floor held instances in the gap before: what was found then tells nothing of an idle time-out."""
    begins = one.at - timedelta(seconds=(one.gap_s or 0.0) + (one.wait_s or 0.0))
    return one.at >= by.raised_at and (by.lowered_at is None or begins <= by.lowered_at)


def hosts_of(ledger: Ledger, now: datetime) -> Callable[[ModelSpec], Host]:
    """For each entry its host as learned by `now`; the usual one in what is not known yet."""
    learned = learned_of(ledger, now)

    def host_of(entry: ModelSpec) -> Host:
        latest = ledger.latest_beat(entry.name)
        return Host.of(
            learned(entry),
            run_s=latest.run_s if latest else None,
            billing=latest.billing if latest else None,
        )

    return host_of
