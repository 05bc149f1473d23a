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

SCRIPTS = ("vendor/echarts.min.js", "assets/labels.js", "assets/tradeoff.js", "assets/days.js", "assets/stage.js")
"""In the order they run."""


def render(template: str, **context: object) -> str:
    """The page that `template`, a file in `templates/`, makes of `context`."""
    return (
        environment()
        .get_template(template)
        .render(
            **context,
            style=Markup(asset("assets/page.css")),  # noqa: S704 - our own file
            scripts=[Markup(asset(name)) for name in SCRIPTS],  # noqa: S704 - our own files
            script_hashes=[csp_digest(asset(name)) for name in SCRIPTS],
        )
    )


@cache
def environment() -> Environment:
    """Where the templates are; all that goes into them is escaped."""
    return Environment(
        loader=PackageLoader("warmer.charts"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def asset(name: str) -> str:
    """The text of a script or style of the package."""
    return files(__package__).joinpath(name).read_text("utf-8")


@cache
def digest(text: str) -> str:
    """A short name of `text`."""
    return sha256(text.encode()).hexdigest()[:16]


def csp_digest(script: str) -> str:
    """As a Content-Security-Policy names a script."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"
