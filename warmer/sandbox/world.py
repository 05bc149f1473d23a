"""The world of the sandbox: models, deployments, and the instances they run on, in virtual time.

No socket, no clock, no thread: time is passed in, chance comes from the seed. Two worlds told the same things are the
same to the last digit, and what happens on one model never changes another's draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Any

from warmer.sandbox.agenda import Agenda
from warmer.sandbox.billing import bill_of_prediction
from warmer.sandbox.catalogue import DEPLOYMENTS, MODELS
from warmer.sandbox.hardware import HARDWARE
from warmer.sandbox.inputs import InvalidInputError, invalid_input, run_seconds
from warmer.sandbox.instances import Instance, Pool
from warmer.sandbox.journal import Journal
from warmer.sandbox.outputs import logs_of, output_of
from warmer.sandbox.predictions import DATA_KEPT, Prediction, Status
from warmer.sandbox.traits import Account, Billing, Deployment, Traits, Version, version_id

_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, as in recorded ids


class Moment(StrEnum):
    """What a listener is told of a prediction."""

    CREATED = "created"
    STARTED = "started"
    OVER = "over"


def _random(seed: int, purpose: str) -> Random:
    # Each purpose draws from a source of its own, so that one cannot change another.
    return Random(f"{seed}/{purpose}")  # noqa: S311 - the same draws again is the point


Listener = Callable[[Prediction, Moment], None]


class NotThereError(LookupError):
    """The world has no such model, version, deployment or prediction."""


class World:
    """Models hosted, instances booting, idling and billed.

    begin: the virtual instant at which it starts; deployments with a floor boot then.
    seed: of every draw and every id.
    """

    def __init__(
        self,
        *,
        begin: datetime,
        seed: int = 0,
        models: Iterable[Traits] = MODELS,
        deployments: Iterable[Deployment] = DEPLOYMENTS,
        account: Account | None = None,
    ) -> None:
        self.account = account or Account()
        self.seed = seed
        self._agenda = Agenda(begin)
        self._ids = _random(seed, "ids")
        self._models = {model.slug: model for model in models}
        self._pushed = {model.slug: len(model.versions) for model in self._models.values()}
        self._deployments: dict[str, Deployment] = {}
        self._pools: dict[str, Pool] = {}
        self._pool_of: dict[str, Pool] = {}  # by prediction id, while it is not over
        self._predictions: dict[str, Prediction] = {}
        self._instances: list[Instance] = []
        self._listeners: list[Listener] = []
        self._failing: dict[str, list[str]] = {}
        self._chances: dict[str, Random] = {}  # of the runs, by target
        self.journal = Journal(self._predictions.values(), self._instances)
        for deployment in deployments:
            self.deploy(begin, deployment)

    # Time

    @property
    def now(self) -> datetime:
        """The virtual instant the world has reached."""
        return self._agenda.now

    def advance(self, now: datetime) -> None:
        """Let everything up to and including `now` happen. ValueError where `now` is before the world's."""
        self._agenda.advance(now)

    def next_event(self) -> datetime | None:
        """When the world will next change by itself; None while nothing is to come."""
        return self._agenda.next()

    def subscribe(self, listener: Listener) -> None:
        """Be told of each prediction created, started and over, at its instant. A listener must change nothing."""
        self._listeners.append(listener)

    def on_schedule(self, callback: Callable[[], None]) -> None:
        """Be called whenever something new is to come, so that whoever waits for `next_event` can ask again."""
        self._agenda.on_new = callback

    # Predictions

    def create(
        self,
        now: datetime,
        target: str,
        input: Mapping[str, Any],  # noqa: A002 - the API's own word for it
        *,
        caller: str,
        version: str | None = None,
        cancel_after: timedelta | None = None,
        stranger: bool = False,
        webhook: str | None = None,
        webhook_events: tuple[str, ...] | None = None,
    ) -> Prediction:
        """Call a model or a deployment, both by `owner/name`.

        caller: the label in the journal. version: of a model, 64 hex digits; default the latest. cancel_after: counted
        from creation.
        stranger: made by another account; it uses the same instances but is not in our list.
        Raises NotThereError for an unknown target or version, InvalidInputError where the schema refuses the input.
        """
        self.advance(now)
        deployment = self._deployments.get(target)
        if deployment is not None and version is not None:
            raise NotThereError(f"{target} is a deployment: it runs the version of its release, so pass none")
        traits = self.model(deployment.model if deployment else target)
        running = self._version(traits, deployment.version if deployment else version)
        if faults := invalid_input(running, input):
            raise InvalidInputError(faults)
        pool = self._pools.get(self._key(traits, running, deployment)) or self._open_pool(traits, running, deployment)
        hardware = HARDWARE[deployment.hardware if deployment else traits.hardware]
        chance = self._chances.setdefault(target, _random(self.seed, f"{target}/runs"))
        prediction = Prediction(
            id=self._new_id(26),
            number=len(self._predictions),
            traits=traits,
            version="hidden" if traits.is_official and not deployment else running.id,
            deployment=deployment.slug if deployment else None,
            billing=Billing.DEPLOYMENT if deployment else traits.billing,
            usd_per_second=hardware.usd_per_second,
            caller=caller,
            stranger=stranger,
            created_at=now,
            deadline=None if cancel_after is None else now + cancel_after,
            input=dict(input),
            planned_run=timedelta(
                seconds=run_seconds(traits, running, input) * math.exp(chance.normalvariate(0.0, traits.run_spread))
            ),
            planned_output=None,
            planned_error=self._failure(target, traits, chance),
            stream_token=self._new_id(52),
            webhook=webhook,
            webhook_events=webhook_events,
        )
        prediction.planned_output = output_of(traits, input, prediction.id)
        self._predictions[prediction.id] = prediction
        self._pool_of[prediction.id] = pool
        if prediction.deadline is not None:
            self._agenda.at(prediction.deadline, lambda: self._reach_deadline(prediction))
        pool.submit(prediction)
        self._tell(prediction, Moment.CREATED)
        return prediction

    def cancel(self, now: datetime, prediction_id: str) -> Prediction:
        """Cancel a prediction, queued or running; one that is over stays as it is. NotThereError for an unknown id."""
        self.advance(now)
        prediction = self.prediction(prediction_id)
        self._end(prediction, Status.CANCELED)
        return prediction

    def prediction(self, prediction_id: str) -> Prediction:
        """The prediction of that id. Read only. NotThereError for an unknown id."""
        try:
            return self._predictions[prediction_id]
        except KeyError:
            raise NotThereError(f"no prediction {prediction_id!r}: ids come from `create`") from None

    def predictions(self) -> list[Prediction]:
        """The account's own predictions, oldest first. Read only."""
        return [one for one in self._predictions.values() if not one.stranger]

    def fail_next(self, target: str, error: str, times: int = 1) -> None:
        """Let the next `times` predictions of `target` run and end as failed, with `error` as their text."""
        self._failing.setdefault(target, []).extend([error] * times)

    # Models and deployments

    @property
    def models(self) -> tuple[Traits, ...]:
        """Every model, in the order of the catalogue."""
        return tuple(self._models.values())

    def model(self, slug: str) -> Traits:
        """The model `owner/name`. NotThereError for an unknown one."""
        try:
            return self._models[slug]
        except KeyError:
            raise NotThereError(f"no model {slug!r}: there are {', '.join(self._models)}") from None

    def publish(self, now: datetime, slug: str, openapi_schema: Mapping[str, Any] | None = None) -> Version:
        """Push a new latest version of a model, with its predecessor's schema unless another is given."""
        self.advance(now)
        model = self.model(slug)
        self._pushed[slug] += 1
        version = Version(
            id=version_id(slug, self._pushed[slug]),
            created_at=now,
            openapi_schema=openapi_schema or model.latest.openapi_schema,
            cog_version=model.latest.cog_version,
        )
        self._models[slug] = replace(model, versions=(version, *model.versions))
        return version

    def delete_version(self, now: datetime, slug: str, version: str) -> None:
        """Delete a version of a model; its instances finish what they have.

        Raises NotThereError where it is not there, ValueError for the only one of its model, or one that is deployed.
        """
        self.advance(now)
        model = self.model(slug)
        gone = self._version(model, version)
        self._expect_not_deployed(slug, version)
        self._models[slug] = replace(model, versions=tuple(one for one in model.versions if one != gone))
        self._close_pools(f"{slug}:{version}")

    def delete_model(self, now: datetime, slug: str) -> None:
        """Delete a model; its instances finish what they have. ValueError for one that is deployed."""
        self.advance(now)
        self.model(slug)
        self._expect_not_deployed(slug)
        del self._models[slug]
        self._close_pools(f"{slug}:")

    def permit(self, slug: str, *, permitted: bool) -> None:
        """Let the account see and run a model, or not any more. NotThereError for an unknown one."""
        self._models[slug] = replace(self.model(slug), permitted=permitted)

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """Every deployment, oldest first."""
        return tuple(self._deployments.values())

    def deployment(self, slug: str) -> Deployment:
        """The current release of the deployment `owner/name`. NotThereError for an unknown one."""
        try:
            return self._deployments[slug]
        except KeyError:
            raise NotThereError(f"no deployment {slug!r}: there are {', '.join(self._deployments) or 'none'}") from None

    def deploy(self, now: datetime, deployment: Deployment) -> None:
        """Add a deployment. ValueError where the name is taken, NotThereError where model or version is unknown."""
        self.advance(now)
        if deployment.slug in self._deployments or deployment.slug in self._models:
            raise ValueError(f"{deployment.slug} is taken: choose another name")
        traits = self.model(deployment.model)
        version = self._version(traits, deployment.version)
        self._deployments[deployment.slug] = deployment
        self._open_pool(traits, version, deployment)

    def release(
        self,
        now: datetime,
        slug: str,
        *,
        version: str | None = None,
        hardware: str | None = None,
        min_instances: int | None = None,
        max_instances: int | None = None,
    ) -> Deployment:
        """Change a deployment; the release number rises. None leaves a thing as it is.

        Another floor or ceiling moves at once. Another version or hardware brings new instances; the old ones finish
        what they have.
        """
        self.advance(now)
        old = self.deployment(slug)
        new = replace(
            old,
            version=old.version if version is None else version,
            hardware=old.hardware if hardware is None else hardware,
            min_instances=old.min_instances if min_instances is None else min_instances,
            max_instances=old.max_instances if max_instances is None else max_instances,
            number=old.number + 1,
            created_at=now,
        )
        traits = self.model(new.model)
        running = self._version(traits, new.version)
        self._deployments[slug] = new
        if (new.version, new.hardware) == (old.version, old.hardware):
            self._pools[slug].scale(new.min_instances, new.max_instances)
        else:
            self._pools[slug].retire()
            self._open_pool(traits, running, new)
        return new

    def undeploy(self, now: datetime, slug: str) -> None:
        """Remove a deployment; its instances finish what they have."""
        self.advance(now)
        self.deployment(slug)
        self._pools.pop(slug).retire()
        del self._deployments[slug]

    # Within

    def _expect_not_deployed(self, slug: str, version: str | None = None) -> None:
        for one in self._deployments.values():
            if one.model == slug and version in (None, one.version):
                raise ValueError(f"{one.slug} runs it: delete the deployment first")

    def _close_pools(self, begins: str) -> None:
        for key in [key for key in self._pools if key.startswith(begins)]:
            self._pools.pop(key).retire()

    @staticmethod
    def _key(traits: Traits, version: Version, deployment: Deployment | None) -> str:
        return deployment.slug if deployment else f"{traits.slug}:{version.id}"

    @staticmethod
    def _version(traits: Traits, wanted: str | None) -> Version:
        version = traits.latest if wanted is None else traits.version(wanted)
        if version is None:
            raise NotThereError(f"{traits.slug} has no version {wanted!r}: its latest is {traits.latest.id}")
        return version

    def _open_pool(self, traits: Traits, version: Version, deployment: Deployment | None) -> Pool:
        key = self._key(traits, version, deployment)
        hardware = deployment.hardware if deployment else traits.hardware
        name = f"{key}#{deployment.number}" if deployment else key
        pool = self._pools[key] = Pool(
            name=name,
            target=deployment.slug if deployment else traits.slug,
            version=version.id,
            traits=traits,
            billing=Billing.DEPLOYMENT if deployment else traits.billing,
            hardware=hardware,
            usd_per_second=HARDWARE[hardware].usd_per_second,
            min_instances=deployment.min_instances if deployment else 0,
            max_instances=deployment.max_instances if deployment else traits.max_instances,
            agenda=self._agenda,
            random=_random(self.seed, name),
            born=self._instances.append,
            started=self._on_start,
            over=self._on_over,
        )
        return pool

    def _new_id(self, length: int) -> str:
        return "".join(self._ids.choices(_ID_ALPHABET, k=length))

    def _failure(self, target: str, traits: Traits, chance: Random) -> str | None:
        if planned := self._failing.get(target):
            return planned.pop(0)
        unlucky = chance.random() < traits.failure_share
        return "Prediction interrupted; please retry (code: PA)" if unlucky else None

    def _reach_deadline(self, prediction: Prediction) -> None:
        self._end(prediction, Status.ABORTED if prediction.status is Status.STARTING else Status.CANCELED)

    def _end(self, prediction: Prediction, status: Status) -> None:
        if not prediction.status.over:
            self._pool_of[prediction.id].end(prediction, status)

    def _on_start(self, prediction: Prediction) -> None:
        prediction.logs = logs_of(prediction.traits, prediction.id)
        self._tell(prediction, Moment.STARTED)

    def _on_over(self, prediction: Prediction) -> None:
        prediction.billed_usd = bill_of_prediction(prediction)
        del self._pool_of[prediction.id]
        self._agenda.at(self.now + DATA_KEPT, lambda: self._remove_data(prediction))
        self._tell(prediction, Moment.OVER)

    @staticmethod
    def _remove_data(prediction: Prediction) -> None:
        prediction.input = prediction.output = prediction.logs = prediction.planned_output = None
        prediction.data_removed = True

    def _tell(self, prediction: Prediction, moment: Moment) -> None:
        for listener in self._listeners:
            listener(prediction, moment)
