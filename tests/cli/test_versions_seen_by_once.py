"""`warmer once` and `status` on a model whose customers run another version: each pass is a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.processes import Desk, Sandbox

from warmer.sandbox.traits import version_id

WORLD = 'catalogue = false\n[models."acme/greeter"]\nkind = "greeting"\nversions = 2\nboot_s = 0.05\nrun_s = 0.01\n'
OLD, NEW = version_id("acme/greeter", 1), version_id("acme/greeter", 2)


def test_passes_say_it_once_and_status_as_long_as_it_is_so(
    tmp_path: Path, start_sandbox: Callable[..., Sandbox]
) -> None:
    world = tmp_path / "world.toml"
    world.write_text(WORLD)
    sandbox = start_sandbox("--world", str(world))
    desk = Desk(tmp_path, sandbox.url)
    file = str(desk.write("{model: acme/greeter, policy: fixed, every: 1s}"))

    def differed() -> list[dict[str, Any]]:
        ran = desk.run("once", "-c", file)
        assert ran.code == 0
        lines = [json.loads(line) for line in ran.out.splitlines()]
        return [line for line in lines if line["event"] == "version.differed"]

    for _ in range(6):
        call = {"model": "acme/greeter", "version": OLD, "input": {"text": "x"}}
        sandbox.post("/sandbox/customer", call)
    (line,) = differed()
    assert (line["version"], line["customers_version"], line["calls"], line["of"]) == (NEW, OLD, 6, 6)
    assert line["where"] == f"{file}:{1 + desk.file.read_text().splitlines().index('models:') + 1}"
    assert differed() == []
    (model,) = desk.run("status", "--json", "-c", file).document["models"]
    assert model["customers_version"] == OLD
    assert line["hint"] in desk.run("status", "-c", file).out
