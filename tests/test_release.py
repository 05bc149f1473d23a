"""What is released says of itself what it is: the versions, the image, the hook."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from warmer.cli.wiring import sample
from warmer.version import __version__

ROOT = Path(__file__).parents[1]
CONTAINERFILE = (ROOT / "Containerfile").read_text("utf-8")
FINAL = CONTAINERFILE.rpartition("\nFROM ")[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_every_place_that_names_the_version_names_this_one() -> None:
    assert PROJECT["project"]["version"] == __version__
    assert f'image.version="{__version__}"' in CONTAINERFILE
    assert f"'warmer-{__version__}-py3-none-any.whl[sandbox]'" in (ROOT / "README.md").read_text("utf-8")
    assert f"rev: v{__version__}\n" in (ROOT / "docs" / "config.md").read_text("utf-8")


def test_the_image_needs_no_shell_and_no_root() -> None:
    assert "\nRUN " not in FINAL
    for word in ("ENTRYPOINT", "CMD", "HEALTHCHECK"):
        assert re.search(rf'^{word} .*\["\w+"(, "\w+")*\]$', FINAL, re.M), word
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", FINAL, re.M)


def test_all_that_the_image_is_built_of_is_there_and_not_ignored() -> None:
    ignored = {line for line in (ROOT / ".containerignore").read_text("utf-8").split() if line.isascii()}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.M)
    sources = [source for line in copied for source in line.split()]
    assert {"requirements.lock", "warmer", "pyproject.toml"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists()
        assert source.partition("/")[0] not in ignored


def test_the_hook_is_for_files_that_are_called_like_ours() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert hook["entry"] == "warmer check"
    for path in ("warmer.yaml", "config/warmer.yml", str(sample())):
        assert re.search(hook["files"], path)
    assert not re.search(hook["files"], "not-warmer.yaml")


def test_what_builds_a_release_is_pinned_too() -> None:
    lock = (ROOT / "requirements-release.lock").read_text("utf-8")
    pinned = {name: Version(version) for name, version in re.findall(r"^([a-z0-9-]+)==([^ ;\n]+)", lock, re.M)}
    for requirement in map(Requirement, PROJECT["dependency-groups"]["release"]):
        assert pinned[requirement.name] in requirement.specifier, f"`make lock`: {requirement}"
    assert lock.count("--hash=sha256:") > len(pinned)
    assert not re.search(r"://|index-url|find-links| @ |^-", lock, re.M)


def test_all_files_of_the_source_are_in_its_archive_or_meant_not_to_be() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    released = {*PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]}
    always = {".gitignore", "LICENSE", "README.md", "pyproject.toml"}
    assert {path.partition("/")[0] for path in listed} <= released | always
