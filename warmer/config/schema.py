"""The JSON Schema of the file."""

from __future__ import annotations

from typing import Any

from warmer.config.shape import FileShape


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file (draft 2020-12), for editors and checkers."""
    schema = FileShape.model_json_schema()
    _tidy(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "warmer.yaml"}


def _tidy(schema: Any) -> None:
    """Drop pydantic's titles, which repeat the key."""
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _tidy(value)
    if isinstance(schema, dict) and isinstance(schema.get("title"), str):
        del schema["title"]
