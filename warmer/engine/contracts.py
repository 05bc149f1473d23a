"""What the provider says of each target, asked again now and then: a new version is another container to warm."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from typing import Any

from warmer.core.beat import BeatRequest, Contract
from warmer.core.smallest import example_input, made_up_input
from warmer.core.spec import ModelSpec, Target
from warmer.log import Event, get
from warmer.ports import Clock, Provider

GOOD_FOR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is kept of a contract: not its schema, which may be larger than all else that is held of a model."""

    at: float  # monotonic
    contract: Contract
    smallest: Mapping[str, Any] | None  # input; None where the file gave one
    example: Mapping[str, Any] | None = None  # input that has run; likewise

    def serves(self, spec: ModelSpec) -> bool:
        return spec.input is not None or self.smallest is not None

    def request(self, spec: ModelSpec) -> BeatRequest:
        return BeatRequest(
            target=spec.target,
            version=self.contract.version,
            billing=spec.billing or self.contract.billing,
            input=(self.smallest or {}) if spec.input is None else spec.input,
            deadline=spec.deadline,
            price=spec.price_on(self.contract.hardware),
            first_token=spec.first_token,
        )


class Contracts:
    """A cache over `Provider.describe`."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self._provider, self._clock = provider, clock
        self._known: dict[Target, _Known] = {}
        self._asking: dict[Target, asyncio.Lock] = {}

    async def request(self, spec: ModelSpec) -> BeatRequest:
        """The minimal prediction to send for `spec` now. Raises as `Provider.describe` does.

        ModelRefused as well where the file has no `input` and none can be made up by the schema.
        """
        return (await self._ask(spec)).request(spec)

    def known_request(self, spec: ModelSpec) -> BeatRequest | None:
        """The same as far as is known without asking."""
        known = self._known.get(spec.target)
        return known.request(spec) if known and known.serves(spec) else None

    def version(self, target: Target) -> str | None:
        """The version that beats of `target` go to, as far as is known without asking."""
        known = self._known.get(target)
        return known.contract.version if known else target.version

    def example(self, target: Target) -> Mapping[str, Any] | None:
        """An input of `target` that has run, where the provider shows one, as far as is known without asking."""
        known = self._known.get(target)
        return known.example if known else None

    def forget(self, target: Target) -> None:
        """Ask again before the next beat: the provider has just refused what we knew."""
        self._known.pop(target, None)

    def doubt(self, target: Target, age_s: float) -> None:
        """Something of so many seconds ago tells of another version: ask again before the next beat, unless that was
        done since. Until then what is known holds."""
        known = self._known.get(target) if target.version is None else None
        if known is not None and self._clock.monotonic() - known.at > age_s:
            self._known[target] = replace(known, at=-inf)

    def is_sure(self, target: Target) -> bool:
        """Whether `version` is what beats of `target` go to: it is pinned, or was asked for and not doubted since."""
        known = self._known.get(target)
        return target.version is not None or (known is not None and known.at > -inf)

    async def _ask(self, spec: ModelSpec) -> _Known:
        target = spec.target
        async with self._asking.setdefault(target, asyncio.Lock()):
            known = self._known.get(target)
            if known and known.serves(spec) and self._clock.monotonic() - known.at < GOOD_FOR.total_seconds():
                return known
            contract = await self._provider.describe(target)
            if known is None or known.contract.version != contract.version:
                get().info(
                    Event.MODEL_RESOLVED,
                    model=spec.name,
                    version=contract.version,
                    was=known.contract.version if known else None,
                    billing=contract.billing,
                    pinned=target.version is not None,
                )
            smallest = example = None
            if spec.input is None:
                example = example_input(contract)
                smallest = made_up_input(spec, contract)
            bare = replace(contract, input_schema=None, example_input=None)
            found = self._known[target] = _Known(
                at=self._clock.monotonic(), contract=bare, smallest=smallest, example=example
            )
            return found
