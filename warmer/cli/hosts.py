"""What the ledger tells of the hosts of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from warmer.core.backtest.entry import Host
from warmer.core.learned import Learned
from warmer.core.spec import ModelSpec, PolicyName
from warmer.ports import Ledger


def learned_of(ledger: Ledger, now: datetime) -> Callable[[ModelSpec], Learned | None]:
    """For each entry what was learned of its host by `now`; None where its traffic is not read."""
    from warmer.engine.learning import Learning

    learning = Learning(lambda: ())

    def learned(entry: ModelSpec) -> Learned | None:
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
