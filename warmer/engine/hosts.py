"""What the ledger tells of the hosts of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from warmer.core.backtest.entry import Host
from warmer.core.learned import Learned
from warmer.core.spec import ModelSpec, PolicyName
from warmer.ports import Ledger

_SETTLED = 200
"""Finds: what a daemon has noted of so many gains nothing from the few that came since, and to fold those takes longer
than all else."""


def learned_of(ledger: Ledger, now: datetime) -> Callable[[ModelSpec], Learned | None]:
    """For each entry what was learned of its host by `now`; None where its traffic is not read."""
    from warmer.engine.learning import Learning
    from warmer.engine.lesson import Lesson

    learning, imported_at = Learning(lambda: ()), ledger.imported_at()

    def learned(entry: ModelSpec) -> Learned | None:
        noted = Lesson.kept_of(ledger, entry, imported_at, now) if entry.traffic else None
        if noted is not None and noted.kept >= _SETTLED:
            return noted.latest
        # As if it were only observed: nothing but the host is asked for, so no forecast need be made.
        return learning.knowledge(ledger, replace(entry, policy=PolicyName.OBSERVE), now).learned

    return learned


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
