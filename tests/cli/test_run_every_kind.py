"""One file with every kind of entry: text, image, audio, captions, a deployment, a Cog server and an endpoint."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from harness.cogs import CogProcess
from harness.processes import Desk, Sandbox

KEY = "k3y-of-the-endpoint-that-must-not-sing"
BOOT_S = 3.0
SLUGS = ("meta/meta-llama-3-8b-instruct", "stability-ai/sdxl", "openai/whisper", "salesforce/blip")
BEHIND = "nightmareai/real-esrgan"
WORLD = "".join(f'[models."{slug}"]\nboot_s = {BOOT_S}\nboot_spread = 0.0\nrun_s = 0.05\n' for slug in (*SLUGS, BEHIND))


class Function(ThreadingHTTPServer):
    """A function that is started by its first call, which waits for that."""

    def __init__(self) -> None:
        self.keys = set[str | None]()
        lock, outer = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with lock:
                    if not outer.keys:
                        time.sleep(BOOT_S)
                    outer.keys.add(self.headers.get("Authorization"))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def function() -> Iterator[Function]:
    with Function() as serving:
        threading.Thread(target=serving.serve_forever, args=(0.05,), daemon=True).start()
        yield serving
        serving.shutdown()


@pytest.fixture
def desk(
    tmp_path: Path, start_sandbox: Callable[..., Sandbox], function: Function
) -> Iterator[tuple[Desk, CogProcess]]:
    world = tmp_path / "world.toml"
    world.write_text(WORLD)
    made, cog = Desk(tmp_path, start_sandbox("--world", str(world)).url), CogProcess(tmp_path / "cog", setup_s=2.0)
    made.write(
        "\n".join(f"{{model: {slug}, policy: fixed, every: 2s}}" for slug in SLUGS)
        + "\n{deployment: acme/upscaler, policy: fixed, every: 2s}"
        + f"\n{{name: echo, cog: '{cog.url}', policy: fixed, every: 2s}}"
        + f"\n{{name: function, url: 'http://127.0.0.1:{function.server_port}/warm', policy: fixed, every: 2s, "
        + "headers: {Authorization: Bearer env:FUNCTION_KEY}, price: {per_output: 0.000002}}"
    )
    try:
        cog.start()
        yield made, cog
    finally:
        made.close()
        cog.kill()


def test_each_is_kept_warm_and_reported_for_what_it_is(desk: tuple[Desk, CogProcess], function: Function) -> None:
    made, cog = desk
    daemon = made.start("run", "-c", str(made.file), FUNCTION_KEY=KEY)
    names = (*SLUGS, "acme/upscaler", "echo", "function")
    for name in names:
        daemon.wait_for("beat.done", 2, model=name)
    assert daemon.stop() == 0
    first = {name: daemon.events("beat.done", model=name)[0] for name in names}
    assert {name: line["verdict"] for name, line in first.items()} == dict.fromkeys(names, "cold")
    assert {line["verdict"] for name in names for line in daemon.events("beat.done", model=name)[1:]} == {"warm"}
    assert abs(first["echo"]["boot_s"] - cog.setup_s) < 0.3

    rows = {row["model"]: row for row in made.run("report", "--json", "-c", str(made.file)).document["models"]}
    assert set(rows) == set(names)
    assert all(rows[name]["beats"] >= 2 for name in names)
    costs = {name: rows[name]["cost_usd"] for name in names}
    assert float(costs["echo"]) == 0  # of a machine that is paid anyway
    assert float(costs["function"]) == pytest.approx(rows["function"]["beats"] * 0.000002)
    assert costs["stability-ai/sdxl"] is None  # its entry names no hardware
    assert float(costs["acme/upscaler"]) > 0  # which its host tells
    assert function.keys == {f"Bearer {KEY}"}
    assert KEY not in daemon.log.read_text()

    assert made.run("once", "-c", str(made.file), FUNCTION_KEY=KEY).code == 0
    checked = made.run("check", "--online", "--json", "-c", str(made.file), FUNCTION_KEY=KEY)
    assert (checked.code, {answer["answer"] for answer in checked.document["online"]}) == (0, {"fine"})


def test_a_key_that_is_missing_is_named_before_anything_begins(desk: tuple[Desk, CogProcess]) -> None:
    made, _ = desk
    ran = made.run("once", "-c", str(made.file))
    assert ran.code == 2
    assert "FUNCTION_KEY" in ran.err
