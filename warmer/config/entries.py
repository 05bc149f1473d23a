"""What the keys of an entry, and the entries among themselves, must agree on."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeGuard

from warmer.config.document import Document
from warmer.config.endpoint_entries import check_endpoint
from warmer.config.faults import Faults, Place, quote, suggest
from warmer.config.servers import SERVERS, TARGETS
from warmer.config.shape import BudgetShape, ModelShape
from warmer.core.budget import Period
from warmer.core.price import Billing
from warmer.core.spec import PolicyName

_WHAT = {"cog": "Cog server"}
_CLASSES = {
    "deployment": (Billing.DEPLOYMENT,),
    "cog": (Billing.OWN, Billing.PRIVATE),
    "url": (Billing.PUBLIC, Billing.PRIVATE, Billing.CALL),
}
"""How a target may bill; any other as a model does."""
_OF_MODELS = tuple(one for one in Billing if one not in (Billing.DEPLOYMENT, Billing.OWN, Billing.CALL))
_BOTH_AIMS = {"cold_target", "cold_start_price"}
_OF_BEATS = {"every", "input", "deadline", "measure", "cancel_on_start"}
_TWO_AIMS = (
    "`cold_target` and `cold_start_price` are two answers to one question",
    "keep one: a share to hold, or what one cold start is worth",
)


def check_entries(document: Document, faults: Faults) -> None:
    """Each entry names one target that bills as it says, and no two have one name.

    Looks at the raw document, so that these faults are told together with those of single values.
    """
    root = document.value if isinstance(document.value, dict) else {}
    entries, defaults = root.get("models"), root.get("defaults")
    named: dict[str, Place] = {}
    held: dict[str, Place] = {}
    for at, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            target = _check_target(entry, at, document, faults)
            _check_name(entry, target, at, document, faults, named)
            _check_account(entry, ("models", at, "account"), root, document, faults)
            shared = defaults if isinstance(defaults, dict) else {}
            _check_billing(entry, shared, target, at, document, faults)
            _check_aim(entry, shared, target, at, document, faults)
            _check_server(entry, target, at, document, faults)
            _check_floor(entry, shared, target, at, document, faults, held)
            check_endpoint(entry, shared, target, at, document, faults)
            _check_budget(entry.get("budget"), ("models", at, "budget"), root, document, faults)
    _check_budget(root.get("budget"), ("budget",), root, document, faults)
    if isinstance(defaults, dict):
        _check_account(defaults, ("defaults", "account"), root, document, faults)
        _check_budget(defaults.get("budget"), ("defaults", "budget"), root, document, faults)
    if isinstance(defaults, dict) and defaults.keys() >= _BOTH_AIMS:
        faults.add(document.key_place(("defaults", "cold_start_price")), *_TWO_AIMS)


def check_public_url(document: Document, faults: Faults) -> None:
    """Somebody answers there."""
    root = document.value if isinstance(document.value, dict) else {}
    if root.get("listen") == "off" and "public_url" in root:
        problem = "nobody answers at `public_url` while `listen` is off"
        faults.add(document.key_place(("public_url",)), problem, "write `listen: 127.0.0.1:9177`, or leave this out")


def _check_target(entry: Mapping[str, Any], at: int, document: Document, faults: Faults) -> str | None:
    """The key of the entry's target, one of TARGETS."""
    targets = [key for key in entry if key in TARGETS]
    if len(targets) > 1:
        place = document.key_place(("models", at, targets[1]))
        first, second = (_WHAT.get(key, key) for key in targets[:2])
        faults.add(place, f"this entry names a {first} and a {second}", "make it two entries")
    # Where a key is unknown it is the target, misspelt, more likely than not: that fault is told already.
    if not targets and entry.keys() <= ModelShape.model_fields.keys():
        place = document.place(("models", at))
        faults.add(place, "this entry names nothing to keep warm", "write `model: owner/name`")
    return targets[0] if targets else None


