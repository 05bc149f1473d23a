"""Pods of a CronJob: `warmer once` as processes that begin together, on one ledger and before one sandbox."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from harness.postgres import Server
from harness.processes import PATIENCE_S, Daemon, Desk, Sandbox

ROUNDING_S = 0.1
NOBODY = "http://127.0.0.1:9"
_PATIENCE_S = 300.0
"""How long pods may take that share their processors with many others."""
_MOMENTS = ("claimed_at", "created_at", "started_at", "completed_at", "reserved_until")


class Pods:
    """The CronJob of one file, with a ledger of its own. `fast_world` has its models."""

    def __init__(
        self,
        folder: Path,
        sandbox: Sandbox,
        models: Sequence[str],
        *,
        every_s: float = 60.0,
        policy: str = "fixed",
        postgres: Server | None = None,
        top: str = "",
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.sandbox, self.models, self.every_s = sandbox, tuple(models), every_s
        self._postgres = postgres
        self.desk = Desk(folder, sandbox.url)
        if postgres is not None:
            self.desk.address = postgres.database()
        entries = "\n".join(
            f"{{model: {slug}, policy: {policy}, every: {every_s:g}s, input: {{text: hi}}}}" for slug in models
        )
        self.file = str(self.desk.write(entries, top=top))
        self._has_ledger = False
        self._cut_off = folder / "cut_off.yaml"
        self._cut_off.write_text(self.desk.file.read_text("utf-8").replace(sandbox.url, NOBODY), "utf-8")

    def begin(self, *args: str, **env: str) -> Daemon:
        """One pod."""
        return self.desk.start("once", "-c", self.file, *args, **env)

    def cut_off(self) -> None:
        """One pod that does not reach the provider, seen to its end."""
        assert self.desk.run("once", "-c", str(self._cut_off)).code == 3

    def together(self, count: int, *args: str, apart_s: float = 0.0) -> list[Daemon]:
        """So many pods, each that much after the one before, seen to their end."""
        begun = list[Daemon]()
        for number in range(count):
            time.sleep(apart_s if number else 0.0)
            begun.append(self.begin(*args))
        return self.ended(begun)

    def ended(self, pods: Iterable[Daemon]) -> list[Daemon]:
        """These, once they have ended, each with exit code 0."""
        found = list(pods)
        for pod in found:
            with suppress(subprocess.TimeoutExpired):
                pod.process.wait(_PATIENCE_S)
            assert pod.process.returncode == 0, f"{pod.process.returncode}:\n{pod.log.read_text()}"
            self._has_ledger = True
        return found

    def later(self, by: timedelta) -> None:
        """Let so much time have passed since all that is in the ledger, where a pod has made one."""
        if not self._has_ledger:
            return
        statement = as_if_earlier(by)
        if self._postgres is not None:
            self._postgres.do(statement, database=urlsplit(self.desk.address).path.removeprefix("/"))
        else:
            with closing(sqlite3.connect(self.desk.ledger, timeout=PATIENCE_S)) as connection, connection:
                connection.execute(statement)

    def forget(self) -> None:
        """Lose the ledger, as a pod without a volume does."""
        self._has_ledger = False
        for path in self.desk.folder.glob("ledger.db*"):
            path.unlink()

    def creates(self) -> Counter[str]:
        """How many beats of each model have reached the provider."""
        return Counter(call["model"] for call in self.sandbox.creates() if call["model"] in self.models)

    def gaps_s(self) -> dict[str, list[float]]:
        """Between the beats of each model, by the provider's record."""
        times = defaultdict[str, list[datetime]](list)
        for call in self.sandbox.creates():
            if call["model"] in self.models:
                times[call["model"]].append(datetime.fromisoformat(call["created_at"]))
        return {
            model: [(later - sooner).total_seconds() for sooner, later in pairwise(sorted(found))]
            for model, found in times.items()
        }

    def doubled(self) -> int:
        """Beats that came sooner after the one before than the file asks for."""
        return sum(gap < self.every_s - ROUNDING_S for gaps in self.gaps_s().values() for gap in gaps)

    def close(self) -> None:
        """Nothing is left of it."""
        self.desk.close()
        if self._postgres is not None:
            self._postgres.drop(self.desk.address)


def as_if_earlier(by: timedelta) -> str:
    """The statement that has every beat on record so much older."""
    micros = by // timedelta(microseconds=1)
    return f"UPDATE beats SET {', '.join(f'{name} = {name} - {micros}' for name in _MOMENTS)}"


def fast_world(folder: Path, models: Iterable[str]) -> Path:
    """The file of a world whose models boot and run in next to no time, and of an account that lets them."""
    file = folder / "world.toml"
    file.write_text(
        "catalogue = false\n[account]\ncreates_per_minute = 60000\nreads_per_minute = 60000\n"
        + "".join(f'[models."{slug}"]\nkind = "greeting"\nboot_s = 0.2\nrun_s = 0.05\n' for slug in models)
    )
    return file
