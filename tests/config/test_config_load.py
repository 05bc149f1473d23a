"""Finding the file and reading it: what is not a file of ours is refused before it is read."""

from __future__ import annotations

import os
import tracemalloc
import zoneinfo
from datetime import UTC, datetime
from pathlib import Path

import pytest

from warmer import config
from warmer.errors import ConfigError, UsageError

SMALLEST = b"models: [{model: acme/chat}]\n"


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    (fault,) = caught.value.faults
    assert (fault.file, fault.line, fault.column) == (str(path), 1, 1)
    return str(fault)


def test_a_file_of_50_mb_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.write(SMALLEST)
        file.truncate(50_000_000)
    tracemalloc.start()
    try:
        assert "larger than 1 MiB" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_comment_up_to_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(SMALLEST + b"#" * ((1 << 20) - len(SMALLEST)))
    assert config.load(path).models[0].name == "acme/chat"
    path.write_bytes(path.read_bytes() + b"#")
    assert "larger than 1 MiB" in refusal(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_encoding_is_refused(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "warmer.yaml"
    path.write_bytes(SMALLEST.decode().encode(encoding))
    with pytest.raises(ConfigError):
        config.load(path)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "missing.yaml")
    assert "directory" in refusal(tmp_path)
    assert "cannot be read" in refusal(Path("with\0nul"))


def test_a_pipe_is_read_to_its_end() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, SMALLEST)
        os.close(writing)
        assert config.load(Path(f"/dev/fd/{reading}")).models[0].name == "acme/chat"
    finally:
        os.close(reading)


def test_the_file_asked_for_comes_before_the_environment_and_that_before_the_folder(tmp_path: Path) -> None:
    environ = {"WARMER_CONFIG": "/elsewhere/env.yaml"}
    local = tmp_path / "config" / "warmer.yaml"
    local.parent.mkdir()
    local.write_bytes(SMALLEST)

    assert config.find(Path("asked.yaml"), environ, tmp_path) == Path("asked.yaml")
    assert config.find(None, environ, tmp_path) == Path("/elsewhere/env.yaml")
    assert config.find(None, {"WARMER_CONFIG": ""}, tmp_path) == local
    assert config.find(None, {}, tmp_path) == local


def test_where_there_is_no_file_the_places_looked_at_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config/warmer\.yaml or /etc/warmer/warmer\.yaml .*\$WARMER_CONFIG"):
        config.find(None, {}, tmp_path)


def test_a_file_is_read_also_where_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "warmer.yaml"
    path.write_bytes(SMALLEST)
    assert config.load(path, only_file=True).models[0].name == "acme/chat"


def test_a_zone_keeps_its_rules_over_reloads_when_the_zone_database_is_another_one(tmp_path: Path) -> None:
    london, tokyo = (
        next(file for folder in zoneinfo.TZPATH if (file := Path(folder) / name).is_file()).read_bytes()
        for name in ("Europe/London", "Asia/Tokyo")
    )
    rules, path = tmp_path / "zones" / "Test" / "Zone", tmp_path / "warmer.yaml"
    rules.parent.mkdir(parents=True)
    path.write_text("timezone: Test/Zone\nmodels: [{model: a/b, hours: '10:00-12:00'}]\n")
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([str(rules.parents[1])])
    try:
        rules.write_bytes(london)
        running = config.load(path)
        rules.write_bytes(tokyo)
        reloaded = config.load(path)
        rules.unlink()
        assert config.load(path) == reloaded == running
    finally:
        zoneinfo.reset_tzpath(before)
    opens = reloaded.models[0].hours.next_open(datetime(2026, 11, 24, tzinfo=UTC))
    assert opens == datetime(2026, 11, 24, 10, tzinfo=UTC)  # in London, where it was read first
