"""`warmer health` as a process: what a container's health check makes of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from harness.ports import free_port, refusing_port
from harness.processes import Desk

HELLO = "{model: replicate/hello-world, every: 2s, hardware: cpu}"


@contextmanager
def answering(reply: bytes) -> Iterator[int]:
    """A port on which somebody else answers one request."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                client.sendall(reply)

        thread = Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def test_a_daemon_that_lives_is_well_also_with_a_spoilt_file_and_one_that_is_gone_is_not(wired: Desk) -> None:
    listen = f"0.0.0.0:{free_port()}"
    file = str(wired.write(HELLO, listen=listen))
    daemon = wired.start("run", "-c", file)
    daemon.wait_for("daemon.ready")
    ran = wired.run("health", "-c", file)
    assert (ran.code, ran.out) == (0, f"{listen}: ok\n")
    wired.write("{model: replicate/hello-world, evry: 2s}", listen=listen)
    assert wired.run("health", WARMER_CONFIG=file).code == 0
    assert daemon.stop() == 0
    ran = wired.run("health", "-c", file)
    assert (ran.code, ran.out) == (1, "")
    assert "Traceback" not in ran.err
    assert f"127.0.0.1{listen[7:]}" in ran.err


def test_where_nobody_listens_it_is_not_well(desk: Desk) -> None:
    with refusing_port() as port:
        assert desk.run("health", "-c", str(desk.write(HELLO, listen=f"127.0.0.1:{port}"))).code == 1


OTHERS = {"503": b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "no HTTP": b"hello\r\n", "nothing": b""}


@pytest.mark.parametrize("reply", OTHERS.values(), ids=OTHERS)
def test_who_answers_otherwise_is_no_daemon(desk: Desk, reply: bytes) -> None:
    with answering(reply) as port:
        ran = desk.run("health", "-c", str(desk.write(HELLO, listen=f"127.0.0.1:{port}")))
    assert ran.code == 1
    assert f"127.0.0.1:{port}" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(("listen", "said"), [("off", "listen: 127.0.0.1:9177"), ("127.0.0.1:0", "write a port")])
def test_where_nobody_can_be_asked_it_says_what_to_write(desk: Desk, listen: str, said: str) -> None:
    ran = desk.run("health", "-c", str(desk.write(HELLO, listen=listen)))
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
