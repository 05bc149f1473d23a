"""Where ports meet adapters: the file, its secrets, the ledger and the provider, put together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from warmer import config, log
from warmer.core.endpoint import Endpoint
from warmer.core.secret import SecretRef
from warmer.core.spec import AccountSpec, CogServer, Engine, Host, Listen, Spec
from warmer.errors import UsageError
from warmer.ports import Clock, Contacts, Ledger, OnDue, Provider, Schedule

if TYPE_CHECKING:  # heavy: what uses them imports them
    from warmer.engine.accounts import Connect
    from warmer.ledger import Upkeep
    from warmer.providers.replicate import Replicate


def load(path: Path | None, *, only_file: bool = False) -> Spec:
    """The file in force for this command. Raises ConfigError, with every fault, where it cannot be used.

    With `only_file` for what nobody watches: a pipe is refused, and not waited for.
    """
    return config.load(config.find(path, os.environ, Path()), only_file=only_file)


def listen_of(path: Path | None) -> Listen | None:
    """Where the daemon of the file in force answers over HTTP; None is nowhere."""
    return config.listen_of(config.find(path, os.environ, Path()))


def ledger_of(spec: Spec) -> Ledger:
    """The file's ledger, made where there is none yet."""
    from warmer.ledger import default_url, open_ledger

    return open_ledger(spec.ledger or default_url(os.environ), password=_password_of(spec))


def upkeep_of(spec: Spec) -> Upkeep:
    """The file's ledger from outside: neither made nor migrated."""
    from warmer.ledger import Upkeep, default_url

    return Upkeep(spec.ledger or default_url(os.environ), password=_password_of(spec))


def admin_token_of(spec: Spec) -> str | None:
    """What changes over HTTP ask for, masked from now on in the log.

    Raises UsageError, naming the reference, where it cannot be read.
    """
    if spec.admin_token is None:
        return None
    token = config.read_secret(spec.admin_token, os.environ)
    log.mask(token)
    return token


def contacts_of(spec: Spec) -> Contacts | None:
    """Whoever is told of what is wrong; their addresses are masked from now on in the log.

    Raises UsageError, naming the reference, where one cannot be read or is no address.
    """
    if not spec.alerts.to and spec.alerts.ping is None:
        return None
    from warmer.providers.contacts import ContactsByApprise

    to = {str(ref): config.read_secret(ref, os.environ) for ref in spec.alerts.to}
    ref = spec.alerts.ping
    ping = None if ref is None else (str(ref), config.read_secret(ref, os.environ))
    log.mask(*to.values(), *([ping[1]] if ping is not None else []))
    return ContactsByApprise(to, ping)


def _token_of(account: AccountSpec) -> str:
    """The account's, masked from now on in the log. Raises UsageError, naming the reference, where it is not there."""
    token = config.read_secret(account.token, os.environ)
    log.mask(token)
    return token


def _secrets_of(endpoint: Endpoint) -> Mapping[SecretRef, str]:
    """Those of its headers, masked. Raises UsageError as above."""
    secrets = config.read_secrets(endpoint.secrets, os.environ)
    log.mask(*secrets.values())
    return secrets


def _password_of(spec: Spec) -> str | None:
    """The ledger's, where the file says where it is, masked. Raises UsageError as above."""
    if spec.ledger_password is None:
        return None
    password = config.read_password(spec.ledger_password, os.environ)
    log.mask(password)
    return password


def hosts_of(spec: Spec, clock: Clock, ledger: Ledger | None = None) -> Connect:
    """What opens the hosts of `spec`, and of the files that follow it.

    The token of each is read then, and masked in the log before it is used; raises UsageError, naming the reference,
    where it cannot be. Where processes share the beats, those with the same `ledger` keep to an account's rate
    together. An account that is opened once more goes on at the pace it had.
    """
    notes = ledger if spec.engine is Engine.SHARED else None
    opened: dict[tuple[str, str], Replicate] = {}

    def connect(host: Host) -> Provider:
        match host:
            case CogServer():
                from warmer.providers.cog import Cog

                return Cog(host, clock)
            case Endpoint():
                from warmer.providers.endpoint import HttpEndpoint

                return HttpEndpoint(host, _secrets_of(host), clock)
            case AccountSpec():
                return account(host)

    def account(host: AccountSpec) -> Replicate:
        from warmer.providers.replicate import Replicate

        token = _token_of(host)
        key = (host.base_url, token)
        before = opened.get(key)
        opened[key] = Replicate(host, token, clock, notes=notes, before=before, mask=log.mask)
        return opened[key]

    return connect


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
    """Log to `stream` (default: stdout), with the file's secrets masked. Raises UsageError where one cannot be read:
    before anything was begun."""
    for host in spec.hosts.values():
        if isinstance(host, AccountSpec):
            _token_of(host)
        elif isinstance(host, Endpoint):
            _secrets_of(host)
    _password_of(spec)
    log.configure(stream=stream or sys.stdout)


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
