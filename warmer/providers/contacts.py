"""Whoever is told from here: people, by Apprise, and a watcher that is asked for at an address of its own.

The addresses are secrets: with one of them anybody could write in somebody's name. None of them goes into a log, nor
what a library says of it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import httpx

from warmer.errors import UsageError

T = TypeVar("T")

TELL_WITHIN_S = 30.0
"""A message that takes longer counts as not sent."""
PING_WITHIN_S = 10.0
_LIBRARIES = ("apprise", "urllib3", "requests", "httpx", "httpcore")
"""They would say addresses, or parts of them that no mask knows."""


class ContactsByApprise:
    """Implements the `Contacts` port."""

    def __init__(self, addresses: Mapping[str, str], ping: tuple[str, str] | None = None) -> None:
        """`addresses`: by what the file calls each. `ping`: what the file calls it, and the address.

        Raises UsageError for an address that is none, and where Apprise is needed and not there.
        """
        for name in _LIBRARIES:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._people = {name: _known(name, address) for name, address in addresses.items()}
        self._ping = None if ping is None else _url(*ping)
        self._client: httpx.AsyncClient | None = None

    @property
    def takes_alerts(self) -> int:
        """How many addresses there are."""
        return len(self._people)

    @property
    def takes_pings(self) -> bool:
        """Whether there is a watcher."""
        return self._ping is not None

    async def tell(self, title: str, text: str) -> Mapping[str, str]:
        """Send a message to every address, at once."""
        replies = await asyncio.gather(*(_told(one, title, text) for one in self._people.values()))
        return {name: error for name, error in zip(self._people, replies, strict=True) if error is not None}

    async def ping(self) -> str | None:
        """One GET. What a redirect points to is not asked."""
        if self._ping is None:
            return None
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=PING_WITHIN_S)
        try:
            async with asyncio.timeout(PING_WITHIN_S):
                async with self._client.stream("GET", self._ping) as reply:
                    return None if reply.is_success else f"it answered {reply.status_code}"
        except (httpx.HTTPError, RuntimeError, TimeoutError) as exc:  # RuntimeError: closed meanwhile, by a reload
            return f"no answer: {type(exc).__name__}"

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._client.aclose()


def _known(name: str, address: str) -> Any:
    try:
        import apprise
    except ImportError as exc:
        raise UsageError(f"`alerts` need {exc.name}: install it with `pip install 'warmer[alerts]'`") from exc
    one = apprise.Apprise()
    if not one.add(address):
        raise UsageError(
            f"the address in {name} is none that Apprise knows (write such as mailto://, slack://, json://)"
        )
    return one


def _url(name: str, address: str) -> httpx.URL:
    with suppress(httpx.InvalidURL):
        url = httpx.URL(address)
        if url.scheme in ("http", "https") and url.host:
            return url
    raise UsageError(f"the address in {name} is none that can be asked for (write such as https://…)")


async def _told(one: Any, title: str, text: str) -> str | None:
    """What went wrong, if anything. Apprise blocks, and says whether, not why."""
    try:
        async with asyncio.timeout(TELL_WITHIN_S):
            is_sent = await _aside(lambda: one.notify(title=title, body=text))
    except TimeoutError:
        return f"not sent within {TELL_WITHIN_S:g} s"
    except Exception as exc:  # noqa: BLE001 - a plug-in of another's making, and beats matter more
        return f"not sent: {type(exc).__name__}"
    return None if is_sent else "not sent: the address, or the network on the way there, did not take it"


async def _aside(work: Callable[[], T]) -> T:
    """The result of `work`, done in a thread that nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: Sequence[T], error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result[0])

    def run() -> None:
        result, error = list[T](), None
        try:
            result.append(work())
        except Exception as exc:  # noqa: BLE001 - handed to whoever waits
            error = exc
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="alert", daemon=True).start()
    return await done
