"""Replicate: models, deployments and predictions over its HTTP API."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
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
from warmer.providers.hostclock import HostClock, date_of
from warmer.providers.problems import is_wrong_version, problem_of, stated_limit
from warmer.providers.rate import RateBudget, Spacing
from warmer.providers.rate_shared import SharedRate
from warmer.providers.replies import at, is_id, page_of, prediction_of, word
from warmer.providers.streams import Streams
from warmer.providers.webhooks import ReplicateWebhooks
from warmer.providers.wire import TIMEOUT_S, NoReply, Reply, Wire

HOLD_S = 2
"""How long a create may be held for its output (`Prefer: wait`): a warm model's reply then saves the first poll.

Short, since nothing can be cancelled whose id is not known yet: a stop must not wait longer for it."""
READ_TRIES = 3
SHORT_WAIT = timedelta(seconds=10)
"""A 429 on a read that asks for no more than this is waited out; a longer one is for the caller to know."""
MIN_CANCEL_AFTER_S = 5
_ACCOUNT = "/account"
"""Asked for the proof of a token, or for the provider's time."""


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
        before: Replicate | None = None,
        mask: Callable[[str], None] = lambda secret: None,
    ) -> None:
        """Raises UsageError for an address to which no token may go, AccountRefused for a token that cannot be one.

        `timeout_s` is the longest silence within a reply, in seconds; `jitter` gives numbers from 0 to 1. Given
        `notes`, all processes that have them keep to the account's rate together. `before`: whom this one follows;
        where that is of the same account, it goes on at the pace of that one. `mask` is told of secrets that
        the API tells.
        """
        self._account = account
        self._mark = hashlib.blake2b(token.encode(), digest_size=8, person=b"warmer").hexdigest()
        self._wire = Wire(account.base_url, token, clock, transport=transport, timeout_s=timeout_s)
        self._streams = Streams(is_local=self._wire.is_local, tls=self._wire.tls, transport=transport)
        self._clock = clock
        self._jitter = jitter
        self._creates: RateBudget | SharedRate = RateBudget(clock, account.creates_per_minute, careful=True)
        self._reads: RateBudget | SharedRate = RateBudget(clock, account.reads_per_minute)
        if notes is not None:
            creates, reads = (f"{what} of {account.label}" for what in ("creates", "reads"))
            self._creates = SharedRate(clock, notes, creates, account.creates_per_minute, careful=True)
            self._reads = SharedRate(clock, notes, reads, account.reads_per_minute)
        elif before is not None and (before._account.base_url, before._mark) == (account.base_url, self._mark):
            if before._account.creates_per_minute == account.creates_per_minute:
                self._creates = before._creates
            if before._account.reads_per_minute == account.reads_per_minute:
                self._reads = before._reads
        self._resolving, self._following = asyncio.Lock(), asyncio.Lock()
        self._spacing = Spacing(clock, account.creates_per_minute)
        self._theirs = HostClock(clock)
        self._cuts, self._is_cut_off = 0, False  # how often nobody was there, and whether nobody has answered since
        self._deployments = Deployments(read=self._read, change=self._once)
        self._unversioned = set[str]()  # official models that have refused the version which the file pins
        self._webhooks: ReplicateWebhooks | None = None
        if account.webhook_url is not None:
            self._webhooks = ReplicateWebhooks(account.webhook_url, read=self._read, now=self._theirs.now, mask=mask)

    def __repr__(self) -> str:
        return f"Replicate({self._wire!r})"

    @property
    def token_mark(self) -> str:
        """64 bits of a hash of the token: enough to tell two apart, too few to find one by."""
        return self._mark

    @property
    def skew(self) -> timedelta:
        """How far the provider's clock is ahead of ours, by its replies; zero where it is within two seconds."""
        return self._theirs.skew

    @property
    def held(self) -> timedelta:
        """How long the provider still wants no create, after a 429; zero where it does not mind."""
        return self._creates.held

    @property
    def scaler(self) -> Deployments:
        """What moves the floors of the account's deployments."""
        return self._deployments

    @property
    def webhooks(self) -> ReplicateWebhooks | None:
        """How the account's predictions are told to have ended; None where the file has no address for that."""
        return self._webhooks

    async def verify(self) -> str:
        """The account's name: the cheapest proof that the token is good."""
        reply = await self._read("GET", _ACCOUNT, about="the account")
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

    async def admit(self, apart_s: float = 0.0) -> None:
        """Return when the account's rate allows one more create: first come, first served."""
        await self._creates.admit(apart_s)

    async def create(self, request: BeatRequest) -> Prediction:
        """Send one prediction, once. Raises Doubtful where it may have been accepted without a reply."""
        about = str(request.target)
        if about in self._unversioned:
            request = replace(request, version=None)
        path, body = _create(request, {} if self._webhooks is None else self._webhooks.asked)
        cancel_after = max(MIN_CANCEL_AFTER_S, math.ceil(request.deadline.total_seconds()))
        headers = {
            "Content-Type": "application/json",
            "Cancel-After": f"{cancel_after}s",
        }
        if not request.first_token and not request.cancel_on_start:
            headers["Prefer"] = f"wait={HOLD_S}"
        await self._spacing.turn()
        sent_at, left = self._creates.sent(), self._clock.now()
        reply = await self._send("POST", path, body=body, headers=headers)
        back = self._clock.now()
        if reply.status == 429:
            problem = self._problem(reply, about, creating=True)
            if isinstance(problem, Throttled):
                await self._creates.refused(sent_at, problem.retry_after, stated_limit(reply.body))
            raise problem
        await self._creates.accepted()
        is_pinned_official = request.billing is Billing.OFFICIAL and request.version is not None
        if is_pinned_official and is_wrong_version(reply.status, reply.body):
            # Refused for certain, so that nothing runs: some of these models run as they are alone.
            self._unversioned.add(about)
            await self._creates.admit()
            return await self.create(request)
        if not 200 <= reply.status < 300:
            raise self._problem(reply, about, creating=True)
        prediction = prediction_of(reply.body, self._theirs.now())
        if prediction is None:
            raise Doubtful(f"the reply to the create for {about} could not be read: the prediction may be running")
        return replace(prediction, created_at=self._theirs.note_made(reply.headers, prediction.created_at, left, back))

    async def read(self, prediction_id: str) -> Prediction:
        """The prediction as it stands. Raises Unavailable where the provider does not know it, or not yet."""
        about = f"prediction {prediction_id}"
        try:
            reply = await self._read("GET", _prediction_path(prediction_id), about=about, among=self._following)
        except ModelRefused as exc:
            gone = str(exc)
        else:
            prediction = prediction_of(reply.body, self._theirs.now())
            if prediction is not None and prediction.id == prediction_id:
                return prediction
            gone = f"the reply for {about} could not be read"
        raise Unavailable(f"{gone}. It is worth another try later")

    async def first_output(self, stream: str) -> None:
        """Return as soon as the first output has come at `stream`. Raises Unavailable, with why, where none does."""
        await self._streams.first_output(stream)

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
            page = page_of(reply.body, self._theirs.now())
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
        await self._streams.close()

    async def _model(self, target: Target) -> Contract:
        model = (await self._read("GET", _model_path(target), about=target.slug, among=self._resolving)).body
        if not isinstance(model, Mapping):
            raise Unavailable(
                f"what the provider says of {target.slug} could not be read. It is worth another try later"
            )
        latest = at(model, "latest_version")
        is_official = at(model, "is_official") is True
        release, version = latest, target.version or word(latest, "id")
        if target.version is not None and word(latest, "id") != target.version:
            path = f"{_model_path(target)}/versions/{quote(target.version, safe='')}"
            try:
                release = (await self._read("GET", path, about=str(target))).body
            except ModelRefused as exc:
                if not is_official:
                    raise _gone(exc, target, word(latest, "id")) from None
                self._unversioned.add(str(target))  # its versions are hidden: it runs without one
        elif version is None and not is_official:
            raise ModelRefused(
                f"{target.slug} has no version that could be run",
                f"push a version of {target.slug}, or pin one as {target.slug}:VERSION",
                "target",
            )
        if is_official:
            billing, version = Billing.OFFICIAL, None if str(target) in self._unversioned else target.version
        else:
            billing = Billing.PRIVATE if word(model, "visibility") == "private" else Billing.PUBLIC
        example = at(model, "default_example", "input")
        return _contract(
            target,
            release,
            version=version,
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
        among: asyncio.Lock | None = None,
    ) -> Reply:
        """A successful reply to something harmless to repeat; repeated where that may help, and was not waited for.

        `among`: of these one alone stands in the line that the rate makes of all. A thousand models that begin together
        would else hold up the list of calls, which all of them wait for, and what is to be canceled.

        Where nothing comes back, it is seen whether anything does, before that is laid at anybody's door. Where nobody
        was there at any time since, that is why.
        """
        failed: ProviderError
        begun, is_silent = self._clock.monotonic(), True
        cuts = self._cuts - self._is_cut_off  # none was over
        for attempt in range(READ_TRIES):
            if attempt and self._clock.monotonic() - begun > TIMEOUT_S:
                break
            if attempt:
                await self._clock.sleep((0.5 + self._jitter()) * 2 ** (attempt - 1) / 2)
            async with among or nullcontext():
                await self._reads.admit()
            sent_at = self._reads.sent()
            try:
                reply = await self._send(method, path, params=params, body=body)
            except Unreachable as exc:
                failed = exc
                continue
            except Doubtful as exc:
                failed, is_silent = Unavailable(str(exc)), is_silent and isinstance(exc, NoReply)
                continue
            is_silent = False
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
        if is_silent and isinstance(failed, Unavailable) and not (path != _ACCOUNT and await self._is_there(cuts)):
            raise Unreachable(
                f"no connection to {self._wire.host} that a reply comes back on. "
                "Check the network, the proxy and `replicate.base_url`",
                waited_s=self._clock.monotonic() - begun,
            )
        raise failed

    async def _is_there(self, cuts: int) -> bool:
        """Whether the provider answers at all, and did since so many cuts: the cheapest question, asked once."""
        await self._reads.admit()
        self._reads.sent()
        try:
            await self._send("GET", _ACCOUNT)
        except (NoReply, Unreachable):
            self._cuts, self._is_cut_off = self._cuts + 1, True
            return False
        except Doubtful:
            pass
        self._is_cut_off = False
        return self._cuts == cuts

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
        self._is_cut_off = False
        self._theirs.note(reply.headers, left, self._clock.now(), is_asked=path == _ACCOUNT)
        return reply

    def _problem(self, reply: Reply, about: str, *, creating: bool = False) -> ProviderError:
        return problem_of(
            reply.status,
            reply.body,
            about=about,
            now=date_of(reply.headers) or self._theirs.now(),
            retry_after=reply.headers.get("retry-after"),
            creating=creating,
        )


def _create(request: BeatRequest, more: Mapping[str, Any]) -> tuple[str, bytes]:
    """The path and the body that create `request`, and ask for `more`."""
    target = request.target
    body: dict[str, Any] = {"input": dict(request.input), **more}
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
            f"the input for {target} cannot be sent: {exc}",
            "write plain text, numbers, lists and maps in `input`",
            "input",
        )
    raise problem


def _gone(refusal: ModelRefused, target: Target, latest: str | None) -> ModelRefused:
    """That a pinned version is not there, though its model is."""
    write = f"write {target.slug}" + (
        f" for its latest version, or {target.slug}:{latest} to stay there" if latest else ""
    )
    return ModelRefused(
        str(refusal), f"{write}, in the place of {target}: a version can be deleted by its owner", "target"
    )


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
