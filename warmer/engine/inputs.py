"""Which models do not run on an input that was made up: they get their example's, which is known to run."""

from __future__ import annotations

from dataclasses import replace

from warmer.core.beat import BeatRequest, Observation, Status
from warmer.core.plain import one_line
from warmer.core.spec import ModelSpec
from warmer.engine.contracts import Contracts
from warmer.engine.desk import Desk
from warmer.log import Event, get

_SHOWN = 300
"""Letters of the input that is told: an example may hold whole files."""
_LATEST = "latest"
"""In the place of a version that the provider hides."""


class Inputs:
    """A schema says what may be sent, and not what runs. What was found out is kept in the ledger for every process."""

    def __init__(self, desk: Desk, contracts: Contracts) -> None:
        self._desk, self._contracts = desk, contracts
        self._failed: dict[str, str] = {}  # by `owner/name`, the version that failed on what was made up; "" for none

    async def fitting(self, spec: ModelSpec, request: BeatRequest) -> BeatRequest:
        """`request`, with the example's input where the one that was made up has failed with that very version."""
        example = self._example(spec, request)
        if example is None:
            return request
        slug = spec.target.slug
        if slug not in self._failed:
            self._failed[slug] = await self._desk.do(lambda ledger: ledger.note(_name(slug)))
        return replace(request, input=example) if self._failed[slug] == _version(request) else request

    async def failed(self, spec: ModelSpec, request: BeatRequest, before: Observation | None) -> None:
        """A beat ran and failed. `before`: the one before it; unless that failed too, this was bad luck."""
        example = self._example(spec, request)
        if example is None or before is None or before.status is not Status.FAILED:
            return
        slug, version = spec.target.slug, _version(request)
        self._failed[slug] = version
        await self._desk.do(lambda ledger: ledger.change_note(_name(slug), lambda text, now: (version, None)))
        get().warning(
            Event.INPUT_REPLACED,
            model=spec.name,
            input=one_line(repr(dict(example)))[:_SHOWN],
            where=spec.where,
            hint="it fails on the smallest input; write an `input` that runs in its entry, if this one is too dear",
        )

    def _example(self, spec: ModelSpec, request: BeatRequest) -> dict[str, object] | None:
        """What could be sent in the place of what was made up; None where that is the file's, or the same."""
        example = self._contracts.example(spec.target) if spec.input is None else None
        return None if example is None or example == request.input else dict(example)


def _version(request: BeatRequest) -> str:
    return request.version or _LATEST


def _name(slug: str) -> str:
    return f"input of {slug}"
