"""A candidate policy scored without sending: the same calls replayed through it, and through the entry as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from warmer.core.backtest.entry import Host, Traffic, replay_entry
from warmer.core.backtest.replay import Replay
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.units import to_whole_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one policy did, or would have done, in one stretch of time."""

    beats: int
    cost_usd: Decimal | None  # None: unknown
    cold_share: float | None  # of the calls; None where there were none


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """One model's policy beside its candidate, on the same calls and the same host. Durations in seconds."""

    model: str
    policy: PolicyName
    shadow: PolicyName
    calls: int
    idle_timeout_s: float  # of the host replayed
    interval_s: float  # that the candidate trusts an idle instance for
    boot_s: float
    entry: Score  # the entry's own policy, replayed
    candidate: Score


def shadow_of(entry: ModelSpec, calls: Iterable[datetime], host: Host) -> Shadow | None:
    """The score of the entry's shadow on `calls`, as the backtest of them has it. None without a shadow or calls."""
    moments = list(calls)
    if entry.shadow is None or not moments:
        return None
    traffic = Traffic.of_moments("ledger", entry.name, moments, entry.hours.zone)
    candidate = replace(entry, policy=entry.shadow, shadow=None)

    def score(one: ModelSpec) -> Score:
        return _score(replay_entry(one, traffic, host), host.beat_usd(one))

    return Shadow(
        model=entry.name,
        policy=entry.policy,
        shadow=entry.shadow,
        calls=len(moments),
        idle_timeout_s=host.idle_timeout_s,
        interval_s=host.interval_s(candidate),
        boot_s=host.boot_s,
        entry=score(entry),
        candidate=score(candidate),
    )


def _score(replay: Replay, beat_usd: Decimal | None) -> Score:
    beats = len(replay.sent)
    return Score(
        beats=beats,
        cost_usd=None if beat_usd is None else to_whole_micros(beats * beat_usd),
        cold_share=float(replay.cold.mean()),
    )
