"""The man page and the help name every command and option there is."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from typing import Any

import typer.main
from harness.pages import ROOT
from typer.testing import CliRunner

from warmer import errors
from warmer.cli.app import app

PAGE = (ROOT / "man" / "warmer.1").read_text("utf-8")
ROOT_COMMAND: Any = typer.main.get_command(app)


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_the_page_is_up_to_date() -> None:
    assert runpy.run_path(str(ROOT / "man" / "write.py"))["page"]() == PAGE, "run `make man`"


def test_the_page_has_every_command_and_option() -> None:
    sections = dict(re.findall(r'^\.SS "([^"]+)"\n(.*?)(?=^\.S[HS])', PAGE.replace("\\-", "-"), re.M | re.S))
    told = {re.sub(r" (\[|[A-Z]).*", "", title): body for title, body in sections.items()}
    known = dict(commands(ROOT_COMMAND, "warmer"))
    assert told.keys() == known.keys()
    for name, command in known.items():
        for param in command.params:
            if param.param_type_name == "option":
                assert all(opt in told[name] for opt in param.opts), (name, param.opts)


def test_the_page_has_every_exit_code() -> None:
    codes = {str(kind.exit_code) for kind in vars(errors).values() if hasattr(kind, "exit_code")}
    section = PAGE.partition(".SH EXIT STATUS\n")[2].partition(".SH ")[0]
    assert set(re.findall(r"^\.B (\d+)$", section, re.M)) >= {"0", *codes}


def test_the_help_names_every_command() -> None:
    said = CliRunner().invoke(app, ["--help"]).stdout
    assert set(ROOT_COMMAND.commands) <= set(re.findall(r"^\W*([a-z]+)\b", said, re.M))
