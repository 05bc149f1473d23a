"""Replicate: models, deployments and predictions over its HTTP API."""

from __future__ import annotations

import json
import math
import random
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, quote

import httpx

from warmer.core.beat import BeatRequest, Contract, Prediction
from warmer.core.listing import Page
from warmer.core.price import Billing
from warmer.core.schema_input import component, kind_of
from warmer.core.spec import AccountSpec, Target, TargetKind
from warmer.core.units import format_instant
from warmer.errors import Doubtful, ModelRefused, ProviderError, Throttled, Unavailable, Unreachable
from warmer.ports import RECENT_AT_MOST, Clock, Notes
from warmer.providers.deployments import Deployments, deployment_path
from warmer.providers.problems import problem_of, stated_limit
from warmer.providers.rate import RateBudget
from warmer.providers.rate_shared import SharedRate
from warmer.providers.replies import at, is_id, page_of, prediction_of, word
from warmer.providers.wire import TIMEOUT_S, Reply, Wire

HOLD_S = 2
"""How long a create may be held for its output (`Prefer: wait`): a warm model's reply then saves the first poll.

Short, since nothing can be cancelled whose id is not known yet: a stop must not wait longer for it."""
READ_TRIES = 3
SHORT_WAIT = timedelta(seconds=10)
"""A 429 on a read that asks for no more than this is waited out; a longer one is for the caller to know."""
SKEW_NOTED_S = 2.0
"""The Date header counts whole seconds and is a journey old: less is no skew, and a longer journey tells none."""
STAMPS_AGREE = timedelta(minutes=1)
"""A create's `created_at` and its Date header are no further apart, where they are of one clock."""
MIN_CANCEL_AFTER_S = 5
_READS_AT_ONCE = 10
"""Of the reads that processes share, this many are taken together."""


