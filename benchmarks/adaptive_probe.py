"""The adaptive policy on the shared traces, by a simulator of its own: cold share, heartbeats, priced cost and speed.

python benchmarks/adaptive_probe.py [TRACES]      (default ../shared/traces)
"""

from __future__ import annotations

import csv
import gzip
import math
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from warmer.core.adaptive import Adaptive, hold
from warmer.core.worth import Goal

DAYS = {"sessions": 10, "pushes": 174, "scenarios": 21}
PUBLISHED = {
    ("sessions", 20): (4.06, 0.137), ("sessions", 80): (1.23, 0.270), ("sessions", 320): (0.28, 0.427),
    ("sessions", 1280): (0.05, 0.512), ("pushes", 20): (87.2, 0.0), ("pushes", 80): (81.5, 0.001),
    ("pushes", 320): (62.6, 0.015), ("pushes", 1280): (35.8, 0.075), ("scenarios", 20): (4.45, 0.152),
    ("scenarios", 80): (3.24, 0.184), ("scenarios", 320): (0.93, 0.310), ("scenarios", 1280): (0.12, 0.469),
}  # fmt: skip


@dataclass
class Score:
    requests: int = 0
    cold: int = 0
    beats: int = 0
    boot_s: float = 0.0
    took_s: float = 0.0

    def add(self, other: Score) -> None:
        self.requests += other.requests
        self.cold += other.cold
        self.beats += other.beats
        self.boot_s += other.boot_s
        self.took_s += other.took_s

    @property
    def share(self) -> float:
        return self.cold / self.requests


class Ski:
    def __init__(self, interval_s: float, most: float) -> None:
        self.interval_s, self.most, self.left = interval_s, most, 0.0

    def seen(self, at_s: float) -> None:
        self.left = self.most

    def next_look(self, now_s: float, last_activity_s: float | None) -> float:
        return math.inf if self.left < 1 or last_activity_s is None else last_activity_s + self.interval_s

    def send(self, now_s: float, *, warm: bool) -> bool:
        return True

    def sent(self, now_s: float) -> None:
        self.left -= 1


