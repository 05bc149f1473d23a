"""A person who types half a word and presses Tab: the shell, in a terminal of its own, must run the whole one.

Usage: python completed.py bash|zsh|fish, with `warmer` on the PATH.
"""

from __future__ import annotations

import os
import pty
import select
import sys
import tempfile
import time
from pathlib import Path

PATIENCE_S = 60.0
PROMPT = "ready-to-type>"
SHELLS = {
    # Of a user's own files none is read; completion is switched on as docs/reference.md says.
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        f"PS1='{PROMPT}'",
        "source <(warmer --show-completion)",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        f"PS1='{PROMPT}'",
        "autoload -U compinit; compinit -u -D; source <(warmer --show-completion)",
    ),
    "fish": (
        ["fish", "--no-config", "-i"],
        f"function fish_prompt; echo -n '{PROMPT}'; end",
        "warmer --show-completion | source",
    ),
}
TAB = "\t"


class Terminal:
    def __init__(self, command: list[str], folder: Path) -> None:
        self.said = ""
        pid, self._fd = pty.fork()
        if pid == 0:
            os.chdir(folder)
            kept = {
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "LANG": "C.UTF-8",
                "TERM": "dumb",
                "COLUMNS": "200",
            }
            os.execvpe(command[0], command, kept)

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def await_text(self, wanted: str) -> None:
        """Read on until `wanted` is said, after what was awaited before."""
        until = time.monotonic() + PATIENCE_S
        while wanted not in self.said:
            ready, _, _ = select.select([self._fd], [], [], 1.0)
            if ready:
                self.said += os.read(self._fd, 65536).decode(errors="replace")
            if time.monotonic() > until:
                sys.exit(f"{wanted!r} is not said in:\n{self.said}")
        self.said = self.said.partition(wanted)[2]


def main(shell: str, folder: Path) -> None:
    command, prompt, switch_on = SHELLS[shell]
    (folder / "warmer.yaml").write_text(f"ledger: sqlite:///{folder}/ledger.db\nmodels: [{{model: acme/chatterbox}}]\n")
    terminal = Terminal(command, folder)
    terminal.type(f"{prompt}\n{switch_on}\necho switched''-on\n")
    terminal.await_text("switched-on")
    # What is typed after Tab is read when the shell has completed: the command that runs is the whole one.
    terminal.type(f"warmer che{TAB}-c warmer.yaml\n")
    terminal.await_text("fine, 1 models")
    print("warmer che<Tab> is warmer check")
    terminal.type(f"warmer pause -c warmer.yaml acme/ch{TAB}\n")
    terminal.await_text("acme/chatterbox: paused until it is resumed")
    print("warmer pause -c warmer.yaml acme/ch<Tab> is a model of the file")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="warmer-lab-") as folder:
        main(sys.argv[1], Path(folder))
