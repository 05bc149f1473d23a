"""A spec as the file that would say all of it: what `check --show` prints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import yaml

from warmer.config import endpoint_entries
from warmer.config.document import CORE_SCHEMA
from warmer.core.endpoint import Endpoint
from warmer.core.price import PAID_ANYWAY, Price
from warmer.core.spec import AccountSpec, Alerts, ModelSpec, PolicyName, Spec
from warmer.core.units import format_duration

_OF_BEATS = frozenset({"every", "input", "deadline", "measure", "cancel_on_start"})
_OF_ADAPTIVE = frozenset({"cold_target", "cold_start_price"})


def show(spec: Spec) -> dict[str, Any]:
    """The effective configuration, every default written out. Parsed again, `dump` of it gives an equal spec,
    but for keys of `defaults` that a model's policy does not heed.

    Secrets are references, durations texts, money Decimal.
    """
    shown: dict[str, Any] = {"timezone": spec.zone.key}
    if country := spec.models[0].hours.country:
        shown["country"] = country
    if spec.prices is not None:
        shown["prices"] = spec.prices
    if spec.ledger is not None:
        shown["ledger"] = spec.ledger
    shown["listen"] = "off" if spec.listen is None else str(spec.listen)
    if spec.public_url is not None:
        shown["public_url"] = spec.public_url
    if spec.admin_token is not None:
        shown["admin_token"] = str(spec.admin_token)
    if spec.ledger_password is not None:
        shown["ledger_password"] = str(spec.ledger_password)
    if alerts := _alerts(spec.alerts):
        shown["alerts"] = alerts
    kept = spec.retention
    shown["retention"] = {"beats": format_duration(kept.beats), "requests": format_duration(kept.requests)}
    shown["engine"] = str(spec.engine)
    if budget := _budget(spec.models[0], own=False):
        shown["budget"] = budget
    shown["replicate"] = _account(spec.account)
    if named := {host.name: host for host in spec.hosts.values() if isinstance(host, AccountSpec) and host.name}:
        shown["accounts"] = {name: _account(host) for name, host in named.items()}
    shown["models"] = [_heeded(model) for model in spec.models]
    return shown


def _account(account: AccountSpec) -> dict[str, Any]:
    return {
        "token": str(account.token),
        "base_url": account.base_url,
        "creates_per_minute": account.creates_per_minute,
        "reads_per_minute": account.reads_per_minute,
    }


def _heeded(model: ModelSpec) -> dict[str, Any]:
    """The entry without what it has from `defaults` and its policy does not heed: in an entry that would be a fault."""
    unheeded = _OF_BEATS if model.policy is PolicyName.FLOOR else frozenset[str]()
    if PolicyName.ADAPTIVE not in (model.policy, model.shadow):
        unheeded |= _OF_ADAPTIVE
    return {key: value for key, value in entry(model).items() if key not in unheeded}


def entry(model: ModelSpec) -> dict[str, Any]:
    """All of a model as its entry would say it."""
    lines = list(model.hours.lines)
    shown: dict[str, Any] = {
        model.target.kind.value: str(model.target),
        "name": model.name,
        **(endpoint_entries.shown(model.host) if isinstance(model.host, Endpoint) else {}),
        "hours": lines[0] if len(lines) == 1 else lines,
        "policy": str(model.policy),
        "every": "auto" if model.every is None else format_duration(model.every),
        "lead": "auto" if model.lead is None else format_duration(model.lead),
    }
    if model.cold_target is not None:
        shown["cold_target"] = f"{(Decimal(str(model.cold_target)) * 100).normalize():f}%"
    if model.cold_start_price is not None:
        shown["cold_start_price"] = model.cold_start_price
    if isinstance(model.host, AccountSpec):
        shown["account"] = model.host.name
    if model.policy is PolicyName.FLOOR:
        shown["instances"] = model.instances
    if model.shadow is not None:
        shown["shadow"] = str(model.shadow)
    if model.input is not None:
        shown["input"] = dict(model.input)
    if model.billing is not None:
        shown["billing"] = str(model.billing)
    if model.price not in (None, PAID_ANYWAY):
        shown |= _price(model.price)
    if model.self_host_per_hour is not None:
        shown["self_host"] = {"per_hour": model.self_host_per_hour}
    if budget := _budget(model, own=True):
        shown["budget"] = budget
    shown["deadline"] = format_duration(model.deadline)
    if not isinstance(model.host, Endpoint):
        shown["measure"] = "first_token" if model.first_token else "off"
    if model.target.kind.is_of_an_account:
        shown["cancel_on_start"] = model.cancel_on_start
    shown["alerts"] = "on" if model.alerts else "off"
    return shown | {"traffic": "auto" if model.traffic else "off"}


def _alerts(alerts: Alerts) -> dict[str, Any]:
    shown: dict[str, Any] = {"to": [str(ref) for ref in alerts.to]} if alerts.to else {}
    return shown if alerts.ping is None else shown | {"ping": str(alerts.ping)}


def _budget(model: ModelSpec, *, own: bool) -> dict[str, Any]:
    """The model's own caps, or those of all models."""
    return {str(cap.period): cap.usd for cap in model.caps if (cap.model is not None) == own}


def _price(price: Price) -> dict[str, Any]:
    if price.source == "file":
        own = {"per_second": price.per_second, "per_output": price.per_output}
        return {"price": {key: usd for key, usd in own.items() if usd is not None}}
    return {"hardware": price.source.partition("@")[0]}


class _Dumper(yaml.SafeDumper):
    """Quotes what either YAML, 1.1 or 1.2, would take for something else than a text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, _pattern, _first in CORE_SCHEMA:
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


def _decimal(dumper: yaml.SafeDumper, number: Decimal) -> yaml.Node:
    text = f"{number:f}"
    return dumper.represent_scalar("tag:yaml.org,2002:float", text if "." in text else f"{text}.0")


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # Only double quotes have escapes: elsewhere U+0085 and its like would be written bare and read back as line breaks.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(Decimal, _decimal)
_Dumper.add_representer(str, _text)


def dump(shown: Mapping[str, Any]) -> str:
    """A mapping as YAML text."""
    text: str = yaml.dump(dict(shown), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)
    return text
