"""What warmer needs to run is pinned, file by file."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINNED = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\n]+)", LOCK, re.M)
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("sandbox", "postgres", "shared", "alerts", "webhooks")
"""Of what is installed to run warmer; `dev` is not."""


def test_the_lock_is_of_this_project() -> None:
    wanted = [*PROJECT["dependencies"], *(each for extra in EXTRAS for each in PROJECT["optional-dependencies"][extra])]
    for requirement in map(Requirement, wanted):
        if requirement.name != "warmer":
            assert PINNED[canonicalize_name(requirement.name)] in requirement.specifier, f"`make lock`: {requirement}"


def test_whatever_comes_with_it_is_in_the_lock_too() -> None:
    seen = set[tuple[str, str]]()
    waiting = [Requirement(f"warmer[{','.join(EXTRAS)}]")]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            needs = map(Requirement, distribution(name).requires or ())
            waiting += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    assert {name for name, _ in seen} - {"warmer"} <= PINNED.keys(), "`make lock`"


def test_each_file_of_it_has_a_hash_and_no_place_to_come_from() -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.M)[1:]
    assert len(entries) >= len(PINNED) > 30
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]
    assert not re.search(r"://|index-url|find-links| @ |^-", LOCK, re.M)
