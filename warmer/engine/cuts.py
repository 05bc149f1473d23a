"""Whether a beat is canceled once it runs: where that is cheaper, and for as long as it keeps the model warm."""

from __future__ import annotations

from dataclasses import replace

from warmer.core.beat import BeatRequest
from warmer.core.cut import LOOKED_AT, still_warms
from warmer.core.spec import ModelSpec
from warmer.engine.desk import Desk
from warmer.log import Event, get


class Cuts:
    """Goes by what the ledger has of each model's beats, whichever process sent them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._dropped = set[str]()  # models whose beats run to their end for now

    async def fitting(self, spec: ModelSpec, request: BeatRequest) -> BeatRequest:
        """`request`, to be canceled once it runs where its entry asks for that and it helps."""
        if not (spec.cancel_on_start and spec.target.kind.is_of_an_account and request.billing.bills_run_only):
            return request
        beats = await self._desk.do(lambda ledger: ledger.latest_beats(spec.name, LOOKED_AT))
        warms = still_warms(beats, spec.interval)
        if not warms and spec.name not in self._dropped:
            self._dropped.add(spec.name)
            get().warning(
                Event.CANCEL_DROPPED,
                model=spec.name,
                where=spec.where,
                hint="beats after canceled runs were found cold: they run to their end now. Drop `cancel_on_start`",
            )
        elif warms and spec.name in self._dropped:
            self._dropped.remove(spec.name)
            get().info(Event.CANCEL_RESUMED, model=spec.name)
        return replace(request, cancel_on_start=warms)