def _check_name(
    entry: Mapping[str, Any],
    target: str | None,
    at: int,
    document: Document,
    faults: Faults,
    named: dict[str, Place],
) -> None:
    key = "name" if "name" in entry else target
    name = entry[key] if key else None
    if key is None or not isinstance(name, str):
        return
    if key in SERVERS:
        name = name.rstrip("/")
    place = document.place(("models", at, key))
    if first := named.get(name):
        problem = f"{quote(name)} is already the name of the model on line {first.line}"
        faults.add(place, problem, "remove one, or tell them apart with `name:`")
    named.setdefault(name, place)


def _check_account(
    keys: Mapping[str, Any], path: tuple[str | int, ...], root: Mapping[str, Any], document: Document, faults: Faults
) -> None:
    """The account that is named is one of the file."""
    name, accounts = keys.get("account"), root.get("accounts")
    known = accounts if isinstance(accounts, dict) else {}
    if isinstance(name, str) and name not in known:
        hint = suggest(name, known) if known else f"write `accounts: {{{name}: {{token: env:NAME}}}}` at the top level"
        faults.add(document.place(path), f"there is no account {quote(name)} under `accounts`", hint)


def _check_billing(
    entry: Mapping[str, Any],
    defaults: Mapping[str, Any],
    target: str | None,
    at: int,
    document: Document,
    faults: Faults,
) -> None:
    own = "billing" in entry
    billing = entry["billing"] if own else defaults.get("billing")
    if target is None or billing not in list(Billing):
        return
    if billing not in _CLASSES.get(target, _OF_MODELS):
        place = document.place(("models", at, "billing") if own else ("defaults", "billing"))
        hint = "leave `billing` out: the API tells it" if own else "write it in the entries that bill so"
        if own and target in SERVERS:
            hint = f"leave `billing` out, or write one of {', '.join(_CLASSES[target])}"
        faults.add(place, f"a {_WHAT.get(target, target)} does not bill as `{billing}`", hint)


def _check_aim(
    entry: Mapping[str, Any],
    defaults: Mapping[str, Any],
    target: str | None,
    at: int,
    document: Document,
    faults: Faults,
) -> None:
    """What only `adaptive` heeds stands where `adaptive` is; a price of cold starts goes with one of heartbeats."""
    both = {**defaults, **entry}
    own = [key for key in ("cold_target", "cold_start_price") if key in entry]
    if len(own) == 2:
        faults.add(document.key_place(("models", at, own[1])), *_TWO_AIMS)
        return
    is_floor = both.get("policy") == PolicyName.FLOOR  # which has no shadow
    chosen = (both.get("policy"), None if is_floor else both.get("shadow"))
    if own and PolicyName.ADAPTIVE not in chosen:
        problem = f"only `policy: adaptive` heeds `{own[0]}`"
        faults.add(document.key_place(("models", at, own[0])), problem, "write that policy, or leave this key out")
        return
    if both.get("policy") == PolicyName.ADAPTIVE and target in SERVERS:
        place = document.key_place(("models", at, "policy" if "policy" in entry else str(target)))
        problem = f"`adaptive` goes by customers' calls, and no list tells those of a {_WHAT.get(str(target), target)}"
        faults.add(place, problem, "write `policy: aware`, or `fixed`")
        return
    if both.get("policy") == PolicyName.ADAPTIVE and both.get("traffic") == "off":
        key = "traffic" if "traffic" in entry else "policy" if "policy" in entry else None
        place = document.key_place(("models", at, key)) if key else document.key_place(("defaults", "policy"))
        faults.add(
            place, "`adaptive` goes by customers' calls, which are not seen", "leave `traffic` out, or use `aware`"
        )
    aims = own or [key for key in ("cold_target", "cold_start_price") if key in defaults]
    if PolicyName.ADAPTIVE in chosen and aims == ["cold_start_price"] and not {"price", "hardware"} & both.keys():
        place = document.key_place(("models", at, "cold_start_price") if own else ("defaults", "cold_start_price"))
        problem = "`cold_start_price` says nothing without the price of a heartbeat"
        faults.add(place, problem, "write the model's `hardware`, or its `price`")
    if "shadow" in entry and entry["shadow"] == both.get("policy", PolicyName.AWARE):
        place = document.key_place(("models", at, "shadow"))
        faults.add(place, "the shadow is the policy itself", "name another policy to be compared with it")


