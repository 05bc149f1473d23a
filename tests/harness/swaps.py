"""A file that is swapped, good and bad, by every way that a file is swapped."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random

from warmer import config
from warmer.core.spec import Spec
from warmer.errors import ConfigError

SETTLED_S = 0.9
"""By then a file that holds still has been looked at twice, and read."""
GLIMPSE_S = 0.15
"""What stands there for no longer is seen once at the most."""
MISSING = "env:WARMER_NO_SUCH_VARIABLE"

Way = Callable[[bytes], Awaitable[None]]


class Texts:
    """Files with the same models always, others now and then, and something wrong with them or not."""

    def __init__(
        self,
        chance: Random,
        *,
        ledger: str,
        steady: Sequence[str],
        others: Sequence[str],
        every_s: Sequence[int] = (60, 90, 120),
        account: Sequence[str] = (),
    ) -> None:
        """`steady`: entries that never change, nor do the keys of `account`. `others`: models that come and go."""
        self._chance, self._ledger = chance, ledger
        self._steady, self._others, self._every_s, self._account = steady, others, every_s, account

    def good(self) -> str:
        """A file that is as it should be."""
        chance = self._chance
        entries = [
            f"{{model: {slug}, policy: fixed, every: {chance.choice(self._every_s)}s, hardware: gpu-t4, traffic: off}}"
            for slug in chance.sample(self._others, chance.randrange(len(self._others)))
        ]
        for entry in self._steady:
            entries.insert(chance.randrange(len(entries) + 1), entry)
        items = ", ".join((*self._account, *chance.choice([(), (), (), ("reads_per_minute: 2000",)])))
        models = "".join(f"  - {entry}\n" for entry in entries)
        return (
            f"# {chance.random()}\nledger: {self._ledger}\nlisten: 127.0.0.1:0\n"
            + (f"replicate: {{{items}}}\n" if items else "")
            + f"models:\n{models}"
        )

    def bad(self) -> str:
        """One that is refused, for one reason or another."""
        spoil: Callable[[str], str] = self._chance.choice(
            [
                lambda text: text.replace("every", "evry"),
                lambda text: f"{text}  - {self._steady[0]}\n",  # twice
                lambda text: text + "models: []\n",
                lambda text: "timezone: Mars/Olympus\n" + text,
                lambda text: text.replace("traffic: off", "hours: Feb 31 10:00-12:00"),
                lambda text: re.sub(r"every: (\d+)s", r"every: \1", text, count=1),
                lambda text: text.replace("ledger.db", "another.db"),
                lambda text: re.sub(r"replicate: .*\n", "", text) + f"replicate: {{token: {MISSING}}}\n",
                lambda text: text.replace("hardware", "\thardware"),
                lambda text: text + "\x00",
                lambda text: text.replace("models:", "models: {"),
            ]
        )
        return spoil(self.good())


class Swapper:
    """Puts one text after another in the file's place."""

    def __init__(self, path: Path, chance: Random, *, stamps: bool = False) -> None:
        """With `stamps` each file has a time of its own: where time stands still while somebody writes."""
        self.path, self._chance, self._stamps, self._count = path, chance, stamps, 0
        self._plain: list[Way] = [self.rename_over, self.swap_links, self.write_in_place]
        self._rare: list[Way] = [self.write_half, self.delete_and_return, self.delete, self.flicker, self.folder_there]

    def way(self) -> Way:
        """Any of them."""
        return self._chance.choice(self._plain if self._chance.random() < 0.6 else self._rare)

    def _stamp(self, path: Path) -> Path:
        self._count += 1
        if self._stamps:
            os.utime(path, ns=(self._count * 10**6, self._count * 10**6))
        return path

    def _written(self, text: bytes) -> Path:
        staged = self.path.with_name("staged")
        staged.write_bytes(text)
        return self._stamp(staged)

    def _half(self, text: bytes) -> bytes:
        """A part of it that is no file by itself: one that is would be followed, and rightly."""
        while True:
            half = text[: self._chance.randrange(len(text))] if text else b""
            try:
                config.parse(half, path=str(self.path))
            except ConfigError:
                return half

    async def rename_over(self, text: bytes) -> None:
        self._written(text).replace(self.path)

    async def swap_links(self, text: bytes) -> None:
        """As Kubernetes does with a ConfigMap."""
        folder = self.path.parent
        data = folder / "..data"
        old = data.resolve() if data.is_symlink() else folder / "nothing"
        dated = folder / f"..{self._count}"
        dated.mkdir()
        self._written(text).replace(dated / self.path.name)
        (folder / "link").symlink_to(dated.name)
        (folder / "link").replace(data)
        (folder / "link").symlink_to(f"..data/{self.path.name}")
        (folder / "link").replace(self.path)
        shutil.rmtree(old, ignore_errors=True)

    async def write_in_place(self, text: bytes) -> None:
        """The file is shorter for a moment, as a program leaves it that does not write aside first."""
        if not self.path.exists():
            return await self.rename_over(text)
        self.path.write_bytes(self._half(text))
        self._stamp(self.path)
        await asyncio.sleep(self._chance.uniform(0, GLIMPSE_S))
        self.path.write_bytes(text)
        self._stamp(self.path)
        return None

    async def write_half(self, text: bytes) -> None:
        """And nobody ever writes the rest."""
        await self.write_in_place(self._half(text))

    async def delete_and_return(self, text: bytes) -> None:
        self.path.unlink(missing_ok=True)
        await asyncio.sleep(self._chance.choice([GLIMPSE_S, SETTLED_S]))
        await self.rename_over(text)

    async def delete(self, _: bytes) -> None:
        self.path.unlink(missing_ok=True)

    async def flicker(self, text: bytes) -> None:
        """Several within a moment: the last one counts."""
        for _ in range(2):
            await self.rename_over(self._half(text))
            await asyncio.sleep(self._chance.uniform(0, GLIMPSE_S / 2))
        await self.rename_over(text)

    async def folder_there(self, text: bytes) -> None:
        """A mount that comes late leaves a folder under the name for a while."""
        self.path.unlink(missing_ok=True)
        self.path.mkdir()
        await asyncio.sleep(SETTLED_S)
        self.path.rmdir()
        await self.rename_over(text)


def standing(path: Path, ledger: str | None) -> Spec | None:
    """What stands there, where a daemon on that ledger can follow it."""
    try:
        spec = config.load(path)
    except ConfigError:
        return None
    return spec if spec.ledger == ledger and str(spec.account.token) != MISSING else None
