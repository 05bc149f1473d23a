from __future__ import annotations

import os
from pathlib import Path

import pytest

from warmer.engine.watch import Watched

HOUR = 3600


def put(path: Path, text: str, hour: int) -> None:
    path.write_text(text)
    os.utime(path, (hour * HOUR, hour * HOUR))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "warmer.yaml"
    put(path, "models: [{model: a/a}]", 1)
    return path


def looks(watched: Watched, times: int = 3) -> list[bool]:
    return [watched.changed() for _ in range(times)]


def test_a_file_that_nobody_touches_has_not_changed(file: Path) -> None:
    assert looks(Watched(str(file))) == [False] * 3


def test_an_edit_in_place_is_seen_once_it_holds_still(file: Path) -> None:
    watched = Watched(str(file))
    put(file, "models: [{model: b/b}]", 2)
    assert looks(watched) == [False, True, False]


def test_an_edit_of_the_same_length_within_the_same_second_is_seen(file: Path) -> None:
    watched = Watched(str(file))
    file.write_text("models: [{model: b/b}]")
    os.utime(file, ns=(HOUR * 10**9, HOUR * 10**9 + 1))
    assert looks(watched) == [False, True, False]


def test_a_rename_over_it_is_seen(file: Path) -> None:
    watched = Watched(str(file))
    other = file.with_suffix(".new")
    put(other, "models: [{model: b/b}]", 1)  # same size, same time: another file all the same
    other.replace(file)
    assert looks(watched) == [False, True, False]


def test_a_half_written_file_is_left_alone_until_it_holds_still(file: Path) -> None:
    watched = Watched(str(file))
    for size in range(5):
        put(file, "models:" + " " * size, 2)
        assert watched.changed() is False
    assert looks(watched) == [True, False, False]


def test_a_file_that_goes_is_no_change_and_its_return_is_one(file: Path) -> None:
    watched = Watched(str(file))
    file.unlink()
    assert looks(watched) == [False] * 3
    put(file, "models: [{model: c/c}]", 3)
    assert looks(watched) == [False, True, False]


def test_a_file_that_was_only_moved_away_and_back_has_not_changed(file: Path) -> None:
    watched = Watched(str(file))
    away = file.rename(file.with_suffix(".away"))
    assert watched.changed() is False
    away.rename(file)
    assert looks(watched) == [False] * 3


def test_a_file_that_did_not_exist_yet_is_seen_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "later.yaml"
    watched = Watched(str(path))
    assert looks(watched) == [False] * 3
    put(path, "models: []", 1)
    assert looks(watched) == [False, True, False]


def test_a_config_map_that_is_swapped_is_seen(tmp_path: Path) -> None:
    """Kubernetes: the file is a link to ..data/NAME, ..data a link to a dated folder, and it swaps ..data."""
    for number, text in enumerate(("models: [{model: a/a}]", "models: [{model: b/b}]"), start=1):
        folder = tmp_path / f"..2026_11_2{number}"
        folder.mkdir()
        put(folder / "warmer.yaml", text, 1)
    data = tmp_path / "..data"
    data.symlink_to("..2026_11_21")
    (tmp_path / "warmer.yaml").symlink_to("..data/warmer.yaml")
    watched = Watched(str(tmp_path / "warmer.yaml"))
    assert looks(watched) == [False] * 3

    swapped = tmp_path / "..data_tmp"
    swapped.symlink_to("..2026_11_22")
    swapped.rename(data)

    assert looks(watched) == [False, True, False]
    assert (tmp_path / "warmer.yaml").read_text() == "models: [{model: b/b}]"


def test_a_link_that_is_pointed_elsewhere_is_seen(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "current.yaml"
    link.symlink_to(file)
    watched = Watched(str(link))
    other = tmp_path / "other.yaml"
    put(other, "models: [{model: b/b}]", 1)
    link.unlink()
    assert watched.changed() is False
    link.symlink_to(other)
    assert looks(watched) == [False, True, False]
