"""A template to a page that carries all it needs: style, scripts and figures.

What a page shows may come from anyone (names of models and files), so the templates escape everything, figures are
embedded by Jinja's `tojson`, which leaves no `<` in them, and a policy in the page itself allows the vendored scripts
alone, by their hashes, and no request to anywhere.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

SCRIPTS = ("vendor/echarts.min.js", "assets/labels.js", "assets/tradeoff.js", "assets/stage.js")
"""In the order they run."""


def render(template: str, **context: object) -> str:
    """The page that `template`, a file in `templates/`, makes of `context`."""
    return (
        _environment()
        .get_template(template)
        .render(
            **context,
            style=Markup(_asset("assets/page.css")),  # noqa: S704 - our own file
            scripts=[Markup(_asset(name)) for name in SCRIPTS],  # noqa: S704 - our own files
            script_hashes=[_digest(_asset(name)) for name in SCRIPTS],
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("warmer.charts"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _digest(script: str) -> str:
    """As a Content-Security-Policy names a script."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"
