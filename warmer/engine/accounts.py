"""The accounts of one file, each for what is sent through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from warmer.core.beat import BeatKey, OpenBeat, Reason
from warmer.core.spec import AccountSpec, Host, ModelSpec, Spec
from warmer.core.state import Hold
from warmer.engine.account import Account
from warmer.engine.budgets import Budgets
from warmer.engine.desk import Desk
from warmer.ports import UNMETERED, Clock, Meter, Provider

Connect = Callable[[Host], Provider]
"""Opens what beats are sent through. It reads the secrets that go there, and may raise a WarmerError."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Accounts:
    """One for each host of the file, by its label: what one of them refuses holds up no model of another."""

    spec: Spec
    each: Mapping[str, Account]
    budgets: Budgets  # over all of them

    def of(self, model: ModelSpec) -> Account:
        """The one that serves `model`; any, where that is of a file before and nothing goes that way any more."""
        account = self.each.get(self.spec.host_of(model).label)
        return self.own if account is None else account

    def of_beat(self, beat: OpenBeat) -> Account:
        """The one that is asked for a beat of before: its model's, and any where the file has that no more."""
        entry = self.spec.model(beat.key.model)
        return self.own if entry is None else self.of(entry)

    def of_floor(self, entry: ModelSpec | None) -> Account:
        """The one that moves the floor of `entry`, or one that the file has no entry for any more."""
        return self.own if entry is None else self.of(entry)

    @property
    def hold(self) -> Hold | None:
        """What keeps all models of an account at Replicate from being warmed now, or None."""
        listed = (self.each[label] for label, host in self.spec.hosts.items() if isinstance(host, AccountSpec))
        return next((hold for account in listed if (hold := account.standing.account_hold) is not None), None)

    def held(self, model: ModelSpec) -> Reason | None:
        """What keeps `model` from being warmed now, and no other of an account at Replicate, or None."""
        standing = self.of(model).standing
        if model.target.kind.is_of_an_account or (hold := standing.account_hold) is None:
            return standing.held(model.name)
        return hold.reason

    @property
    def out(self) -> frozenset[BeatKey]:
        """The beats that this process follows."""
        return frozenset().union(*(account.outgoing.out for account in self))

    @property
    def own(self) -> Account:
        """The file's own, or any where no entry goes by that."""
        own = self.each.get(self.spec.account.label)
        return next(iter(self)) if own is None else own

    def __iter__(self) -> Iterator[Account]:
        return iter(self.each.values())


def open_accounts(
    spec: Spec,
    connect: Connect,
    desk: Desk,
    clock: Clock,
    entries: Callable[[str], Sequence[ModelSpec]],
    *,
    called: Callable[[str], None] = lambda name: None,
    meter: Meter = UNMETERED,
    lifts: bool = False,
    keeps_holds: bool = False,
    before: Accounts | None = None,
    afresh: bool = False,
) -> Accounts:
    """The accounts of `spec`. Those that are as they were `before` go on, unless all begin `afresh`.

    `entries` gives the models in force of the host with that label. `keeps_holds`: processes that do not share the
    beats keep to one another's holds too. Raises what `connect` does.
    """
    is_shared = spec.shared_as is not None
    budgets = Budgets(desk, clock, tells_others=is_shared or keeps_holds) if before is None else before.budgets
    each = dict[str, Account]()
    for label, host in spec.hosts.items():
        known = None if before is None else _before(label, spec, before)
        if known is not None and not afresh and before is not None and before.spec.hosts.get(label) == host:
            each[label] = known
            continue
        each[label] = Account.over(
            connect(host),
            desk,
            clock,
            partial(entries, label),
            title=host.title,
            budgets=budgets,
            called=called,
            meter=meter,
            shared_as=label if is_shared else None,
            holds_as=label if is_shared or keeps_holds else None,
            lifts=lifts,
            before=known,
        )
    return Accounts(spec=spec, each=each, budgets=budgets)


def _before(label: str, spec: Spec, before: Accounts) -> Account | None:
    """What was there of the host with that label; of the file's own account whatever it was called."""
    if label == spec.account.label:
        label = before.spec.account.label
    return before.each.get(label)
