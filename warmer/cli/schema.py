"""`warmer schema`."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of the file, for editors: completion, hints and checks while you type."""
    from warmer import config

    typer.echo(json.dumps(config.json_schema(), indent=2, ensure_ascii=False))
