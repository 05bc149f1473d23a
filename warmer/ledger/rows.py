"""Rows of the tables as values of the core, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from warmer.core.beat import BeatKey, BeatRequest, Observation, OpenBeat, Reason, Request, Status, Use, Verdict
from warmer.core.board import Met
from warmer.core.floor import Floor
from warmer.core.history import Evidence
from warmer.core.price import Billing, Cost, Price
from warmer.core.spec import Target, TargetKind
from warmer.core.units import from_micros, to_micros


def dump_request(request: BeatRequest) -> str:
    """What a beat was to send, as text."""
    return json.dumps(
        {
            "target": {
                "kind": request.target.kind.value,
                "owner": request.target.owner,
                "name": request.target.name,
                "version": request.target.version,
            },
            "version": request.version,
            "billing": request.billing.value,
            "input": dict(request.input),
            "deadline_s": request.deadline.total_seconds(),
            "price": None if request.price is None else _price_parts(request.price),
            "first_token": request.first_token,
            "cancel_on_start": request.cancel_on_start,
        }
    )


def load_request(text: str) -> BeatRequest:
    """The reverse."""
    raw = json.loads(text)
    target = raw["target"]
    return BeatRequest(
        target=Target(
            kind=TargetKind(target["kind"]), owner=target["owner"], name=target["name"], version=target["version"]
        ),
        version=raw["version"],
        billing=Billing(raw["billing"]),
        input=raw["input"],
        deadline=timedelta(seconds=raw["deadline_s"]),
        price=None if raw.get("price") is None else _price_of(raw["price"]),  # an older warmer did not write it
        first_token=raw.get("first_token", False),  # nor this
        cancel_on_start=raw.get("cancel_on_start", False),  # nor this
    )


def dump_price(price: Price) -> str:
    """A price as text."""
    return json.dumps(_price_parts(price))


def load_price(text: str) -> Price:
    """The reverse."""
    return _price_of(json.loads(text))


def floor_row(floor: Floor, price: Price | None) -> dict[str, Any]:
    """A raise, and what a second of one of its instances costs, as a row of `floors`."""
    facts = {field.name: getattr(floor, field.name) for field in fields(floor)}
    return {**facts, "price": None if price is None else dump_price(price)}


def floor_of(row: sa.RowMapping) -> Floor:
    """The raise of it."""
    return Floor(**{field.name: row[field.name] for field in fields(Floor)})


def price_in(row: sa.RowMapping) -> Price | None:
    """The price in a row that has one as text, or none."""
    return None if row["price"] is None else load_price(row["price"])


def _price_parts(price: Price) -> dict[str, str]:
    amounts = {"per_second": price.per_second, "per_output": price.per_output}
    return {"source": price.source} | {key: f"{usd:f}" for key, usd in amounts.items() if usd is not None}


def _price_of(raw: Mapping[str, str]) -> Price:
    amounts = {key: Decimal(raw[key]) for key in ("per_second", "per_output") if key in raw}
    return Price(source=raw["source"], **amounts)


def cost_columns(cost: Cost) -> dict[str, Any]:
    """A cost as columns of `beats`."""
    return {
        "cost_micros": None if cost.usd is None else to_micros(cost.usd),
        "cost_is_estimated": cost.is_estimated,
    }


def open_beat_of(row: sa.RowMapping) -> OpenBeat:
    """A row of `beats` without an end."""
    return OpenBeat(
        key=BeatKey(model=row["model"], slot=row["slot"], instance=row["instance"]),
        claimed_at=row["claimed_at"],
        policy=row["policy"],
        reason=Reason(row["reason"]),
        request=load_request(row["request"]),
        prediction_id=row["prediction_id"],
    )


def observation_of(row: sa.RowMapping) -> Observation:
    """A row of `beats` with one."""
    return Observation(
        model=row["model"],
        prediction_id=row["prediction_id"],
        policy=row["policy"],
        reason=Reason(row["reason"]),
        created_at=row["created_at"] or row["claimed_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        gap_s=row["gap_s"],
        wait_s=row["wait_s"],
        run_s=row["run_s"],
        verdict=Verdict(row["verdict"]),
        status=Status(row["status"]),
        error=row["error"],
        cost_usd=None if row["cost_micros"] is None else from_micros(row["cost_micros"]),
        price=row["price"],
        billing=Billing(row["billing"]) if row["billing"] else None,
        version=row["version"],
        cost_is_estimated=bool(row["cost_is_estimated"]),
        first_token_s=row["first_token_s"],
        boot_s=row["boot_s"],
    )


def request_row(call: Request) -> dict[str, Any]:
    """A customer's call as a row of `requests`."""
    return {
        "model": call.model,
        "prediction_id": call.prediction_id,
        "created_at": call.created_at,
        "started_at": call.started_at,
        "completed_at": call.completed_at,
        "gap_s": call.gap_s,
        "wait_s": call.wait_s,
        "run_s": call.run_s,
        "verdict": call.verdict.value,
        "status": call.status.value,
        "version": call.version,
        "input_hash": call.input_hash,
    }


def request_of(row: sa.RowMapping) -> Request:
    """The reverse."""
    return Request(
        model=row["model"],
        prediction_id=row["prediction_id"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        gap_s=row["gap_s"],
        wait_s=row["wait_s"],
        run_s=row["run_s"],
        verdict=Verdict(row["verdict"]),
        status=Status(row["status"]),
        version=row["version"],
        input_hash=row["input_hash"],
    )


def use_of(row: sa.RowMapping) -> Use:
    """When a row of either table occupied its model."""
    return Use(
        id=row["prediction_id"],
        status=Status(row["status"]) if row["status"] else Status.STARTING,
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        wait_s=row["wait_s"],
    )


def evidence_of(row: sa.RowMapping) -> Evidence:
    """What a row of either table tells of its model's host."""
    return Evidence(
        at=row["at"],
        gap_s=row["gap_s"],
        cold=row["verdict"] == Verdict.COLD.value,
        wait_s=row["wait_s"],
        version=row["version"],
        price=row["price"],
    )


def met_of(row: Iterable[Any]) -> Met:
    """What a beat or a call met. The row is one of `queries.met`."""
    model, at, wait_s, gap_s, verdict, reason, status, error, cost_micros = row  # a page has thousands of them
    return Met(
        model=model,
        at=at,
        wait_s=wait_s,
        gap_s=gap_s,
        verdict=Verdict.UNSURE if verdict is None else Verdict(verdict),
        reason=None if reason is None else Reason(reason),
        status=status,
        error=error,
        cost_usd=None if cost_micros is None else from_micros(cost_micros),
    )
