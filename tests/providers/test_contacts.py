"""Real addresses on this machine: what is taken, what is not, and that no address is ever said."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from harness.ports import refusing_port
from harness.receiver import Receiver

from warmer import log
from warmer.errors import UsageError
from warmer.providers import contacts
from warmer.providers.contacts import ContactsByApprise

SECRET = "CanaryThatMustNotSing"


def at(receiver: Receiver) -> str:
    return f"json://127.0.0.1:{receiver.port}/{SECRET}"


def test_a_message_reaches_every_address_that_takes_it() -> None:
    with Receiver() as first, Receiver() as second:
        second.status = 500
        people = ContactsByApprise({"env:FIRST": at(first), "file:/second": at(second)})
        assert (people.takes_alerts, people.takes_pings) == (2, False)
        failures = asyncio.run(people.tell("warmer: 2 alerts", "chat is cold\nä & <b>"))
    assert list(failures) == ["file:/second"]
    (note,) = first.posted
    assert (note["title"], note["message"]) == ("warmer: 2 alerts", "chat is cold\nä & <b>")


def test_who_hangs_is_waited_for_no_longer_than_it_takes_and_nothing_else_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contacts, "TELL_WITHIN_S", 0.2)

    async def scene() -> None:
        turns = 0

        async def beat() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        with Receiver() as receiver:
            receiver.hangs.set()
            beating = asyncio.ensure_future(beat())
            failures = await ContactsByApprise({"env:TO": at(receiver)}).tell("title", "text")
            beating.cancel()
        assert "not sent within" in failures["env:TO"]
        assert turns > 3

    asyncio.run(scene())


@pytest.mark.parametrize("status", [204, 302, 404, 500])
def test_a_sign_of_life_is_one_get_and_a_redirect_is_not_followed(status: int) -> None:
    async def scene(receiver: Receiver) -> str | None:
        people = ContactsByApprise({}, ("env:PING", f"http://127.0.0.1:{receiver.port}/{SECRET}"))
        try:
            return await people.ping()
        finally:
            await people.close()

    with Receiver() as receiver:
        receiver.status = status
        said = asyncio.run(scene(receiver))
        assert receiver.asked == [f"/{SECRET}"]
    assert said == (None if status == 204 else f"it answered {status}")


def test_what_is_no_address_is_refused_without_a_word_of_it() -> None:
    for address in (SECRET, f"nonsense://{SECRET}", "://"):
        with pytest.raises(UsageError) as refused:
            ContactsByApprise({"env:TO": address})
        assert "env:TO" in str(refused.value)
        assert SECRET not in str(refused.value)
    for address in (SECRET, f"ftp://{SECRET}", "https://", "http://[::1"):
        with pytest.raises(UsageError) as refused:
            ContactsByApprise({}, ("env:PING", address))
        assert "env:PING" in str(refused.value)
        assert SECRET not in str(refused.value)


def test_no_part_of_an_address_is_logged_whatever_becomes_of_it() -> None:
    out = io.StringIO()
    log.configure(stream=out, json=True)  # and nothing is masked

    async def scene(port: int) -> Any:
        closed = {
            "env:TO": f"json://user:{SECRET}@127.0.0.1:{port}/{SECRET}",
            "env:MAIL": f"mailto://a:{SECRET}@localhost:1",
        }
        people = ContactsByApprise(closed, ("env:PING", f"http://127.0.0.1:{port}/{SECRET}"))
        try:
            return await people.tell("title", "text"), await people.ping()
        finally:
            await people.close()

    with refusing_port() as port:
        failures, ping = asyncio.run(scene(port))
    assert failures.keys() == {"env:TO", "env:MAIL"}
    assert ping == "no answer: ConnectError"
    assert SECRET not in out.getvalue() + str(failures) + ping
