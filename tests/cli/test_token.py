"""A canary token, searched as bytes in all that a process leaves behind while everything goes wrong."""

from __future__ import annotations

import urllib.request
from typing import Any

from harness.processes import CANARY, Desk, Sandbox

MODELS = "{model: replicate/hello-world, every: 1s}\n{model: meta/meta-llama-3-8b-instruct, every: 1s}"
TROUBLE: list[dict[str, Any]] = [
    {"kind": "status", "status": 401, "on": "any", "body": {"detail": f"bad token {CANARY}"}},
    {"kind": "status", "status": 500, "on": "any", "body": f"<html>Authorization: Bearer {CANARY}</html>"},
    {"kind": "garbage", "on": "any"},
    {"kind": "cut", "on": "create"},
    {"kind": "huge", "on": "list"},
    {"kind": "status", "status": 422, "on": "create"},
]


def clear(sandbox: Sandbox) -> None:
    request = urllib.request.Request(f"{sandbox.url}/sandbox/faults", method="DELETE")
    with urllib.request.urlopen(request, timeout=10):
        pass


def left_behind(desk: Desk) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(desk.folder.rglob("*")) if path.is_file())


def test_the_token_is_in_no_line_ledger_or_error(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write(MODELS))
    said = ""
    for fault in TROUBLE:
        sandbox.post("/sandbox/faults", fault)
        for command in (["once"], ["check", "--online"], ["inspect", "openai/whisper"]):
            ran = wired.run(*command, "-c", file)
            said += ran.out + ran.err
            assert "Traceback" not in ran.err, (fault, command)
        clear(sandbox)
    for command in (["status"], ["report", "--json"], ["export", "beats"], ["check", "--show"]):
        said += wired.run(*command, "-c", file).out
    assert wired.run("once", "--retry", "-c", file).code == 0
    assert CANARY not in said
    assert CANARY.encode() not in left_behind(wired)


def test_nobody_else_is_shown_the_token(wired: Desk, sandbox: Sandbox, start_sandbox: Any) -> None:
    stranger: Sandbox = start_sandbox()
    file = str(wired.write(MODELS))
    for fault in (
        {"kind": "redirect", "to": f"{stranger.url}/v1/account", "on": "any"},
        {"kind": "foreign_urls", "to": stranger.url, "on": "any"},
    ):
        sandbox.post("/sandbox/faults", fault)
        wired.run("once", "-c", file)
        wired.run("check", "--online", "-c", file)
        clear(sandbox)
    assert stranger.get("/sandbox/totals")["replies"] == {}


def test_a_bug_s_traceback_does_not_show_it_either(wired: Desk) -> None:
    wired.file.write_text(wired.text(MODELS))
    done = wired.run("run", "-c", str(wired.file), "--log-to", "nowhere")
    assert done.code == 2
    assert CANARY not in done.err
