"""Where ports meet adapters: the file, its secrets, the ledger and the provider, put together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from warmer import config, log
from warmer.core.spec import Engine, Spec
from warmer.errors import UsageError
from warmer.ports import Clock, Ledger, OnDue, Provider, Schedule

if TYPE_CHECKING:  # heavy: what uses the database imports it
    from warmer.ledger import Upkeep

_MASKED = set[str]()
"""Every secret this process has read: a beat that is out may still go with the one before."""


def load(path: Path | None) -> Spec:
    """The file in force for this command. Raises ConfigError, with every fault, where it cannot be used."""
    return config.load(config.find(path, os.environ, Path()))


def ledger_of(spec: Spec) -> Ledger:
    """The file's ledger, made where there is none yet."""
    from warmer.ledger import default_url, open_ledger

    return open_ledger(spec.ledger or default_url(os.environ), password=_password_of(spec))


def upkeep_of(spec: Spec) -> Upkeep:
    """The file's ledger from outside: neither made nor migrated."""
    from warmer.ledger import Upkeep, default_url

    return Upkeep(spec.ledger or default_url(os.environ), password=_password_of(spec))


def _password_of(spec: Spec) -> str | None:
    """The ledger's, where the file says where it is. Raises UsageError, naming the reference, where it is not there."""
    return None if spec.ledger_password is None else config.read_password(spec.ledger_password, os.environ)


def provider_of(spec: Spec, clock: Clock, ledger: Ledger | None = None) -> Provider:
    """The file's account. Reads the token now; raises UsageError, naming the reference, where it cannot.

    Where processes share the beats, those with the same `ledger` keep to the account's rate together.
    """
    from warmer.providers.replicate import Replicate

    notes = ledger if spec.engine is Engine.SHARED else None
    return Replicate(spec.account, config.read_secret(spec.account.token, os.environ), clock, notes=notes)


def schedule_of(spec: Spec) -> Callable[[OnDue], Schedule]:
    """What makes the daemon's timers. Raises UsageError where the parts for shared ones are not installed."""
    if spec.engine is Engine.LOCAL or spec.ledger is None:
        from warmer.engine.schedule_local import LocalSchedule

        return LocalSchedule
    try:
        from warmer.engine.schedule_shared import SharedSchedule
        from warmer.ledger.postgres import PostgresDatabase
    except ImportError as exc:
        raise UsageError(f"`engine: shared` needs {exc.name}: install it with `pip install 'warmer[shared]'`") from exc
    return partial(SharedSchedule, server=PostgresDatabase(spec.ledger, _password_of(spec), busy_s=0.0).parameters)


def start_log(spec: Spec, stream: TextIO | None = None) -> None:
    """Log to `stream` (default: stdout), with the file's secrets masked, and those of the files before it."""
    _MASKED.add(config.read_secret(spec.account.token, os.environ))
    _MASKED.update(filter(None, [_password_of(spec)]))
    log.configure(stream=stream or sys.stdout, secrets=_MASKED)


def require_sandbox() -> None:
    """Raise UsageError, with what to install, where the sandbox's parts are not there."""
    try:
        import standardwebhooks  # noqa: F401 - only whether it is there
    except ImportError as exc:
        raise UsageError(f"the sandbox needs {exc.name}: install it with `pip install 'warmer[sandbox]'`") from exc


def sample() -> Path:
    """The annotated sample file: beside the code in an installed package, under `config/` in a checkout."""
    package = Path(__file__).parents[1]
    for path in (package / "sample.yaml", package.parent / "config" / "warmer.yaml"):
        if path.is_file():
            return path
    raise UsageError("the sample file is missing from this installation: install warmer anew")
