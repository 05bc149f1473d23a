"""What happened, in a sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from warmer.charts.board_lines import path_of
from warmer.charts.words import clock, lasting, seconds, usd
from warmer.core.beat import Verdict
from warmer.core.board import Met
from warmer.core.plain import one_line
from warmer.core.why import WHY


def told_of(met: Met, zone: ZoneInfo, now: datetime, *, with_model: bool) -> dict[str, Any]:
    """A beat or a call: what it met, and why it was sent."""
    after = "" if met.gap_s is None else f" after {lasting(met.gap_s)} idle"
    if met.reason is not None:
        kind, word = ("cold" if met.verdict is Verdict.COLD else "bad" if met.error else "beat"), "beat"
        text = f"{after}: {WHY[met.reason]}. {outcome(met).capitalize()}."
    else:
        kind = "cold" if met.verdict is Verdict.COLD else "call"
        word = "found cold" if met.verdict is Verdict.COLD else "call"
        text = f"{' by a customer' if kind == 'cold' else ' of a customer'}{after}: {outcome(met)}."
    return {
        "at": met.at.isoformat(),
        "clock": clock(met.at, zone, now),
        "kind": kind,
        "word": word,
        "text": text,
        "model": met.model if with_model else "",
        "path": path_of(met.model) if with_model else "",
    }


def said_of(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the log: what happened, and its facts."""
    facts = {
        key: value
        for key, value in line.items()
        if key not in ("timestamp", "level", "event", "model") and value not in (None, "", [])
    }
    told = ", ".join(f"{key.replace('_', ' ')} {_fact(value)}" for key, value in facts.items())
    model = str(line.get("model", ""))
    return {
        "kind": "bad" if line.get("level") in ("warning", "error") else "said",
        "word": str(line["event"]).replace(".", " ").replace("_", " "),
        "text": f": {told}" if told else "",
        "model": model,
        "path": path_of(model) if model else "",
    }


def _fact(value: Any) -> str:
    return one_line(", ".join(map(str, value)) if isinstance(value, list) else str(value))[:300]


def instant_of(text: Any) -> datetime:
    """Of a line of the log."""
    return datetime.fromisoformat(str(text))


def outcome(met: Met) -> str:
    """Such as `warm, waited 0.02 s, $0.0003`."""
    if met.error:
        return f"it failed ({one_line(met.error)[:200]})"
    found = {Verdict.WARM: "warm", Verdict.COLD: "cold", Verdict.UNSURE: "in doubt whether warm"}[met.verdict]
    cost = "" if met.reason is None else f", {usd(met.cost_usd) if met.cost_usd is not None else 'its cost is unknown'}"
    return f"{found}, waited {seconds(met.wait_s)}{cost}"
