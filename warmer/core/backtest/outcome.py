"""What a policy did to a whole trace, as one row of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from warmer.core.backtest.replay import Replay
from warmer.core.backtest.trace import SECOND, Times, Trace
from warmer.core.backtest.world import World
from warmer.core.units import to_whole_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedLatency:
    """Seconds that boots added, over all requests; percentiles by nearest rank. None where there are no requests."""

    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, waits: Times, requests: int) -> AddedLatency:
        """Of `requests`, all but those with one of `waits` (microseconds) waited for nothing."""
        if requests == 0:
            return cls(mean=None, p50=None, p95=None, p99=None)
        ordered = np.sort(waits)

        def rank(per_cent: int) -> float:
            index = -(-per_cent * requests // 100) - 1 - (requests - len(ordered))
            return int(ordered[index]) / SECOND if index >= 0 else 0.0

        return cls(mean=int(ordered.sum()) / SECOND / requests, p50=rank(50), p95=rank(95), p99=rank(99))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One policy on one trace, all its models together. Times in seconds."""

    trace: str
    policy: str
    parameters: Mapping[str, float | str]
    models: int
    requests: int
    cold_requests: int  # that waited for any part of a boot
    cold_share: float | None  # None without requests
    cold_first_requests: int  # models whose first request was cold, which no policy that sees only the past can help
    heartbeats: int
    heartbeat_seconds: float  # run of the heartbeats: what is billed where the run alone is
    boot_seconds: float
    online_seconds: float  # up or booting: what is billed where instances are
    added_latency_s: AddedLatency
    cost_usd: Decimal | None  # of the heartbeats; None where no price was given

    def cost_in_heartbeats(self, worth: float) -> float:
        """Heartbeats and cold requests together, where one cold request is worth that many heartbeats."""
        return self.heartbeats + worth * self.cold_requests


def row(
    trace: Trace,
    policy: str,
    parameters: Mapping[str, float | str],
    replays: Sequence[Replay],
    world: World,
    *,
    per_second: Decimal | None = None,
) -> Row:
    """The row of `replays`, one for each model of `trace`. `per_second`: USD for a second of a heartbeat's run."""
    requests, beats = len(trace), sum(len(one.sent) for one in replays)
    waits = np.concatenate([one.waits for one in replays]) if replays else np.empty(0, dtype=np.int64)
    beat_seconds = Decimal(beats * world.beat) / SECOND
    return Row(
        trace=trace.name,
        policy=policy,
        parameters=parameters,
        models=len(trace.models),
        requests=requests,
        cold_requests=len(waits),
        cold_share=len(waits) / requests if requests else None,
        cold_first_requests=sum(bool(one.cold[:1].any()) for one in replays),
        heartbeats=beats,
        heartbeat_seconds=float(beat_seconds),
        boot_seconds=sum(one.boots for one in replays) / SECOND,
        online_seconds=sum(one.online for one in replays) / SECOND,
        added_latency_s=AddedLatency.of(waits, requests),
        cost_usd=None if per_second is None else to_whole_micros(beat_seconds * per_second),
    )
