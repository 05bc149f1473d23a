"""The truth: what every prediction found and cost, and how long every instance was online."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from warmer.sandbox.billing import bill_of_instance
from warmer.sandbox.instances import Instance, Life
from warmer.sandbox.predictions import Found, Prediction, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One prediction, as it stands."""

    id: str
    caller: str
    model: str
    deployment: str | None
    version: str
    status: Status
    found: Found  # final once started or over
    created_at: datetime
    started_at: datetime | None
    first_token_at: datetime | None  # of a streaming model; final once over, None where it ended before
    completed_at: datetime | None
    wait: timedelta | None
    run: timedelta | None
    billed_usd: Decimal | None  # None while it is not over, and where the instances are billed

    @property
    def target(self) -> str:
        """What was called: the deployment, or else the model."""
        return self.deployment or self.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One instance, from the start of its boot until it went off, or until now."""

    id: str
    target: str
    version: str
    hardware: str
    life: Life
    booted_at: datetime
    ready_at: datetime | None
    off_at: datetime | None
    online: timedelta
    active: timedelta  # running predictions that are over
    billed_usd: Decimal | None  # None where the predictions are billed


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The sums of one caller on one target."""

    target: str
    caller: str
    calls: int
    found_cold: int
    over: int
    billed_usd: Decimal  # of predictions; instances are in `Journal.instances`

    @property
    def cold_share(self) -> float:
        """The share of calls that found no instance up, from 0 to 1."""
        return self.found_cold / self.calls if self.calls else 0.0


class Journal:
    """A view of the world's predictions and instances. Reading changes nothing."""

    def __init__(self, predictions: Iterable[Prediction], instances: Iterable[Instance]) -> None:
        self._predictions, self._instances = predictions, instances

    def calls(self, *, caller: str | None = None, target: str | None = None) -> list[Call]:
        """Every prediction, oldest first."""
        return [
            Call(
                id=one.id,
                caller=one.caller,
                model=one.model,
                deployment=one.deployment,
                version=one.version,
                status=one.status,
                found=one.found,
                created_at=one.created_at,
                started_at=one.started_at,
                first_token_at=one.first_token_at,
                completed_at=one.completed_at,
                wait=one.wait,
                run=one.run,
                billed_usd=one.billed_usd,
            )
            for one in self._chosen(caller, target)
        ]

    def instances(self, now: datetime, *, target: str | None = None) -> list[Stay]:
        """Every instance there ever was, oldest first; one that is still online is billed up to `now`."""
        stays = []
        for one in self._instances:
            if target is not None and one.target != target:
                continue
            online = (one.off_at or now) - one.booted_at
            stays.append(
                Stay(
                    id=one.id,
                    target=one.target,
                    version=one.version,
                    hardware=one.hardware,
                    life=one.life,
                    booted_at=one.booted_at,
                    ready_at=one.ready_at,
                    off_at=one.off_at,
                    online=online,
                    active=one.active,
                    billed_usd=bill_of_instance(one.billing, one.usd_per_second, online),
                )
            )
        return stays

    def totals(self, *, caller: str | None = None, target: str | None = None) -> list[Totals]:
        """Sums by target and caller, in order of their names."""
        groups: dict[tuple[str, str], list[Prediction]] = {}
        for one in self._chosen(caller, target):
            groups.setdefault((one.target, one.caller), []).append(one)
        return [
            Totals(
                target=key[0],
                caller=key[1],
                calls=len(group),
                found_cold=sum(one.found is Found.COLD for one in group),
                over=sum(one.status.over for one in group),
                billed_usd=sum((one.billed_usd or Decimal(0) for one in group), Decimal(0)),
            )
            for key, group in sorted(groups.items())
        ]

    def creates(self, *, caller: str | None = None, target: str | None = None) -> int:
        """How many predictions were created."""
        return sum(1 for _ in self._chosen(caller, target))

    def running_now(self, *, caller: str | None = None, target: str | None = None) -> int:
        """How many predictions are not over, queued ones included."""
        return sum(not one.status.over for one in self._chosen(caller, target))

    def cold_share(self, *, caller: str | None = None, target: str | None = None) -> float | None:
        """The share of calls that found no instance up, from 0 to 1; None where there was no call."""
        found = [one.found for one in self._chosen(caller, target)]
        return sum(one is Found.COLD for one in found) / len(found) if found else None

    def billed_usd(self, now: datetime, *, target: str | None = None) -> Decimal:
        """The whole bill so far: predictions and instances."""
        instances = (stay.billed_usd or Decimal(0) for stay in self.instances(now, target=target))
        predictions = (one.billed_usd or Decimal(0) for one in self._chosen(None, target))
        return sum(instances, Decimal(0)) + sum(predictions, Decimal(0))

    def _chosen(self, caller: str | None, target: str | None) -> Iterable[Prediction]:
        return (
            one
            for one in self._predictions
            if (caller is None or one.caller == caller) and (target is None or one.target == target)
        )
