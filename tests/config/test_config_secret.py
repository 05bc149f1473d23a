"""Reading a secret by its reference: exactly it, or words that show nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from warmer import config
from warmer.core.spec import SecretRef
from warmer.errors import UsageError

TOKEN = "r8_OpenSesame"


def env(name: str) -> SecretRef:
    return SecretRef(scheme="env", name=name)


def file(path: Path) -> SecretRef:
    return SecretRef(scheme="file", name=str(path))


@pytest.mark.parametrize("written", [TOKEN, f"{TOKEN}\n", f"{TOKEN}\r\n"])
def test_one_newline_at_the_end_is_no_part_of_a_secret(written: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(written.encode())
    assert config.read_secret(file(path), {}) == TOKEN
    assert config.read_secret(env("TOKEN"), {"TOKEN": written}) == TOKEN
    credential = SecretRef(scheme="credential", name="token")
    assert config.read_secret(credential, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == TOKEN


@pytest.mark.parametrize(
    "written",
    [f"{TOKEN} ", f"{TOKEN}\n\n", f"{TOKEN}\nX: y", f"{TOKEN}\0", f"{TOKEN}é", f"Bearer {TOKEN}", TOKEN * 9000],
)
def test_what_is_no_token_is_refused_and_not_shown(written: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(written.encode())
    for ref, environ in ((file(path), {}), (env("TOKEN"), {"TOKEN": written})):
        if len(written) > 64 * 1024 and ref.scheme == "env":
            continue
        with pytest.raises(UsageError) as caught:
            config.read_secret(ref, environ)
        assert str(ref) in str(caught.value)
        assert "Sesame" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("password", ["hunter2", " p w ", "käse@/:?%41", "'\"\\"])
def test_a_password_may_be_any_line_of_text(password: str, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{password}\n", "utf-8")
    assert config.read_password(file(path), {}) == password
    assert config.read_password(env("PW"), {"PW": password}) == password


@pytest.mark.parametrize("written", [b"open\nsesame", b"open\0sesame", b"open sesame \xff", b"\n"])
def test_what_is_no_password_is_refused_and_not_shown(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(written)
    with pytest.raises(UsageError, match="password") as caught:
        config.read_password(file(path), {})
    assert str(file(path)) in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_missing_secret_says_what_to_do(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for ref, environ, words in (
        (env("TOKEN"), {}, "export TOKEN"),
        (env("TOKEN"), {"TOKEN": ""}, "export TOKEN"),
        (file(tmp_path / "none"), {}, "No such file"),
        (file(tmp_path), {}, "folder"),
        (file(empty), {}, "is empty"),
        (SecretRef(scheme="credential", name="token"), {}, "LoadCredential=token"),
        (SecretRef(scheme="credential", name="token"), {"CREDENTIALS_DIRECTORY": str(tmp_path)}, "No such file"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            config.read_secret(ref, environ)
        assert caught.value.exit_code == 2
