"""The man page, from the commands as they stand: `make man` writes man/warmer.1 by it, and the wheel installs that.

One page for all of them, for they are few. What makes pages of click's commands does not know those of typer, whose
classes are its own.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import typer.main

from warmer.cli.app import app
from warmer.version import __version__

_ENDS = (
    ("0", "Done. A beat that was not due counts as done, and so does one that another process had claimed."),
    ("1", "A bug, a ledger that cannot be read or written, or, of health, a daemon that does not answer."),
    ("2", "Wrong usage, a wrong file, or a token that cannot be read from where the file says."),
    ("3", "The provider said no to a model, or said nothing: some beats failed."),
    ("4", "The provider refused the account: the token, or no credit."),
    ("5", "Stopped by the budget."),
)
_FILES = (
    ("./config/warmer.yaml", "The file, where none is named."),
    ("/etc/warmer/warmer.yaml", "The file, where there is none there either."),
)
_VARIABLES = (
    ("WARMER_CONFIG", "The file, where no command line names one."),
    ("REPLICATE_API_TOKEN", "The token, unless the file says that it is read from elsewhere."),
    (
        "STATE_DIRECTORY",
        "Where the ledger is, unless the file says so; else ~/.local/state/warmer.",
    ),
)


def page() -> str:
    """The whole page, in roff."""
    root: Any = typer.main.get_command(app)
    lines = [
        f'.TH WARMER 1 "" "warmer {__version__}" "User Commands"',
        *(".SH NAME", f"warmer \\- {_text(_first(root.help))}"),
        *(".SH SYNOPSIS", ".B warmer", ".I command", ".RI [ options ]"),
        *(".SH DESCRIPTION", *_paragraphs(root.help)),
        *("Where a command takes the file and none is named, it is looked for as told under FILES.",),
        *(".SH OPTIONS", *_options(root, root.make_context("warmer", [], resilient_parsing=True))),
        *(".SH COMMANDS", *_commands(root, "warmer")),
        *(".SH EXIT STATUS", *_terms(_ENDS)),
        *(".SH ENVIRONMENT", *_terms(_VARIABLES)),
        *(".SH FILES", *_terms(_FILES)),
        *(".SH SEE ALSO", "The file is explained key by key in docs/config.md, what is logged in docs/reference.md."),
    ]
    return "".join(f"{line}\n" for line in lines)


def _commands(group: Any, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        called = f"{path} {name}"
        if hasattr(command, "commands"):
            yield from _commands(command, called)
            continue
        context = command.make_context(name, [], resilient_parsing=True)
        usage = " ".join(command.collect_usage_pieces(context))
        yield from (f'.SS "{_text(f"{called} {usage}")}"', *_paragraphs(command.help))
        yield from _options(command, context)


def _options(command: Any, context: Any) -> Iterator[str]:
    """Arguments among them."""
    yield from _terms(record for one in command.get_params(context) if (record := one.get_help_record(context)))


def _terms(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in pairs:
        yield from (".TP", f".B {_text(term)}", _text(meaning) or "\\&")


def _paragraphs(told: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\n+", inspect.cleandoc(told)):
        yield from (".PP", _text(paragraph))


def _first(told: str) -> str:
    """What it does, as the index of all pages has it: no capital, no full stop."""
    text = re.split(r"[;.\n]", inspect.cleandoc(told))[0]
    return text[:1].lower() + text[1:]


def _text(words: str) -> str:
    """On one line, its hyphens as they are typed, and nothing of it a request of roff."""
    text = " ".join(words.split()).replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    sys.stdout.write(page())
