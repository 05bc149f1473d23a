"""The account's own past predictions, brought into the ledger: page by page, and then judged in order of time."""

from __future__ import annotations

import heapq
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import tee

from warmer.core.beat import Observation, Prediction, Request, Use, Verdict
from warmer.core.listing import Import, Page
from warmer.core.observe import concerns, judged, request_of
from warmer.core.past import Past
from warmer.core.spec import ModelSpec
from warmer.core.verdict import BASELINE_WAITS
from warmer.engine.desk import Desk
from warmer.errors import ModelRefused, Throttled
from warmer.ports import Clock, Ledger, Provider

THROTTLED_TRIES = 5
"""How often one page is asked for where the provider wants to be left alone first."""
LONGEST_PAUSE = timedelta(minutes=5)
"""Whoever asks to be left alone for longer is not waited for."""
_BEFORE = timedelta(days=1)
"""How far before the first call the record is gone through, to know whom that met and what the model's waits were."""
_BATCH = 2000
"""Calls judged at a time: the daemon waits for no more than that to be written."""

Told = Callable[[str, float], None]
"""Is told what is being done, in a word, and how much of it is done: 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What an import had for one model."""

    model: str
    calls: int  # customers' calls looked at
    new: int  # of them, those that were not on record


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """How an import went. Stamps are the provider's."""

    since: datetime  # how far back it was to go
    seen: int  # predictions looked at, of any model
    oldest: datetime | None  # of them
    newest: datetime | None
    is_complete: bool  # whether the list goes back further than `since`
    shares: tuple[Share, ...]  # in the order of the file
    refused: tuple[tuple[str, ModelRefused], ...]  # models of which the provider does not say what their version is


