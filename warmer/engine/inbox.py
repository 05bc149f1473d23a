"""Webhooks: the provider tells how beats ended, so that it need not be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlsplit

from warmer.core.beat import Prediction, Status
from warmer.engine.account import Account
from warmer.engine.pause import pause
from warmer.errors import ProviderError
from warmer.log import Event, get
from warmer.ports import Clock, Hearing, Meter, Webhooks

_TRY_AGAIN_S = 60.0
_SAID_EVERY_S = 600.0
"""Anybody can send what is refused: the log is not theirs to fill."""


class Inbox:
    """Implements the `Inbox` port over the account in force and those before it, which may have beats out."""

    def __init__(
        self,
        accounts: Callable[[], Sequence[Account]],
        clock: Clock,
        meter: Meter,
        *,
        say: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """`accounts`: those in force are the last. `say` tells the processes that share the beats, where there are."""
        self._accounts, self._clock, self._meter, self._say = accounts, clock, meter, say
        self._changed = asyncio.Event()
        self._refused, self._said_at = 0, -_SAID_EVERY_S

    @property
    def host(self) -> str | None:
        """The name by which the provider calls."""
        hooks = [hooks for account in self._accounts() if (hooks := account.provider.webhooks) is not None]
        return urlsplit(hooks[-1].url).hostname if hooks else None

    async def take(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Take one webhook: it wakes the beat that it is of, be it another process', or does nothing."""
        why = "no webhooks are asked for"
        for account in reversed(self._accounts()):
            hooks = account.provider.webhooks
            if hooks is None:
                continue
            try:
                end = hooks.read(headers, body)
            except ValueError as exc:
                why = str(exc)
                continue
            if end.status.is_open or end.status is Status.UNKNOWN:
                self._meter.webhook(Hearing.UNKNOWN)
            elif not any(one.outgoing.told(end) for one in self._accounts()):
                await self._pass_on(end)
            return True
        self._refuse(why)
        return False

    def hear(self, prediction_id: str) -> None:
        """A process that shares the beats was told that it has ended. How, the provider is asked."""
        for account in self._accounts():
            account.outgoing.hinted(prediction_id)
            account.outgoing.may_be_early(prediction_id, None)

    def poke(self) -> None:
        """There may be another account in force."""
        self._changed.set()

    async def keep_on(self) -> None:
        """Have the accounts ask for webhooks as soon as they can be verified, until cancelled."""
        failed = set[Webhooks]()
        while True:
            self._changed.clear()
            told = [hooks for account in self._accounts() if (hooks := account.provider.webhooks) is not None]
            failed.intersection_update(told)
            for hooks in told:
                if hooks.is_open:
                    continue
                try:
                    await hooks.open()
                except ProviderError as exc:
                    if hooks not in failed:
                        get().warning(Event.WEBHOOKS_FAILED, url=hooks.url, error=str(exc))
                    failed.add(hooks)
                else:
                    get().info(Event.WEBHOOKS_OPENED, url=hooks.url)
            if all(hooks.is_open for hooks in told):
                await self._changed.wait()
            else:
                await pause(self._clock, _TRY_AGAIN_S, self._changed)

    async def _pass_on(self, end: Prediction) -> None:
        """It is of no beat that is known to be out here."""
        is_early = any(one.outgoing.may_be_early(end.id, end) for one in self._accounts())
        if self._say is not None:
            self._meter.webhook(Hearing.HANDED_ON)
            await self._say(end.id)
        elif not is_early:
            self._meter.webhook(Hearing.UNKNOWN)

    def _refuse(self, why: str) -> None:
        self._meter.webhook(Hearing.REFUSED)
        self._refused += 1
        now = self._clock.monotonic()
        if now - self._said_at >= _SAID_EVERY_S:
            get().warning(Event.WEBHOOK_REFUSED, error=why, refused=self._refused)
            self._refused, self._said_at = 0, now
