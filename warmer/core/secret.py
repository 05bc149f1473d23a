"""Where a secret is to be read from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRef:
    """Where a secret is to be read from. Holds no secret itself."""

    scheme: str  # "env", "file" or "credential"
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}"
