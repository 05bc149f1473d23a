"""Runs what a page tells its reader to type, from the page itself, as one person would: in order, in one shell.

A comment before a block, which no reader sees, says where it is run:

    <!-- run: machine -->           the block below is run
    <!-- run: machine, for 20s -->  it must not end by itself, and is interrupted after that time, as by Ctrl-C
    <!-- file: machine, a.yaml -->  the block below, of whatever language, is written to a.yaml
    <!-- prepare: machine           shell that stands between what the page says and what is there to try it on:
    COMMAND…                        an address, an editor that needs no hands
    -->

The shell is `bash -euo pipefail`, in the current directory; variables, functions and `cd` last from block to block.

Usage: python blocks.py FILE --where NAME [--print]: with --print the script is shown, not run.
"""

from __future__ import annotations

import argparse
import fcntl
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 500.0  # for all of them
SHOWN_LINES = 60
_PART = re.compile(
    r"""
    ^<!--\ (?P<kind>run|file|prepare):\ (?P<where>[\w-]+)(?:,\ (?P<rest>[^\n]*?))?
        (?:\n(?P<hidden>.*?)|\ )-->\n
    | ^```(?P<language>\w*)\n (?P<body>.*?) ^```$
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)


class MarkError(Exception):
    """A mark that cannot be carried out; says which line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block, or the shell in a `prepare`."""

    line: int  # of the page, where it begins
    language: str  # as the fence names it
    text: str
    kind: str | None  # run, file, prepare; None where nothing is marked
    where: str | None
    rest: str  # what follows the place in the mark

    def shell(self) -> str:
        """What carries it out; raises MarkError."""
        match self.kind, self.rest:
            case "prepare", "":
                return self.text
            case "file", path if path:
                return f"cat >{shlex.quote(path)} <<'END OF FILE'\n{self.text}END OF FILE\n"
            case "run", "":
                return self.text
            case "run", rest if lasting := re.fullmatch(r"for (\d+)s", rest):
                limited = f"timeout --signal=INT --kill-after=10 {lasting[1]} bash -euo pipefail -c"
                # 124: it had not ended by itself.
                return f"{limited} {shlex.quote(self.text)} || [ $? -eq 124 ]\n"
        raise MarkError(f"line {self.line}: {self.kind}: {self.rest!r} is neither a path nor a time such as `for 20s`")


def blocks(page: str) -> Iterator[Block]:
    """Every fenced block of `page` with the mark that stands right before it, and every `prepare`. Raises MarkError."""
    mark: re.Match[str] | None = None
    for part in _PART.finditer(page):
        line = page.count("\n", 0, part.start()) + 1
        if mark is not None and (part["kind"] or mark.end() != part.start()):
            raise MarkError(f"line {line}: a mark stands above it, and no block right below that mark")
        if part["kind"] == "prepare":
            hidden = part["hidden"] or ""
            yield Block(line=line, language="sh", text=hidden, kind="prepare", where=part["where"], rest="")
        elif part["kind"]:
            mark = part
        else:
            kind, where, rest = mark.group("kind", "where", "rest") if mark else (None, None, None)
            language, body = part.group("language", "body")
            yield Block(line=line, language=language, text=body, kind=kind, where=where, rest=rest or "")
            mark = None
    if mark is not None:
        raise MarkError("no block stands below the last mark")


def script(name: str, found: list[Block]) -> str:
    """One script of all of them; each is told on descriptor 3 before it is run, what is hidden by its place alone."""
    parts = []
    for block in found:
        told = f"{name}:{block.line}"
        if block.kind == "prepare":
            told += " (prepared)"
        else:
            written = block.text if block.kind == "run" else f"{block.rest} as shown\n"
            told += "".join(f"\n  {line}" for line in written.splitlines())
        # Without the last line a failed `a && b` would pass: `-e` looks away.
        parts.append(f"printf '%s\\n' {shlex.quote(told)} >&3\n{block.shell()}[ $? -eq 0 ]\n")
    return "\n".join(parts)


def carry_out(text: str) -> int:
    """Runs the script; what it printed is shown where it failed."""
    told = fcntl.fcntl(sys.stdout, fcntl.F_DUPFD, 10)
    started = ["bash", "-c", 'exec 3>&"$1"; exec bash -euo pipefail -c "$2" page', "", str(told), text]
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        try:
            ended = subprocess.run(
                started,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                pass_fds=[told],
                timeout=PATIENCE_S,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            ended = 124
        if ended:
            said.seek(0)
            sys.stdout.writelines(said.readlines()[-SHOWN_LINES:])
            sys.stdout.write(f"the last block above ended with {ended}\n")
    return ended


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the marked blocks of a page.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--where", required=True, help="the place whose blocks are run")
    parser.add_argument("--print", action="store_true", help="show the script, run nothing")
    given = parser.parse_args()
    try:
        found = [block for block in blocks(given.file.read_text("utf-8")) if block.where == given.where]
        text = script(str(given.file), found)
    except MarkError as error:
        sys.exit(f"{given.file}: {error}")
    if not any(block.kind == "run" for block in found):
        sys.exit(f"{given.file}: no block is marked `run: {given.where}`")
    if given.print:
        sys.stdout.write(text)
        return 0
    return carry_out(text)


if __name__ == "__main__":
    sys.exit(main())
