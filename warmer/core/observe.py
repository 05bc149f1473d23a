"""From predictions as the provider reports them to the facts that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from warmer.core.beat import Observation, OpenBeat, Prediction, Request, Status, Use, Verdict
from warmer.core.cost import cost_of
from warmer.core.history import Before
from warmer.core.past import Past
from warmer.core.repeats import input_hash
from warmer.core.spec import ModelSpec, TargetKind
from warmer.core.verdict import baseline_s, judge


def observe(
    beat: OpenBeat,
    prediction: Prediction,
    before: Before,
    *,
    kept_s: float,
    first_token_s: float | None = None,
) -> Observation:
    """The finished beat as facts. `before`: what was going on when it was created.

    `kept_s`: how long the host is thought to keep an idle instance.
    """
    billing, price = beat.request.billing, beat.request.price
    verdict = judge(Use.of(prediction), before.uses, baseline_s(before.warm_waits))
    cost = cost_of(prediction, verdict, price=price, billing=billing, kept_s=kept_s)
    return Observation(
        model=beat.key.model,
        prediction_id=prediction.id,
        policy=beat.policy,
        reason=beat.reason,
        created_at=prediction.created_at,
        started_at=prediction.started_at,
        completed_at=prediction.completed_at,
        gap_s=_gap_s(prediction.created_at, before.last_activity),
        wait_s=prediction.wait_s,
        run_s=prediction.run_s,
        verdict=verdict,
        status=prediction.status,
        error=prediction.error,
        cost_usd=cost.usd,
        price=str(price) if price is not None and cost.usd is not None else None,
        billing=billing,
        version=prediction.version or beat.request.version,
        cost_is_estimated=cost.is_estimated,
        first_token_s=first_token_s,
        boot_s=prediction.boot_s,
    )


def unsent(beat: OpenBeat, error: str, *, certain: bool) -> Observation:
    """A beat that has no prediction. `certain`: it never reached the provider, so that it cost nothing."""
    return Observation(
        model=beat.key.model,
        prediction_id=None,
        policy=beat.policy,
        reason=beat.reason,
        created_at=beat.claimed_at,
        started_at=None,
        completed_at=None,
        gap_s=None,
        wait_s=None,
        run_s=None,
        verdict=Verdict.UNSURE,
        status=Status.FAILED if certain else Status.UNKNOWN,
        error=error,
        cost_usd=Decimal(0) if certain else None,
        price=None,
        billing=beat.request.billing,
    )


def request_of(prediction: Prediction, model: str, salt: bytes | None = None) -> Request:
    """A customer's call as facts, of which gap and verdict are not known before it is `judged`.

    Of its input no more than a hash is kept, and without `salt` not even that.
    """
    return Request(
        model=model,
        prediction_id=prediction.id,
        created_at=prediction.created_at,
        started_at=prediction.started_at,
        completed_at=prediction.completed_at,
        gap_s=None,
        wait_s=prediction.wait_s,
        run_s=prediction.run_s,
        verdict=Verdict.UNSURE,
        status=prediction.status,
        version=prediction.version,
        input_hash=None if salt is None else input_hash(prediction.input, model, salt),
    )


def judged(call: Request, past: Past, warm_waits: Sequence[float]) -> Request:
    """`call` with its gap and verdict; that stays unsure until it has started. Ask for calls in order of time."""
    use = Use.of(call)
    others, last_activity = past.around(use)
    return replace(
        call,
        gap_s=_gap_s(call.created_at, last_activity),
        verdict=judge(use, others, baseline_s(warm_waits)),
    )


def concerns(prediction: Prediction, spec: ModelSpec, version: str | None) -> bool:
    """Whether `prediction` ran in the very instances that a beat for `spec` keeps warm.

    A deployment has instances of its own, and so has every version. `version` is the one beats are sent to; None
    where the provider hides it.
    """
    if spec.target.kind is TargetKind.DEPLOYMENT:
        return prediction.deployment == spec.target.slug
    if prediction.deployment is not None or prediction.model != spec.target.slug:
        return False
    return version is None or prediction.version is None or prediction.version == version


def _gap_s(created_at: datetime, last_activity: datetime | None) -> float | None:
    return None if last_activity is None else max(0.0, (created_at - last_activity).total_seconds())
