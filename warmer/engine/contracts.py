"""What the provider says of each target, asked again now and then: a new version is another container to warm."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from warmer.core.beat import BeatRequest, Contract
from warmer.core.price import price_of
from warmer.core.schema_input import smallest_input
from warmer.core.spec import ModelSpec, Target
from warmer.log import Event, get
from warmer.ports import Clock, Provider

GOOD_FOR = timedelta(minutes=15)


class Contracts:
    """A cache over `Provider.describe`."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self._provider, self._clock = provider, clock
        self._known: dict[Target, tuple[float, Contract]] = {}
        self._asking: dict[Target, asyncio.Lock] = {}

    async def request(self, spec: ModelSpec) -> BeatRequest:
        """The minimal prediction to send for `spec` now. Raises as `Provider.describe` does."""
        return _request(spec, await self._contract(spec))

    def known_request(self, spec: ModelSpec) -> BeatRequest | None:
        """The same as far as is known without asking."""
        known = self._known.get(spec.target)
        return _request(spec, known[1]) if known else None

    def version(self, target: Target) -> str | None:
        """The version that beats of `target` go to, as far as is known without asking."""
        known = self._known.get(target)
        return known[1].version if known else target.version

    def forget(self, target: Target) -> None:
        """Ask again before the next beat: the provider has just refused what we knew."""
        self._known.pop(target, None)

    async def _contract(self, spec: ModelSpec) -> Contract:
        target = spec.target
        async with self._asking.setdefault(target, asyncio.Lock()):
            known = self._known.get(target)
            if known is not None and self._clock.monotonic() - known[0] < GOOD_FOR.total_seconds():
                return known[1]
            contract = await self._provider.describe(target)
            if known is None or known[1].version != contract.version:
                get().info(
                    Event.MODEL_RESOLVED,
                    model=spec.name,
                    version=contract.version,
                    was=known[1].version if known else None,
                    billing=contract.billing,
                    pinned=target.version is not None,
                )
            self._known[target] = (self._clock.monotonic(), contract)
            return contract


def _request(spec: ModelSpec, contract: Contract) -> BeatRequest:
    beat_input = spec.input
    if beat_input is None:
        beat_input = smallest_input(contract.input_schema, contract.example_input)
    return BeatRequest(
        target=spec.target,
        version=contract.version,
        billing=spec.billing or contract.billing,
        input=beat_input,
        deadline=spec.deadline,
        price=spec.price or price_of(contract.hardware, spec.prices),
    )
