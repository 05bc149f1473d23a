"""Who may read the files that hold who called what, when and for how much."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

MAKE = """
import json, os, sys
from pathlib import Path
os.umask(int(sys.argv[1], 8))
from warmer.ledger import Upkeep, open_ledger
folder = Path(sys.argv[2])
url = f"sqlite:///{folder}/made/by/warmer/ledger.db"
ledger = open_ledger(url)
ledger.salt()  # written: the log and its index are there
Upkeep(url).back_up(folder / "copy.db")
print(json.dumps({str(p.relative_to(folder)): p.stat().st_mode & 0o777 for p in folder.rglob("*")}))
"""


def modes(folder: Path, umask: str) -> dict[str, int]:
    done = subprocess.run([sys.executable, "-c", MAKE, umask, folder], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("umask", ["000", "022", "077"])
def test_what_is_made_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path, umask: str) -> None:
    folders = {"made", "made/by", "made/by/warmer"}
    files = {f"made/by/warmer/ledger.db{end}" for end in ("", "-wal", "-shm")} | {"copy.db"}
    assert modes(tmp_path, umask) == {**dict.fromkeys(folders, 0o700), **dict.fromkeys(files, 0o600)}


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    folder.chmod(0o750)
    modes(tmp_path, "000")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def test_a_ledger_that_is_there_keeps_the_mode_that_somebody_gave_it(tmp_path: Path) -> None:
    modes(tmp_path, "022")
    (tmp_path / "copy.db").unlink()
    path = tmp_path / "made/by/warmer/ledger.db"
    path.chmod(0o640)
    assert modes(tmp_path, "022")["made/by/warmer/ledger.db"] == 0o640
