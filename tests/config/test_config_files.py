"""What stands where a file should: nothing that is named is waited for, or read without end."""

from __future__ import annotations

import os
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from warmer import config
from warmer.core.spec import SecretRef
from warmer.errors import ConfigError, UsageError

SMALLEST = "models: [{model: acme/chat}]\n"
HUGE = 2 << 30
KINDS = ("pipe", "device", "terminal", "folder", "socket", "huge", "missing", "loop")


def put(kind: str, path: Path) -> None:
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "terminal":
            path.symlink_to("/dev/tty")
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(str(path))
        case "huge":
            with path.open("wb") as file:
                file.truncate(HUGE)
        case "loop":
            path.symlink_to(path.name)


def load(folder: Path, name: Path) -> None:
    config.load(name, only_file=True)


def with_prices(folder: Path, name: Path) -> None:
    file = folder / "warmer.yaml"
    file.write_text(SMALLEST + f"prices: {name.name}\n")
    config.load(file)


def token(folder: Path, name: Path) -> None:
    config.read_secret(SecretRef(scheme="file", name=str(name)), {})


def password(folder: Path, name: Path) -> None:
    config.read_password(SecretRef(scheme="credential", name=name.name), {"CREDENTIALS_DIRECTORY": str(folder)})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("read", [load, with_prices, token, password])
def test_it_is_refused_at_once_and_named_with_what_to_do(
    read: Callable[[Path, Path], None], kind: str, tmp_path: Path
) -> None:
    named = tmp_path / "named"
    put(kind, named)
    tracemalloc.start()
    try:
        with pytest.raises((ConfigError, UsageError)) as caught:
            read(tmp_path, named)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    said = str(caught.value)
    assert "named" in said
    assert said.endswith(")")  # the hint
    if isinstance(caught.value, ConfigError):
        assert all(fault.line >= 1 for fault in caught.value.faults)


def test_a_link_to_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap, or a Secret."""
    (tmp_path / "..1").mkdir()
    (tmp_path / "..1" / "token").write_text("r8_OpenSesame\n")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "token").symlink_to("..data/token")
    assert config.read_secret(SecretRef(scheme="file", name=str(tmp_path / "token")), {}) == "r8_OpenSesame"
