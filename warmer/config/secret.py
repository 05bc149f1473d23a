"""Reading the secrets that the file refers to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from warmer.config.files import read_file
from warmer.core.spec import SecretRef
from warmer.errors import UsageError

MAX_SECRET_BYTES = 64 * 1024
"""Far above any token: a larger file is not one."""


def read_secret(ref: SecretRef, environ: Mapping[str, str]) -> str:
    """The secret that `ref` refers to, without one newline at its end.

    Raises UsageError, which never shows any of the secret, where it is missing, empty, unreadable or no single line of
    ASCII, as a header must be.
    """
    secret = _written(ref, environ, "token")
    if not re.fullmatch(r"[!-~]+", secret):
        raise _unusable(ref, "holds a space, a line break or a character no token has", "it must hold the token alone")
    return secret


def read_secrets(refs: Iterable[SecretRef], environ: Mapping[str, str]) -> dict[SecretRef, str]:
    """The secrets that `refs` refer to. Raises UsageError as `read_secret` does."""
    return {ref: read_secret(ref, environ) for ref in refs}


def read_password(ref: SecretRef, environ: Mapping[str, str]) -> str:
    """The password that `ref` refers to: one line of any text. Raises UsageError as `read_secret` does."""
    password = _written(ref, environ, "password")
    if not password.isprintable():
        raise _unusable(ref, "holds a line break or a control character", "it must hold the password alone")
    return password


def _written(ref: SecretRef, environ: Mapping[str, str], what: str) -> str:
    text = environ.get(ref.name, "") if ref.scheme == "env" else _read(ref, _path(ref, environ), what)
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        remedy = f"export {ref.name}" if ref.scheme == "env" else f"write the {what} into it"
        raise _unusable(ref, "is not set or empty" if ref.scheme == "env" else "is empty", remedy)
    return text


def _path(ref: SecretRef, environ: Mapping[str, str]) -> Path:
    if ref.scheme == "file":
        return Path(ref.name)
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise _unusable(
            ref,
            "is only there in a systemd service",
            f"add `LoadCredential={ref.name}:PATH` to the unit, or use file:PATH",
        )
    return Path(directory) / ref.name


def _read(ref: SecretRef, path: Path, what: str) -> str:
    try:
        content = read_file(path, MAX_SECRET_BYTES)
        if len(content) > MAX_SECRET_BYTES:
            raise _unusable(ref, f"is too large for a {what}", f"name the file that holds the {what} alone")
        return content.decode()
    except OSError as error:
        raise _unusable(
            ref, f"cannot be read: {error.strerror}", "create it, readable for the user of warmer"
        ) from None
    except ValueError:  # from None: the error of the decoder holds the bytes
        raise _unusable(ref, f"holds a character no {what} has", f"it must hold the {what} alone") from None


def _unusable(ref: SecretRef, problem: str, remedy: str) -> UsageError:
    return UsageError(f"the secret {ref} {problem} ({remedy})")