def traces(folder: Path, name: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    with gzip.open(folder / f"{name}.csv.gz", "rt") as text:
        for row in csv.DictReader(text):
            found[row["model"]].append(float(row["t"]))
    return dict(sorted(found.items()))


def play(times: list[float], end: float, decider: Adaptive | Ski, stays_s: float, interval_s: float) -> Score:
    """One model: T, boots log-normal of median 12 s, requests 1.5 s, heartbeats 0.3 s and late by Exp(0.5 s)."""
    draw = random.Random(len(times))
    boots = [12.0 * math.exp(0.5 * draw.gauss(0, 1)) for _ in range(512)]
    late = [draw.expovariate(2.0) for _ in range(1024)]
    seen, next_look, send, sent = decider.seen, decider.next_look, decider.send, decider.sent
    cold = beats = boot = 0
    boot_s = ready = 0.0
    idle = -math.inf  # end of the last activity
    look = math.inf
    began = time.process_time()
    for at in [*times, end]:
        while look < at:
            if not send(look, warm=look <= idle + interval_s):
                look = max(next_look(look, idle), look + 1e-6)
                continue
            sent(look)
            reach = look + late[beats & 1023]
            beats += 1
            if reach > idle + stays_s:
                boot += 1
                boot_s += boots[boot & 511]
                ready = reach + boots[boot & 511]
            idle = max(reach, ready, idle) + 0.3
            if at <= idle:
                break
            look = next_look(idle, idle)
        if at >= end:
            break
        if at > idle + stays_s:
            cold += 1
            boot += 1
            boot_s += boots[boot & 511]
            ready = at + boots[boot & 511]
        elif at < ready:
            cold += 1
        idle = max(idle, max(at, ready) + 1.5)
        seen(at)
        look = next_look(at, idle)
    return Score(len(times), cold, beats, boot_s, time.process_time() - began)


def adaptive(models: dict[str, list[float]], end: float, stays_s: float, interval_s: float, **how: object) -> Score:
    total = Score()
    for times in models.values():
        total.add(play(times, end, Adaptive(interval_s=interval_s, **how), stays_s, interval_s))  # type: ignore[arg-type]
    return total


def ski(models: dict[str, list[float]], end: float, worth: float) -> Score:
    total = Score()
    for times in models.values():
        total.add(play(times, end, Ski(50.0, worth), 60.0, 50.0))
    return total


def clairvoyant(models: dict[str, list[float]], worth: float) -> float:
    """Priced cost of the best keep-only policy that knows every gap; each first request cold."""
    cost = 0.0
    for times in models.values():
        cost += worth
        for before, after in pairwise(times):
            gap = after - before - 1.5
            cost += min(math.ceil(max(gap - 60.0, 0.0) / 60.3), worth)
    return cost


def cron_by_day(models: dict[str, list[float]], stays_s: float) -> float:
    """The cold share that a cron every 30 s from 08 to 20 leaves."""
    cold = requests = 0
    for times in models.values():
        idle, ready = -math.inf, 0.0
        for at in times:
            day = at % 86_400.0
            beaten = at if 8 * 3600 <= day < 20 * 3600 else at - (day - 20 * 3600) % 86_400.0
            if at > max(idle, beaten) + stays_s:
                ready = at + 12.0
            cold += at < ready
            idle = max(at, ready) + 1.5
        requests += len(times)
    return cold / requests


def cheapest(models: dict[str, list[float]], end: float, share: float, stays_s: float, interval_s: float) -> Score:
    """The fewest heartbeats of one worth for all models, found in hindsight, that leave at most `share` cold."""
    low, high = 0.0, 18.0
    best = Score()
    for _ in range(9):
        middle = (low + high) / 2
        score = adaptive(models, end, stays_s, interval_s, worth=2.0**middle)
        if score.share <= share:
            high, best = middle, score
        else:
            low = middle
    return best


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/traces")
    for name, days in DAYS.items():
        models, end = traces(folder, name), days * 86_400.0
        cron = len(models) * end / 30.0
        print(f"\n{name}: cold % / share of the cron; [published]; J over ski and clairvoyant; events/s")
        for worth in (10, 20, 40, 80, 160, 320, 640, 1280):
            score, plain = adaptive(models, end, 60.0, 50.0, worth=worth), ski(models, end, worth)
            cost = score.beats + worth * score.cold
            wanted = PUBLISHED.get((name, worth))
            print(
                f"  K {worth:5d}  {100 * score.share:5.2f} / {score.beats / cron:.4f}  "
                f"{f'[{wanted[0]} / {wanted[1]}]' if wanted else '':16s}"
                f"  {cost / (plain.beats + worth * plain.cold):.3f}  {cost / clairvoyant(models, worth):.3f}"
                f"  {(score.requests + score.beats) / score.took_s / 1e6:.2f} M/s"
            )
        for stays, interval in ((60.0, 50.0), (300.0, 280.0)):
            best = cheapest(models, end, cron_by_day(models, stays), stays, interval)
            print(f"  the cold share of the cron 08-20, T = {stays:.0f}: {2 * best.beats / cron:.3f} of its heartbeats")
        for target in (0.05, 0.02, 0.01):
            for stays, interval in ((60.0, 50.0), (300.0, 280.0)):
                worths = hold(Goal(target), models.values(), interval_s=interval)
                pooled = adaptive(models, end, stays, interval, purse=worths)
                alone = adaptive(models, end, stays, interval, target=target)
                print(
                    f"  target {target:.0%}, T = {stays:.0f}: pooled {100 * pooled.share:.2f} % at "
                    f"{2 * pooled.beats / cron:.3f}, each alone {100 * alone.share:.2f} % at "
                    f"{2 * alone.beats / cron:.3f}   {(alone.requests + alone.beats) / alone.took_s / 1e6:.2f} M/s"
                )


if __name__ == "__main__":
    main()
