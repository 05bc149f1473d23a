"""Notices that customers run another version than beats go to; says so once, whatever process finds it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from warmer.core.beat import Prediction
from warmer.core.note import read_note
from warmer.core.spec import ModelSpec
from warmer.core.versions import Call, Elsewhere, calls_of, elsewhere, has_versions, hint, is_container, latest
from warmer.engine.contracts import Contracts
from warmer.engine.desk import Desk
from warmer.log import Event, get
from warmer.ports import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    """What is kept of one model of which customers have called another version."""

    calls: tuple[Call, ...] = ()
    warmed: tuple[str, ...] = ()  # the versions that beats went to
    said: tuple[str, ...] = ()  # those that were said to be run in the place of these, as long as they are


_NOTE = TypeAdapter(_Note)


class Versions:
    """Counts the latest calls of each model by their versions."""

    def __init__(self, desk: Desk, contracts: Contracts) -> None:
        self._desk, self._contracts = desk, contracts
        self._seen: dict[str, tuple[Call, ...]] = {}  # by `owner/name`
        self._unsaid = set[str]()  # of which it was not sure when they were last called

    async def going_to(self, entry: ModelSpec, calls: Iterable[Prediction]) -> str | None:
        """The version that beats of `entry` go to; before it was asked for, the one that the last beat went to.

        None where it is not known, be it that the provider hides it, or that none of `calls` is of the model.
        """
        version = self._contracts.version(entry.target)
        if version is not None or not has_versions(entry) or self._contracts.is_sure(entry.target):
            return version
        if all(call.model != entry.target.slug for call in calls):
            return None
        last = await self._desk.do(lambda ledger: ledger.latest_beat(entry.name))
        return last.version if last is not None and is_container(last.version) else None

    async def saw(
        self,
        predictions: Iterable[Prediction],
        models: Sequence[ModelSpec],
        going_to: Mapping[str, str | None],
        now: datetime,
    ) -> None:
        """Customers made `predictions`; `now` is the provider's clock. Says what is to be said of `models`, of which
        beats are `going_to` these versions, by name.

        A model whose customers run what is warmed costs nothing: only where one did not, there is a note. Nothing is
        said before the provider was asked what the latest version is.
        """
        called = calls_of(predictions)
        entries: dict[str, list[ModelSpec]] = {}
        for entry in models:
            if has_versions(entry) and (entry.target.slug in called or entry.target.slug in self._unsaid):
                entries.setdefault(entry.target.slug, []).append(entry)
        for slug, those in entries.items():
            known = await self._known(those[0], now)
            calls = self._seen[slug] = latest((*known, *called.get(slug, ())), now)
            warmed = tuple(sorted({version for entry in those if (version := going_to.get(entry.name)) is not None}))
            before, others = ({call.version for call in some}.difference(warmed) for some in (known, calls))
            if fresh := others - before:  # it may be the latest by now
                newest = max(call.at for call in calls if call.version in fresh)
                for entry in those:
                    self._contracts.doubt(entry.target, (now - newest).total_seconds())
            is_sure = all(self._contracts.is_sure(entry.target) for entry in those)
            if warmed and (others or before) and (calls != known or (is_sure and slug in self._unsaid)):
                await self._count(those[0], calls, warmed, now, says=is_sure)
            (self._unsaid.discard if is_sure else self._unsaid.add)(slug)

    async def _known(self, entry: ModelSpec, now: datetime) -> tuple[Call, ...]:
        """The calls that count; at first those in the note, which is right as long as it is gone on with."""
        slug = entry.target.slug
        if slug not in self._seen:
            self._seen[slug] = latest((await self._desk.do(lambda ledger: _read(ledger, entry))).calls, now)
        return self._seen[slug]

    async def _count(
        self, entry: ModelSpec, calls: Sequence[Call], warmed: tuple[str, ...], now: datetime, *, says: bool
    ) -> None:
        def rewrite(text: str, _: float) -> tuple[str, tuple[tuple[Call, ...], Elsewhere | None]]:
            note = _parsed(text)
            counted = latest((*note.calls, *calls), now)  # another process may have read some of them
            found = elsewhere(counted, warmed, now) if says else None
            there = {call.version for call in counted}
            said = note.said if note.warmed == warmed else ()
            said = tuple(version for version in said if version in there)
            news = found if found is not None and found.version not in said else None
            if news is not None:
                said = (*said, news.version)
            note = _Note(calls=counted, warmed=warmed, said=said)
            return _NOTE.dump_json(note).decode(), (counted, news)

        name = _name(entry)
        counted, news = await self._desk.do(lambda ledger: ledger.change_note(name, rewrite))
        self._seen[entry.target.slug] = counted
        if news is not None:
            get().warning(
                Event.VERSION_DIFFERED,
                model=entry.name,
                version=entry.target.version or warmed[0],
                customers_version=news.version,
                calls=news.calls,
                of=news.of,
                since=news.since,
                where=entry.where_of("target"),
                hint=hint(entry, news),
            )


def read_elsewhere(ledger: Ledger, entry: ModelSpec, models: Sequence[ModelSpec], now: datetime) -> Elsewhere | None:
    """What the ledger has of customers of `entry` who run other versions than the beats of `models` go to."""
    calls = _read(ledger, entry).calls if has_versions(entry) else ()
    if not calls:
        return None
    warmed = set[str]()
    for other in models:
        if has_versions(other) and other.target.slug == entry.target.slug:
            last = None if other.target.version else ledger.latest_beat(other.name)
            version = other.target.version or (None if last is None else last.version)
            warmed.update(() if version is None else (version,))
    return elsewhere(calls, warmed, now) if warmed else None


def _name(entry: ModelSpec) -> str:
    return f"versions of {entry.target.slug}"


def _read(ledger: Ledger, entry: ModelSpec) -> _Note:
    return _parsed(ledger.note(_name(entry)))


def _parsed(text: str) -> _Note:
    return read_note(text, _Note) or _Note()
