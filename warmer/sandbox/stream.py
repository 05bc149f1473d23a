"""Server-sent events of a streaming prediction: each token as it is made, then `done`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime

from warmer.sandbox.pace import Pace
from warmer.sandbox.predictions import Prediction, Status
from warmer.sandbox.world import World


async def events(prediction: Prediction, world: World, pace: Pace) -> AsyncIterator[str]:
    """The frames of a prediction's stream, from its first token on, however late one listens."""
    sent, frames = 0, 0
    while not pace.stopped:
        now = pace.now()
        world.advance(now)
        for token in (prediction.output_at(now) or [])[sent:]:
            yield _frame("output", now, frames, token)
            sent, frames = sent + 1, frames + 1
        if prediction.status.over:
            break
        await pace.changed(prediction, prediction.next_output(now))
    if prediction.status is Status.FAILED:
        yield _frame("error", pace.now(), frames, json.dumps({"detail": prediction.error}))
        frames += 1
    reasons = {Status.FAILED: "error", Status.CANCELED: "canceled", Status.ABORTED: "canceled"}
    reason = reasons.get(prediction.status)
    yield _frame("done", pace.now(), frames, json.dumps({"reason": reason} if reason else {}))


def _frame(event: str, now: datetime, number: int, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {event}\nid: {int(now.timestamp() * 1000)}:{number}\n{lines}\n"