class Replicate:
    """The `Provider` port over Replicate's API, for one account."""

    def __init__(
        self,
        account: AccountSpec,
        token: str,
        clock: Clock,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout_s: float = TIMEOUT_S,
        jitter: Callable[[], float] = random.random,
        notes: Notes | None = None,
    ) -> None:
        """Raises UsageError for an address to which no token may go, AccountRefused for a token that cannot be one.

        `timeout_s` is the longest silence within a reply, in seconds; `jitter` gives numbers from 0 to 1. Given
        `notes`, all processes that have them keep to the account's rate together.
        """
        self._wire = Wire(account.base_url, token, transport=transport, timeout_s=timeout_s)
        self._clock = clock
        self._jitter = jitter
        self._creates: RateBudget | SharedRate = RateBudget(clock, account.creates_per_minute, careful=True)
        self._reads: RateBudget | SharedRate = RateBudget(clock, account.reads_per_minute)
        if notes is not None:
            creates, reads = (f"{what} of {account.label}" for what in ("creates", "reads"))
            self._creates = SharedRate(clock, notes, creates, account.creates_per_minute, careful=True)
            self._reads = SharedRate(clock, notes, reads, account.reads_per_minute, batch=_READS_AT_ONCE)
        self._skew = timedelta(0)
        self._date_off = timedelta(0)  # how far the stamps of predictions are ahead of the Date header
        self._deployments = Deployments(read=self._read, change=self._once)

    def __repr__(self) -> str:
        return f"Replicate({self._wire!r})"

    @property
    def skew(self) -> timedelta:
        """How far the provider's clock is ahead of ours, by its last reply; zero where it is within two seconds."""
        return self._skew

    @property
    def held(self) -> timedelta:
        """How long the provider still wants no create, after a 429; zero where it does not mind."""
        return self._creates.held

    @property
    def scaler(self) -> Deployments:
        """What moves the floors of the account's deployments."""
        return self._deployments

    async def verify(self) -> str:
        """The account's name: the cheapest proof that the token is good."""
        reply = await self._read("GET", "/account", about="the account")
        name = word(reply.body, "username") or word(reply.body, "name")
        if name is None:
            raise Unavailable(
                "the account's name could not be read: check that `replicate.base_url` is Replicate's API"
            )
        return name

    async def describe(self, target: Target) -> Contract:
        """What the provider says of the target now: version to send, billing class, input schema."""
        return await (self._deployment(target) if target.kind is TargetKind.DEPLOYMENT else self._model(target))

    async def versions(self, target: Target) -> tuple[str, ...]:
        """The ids of a model's versions, newest first; empty where the provider does not list them."""
        if target.kind is TargetKind.DEPLOYMENT:
            return ()
        try:
            reply = await self._read("GET", f"{_model_path(target)}/versions", about=f"the versions of {target.slug}")
        except ModelRefused:
            return ()
        items = at(reply.body, "results")
        found = [word(item, "id") for item in items] if isinstance(items, list) else []
        return tuple(version for version in found if version is not None)

    async def admit(self) -> None:
        """Return when the account's rate allows one more create: first come, first served."""
        await self._creates.admit()

    async def create(self, request: BeatRequest) -> Prediction:
        """Send one prediction, once. Raises Doubtful where it may have been accepted without a reply."""
        about = str(request.target)
        path, body = _create(request)
        cancel_after = max(MIN_CANCEL_AFTER_S, math.ceil(request.deadline.total_seconds()))
        headers = {
            "Content-Type": "application/json",
            "Prefer": f"wait={HOLD_S}",
            "Cancel-After": f"{cancel_after}s",
        }
        sent_at = self._creates.sent()
        reply = await self._send("POST", path, body=body, headers=headers)
        if reply.status == 429:
            problem = self._problem(reply, about, creating=True)
            if isinstance(problem, Throttled):
                await self._creates.refused(sent_at, problem.retry_after, stated_limit(reply.body))
            raise problem
        await self._creates.accepted()
        if not 200 <= reply.status < 300:
            raise self._problem(reply, about, creating=True)
        prediction = prediction_of(reply.body, self._provider_now())
        if prediction is None:
            raise Doubtful(f"the reply to the create for {about} could not be read: the prediction may be running")
        self._note_stamp(reply, prediction.created_at)
        return prediction

    async def read(self, prediction_id: str) -> Prediction:
        """The prediction as it stands. Raises Unavailable where the provider does not know it, or not yet."""
        about = f"prediction {prediction_id}"
        try:
            reply = await self._read("GET", _prediction_path(prediction_id), about=about)
        except ModelRefused as exc:
            gone = str(exc)
        else:
            prediction = prediction_of(reply.body, self._provider_now())
            if prediction is not None and prediction.id == prediction_id:
                return prediction
            gone = f"the reply for {about} could not be read"
        raise Unavailable(f"{gone}. It is worth another try later")

    async def cancel(self, prediction_id: str) -> None:
        """Ask for the prediction to be stopped; harmless on a finished one."""
        try:
            await self._read("POST", f"{_prediction_path(prediction_id)}/cancel", about=f"prediction {prediction_id}")
        except ModelRefused:
            return  # finished, or gone: nothing is left to stop

    async def pages(self, since: datetime | None = None, *, cursor: str | None = None) -> AsyncIterator[Page]:
        """The account's predictions, newest first: those created at or after `since`, or all there are.

        `cursor` goes on where the page that gave it ended. Raises ModelRefused where the provider does not take it any
        more. No prediction comes twice, and a list that goes in circles ends.
        """
        first = {} if since is None else {"created_after": format_instant(since)}
        seen = set[str]()
        while True:
            params = first | dict(parse_qsl(cursor or ""))
            reply = await self._read("GET", "/predictions", about="the account's predictions", params=params)
            page = page_of(reply.body, self._provider_now())
            if page is None:
                raise Unavailable(
                    "the list of the account's predictions could not be read. It is worth another try later"
                )
            fresh = {p.id: p for p in page.predictions if p.id not in seen}
            seen.update(fresh)
            wanted = tuple(p for p in fresh.values() if since is None or p.created_at >= since)
            cursor = page.cursor if wanted and len(wanted) == len(fresh) else None
            yield Page(predictions=wanted, cursor=cursor)
            if cursor is None:
                return

    async def recent(self, since: datetime, *, limit: int = RECENT_AT_MOST) -> tuple[Prediction, ...]:
        """The account's predictions created at or after `since` (provider's clock), newest first, at most `limit`."""
        found = list[Prediction]()
        async for page in self.pages(since):
            found += page.predictions
            if len(found) >= limit:
                break
        return tuple(sorted(found, key=lambda p: p.created_at, reverse=True)[:limit])

    async def close(self) -> None:
        """Give the connections back."""
        await self._wire.close()

    async def _model(self, target: Target) -> Contract:
        model = (await self._read("GET", _model_path(target), about=target.slug)).body
        if not isinstance(model, Mapping):
            raise Unavailable(
                f"what the provider says of {target.slug} could not be read. It is worth another try later"
            )
        latest = at(model, "latest_version")
        is_official = at(model, "is_official") is True
        release, version = latest, target.version or word(latest, "id")
        if target.version is not None and word(latest, "id") != target.version:
            path = f"{_model_path(target)}/versions/{quote(target.version, safe='')}"
            release = (await self._read("GET", path, about=str(target))).body
        elif version is None and not is_official:
            raise ModelRefused(
                f"{target.slug} has no version that could be run",
                f"push a version of {target.slug}, or pin one as {target.slug}:VERSION",
            )
        if is_official:
            billing = Billing.OFFICIAL
        else:
            billing = Billing.PRIVATE if word(model, "visibility") == "private" else Billing.PUBLIC
        example = at(model, "default_example", "input")
        return _contract(
            target,
            release,
            version=target.version if is_official else version,
            billing=billing,
            example=example if isinstance(example, Mapping) else None,
        )

    async def _deployment(self, target: Target) -> Contract:
        reply = await self._read("GET", deployment_path(target), about=f"deployment {target.slug}")
        release = at(reply.body, "current_release")
        version, model = word(release, "version"), word(release, "model")
        behind: Contract | None = None
        if version is not None and model is not None and model.count("/") == 1:
            owner, name = model.split("/")
            try:
                behind = await self._model(Target(kind=TargetKind.MODEL, owner=owner, name=name, version=version))
            except ProviderError:
                behind = None  # the deployment runs all the same; its input then has to stand in the file
        return Contract(
            target=target,
            version=version,
            billing=Billing.DEPLOYMENT,
            kind=behind.kind if behind else "model",
            input_schema=behind.input_schema if behind else None,
            example_input=behind.example_input if behind else None,
            hardware=word(release, "configuration", "hardware"),
        )

    async def _read(
        self,
        method: str,
        path: str,
        *,
        about: str,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """A successful reply to something harmless to repeat; repeated where that may help."""
        failed: ProviderError
        for attempt in range(READ_TRIES):
            if attempt:
                await self._clock.sleep((0.5 + self._jitter()) * 2 ** (attempt - 1) / 2)
            await self._reads.admit()
            sent_at = self._reads.sent()
            try:
                reply = await self._send(method, path, params=params, body=body)
            except Unreachable as exc:
                failed = exc
                continue
            except Doubtful as exc:
                failed = Unavailable(str(exc))
                continue
            if 200 <= reply.status < 300:
                await self._reads.accepted()
                return reply
            failed = self._problem(reply, about)
            if isinstance(failed, Throttled):
                await self._reads.refused(sent_at, failed.retry_after)
                if failed.retry_after <= SHORT_WAIT:
                    continue
            elif isinstance(failed, Unavailable) and reply.status >= 500:
                continue
            break
        raise failed

    async def _once(self, method: str, path: str, *, about: str, body: bytes | None = None) -> Reply:
        """A successful reply to something that is sent once: whoever doubts whether it arrived has to look."""
        await self._reads.admit()
        sent_at = self._reads.sent()
        reply = await self._send(method, path, body=body, headers={"Content-Type": "application/json"})
        if 200 <= reply.status < 300:
            await self._reads.accepted()
            return reply
        problem = self._problem(reply, about)
        if isinstance(problem, Throttled):
            await self._reads.refused(sent_at, problem.retry_after)
        raise problem

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        left = self._clock.now()
        reply = await self._wire.send(method, path, params=params, body=body, headers=headers)
        self._note_date(reply, left, self._clock.now())
        return reply

    def _problem(self, reply: Reply, about: str, *, creating: bool = False) -> ProviderError:
        return problem_of(
            reply.status,
            reply.body,
            about=about,
            now=_date(reply) or self._provider_now(),
            retry_after=reply.headers.get("retry-after"),
            creating=creating,
        )

    def _note_date(self, reply: Reply, left: datetime, back: datetime) -> None:
        theirs = _date(reply)
        if theirs is not None:
            theirs += self._date_off
        journey_s = (back - left).total_seconds()
        if theirs is None or not 0 <= journey_s <= SKEW_NOTED_S:
            return
        # It was stamped at some time of the journey, in some part of its second.
        least, most = (theirs - back).total_seconds(), (theirs - left).total_seconds() + 1
        within = least < SKEW_NOTED_S and most > -SKEW_NOTED_S
        self._skew = timedelta(0) if within else timedelta(seconds=(least + most) / 2)

    def _note_stamp(self, reply: Reply, created_at: datetime) -> None:
        """The skew is that of the stamps: a Date header by another clock, such as a proxy's, is set right by them."""
        if (theirs := _date(reply)) is not None:
            off = created_at - theirs if abs(created_at - theirs) > STAMPS_AGREE else timedelta(0)
            self._skew += off - self._date_off
            self._date_off = off

    def _provider_now(self) -> datetime:
        return self._clock.now() + self._skew


def _create(request: BeatRequest) -> tuple[str, bytes]:
    """The path and the body that create `request`."""
    target = request.target
    body: dict[str, Any] = {"input": dict(request.input)}
    if target.kind is TargetKind.DEPLOYMENT:
        path = f"{deployment_path(target)}/predictions"
    elif request.version is None:
        path = f"{_model_path(target)}/predictions"
    else:
        path, body["version"] = "/predictions", request.version
    try:
        return path, json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError) as exc:
        problem = ModelRefused(
            f"the input for {target} cannot be sent: {exc}", "write plain text, numbers, lists and maps in `input`"
        )
    raise problem


def _contract(
    target: Target, release: object, *, version: str | None, billing: Billing, example: Mapping[str, Any] | None
) -> Contract:
    schemas = at(release, "openapi_schema", "components", "schemas")
    schemas = schemas if isinstance(schemas, Mapping) else {}
    takes, gives = component(schemas, "Input"), component(schemas, "Output")
    return Contract(
        target=target,
        version=version,
        billing=billing,
        kind=kind_of(takes, gives),
        input_schema=takes,
        example_input=example,
    )


def _model_path(target: Target) -> str:
    return f"/models/{quote(target.owner, safe='')}/{quote(target.name, safe='')}"


def _prediction_path(prediction_id: str) -> str:
    """Built from the id alone: an address that a reply names is never asked."""
    if not is_id(prediction_id):
        raise Unavailable("a prediction's id holds letters that no id has; it cannot be asked for")
    return f"/predictions/{prediction_id}"


def _date(reply: Reply) -> datetime | None:
    try:
        moment = parsedate_to_datetime(reply.headers.get("date") or "")
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
