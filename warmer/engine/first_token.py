"""How long a beat's first token took: read from its stream, beside the following of its end."""

from __future__ import annotations

import asyncio

from warmer.core.beat import Prediction
from warmer.core.spec import ModelSpec
from warmer.errors import ProviderError, Unavailable
from warmer.log import Event, get
from warmer.ports import Clock, Provider

GRACE_S = 1.0
"""How long a token may still be on its way once the beat is known to be over."""
_NOT_STREAMED = "its predictions have no stream"
Listening = asyncio.Task[float | ProviderError]
"""A stream that is being read: to the seconds that its first token took, or why there is none. Cancel it to stop."""


class FirstTokens:
    """Times first tokens, and says once of a model that it has none to time. Nothing of it can fail a beat."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self._provider, self._clock = provider, clock
        self._missed: set[str] = set()  # models of which it was said

    def listen(self, prediction: Prediction, since: float) -> Listening:
        """Read the prediction's stream from now on. `since`: when its create was sent, monotonic."""
        return asyncio.create_task(self._listen(prediction.stream, since), name="first token")

    async def taken(self, listening: Listening, spec: ModelSpec, *, ended_well: bool) -> float | None:
        """Seconds from the create to the first token; None where there was none. Waits `GRACE_S` at the most.

        Of a beat that `ended_well` it is said why, once until one is measured again; any other tells by itself, and is
        not waited for.
        """
        patience = asyncio.ensure_future(self._clock.sleep(GRACE_S if ended_well else 0.0))
        try:
            await asyncio.wait((listening, patience), return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()
        heard = listening.result() if listening.done() else Unavailable("its stream said nothing")
        if isinstance(heard, float):
            self._missed.discard(spec.name)
            return heard
        if ended_well and spec.name not in self._missed:
            self._missed.add(spec.name)
            hint = (
                "leave `measure` out of this entry" if str(heard) == _NOT_STREAMED else "look whether its host is well"
            )
            get().warning(Event.STREAM_MISSED, model=spec.name, error=str(heard), hint=hint, where=spec.where)
        return None

    async def _listen(self, stream: str | None, since: float) -> float | ProviderError:
        if stream is None:
            return Unavailable(_NOT_STREAMED)
        try:
            await self._provider.first_output(stream)
        except ProviderError as exc:
            return exc
        return self._clock.monotonic() - since
