"""Webhooks: signed POSTs about a prediction, to loopback or over TLS.

Signed as Standard Webhooks has it. Only the terminal one is repeated. Source: replicate.com/docs/topics/webhooks.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from standardwebhooks import Webhook

from warmer.sandbox import replies
from warmer.sandbox.faults import Faults
from warmer.sandbox.pace import Pace
from warmer.sandbox.predictions import Prediction, Status

EVENTS = ("start", "output", "logs", "completed")
_DEFAULT = ("output", "completed")  # without a filter
_THROTTLE = timedelta(milliseconds=500)  # between two `output` events
_BACK_OFF = tuple(
    timedelta(seconds=seconds) for seconds in (2, 4, 8, 16, 32)
)  # the last try about a minute after the end
_TIMEOUT_S = 10.0  # real seconds for one POST


def allowed(url: str) -> bool:
    """Whether the sandbox will send there: https anywhere, http to loopback only."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme != "http" or not parts.hostname:
        return False
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


def secret(seed_text: str) -> str:
    """A signing secret in standard base64: clients split it at `_`, so the key must hold none."""
    return "whsec_" + base64.b64encode(hashlib.sha256(seed_text.encode()).digest()[:24]).decode()


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        return None


class Courier:
    """Follows predictions and tells their webhooks."""

    def __init__(self, pace: Pace, key: str, faults: Faults, tally: Counter[tuple[str, str]]) -> None:
        """`tally` counts what was sent, by HTTP status; "cut" is what was lost, "failed" what nobody answered."""
        self.secret = key
        self._faults, self._tally = faults, tally
        self.base = ""  # of the addresses in the body; known once the server listens
        self._pace = pace
        self._opener = build_opener(_NoRedirects)
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, prediction: Prediction) -> None:
        """Tell the prediction's webhook of all that happens to it."""
        if prediction.webhook is not None:
            self._spawn(self._follow(prediction, prediction.webhook, prediction.webhook_events or _DEFAULT))

    async def stop(self) -> None:
        """Give up what has not been told yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, prediction: Prediction, url: str, events: tuple[str, ...]) -> None:
        while prediction.status is Status.STARTING:
            await self._pace.changed(prediction, None)
        if "start" in events and prediction.started_at is not None:
            self._spawn(self._post_once(url, prediction, "start"))
        while "output" in events and (due := prediction.next_output(now := self._pace.now())) is not None:
            await self._pace.changed(prediction, max(due, now + _THROTTLE))
            if not prediction.status.over:
                self._spawn(self._post_once(url, prediction, f"output-{now.timestamp()}"))
        while not prediction.status.over:
            await self._pace.changed(prediction, None)
        if "completed" in events:
            await self._post_until_taken(url, prediction)

    async def _post_once(self, url: str, prediction: Prediction, event: str) -> None:
        now = self._pace.now()
        body = replies.prediction(prediction, now, self.base)
        await self._post(url, f"msg_{prediction.id}_{event}", now, body)

    async def _post_until_taken(self, url: str, prediction: Prediction) -> None:
        body = replies.prediction(prediction, self._pace.now(), self.base)
        for pause in (timedelta(0), *_BACK_OFF):
            await self._pace.sleep(pause)
            if await self._post(url, f"msg_{prediction.id}_completed", self._pace.now(), body):
                return

    async def _post(self, url: str, message_id: str, now: datetime, body: Mapping[str, Any]) -> bool:
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self.secret).sign(message_id, now, data),
        }
        request = Request(url, data.encode(), headers, method="POST")  # noqa: S310 - `allowed` has seen the scheme
        fault = self._faults.take_webhook(url, data)
        if fault is not None and fault.kind == "cut":
            self._tally["webhook", "cut"] += 1
            return True  # as whoever sent it sees it
        if fault is not None and fault.kind == "delay":
            await self._pace.sleep(timedelta(seconds=fault.seconds))
        is_taken = await self._sent(request)
        if fault is not None and fault.kind == "repeat":
            await self._sent(request)
        return is_taken

    async def _sent(self, request: Request) -> bool:
        status = await asyncio.to_thread(self._send, request)
        self._tally["webhook", str(status or "failed")] += 1
        return status is not None and 200 <= status < 300

    def _send(self, request: Request) -> int | None:
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as reply:
                return int(reply.status)
        except HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return None
