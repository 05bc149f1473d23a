"""The instances of one version of a model, or of one release of a deployment: how they boot, serve, idle and go."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from random import Random

from warmer.sandbox.agenda import Agenda, Appointment
from warmer.sandbox.predictions import RUN_LIMIT, Found, Prediction, Status
from warmer.sandbox.traits import Billing, Traits


class Life(StrEnum):
    """Where an instance stands."""

    BOOTING = "booting"
    ACTIVE = "active"
    IDLE = "idle"
    OFF = "off"


@dataclass(slots=True, kw_only=True, eq=False)
class Instance:
    """One container. It serves one prediction at a time."""

    id: str
    target: str  # owner/name of the model or deployment
    version: str
    hardware: str
    billing: Billing
    usd_per_second: Decimal
    booted_at: datetime  # when the boot began
    ready_at: datetime | None = None  # when the boot ended
    off_at: datetime | None = None
    active: timedelta = timedelta(0)  # spent running predictions that are over
    life: Life = Life.BOOTING
    current: Prediction | None = None
    idle_since: datetime | None = None
    overdue: bool = False  # its idle time-out has passed; only the floor keeps it
    coming: Appointment | None = None  # the event that ends its present state


class Pool:
    """A queue and the instances that work it off, first come first served.

    An instance is up from the end of its boot until its idle time-out has passed since its last activity, that instant
    excluded.
    """

    def __init__(
        self,
        *,
        name: str,
        target: str,
        version: str,
        traits: Traits,
        billing: Billing,
        hardware: str,
        usd_per_second: Decimal,
        min_instances: int,
        max_instances: int,
        agenda: Agenda,
        random: Random,
        born: Callable[[Instance], None],
        started: Callable[[Prediction], None],
        over: Callable[[Prediction], None],
    ) -> None:
        self._name = name
        self._target = target
        self._version = version
        self._traits = traits
        self._billing = billing
        self._hardware = hardware
        self._usd_per_second = usd_per_second
        self._min = min_instances
        self._max = max_instances
        self._retired = False
        self._agenda = agenda
        self._random = random
        self._born, self._started, self._over = born, started, over
        self._queue: deque[Prediction] = deque()
        self._live: list[Instance] = []  # every instance that is not off, oldest first
        self._births = 0
        self._keep_floor()

    def submit(self, prediction: Prediction) -> None:
        """Take a prediction in: onto an idle instance, or else into the queue."""
        up = self._traits.is_official or any(one.ready_at is not None for one in self._live)
        prediction.found = Found.WARM if up else Found.COLD
        self._queue.append(prediction)
        self._work()

    def end(self, prediction: Prediction, status: Status) -> None:
        """End a prediction before its time, wherever it is. A finished one stays as it is."""
        if prediction.status.over:
            return
        if prediction in self._queue:
            self._queue.remove(prediction)
            self._finish(prediction, status)
            return
        instance = next(one for one in self._live if one.current is prediction)
        self._release(instance, status)

    def scale(self, min_instances: int, max_instances: int) -> None:
        """Move the floor and the ceiling. A floor that sinks lets go of what only it kept up."""
        self._min, self._max = min_instances, max_instances
        self._keep_floor()
        for instance in [one for one in self._live if one.life is Life.IDLE]:
            surplus = instance.overdue and len(self._live) > self._min
            if surplus or len(self._live) > max(self._max, self._min):
                self._switch_off(instance)
        self._work()

    def retire(self) -> None:
        """Finish what is queued and running, then go: a later release has come, or the deployment went."""
        self._retired, self._min = True, 0
        for instance in [one for one in self._live if one.life is Life.IDLE]:
            self._switch_off(instance)
        if not self._queue:
            for instance in [one for one in self._live if one.life is Life.BOOTING]:
                self._switch_off(instance)

    def _work(self) -> None:
        while self._queue and (idle := [one for one in self._live if one.life is Life.IDLE]):
            # The last one used, so that surplus instances get to idle out.
            self._assign(max(idle, key=lambda one: one.idle_since or one.booted_at), self._queue.popleft())
        while self._queue and self._wants_another():
            instance = self._boot()
            if self._traits.is_official:
                self._be_ready(instance)

    def _wants_another(self) -> bool:
        if self._traits.is_official:
            return True
        if len(self._live) >= self._max:
            return False
        return not self._live or len(self._queue) > self._traits.queue_per_instance * len(self._live)

    def _keep_floor(self) -> None:
        while len(self._live) < self._min:
            self._boot()

    def _boot(self) -> Instance:
        now = self._agenda.now
        self._births += 1
        instance = Instance(
            id=f"{self._name}/{self._births}",
            target=self._target,
            version=self._version,
            hardware=self._hardware,
            billing=self._billing,
            usd_per_second=self._usd_per_second,
            booted_at=now,
        )
        self._live.append(instance)
        self._born(instance)
        if not self._traits.is_official:  # those are always on: an instance more is there at once
            boot = self._draw(self._traits.boot_s, self._traits.boot_spread)
            instance.coming = self._agenda.at(now + boot, lambda: self._be_ready(instance))
        return instance

    def _be_ready(self, instance: Instance) -> None:
        instance.ready_at = self._agenda.now
        self._free(instance)

    def _free(self, instance: Instance) -> None:
        """What an instance does next, now that it has nothing to do."""
        instance.current = None
        if self._queue:
            self._assign(instance, self._queue.popleft())
        elif self._retired:
            self._switch_off(instance)
        else:
            now = self._agenda.now
            instance.life, instance.idle_since, instance.overdue = Life.IDLE, now, False
            kept = self._draw(self._traits.idle_timeout_s, self._traits.idle_timeout_spread)
            instance.coming = self._agenda.at(now + kept, lambda: self._idle_out(instance))

    def _idle_out(self, instance: Instance) -> None:
        if len(self._live) > self._min:
            self._switch_off(instance)
        else:
            instance.overdue = True

    def _switch_off(self, instance: Instance) -> None:
        if instance.coming is not None:
            instance.coming.drop()
        instance.life, instance.off_at = Life.OFF, self._agenda.now
        self._live.remove(instance)

    def _assign(self, instance: Instance, prediction: Prediction) -> None:
        if instance.coming is not None:
            instance.coming.drop()
        instance.life, instance.current, instance.idle_since = Life.ACTIVE, prediction, None
        overhead = self._draw(self._traits.overhead_s, self._traits.overhead_spread)
        instance.coming = self._agenda.at(self._agenda.now + overhead, lambda: self._start(instance, prediction))

    def _start(self, instance: Instance, prediction: Prediction) -> None:
        now = self._agenda.now
        waited_for_boot = instance.ready_at is None or instance.ready_at > prediction.created_at
        prediction.found = Found.COLD if waited_for_boot and not self._traits.is_official else Found.WARM
        prediction.start(now)
        if prediction.planned_run > RUN_LIMIT:
            prediction.planned_error = "Prediction timed out: it ran for more than 30 minutes"
        ends = now + min(prediction.planned_run, RUN_LIMIT)
        instance.coming = self._agenda.at(ends, lambda: self._complete(instance, prediction))
        self._started(prediction)

    def _complete(self, instance: Instance, prediction: Prediction) -> None:
        if prediction.planned_error is None:
            prediction.output = prediction.planned_output
            self._release(instance, Status.SUCCEEDED)
        else:
            prediction.error = prediction.planned_error
            self._release(instance, Status.FAILED)

    def _release(self, instance: Instance, status: Status) -> None:
        if instance.coming is not None:
            instance.coming.drop()
        prediction = instance.current
        if prediction is not None:
            if prediction.started_at is not None:
                instance.active += self._agenda.now - prediction.started_at
            self._finish(prediction, status)
        if status is Status.CANCELED and not self._traits.survives_cancel:
            self._switch_off(instance)
            self._work()
        else:
            self._free(instance)

    def _finish(self, prediction: Prediction, status: Status) -> None:
        now = self._agenda.now
        if status is Status.CANCELED:
            prediction.output = prediction.output_at(now)
        prediction.end(now, status)
        self._over(prediction)

    def _draw(self, median_s: float, spread: float) -> timedelta:
        factor = math.exp(self._random.normalvariate(0.0, spread)) if spread else 1.0
        return timedelta(seconds=median_s * factor)
