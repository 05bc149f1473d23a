"""The JSON of the API: what each noun looks like on the wire, and each refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from starlette.responses import Response

from warmer.sandbox.billing import seconds
from warmer.sandbox.catalogue import PIXEL
from warmer.sandbox.hardware import HARDWARE
from warmer.sandbox.inputs import InvalidField
from warmer.sandbox.outputs import FILES, metrics_of
from warmer.sandbox.predictions import Prediction, Status
from warmer.sandbox.stamps import stamp
from warmer.sandbox.traits import Account, Deployment, Traits, Version

JSON = "application/json; charset=utf-8"
PROBLEM = "application/problem+json"


class Reply(Response):
    """A JSON reply with the content type of the real API."""

    def __init__(
        self, content: object, status: int = 200, headers: Mapping[str, str] | None = None, content_type: str = JSON
    ) -> None:
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        super().__init__(body, status_code=status, headers=dict(headers or {}), media_type=content_type)


def prediction(one: Prediction, now: datetime, base: str, *, held: bool = False) -> dict[str, Any]:
    """A prediction as of `now`. Keys without a value yet are absent, as recorded.

    held: the answer to a create that was held until the end: `processing`, output complete, no timings, as recorded.
    """
    done_early = held and one.status is Status.SUCCEEDED
    status = Status.PROCESSING if done_early else one.status
    reply: dict[str, Any] = {
        "id": one.id,
        "model": one.model,
        "version": one.version,
        "input": one.input,
        "logs": one.logs,
    }
    if status is not Status.STARTING:
        # A held answer carries its files within, as recorded; any other says where they are.
        output = one.output_at(now)
        reply["output"] = _with_files(output, (lambda _: PIXEL) if done_early else (lambda path: base + path))
    reply |= {
        "data_removed": one.data_removed,
        "error": one.error,
        "source": "api",
        "status": status.value,
        "created_at": stamp(one.created_at, one.id),
    }
    if one.deployment is not None:
        reply["deployment"] = one.deployment
    if one.deadline is not None:
        reply["deadline"] = stamp(one.deadline, one.id)
    if one.webhook is not None:
        reply["webhook"] = one.webhook
        if one.webhook_events is not None:
            reply["webhook_events_filter"] = list(one.webhook_events)
    if one.started_at is not None and not done_early:
        reply["started_at"] = stamp(one.started_at, one.id)
    if one.completed_at is not None and not done_early:
        reply["completed_at"] = stamp(one.completed_at, one.id)
        reply["metrics"] = _metrics(one)
    reply["urls"] = {
        "cancel": f"{base}/v1/predictions/{one.id}/cancel",
        "get": f"{base}/v1/predictions/{one.id}",
        "web": f"{base}/p/{one.id}",
    }
    if one.traits.streams:
        reply["urls"]["stream"] = f"{base}/v1/streams/{one.stream_token}"
    return reply


def _metrics(one: Prediction) -> dict[str, float]:
    metrics: dict[str, float] = {}
    if one.run is not None:
        metrics["predict_time"] = float(seconds(one.run))
        metrics |= metrics_of(one.traits, one.input or {}, one.output, metrics["predict_time"])
    if one.completed_at is not None:
        metrics["total_time"] = float(seconds(one.completed_at - one.created_at))
    return metrics


def _with_files(output: Any, address: Callable[[str], str]) -> Any:
    if isinstance(output, list):
        return [_with_files(item, address) for item in output]
    return address(output) if isinstance(output, str) and output.startswith(FILES) else output


def model(one: Traits, base: str) -> dict[str, Any]:
    """A model with its latest version and an example."""
    example = None
    if one.default_example is not None:
        example = {
            "id": one.latest.id[:26],
            "model": one.slug,
            "version": "hidden" if one.is_official else one.latest.id,
            "input": dict(one.default_example),
            "output": None,
            "logs": "",
            "error": None,
            "status": "succeeded",
            "source": "web",
            "data_removed": False,
            "created_at": stamp(one.latest.created_at),
            "urls": {},
        }
    return {
        "url": f"{base}/{one.slug}",
        "owner": one.owner,
        "name": one.name,
        "description": one.description,
        "visibility": "private" if one.private else "public",
        "is_official": one.is_official,
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": one.run_count,
        "cover_image_url": None,
        "default_example": example,
        "latest_version": version(one.latest),
    }


def version(one: Version) -> dict[str, Any]:
    """A version with its whole schema."""
    return {
        "id": one.id,
        "created_at": stamp(one.created_at),
        "cog_version": one.cog_version,
        "openapi_schema": one.openapi_schema,
    }


def deployment(one: Deployment, owner: Account) -> dict[str, Any]:
    """A deployment with its current release. It tells nothing of live instances: neither does the real one."""
    return {
        "owner": one.owner,
        "name": one.name,
        "current_release": {
            "number": one.number,
            "model": one.model,
            "version": one.version,
            "created_at": stamp(one.created_at),
            "created_by": account(owner),
            "configuration": {
                "hardware": one.hardware,
                "min_instances": one.min_instances,
                "max_instances": one.max_instances,
            },
        },
    }


def account(one: Account) -> dict[str, Any]:
    """The account. It carries no balance: neither does the real one."""
    return {
        "type": "organization",
        "username": one.username,
        "name": one.name,
        "avatar_url": None,
        "github_url": None,
    }


def hardware() -> list[dict[str, str]]:
    """All machines; a plain array, not paginated."""
    return [{"name": one.name, "sku": one.sku} for one in HARDWARE.values()]


def page(results: Sequence[object], *, following: str | None = None, previous: str | None = None) -> dict[str, Any]:
    """One page of a list."""
    return {"previous": previous, "next": following, "results": list(results)}


def unauthenticated() -> Reply:
    """401, as recorded."""
    detail = "You did not pass a valid authentication token"
    return Reply({"title": "Unauthenticated", "detail": detail, "status": 401}, 401, content_type=PROBLEM)


def insufficient_credit() -> Reply:
    """402, as many users report it."""
    detail = (
        "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to "
        "purchase credit. Once you purchase credit, please wait a few minutes before trying again."
    )
    return Reply({"title": "Insufficient credit", "detail": detail, "status": 402}, 402)


def not_found(detail: str = "The requested resource could not be found.") -> Reply:
    """404. The exact wording of the real one is not confirmed."""
    return Reply({"detail": detail, "status": 404}, 404)


def bad_request(detail: str, title: str = "Bad request") -> Reply:
    """400. The real one is not confirmed."""
    return Reply({"title": title, "detail": detail, "status": 400}, 400)


def invalid_version() -> Reply:
    """422 for a version that is not there, as many users report it."""
    detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
    return Reply({"title": "Invalid version or not permitted", "detail": detail, "status": 422}, 422)


def invalid(fields: Sequence[InvalidField]) -> Reply:
    """422 for an input or a body that does not fit its schema."""
    return Reply(
        {
            "detail": "".join(str(field) for field in fields),
            "status": 422,
            "title": "Input validation failed",
            "invalid_fields": [
                {"type": field.type, "field": field.field, "description": field.description} for field in fields
            ],
        },
        422,
    )


def throttled(reset_s: int, headers: Mapping[str, str]) -> Reply:
    """429 at the usual limits."""
    detail = f"Request was throttled. Your rate limit resets in ~{reset_s}s."
    return Reply({"detail": detail}, 429, headers)


def throttled_low_credit(reset_s: int) -> Reply:
    """429 of an account short of credit. The hint is in the body only."""
    detail = (
        "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute with a "
        f"burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~{reset_s}s."
    )
    return Reply({"detail": detail, "status": 429, "retry_after": reset_s}, 429)
