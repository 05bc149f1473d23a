"""A thousand who want the stream of events at once, most of them reading nothing, and the beats go on."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from urllib.parse import urlsplit

from harness.processes import PATIENCE_S, Daemon, Desk, Sandbox

from warmer.web.page import EVENTS, STREAMS

HELLO = "{model: replicate/hello-world, every: 1s, hardware: cpu}"
MANY = 1000
HUNG_UP = "hung up on"
Stream = tuple[str, asyncio.StreamWriter]


async def asked(host: str, port: int) -> Stream:
    """How the question for the stream was answered: a status, or by nothing. What follows is not read."""
    reader, writer = await asyncio.open_connection(host, port, limit=1024)
    writer.write(f"GET {EVENTS} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    try:
        line = await asyncio.wait_for(reader.readline(), PATIENCE_S)
    except ConnectionError:
        line = b""
    return line.split()[1].decode() if line else HUNG_UP, writer


async def besiege(url: str, daemon: Daemon) -> Counter[str]:
    """How a thousand were answered, while and after which beats end as before; then one more gets in."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
    found = await asyncio.gather(*(asked(host, port) for _ in range(MANY)), return_exceptions=True)
    streams = [one for one in found if not isinstance(one, BaseException)]
    beats = len(daemon.events("beat.done"))
    await asyncio.to_thread(daemon.wait_for, "beat.done", beats + 5)
    for _, writer in streams:
        writer.close()
    answers = Counter([status for status, _ in streams] + [HUNG_UP] * (MANY - len(streams)))
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while (again := await asked(host, port))[0] != "200":  # whoever is gone is noticed
        assert asyncio.get_running_loop().time() < end
        again[1].close()
        await asyncio.sleep(0.2)
    again[1].close()
    return answers


def test_a_thousand_streams_are_bounded_and_the_beats_go_on(wired: Desk, sandbox: Sandbox) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard > MANY + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, MANY + 200), hard))
    daemon = wired.start("run", "-c", str(wired.write(HELLO, listen="127.0.0.1:0")))
    url = daemon.wait_for("web.opened")[0]["url"]
    daemon.wait_for("beat.done", 2)

    answers = asyncio.run(besiege(url, daemon))

    assert 0 < answers["200"] <= STREAMS
    assert answers.keys() <= {"200", "503", HUNG_UP}
    assert daemon.stop() == 0
    truth = sandbox.creates()
    assert all(call["status"] == "succeeded" for call in truth)
    assert len(truth) == len(daemon.events("beat.done"))
