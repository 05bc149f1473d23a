"""What /openapi.json says: every path here, what it takes and what it gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from warmer.core.beat import Reason, Status, Verdict
from warmer.core.override import Kind
from warmer.core.price import Known
from warmer.core.spec import WEBHOOKS, PolicyName
from warmer.core.trial import ChangeKind
from warmer.version import __version__

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
SECONDS: Schema = {"type": "number", "minimum": 0, "description": "Seconds."}
INSTANT: Schema = {"type": "string", "format": "date-time", "description": "UTC."}
MONEY: Schema = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$", "description": "USD."}
LASTING: Schema = {"type": "string", "description": "A duration.", "examples": ["2h"]}
NAME: Schema = {"type": "string", "description": "A model, by its name in the file."}


def describe() -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "warmer",
            "version": __version__,
            "summary": "How the models are, and what is wanted of them.",
        },
        "paths": {
            "/healthz": {"get": _get("Whether the process lives.", {"text/plain": {"schema": TEXT}})},
            "/readyz": {"get": _readiness()},
            "/metrics": {"get": _get("Metrics for Prometheus.", {"text/plain": {"schema": TEXT}})},
            "/openapi.json": {"get": _get("This document.", _json({"type": "object"}))},
            "/api/v1/models": {"get": _get("Every model of the file as it is now.", _json(_ref("Models")), "503")},
            "/api/v1/models/{name}": {
                "parameters": [_NAMED],
                "get": _get("One model, and more of it.", _json(_ref("Model")), "404", "503"),
            },
            "/api/v1/warmth": {
                "get": _get("Which models are likely warm now, the best first.", _json(_ref("WarmthList")), *_READ)
                | {
                    "parameters": [
                        {
                            "name": "model",
                            "in": "query",
                            "description": "Of which, each by its name. All, where none is named.",
                            "schema": {"type": "array", "items": NAME, "maxItems": 100},
                            "explode": True,
                        }
                    ]
                },
            },
            "/api/v1/events": {
                "get": _get(
                    "What happens from now on, as server-sent events.", {"text/event-stream": {"schema": TEXT}}, "503"
                )
            },
            "/api/v1/requests": {"post": _post("A call that an application has made.", _ref("Told"), _ref("Counted"))},
            "/api/v1/config/try": {
                "post": _post("What a file would change. Nothing of it is applied.", None, _ref("Tried"))
                | {"requestBody": {"required": True, "content": {"application/yaml": {"schema": TEXT}}}}
            },
            **{
                f"/api/v1/models/{{name}}/{act}": {
                    "parameters": [_NAMED],
                    "post": _post(what, takes, _ref("Overridden")),
                }
                for act, what, takes in (
                    ("pause", "Send it nothing.", _object({"for": LASTING}, needed=())),
                    ("resume", "Go by the file again.", None),
                    ("warm", "Keep it warm for a while.", _object({"for": LASTING})),
                )
            },
            WEBHOOKS: {"post": _webhook()},
            "/api/v1/models/{name}/beat": {
                "parameters": [_NAMED],
                "post": _post("Send one beat now.", None, _ref("Begun"), "409", status="202"),
            },
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "admin": {"type": "http", "scheme": "bearer", "description": "`admin_token` of the file."}
            },
        },
    }


def _schemas() -> dict[str, Schema]:
    override = _object({"kind": _words(Kind), "since": INSTANT, "until": _or_null(INSTANT)})
    chance = {
        "probability": {"type": "number", "minimum": 0, "maximum": 1, "description": "That an instance is up."},
        "expected_wait_s": SECONDS,
        "verdict": _words(Verdict),
    }
    now = {
        "model": NAME,
        "policy": _words(PolicyName),
        "next_beat_at": _or_null(INSTANT),
        "reason": _or_null(_words(Reason)),
        "override": _or_null(_ref("Override")),
        "warmth": _or_null(_object(chance)),
    }
    beat = _object(
        {
            "created_at": INSTANT,
            "reason": _words(Reason),
            "verdict": _words(Verdict),
            "status": _words(Status),
            "wait_s": _or_null(SECONDS),
            "cost_usd": _or_null(MONEY),
            "cost_known": _words(Known),
            "error": _or_null(TEXT),
        }
    )
    timeout = _object(
        {"known": FLAG, "median_s": SECONDS, "low_s": SECONDS, "high_s": SECONDS, "interval_s": SECONDS, "gaps": COUNT}
    )
    schema = {"type": "integer", "const": 1}
    edits = _list(_object({"key": TEXT, "was": _or_null(TEXT), "becomes": _or_null(TEXT)}))
    expected = _or_null(_object({"beats_per_day": NUMBER, "cost_usd_per_day": _or_null(MONEY)}))
    place = {"file": TEXT, "line": COUNT, "column": COUNT}
    change = {"model": NAME, "change": _words(ChangeKind), "edits": edits, "now": expected, "then": expected}
    tried = _object(
        {
            "schema": schema,
            "ok": FLAG,
            "faults": _list(_object(place | {"problem": TEXT, "hint": TEXT})),
            "digest": _or_null(TEXT),
            "models": COUNT,
            "restart": _or_null(TEXT),
            "file": edits,
            "changes": _list(_object(change)),
            "now": expected,
            "then": expected,
            "why": _or_null(TEXT),
        }
    )
    return {
        "Override": override,
        "Models": _object({"schema": schema, "models": _list(_object(now))}),
        "Model": _object(
            {"schema": schema}
            | now
            | {
                "last_activity_at": _or_null(INSTANT),
                "last_beat": _or_null(beat),
                "idle_timeout": _or_null(timeout),
            }
        ),
        "WarmthList": _object({"models": _list(_object({"model": NAME} | chance))}),
        "Told": _object(
            {
                "model": NAME,
                "prediction_id": {"type": "string", "pattern": "^[0-9A-Za-z]{1,64}$", "description": "The provider's."},
                "created_at": INSTANT,
                "completed_at": INSTANT,
            },
            needed=("model",),
        ),
        "Counted": _object({"model": NAME, "prediction_id": _or_null(TEXT), "counted": FLAG}),
        "Overridden": _object({"model": NAME, "override": _or_null(_ref("Override"))}),
        "Tried": tried,
        "Begun": _object({"model": NAME, "reason": _words(Reason)}),
        "Error": _object(
            {"error": TEXT, "hint": TEXT, "reason": _words(Reason), "until": _or_null(INSTANT)},
            needed=("error", "hint"),
        ),
    }


_READ = ("400", "404", "503")
_WRITE = ("400", "401", "403", "404", "413", "415", "503")
_WHY = {
    "400": "What is asked for cannot be.",
    "401": "The admin token is missing or wrong.",
    "403": "The file has no `admin_token`, or a page of another site asks.",
    "404": "The file has no such model.",
    "409": "No beat goes out now; `reason` says why.",
    "413": "The body is too large.",
    "415": "The body is not said to be what is asked for.",
    "503": "The ledger cannot be used, beats are not sent, or there are streams enough.",
}
_NAMED = {"name": "name", "in": "path", "required": True, "description": "Percent-encoded.", "schema": NAME}


def _get(what: str, gives: Schema, *errors: str) -> Schema:
    return {"summary": what, "responses": {"200": {"description": "So it is.", "content": gives}} | _errors(errors)}


def _webhook() -> Schema:
    whole = {
        "required": True,
        "content": _json({"type": "object", "description": "A prediction, as the provider has it."}),
    }
    replies = {
        "204": {"description": "Taken."},
        "401": {"description": "It is not signed by the provider, or not of now.", "content": _json(_ref("Error"))},
        "404": {"description": "The file has no `public_url`.", "content": _json(_ref("Error"))},
        "413": {"description": "The body is too large.", "content": _json(_ref("Error"))},
    }
    return {"summary": "How a prediction ended, told by the provider.", "requestBody": whole, "responses": replies}


def _readiness() -> Schema:
    told = {"content": _json({"type": "object"})}
    return {
        "summary": "Whether beats are sent when they are due.",
        "responses": {"200": {"description": "They are."} | told, "503": {"description": "They are not."} | told},
    }


def _post(what: str, takes: Schema | None, gives: Schema, *errors: str, status: str = "200") -> Schema:
    done = {status: {"description": "Done.", "content": _json(gives)}}
    asked = {} if takes is None else {"requestBody": {"content": _json(takes)}}
    return {"summary": what, "security": [{"admin": []}], "responses": done | _errors((*_WRITE, *errors))} | asked


def _errors(codes: Iterable[str]) -> Schema:
    return {code: {"description": _WHY[code], "content": _json(_ref("Error"))} for code in codes}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Mapping[str, Schema], *, needed: Iterable[str] | None = None) -> Schema:
    """With no keys but these; all of them, unless it is said which are `needed`."""
    required = list(properties if needed is None else needed)
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _words(words: type[StrEnum]) -> Schema:
    return {"type": "string", "enum": [str(word) for word in words]}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}
