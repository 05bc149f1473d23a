"""Whatever people and programs may rely on stands in the reference, and nothing stands there that is not so."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from harness.pages import CONFIG, OPERATIONS, PAGES, REFERENCE, ROOT, Page
from prometheus_client.parser import text_string_to_metric_families
from web.vitals import CHAT, busy, knowing

from warmer import config, errors
from warmer.cli.app import app
from warmer.core.beat import Reason, Status, Verdict
from warmer.core.price import PER_SECOND, PRICES_READ_ON, Billing
from warmer.core.spec import PolicyName
from warmer.log import Event

COMMANDS: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
GLOBAL_OPTIONS = {"--version", "--help", "--install-completion", "--show-completion"}
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=str)


def tree(kind: type[errors.WarmerError]) -> list[type[errors.WarmerError]]:
    return [kind, *(below for sub in kind.__subclasses__() for below in tree(sub))]


# -- commands --------------------------------------------------------------------------------------------------------


def options_of(command: str) -> set[str]:
    """Of a group those of all its commands."""
    found = COMMANDS[command]
    params = [param for one in (found, *getattr(found, "commands", {}).values()) for param in one.params]
    return {opt for param in params if param.param_type_name == "option" for opt in param.opts}


def test_every_command_has_its_heading_and_no_other_has() -> None:
    told = [title for title in REFERENCE.headings() if title.startswith("`warmer ")]
    assert sorted(told) == sorted(f"`warmer {name}`" for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_told_and_no_other(command: str) -> None:
    told = {code for code in REFERENCE.first_cells(f"`warmer {command}`") if code.startswith("-")}
    assert told == options_of(command) - GLOBAL_OPTIONS


@EACH_PAGE
def test_no_page_shows_a_command_or_option_that_does_not_exist(page: Page) -> None:
    lines = [line.partition("  #")[0] for block in page.blocks("sh", "bash") for line in block.splitlines()]
    for text in [*lines, *page.spans()]:
        for command, rest in re.findall(r"(?:^|&& |\| |sudo )(?:python -m )?warmer ([a-z-]+)([^|&]*)", text):
            if command.startswith("-"):
                assert command in GLOBAL_OPTIONS, f"{page}: {text}"
                continue
            assert command in COMMANDS, f"{page}: {text}"
            options = set(re.findall(r"(?<=\s)--?[a-z-]+", rest))
            assert options <= options_of(command) | GLOBAL_OPTIONS, f"{page}: {text}"


# -- exit codes, events, words, prices -------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [REFERENCE, OPERATIONS], ids=str)
def test_every_exit_code_of_the_error_tree_is_told(page: Page) -> None:
    told = {int(row[0]) for row in page.table("Exit codes") if row[0].isdigit()}
    assert {0, *(kind.exit_code for kind in tree(errors.WarmerError))} <= told


def test_every_error_is_told_with_its_code() -> None:
    told = {row[0].strip("`"): int(row[1]) for row in REFERENCE.table("Exit codes") if row[0].startswith("`")}
    public = [kind for kind in tree(errors.WarmerError) if kind.__module__ == errors.__name__]
    assert told == {kind.__name__: kind.exit_code for kind in public}


@cache
def logged() -> dict[str, set[str]]:
    """The fields of every event, as the calls that log it name them."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "warmer").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for event, fields in logged_in(function):
                    # The renderers make the one of the other.
                    found.setdefault(event, set()).update("exception" if f == "exc_info" else f for f in fields)
    return found


def logged_in(function: ast.AST) -> Iterator[tuple[str, set[str]]]:
    facts = facts_in(function)
    for call in ast.walk(function):
        if isinstance(call, ast.Call):
            given = {keyword.arg for keyword in call.keywords if keyword.arg}
            for keyword in call.keywords:
                if keyword.arg is None and isinstance(keyword.value, ast.Name):
                    given |= facts.get(keyword.value.id, set())
            for part in (part for argument in call.args for part in ast.walk(argument)):
                if isinstance(part, ast.Attribute) and part.attr in Event.__members__:
                    yield Event[part.attr].value, given


def facts_in(function: ast.AST) -> dict[str, set[str]]:
    """What is put into each dict that `function` may spread into a call: at once, or key by key."""
    facts: dict[str, set[str]] = {}
    for node in ast.walk(function):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=keys))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=keys))
            ):
                facts.setdefault(name, set()).update(key.value for key in keys if isinstance(key, ast.Constant))
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)))]):
                facts.setdefault(name, set()).add(key)
    return facts


def test_every_event_is_told() -> None:
    assert sorted(REFERENCE.first_cells("Log events")) == sorted(Event)


@pytest.mark.parametrize("event", Event)
def test_every_field_of_an_event_is_told_and_no_other(event: Event) -> None:
    cells = {row[0].strip("`"): row[3] for row in REFERENCE.table("Log events")}
    cell = cells[event]
    if like := re.match(r"as `([a-z.]+)`", cell):
        cell += cells[like[1]]
    told = set(re.findall(r"`([a-z_]+)`", cell)) - {"unknown"}  # which is a value
    assert told == logged()[event]


@EACH_PAGE
def test_no_page_speaks_of_an_event_that_is_none(page: Page) -> None:
    nouns = "|".join(sorted({event.partition(".")[0] for event in Event}))
    named = {span for span in page.spans() if re.fullmatch(rf"(?:{nouns})\.[a-z_]+", span)}
    files = {name for name in named if Path(name).suffix in (".db", ".md", ".py", ".yaml")}
    assert named - files <= set(Event)


@pytest.mark.parametrize(
    ("page", "title", "words"),
    [
        (REFERENCE, "Reasons", Reason),
        (REFERENCE, "Verdicts", Verdict),
        (REFERENCE, "Statuses", Status),
        (REFERENCE, "Billing classes", Billing),
        (CONFIG, "`billing`", Billing),
        (CONFIG, "`policy`", PolicyName),
    ],
)
def test_every_word_of_a_closed_list_is_told_and_no_other(page: Page, title: str, words: type[StrEnum]) -> None:
    assert sorted(page.first_cells(title)) == sorted(words)


def test_every_reason_is_told_with_what_it_leads_to() -> None:
    told = {row[0].strip("`"): row[1] == "sent" for row in REFERENCE.table("Reasons")}
    assert told == {reason.value: reason.sends for reason in Reason}


def test_every_metric_is_told_with_its_type_and_labels_and_no_other() -> None:
    text = asyncio.run(busy().scrape(knowing(CHAT, remaining_usd={"all models": Decimal(1)}))).decode()
    shown = {}
    for family in text_string_to_metric_families(text):
        name = family.name + "_total" * (family.type == "counter")
        shown[name] = (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
    rows = REFERENCE.table("Metrics")
    assert {row[0].strip("`"): (row[1], set(re.findall(r"`(\w+)`", row[2]))) for row in rows} == shown
    assert all(row[3] for row in rows)


def test_every_price_is_told_with_its_date() -> None:
    told = {row[0].strip("`"): Decimal(row[1]) for row in REFERENCE.table("Prices")}
    assert told == PER_SECOND
    assert f"on {PRICES_READ_ON}" in REFERENCE.section("Prices")


def test_every_key_of_the_file_is_told_and_no_other() -> None:
    schema = config.json_schema()
    keys = {key for part in (schema, *schema["$defs"].values()) for key in part.get("properties", {})}
    assert {title.strip("`") for title in CONFIG.headings() if title.startswith("`")} == keys
