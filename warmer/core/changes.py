"""What a new file changes of the one in force."""

from __future__ import annotations

from dataclasses import dataclass

from warmer.core.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """By model name, in the order of the files."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    @classmethod
    def between(cls, old: Spec, new: Spec) -> Changes:
        """What `new` changes of `old`: an entry counts as a whole, with what it has of what is said for all."""
        return cls(
            added=tuple(model.name for model in new.models if old.model(model.name) is None),
            changed=tuple(model.name for model in new.models if old.model(model.name) not in (None, model)),
            removed=tuple(model.name for model in old.models if new.model(model.name) is None),
        )


def fixed_key(old: Spec, new: Spec) -> str | None:
    """The key that `new` changes and that a daemon on `old` cannot follow; None where it can follow all."""
    if (new.ledger, new.ledger_password) != (old.ledger, old.ledger_password):
        return "ledger"
    return "engine" if new.engine is not old.engine else None