class Backfill:
    """Imports for `models`. What is on record stays, whatever happens: the next import goes on from there."""

    def __init__(
        self, models: Sequence[ModelSpec], provider: Provider, desk: Desk, clock: Clock, told: Told = lambda _, __: None
    ) -> None:
        self._models, self._provider, self._desk, self._clock = models, provider, desk, clock
        self._told = told
        self._versions = dict[str, str | None]()  # that beats are sent to, by name
        self._seen = set[str]()
        self._calls, self._new = Counter[str](), Counter[str]()
        self._oldest: datetime | None = None
        self._newest: datetime | None = None

    async def run(self, back: timedelta) -> Imported:
        """Import what was created in the time `back` from now. Raises as the provider and the ledger do."""
        refused = await self._resolve()
        work, unjudged_since = await self._begin(back)
        if work.cursor is not None and work.newest_at is not None:
            # What came since an import was left goes first: the cursor is kept until all above it is on record.
            async for page in self._walk(None, work.newest_at):
                await self._keep(page, work)
            work = replace(work, newest_at=max(filter(None, (work.newest_at, self._newest))))
        is_complete = await self._down(work)
        for done, name in enumerate(self._versions):
            await self._settle(name, unjudged_since, done)
        finished = replace(work, cursor=None, finished_at=self._clock.now())
        await self._desk.do(lambda ledger: ledger.keep_import(finished))
        return Imported(
            since=work.since,
            seen=len(self._seen),
            oldest=self._oldest,
            newest=self._newest,
            is_complete=is_complete,
            shares=tuple(Share(model=m, calls=self._calls[m], new=self._new[m]) for m in self._versions),
            refused=refused,
        )

    async def _resolve(self) -> tuple[tuple[str, ModelRefused], ...]:
        refused = list[tuple[str, ModelRefused]]()
        for model in self._models:
            try:
                self._versions[model.name] = (await self._provider.describe(model.target)).version
            except ModelRefused as exc:
                refused.append((model.name, exc))
        return tuple(refused)

    async def _begin(self, back: timedelta) -> tuple[Import, datetime]:
        """The import to go on with, and since when calls are to be judged.

        That is an unfinished one for the same models and time, or else a new one. Others that were not finished left
        calls behind that nobody has judged.
        """
        targets = {model.name: str(model.target) for model in self._models}
        scope = json.dumps([back.total_seconds(), *([n, targets[n], v] for n, v in self._versions.items())])
        kept = await self._desk.do(lambda ledger: ledger.unfinished_imports())
        now = self._clock.now()
        new = Import(started_at=now, since=now + self._provider.skew - back, scope=scope)
        work = next((one for one in kept if one.scope == scope), new)
        return work, min(one.since for one in (work, *kept))

    async def _down(self, work: Import) -> bool:
        """Keep everything from the cursor down to `since`. Whether the list goes on below that."""
        is_lost = work.cursor is not None  # until it is seen that the provider still takes the cursor
        goes_on = False
        try:
            async for page in self._walk(work.cursor, work.since):
                if is_lost and not page.predictions:
                    break  # there was more when it gave the cursor
                is_lost = False
                newest_at = work.newest_at or max((p.created_at for p in page.predictions), default=None)
                # The last page's own cursor stays: whoever goes on from here has to see that it is the last.
                work = replace(work, newest_at=newest_at, cursor=page.cursor or work.cursor)
                await self._keep(page, work)
                goes_on = any(p.created_at < work.since for p in page.predictions)
        except ModelRefused:
            if not is_lost:
                raise
        return await self._down(replace(work, cursor=None, newest_at=None)) if is_lost else goes_on

    async def _walk(self, cursor: str | None, down_to: datetime) -> AsyncIterator[Page]:
        """Pages from the cursor on, until one of them goes below `down_to`. Waits where the provider wants that."""
        tries = 0
        while True:
            try:
                async for page in self._provider.pages(cursor=cursor):
                    tries, cursor = 0, page.cursor
                    yield page
                    if any(p.created_at < down_to for p in page.predictions):
                        return
                return
            except Throttled as exc:
                tries += 1
                if tries == THROTTLED_TRIES or exc.retry_after > LONGEST_PAUSE:
                    raise
                await self._clock.sleep(exc.retry_after.total_seconds())

    async def _keep(self, page: Page, work: Import) -> None:
        """Write the page's calls, and how far the import has come with them."""
        wanted = [p for p in page.predictions if p.created_at >= work.since and p.id not in self._seen]
        self._seen.update(p.id for p in wanted)

        def keep(ledger: Ledger) -> tuple[list[Request], Counter[str]]:
            calls = list(self._calls_in(wanted, ledger.known_beats(p.id for p in wanted)))
            return calls, Counter(ledger.keep_import(work, calls))

        calls, new = await self._desk.do(keep)
        self._calls.update(call.model for call in calls)
        self._new.update(new)
        stamps = [p.created_at for p in wanted]
        self._oldest = min(filter(None, (self._oldest, *stamps)), default=None)
        self._newest = max(filter(None, (self._newest, *stamps)), default=None)
        if self._oldest is not None:
            now = self._clock.now() + self._provider.skew
            self._told("reading", (now - self._oldest) / (now - work.since))

    def _calls_in(self, predictions: Iterable[Prediction], ours: Collection[str]) -> Iterator[Request]:
        known = [(model, self._versions[model.name]) for model in self._models if model.name in self._versions]
        for prediction in predictions:
            for model, version in known:
                if prediction.id not in ours and concerns(prediction, model, version):
                    yield request_of(prediction, model.name)

    async def _settle(self, model: str, since: datetime, done: int) -> None:
        """Judge the model's calls since then; the `done` models before it are."""
        steps = await self._desk.do(lambda ledger: settle(ledger, model, since))
        try:
            while (reached := await self._desk.do(lambda _: next(steps, None))) is not None:
                span = self._clock.now() + self._provider.skew - since
                self._told("judging", (done + max(timedelta(0), reached - since) / span) / len(self._versions))
        finally:
            await self._desk.do(lambda _: steps.close())


def settle(ledger: Ledger, model: str, since: datetime) -> Generator[datetime]:
    """Judge the calls of `model` since then that have ended, by all that is on record now. Yields how far it is.

    As the daemon judges them: each by who was there when it came, and by the latest waits before it. Doing it again
    changes nothing. Where our beats are gone, nobody can tell any more what a call met: those stay as they are.
    """
    if model in (gone := ledger.on_record()):
        since = max(since, gone[model] + _BEFORE)
    start = since - _BEFORE
    ahead, record = tee(_record(ledger, model, start))
    past = Past(map(Use.of, ahead), ledger.before(model, start).last_activity)
    waits = deque[float](maxlen=BASELINE_WAITS)
    changed = list[Request]()
    for number, seen in enumerate(record, start=1):
        verdict = seen.verdict
        if isinstance(seen, Request) and seen.created_at >= since and not seen.status.is_open:
            call = judged(seen, past, tuple(waits))
            verdict = call.verdict
            if call != seen:
                changed.append(call)
        if seen.wait_s is not None and verdict is not Verdict.COLD:
            waits.appendleft(seen.wait_s)
        if number % _BATCH == 0:
            ledger.settle(changed)
            changed.clear()
            yield seen.created_at
    ledger.settle(changed)


def _record(ledger: Ledger, model: str, start: datetime) -> Iterator[Observation | Request]:
    """The model's beats that reached the provider and its customers' calls, oldest first."""
    beats = (beat for beat in ledger.beats(since=start, model=model) if beat.prediction_id is not None)
    return heapq.merge(beats, ledger.requests(since=start, model=model), key=lambda seen: seen.created_at)