def _check_server(entry: Mapping[str, Any], target: str | None, at: int, document: Document, faults: Faults) -> None:
    """What only the account's API can tell is not asked of a server that is called by its own address."""
    if target in SERVERS and "account" in entry:
        place = document.key_place(("models", at, "account"))
        faults.add(place, f"a {_WHAT.get(target, target)} is called through no account", "leave `account` out")
    if target != "cog":
        return
    what = _WHAT[target]
    if entry.get("traffic") == "auto":
        problem = f"who else calls a {what} is in no list"
        hint = "leave `traffic` out, and tell warmer of calls: POST /api/v1/requests"
        faults.add(document.key_place(("models", at, "traffic")), problem, hint)
    if entry.get("cancel_on_start") is True:
        problem = f"a beat of a {what} costs nothing, and runs to its end"
        faults.add(document.key_place(("models", at, "cancel_on_start")), problem, "leave `cancel_on_start` out")
    if entry.get("measure") == "first_token":
        problem = f"the first token of a {what} is not measured"
        faults.add(document.key_place(("models", at, "measure")), problem, "leave `measure` out")


def _check_budget(
    budget: Any, path: tuple[str | int, ...], root: Mapping[str, Any], document: Document, faults: Faults
) -> None:
    """A budget caps something, and no cap of it stands where a smaller one has stopped everything before."""
    if not isinstance(budget, dict):
        return
    if not budget:
        faults.add(document.place(path), "this budget caps nothing", f"write {BudgetShape.example}")
        return
    total = root.get("budget")
    total = total if isinstance(total, dict) and budget is not total else {}
    others = [("monthly", budget, "of the same budget")]
    others += [(period, total, "of all models") for period in Period]
    for period in Period:
        for other, caps, whose in others:
            cap, smaller = budget.get(period), caps.get(other)
            is_longer = (period, other) == (Period.MONTHLY, Period.DAILY)  # a month has many days
            if not is_longer and _is_amount(cap) and _is_amount(smaller) and cap > smaller:
                problem = f"this cap is never reached: the {other} one {whose} is {smaller} USD"
                faults.add(document.place((*path, period)), problem, "write less here, or leave it out")
                break


def _is_amount(value: Any) -> TypeGuard[int | Decimal]:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _check_floor(
    entry: Mapping[str, Any],
    defaults: Mapping[str, Any],
    target: str | None,
    at: int,
    document: Document,
    faults: Faults,
    held: dict[str, Place],
) -> None:
    """Only a deployment has a floor, and one entry moves it; what a floor does not heed stands elsewhere."""
    is_floor = {**defaults, **entry}.get("policy") == PolicyName.FLOOR
    if "instances" in entry and not is_floor:
        place = document.key_place(("models", at, "instances"))
        faults.add(place, "only `policy: floor` heeds `instances`", "write that policy, or leave this key out")
    for keys, path in ((entry, ("models", at, "shadow")), (defaults, ("defaults", "shadow"))):
        if keys.get("shadow") == PolicyName.FLOOR and (keys is entry or at == 0):
            faults.add(document.place(path), "a floor sends no beats that could be compared", "name another policy")
    if not is_floor or target is None:
        return
    if target != "deployment":
        place = document.place(("models", at, "policy") if "policy" in entry else ("models", at, target))
        faults.add(place, "only a deployment has a floor", "write `deployment: owner/name`, or another policy")
    elif isinstance(slug := entry[target], str):
        place = document.place(("models", at, target))
        if first := held.get(slug):
            problem = f"the floor of {quote(slug)} is moved by the entry on line {first.line} already"
            faults.add(place, problem, "put the hours of both into one entry")
        held.setdefault(slug, place)
    if "shadow" in entry:
        place = document.key_place(("models", at, "shadow"))
        faults.add(place, "a floor sends no beats to compare a shadow with", "leave `shadow` out")
    for key in (key for key in entry if key in _OF_BEATS and target == "deployment"):
        place = document.key_place(("models", at, key))
        faults.add(place, f"a floor sends no beats and does not heed `{key}`", "leave it out, or write another policy")
