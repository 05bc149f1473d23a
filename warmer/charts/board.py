"""The page of the daemon: values to templates, each figure with what to hold it against, each act with its reason."""

from __future__ import annotations

from collections.abc import Sequence

from warmer.charts.board_counsel import comparison, comparison_rows, counsel_rows, counsel_told
from warmer.charts.board_events import instant_of, said_of, told_of
from warmer.charts.board_lines import line_of, overview_tiles, pages_of, path_of, spent_usd
from warmer.charts.board_model import about, model_charts, model_tiles, sentences
from warmer.charts.board_money import forecast, money_rows, money_tiles, spend_chart
from warmer.charts.page import asset, digest, environment
from warmer.charts.words import clock, usd
from warmer.core.board import EventsView, ModelView, MoneyView, Overview
from warmer.core.override import Kind

SCRIPTS = ("assets/board.js",)
CHARTS = ("vendor/echarts.min.js", "assets/board-charts.js", "assets/stage.js")
"""For views that have charts alone: a megabyte, before which a browser may not draw."""
STYLES = ("assets/page.css", "assets/board.css")


def asset_paths() -> dict[str, str]:
    """Where each script and style of the page is, by its last name: another text, another path."""
    return {name.rpartition("/")[2]: name for name in (*CHARTS, *SCRIPTS, *STYLES)}


def asset_url(name: str) -> str:
    """The address of one of `SCRIPTS`, `CHARTS` and `STYLES`."""
    return f"/assets/{digest(asset(name))}/{name.rpartition('/')[2]}"


def overview_page(view: Overview) -> str:
    """Every model, and what they come to."""
    return _render(
        "overview.html.j2",
        view.file,
        "Models",
        view=view,
        tiles=list(overview_tiles(view)),
        lines=[line_of(one, view.at) for one in view.lines],
        zone=view.zone.key,
        pages=pages_of(view),
    )


def model_page(view: ModelView) -> str:
    """One model."""
    line, entry, now = view.line, view.entry, view.at
    return _render(
        "model.html.j2",
        view.file,
        "",
        (*CHARTS, *SCRIPTS),
        name=entry.name,
        path=path_of(entry.name),
        about=about(view),
        line=line_of(line, now),
        tiles=list(model_tiles(view)),
        sentences=list(sentences(view)),
        charts=model_charts(view),
        compared=comparison(view.compared, line.zone, now),
        compared_rows=comparison_rows(view.compared),
        lately=[told_of(met, line.zone, now, with_model=False) for met in reversed(view.met[-30:])],
        is_paused=line.now.override is not None and line.now.override.kind is Kind.PAUSE,
        is_overridden=line.now.override is not None,
    )


def money_page(view: MoneyView) -> str:
    """What all of it cost."""
    return _render(
        "money.html.j2",
        view.file,
        "Money",
        (*CHARTS, *SCRIPTS),
        tiles=list(money_tiles(view)),
        by_model=spend_chart(view.spent, view.days, lambda one: one.model, "model"),
        by_reason=spend_chart(view.spent, view.days, lambda one: one.reason, "reason"),
        rows=list(money_rows(view)),
        counsel=counsel_told(view.counsel, view.zone, view.at),
        advice=list(counsel_rows(view.counsel)),
        budgets=[
            {
                "cap": str(one.spending.limit.cap),
                "spent": spent_usd(one.spending),
                "of": usd(one.spending.limit.cap.usd),
                "part": min(
                    100,
                    round(
                        float(one.spending.settled_usd + one.spending.reserved_usd)
                        * 100
                        / float(one.spending.limit.cap.usd)
                    ),
                ),
                "told": forecast(one.runs_out_at, one.spending, one.usd_a_day, view.zone, view.at),
            }
            for one in view.budgets
        ],
    )


def events_page(view: EventsView) -> str:
    """What happened lately, newest first."""
    said = [
        (instant_of(line["timestamp"]), {"at": line["timestamp"], **said_of(line)})
        for line in view.said
        if "timestamp" in line
    ]
    met = [(one.at, told_of(one, view.zone, view.at, with_model=True)) for one in view.met]
    rows = sorted([*said, *met], key=lambda pair: pair[0], reverse=True)
    return _render(
        "events.html.j2",
        view.file,
        "Events",
        rows=[row | {"clock": clock(at, view.zone, view.at), "at": at.isoformat()} for at, row in rows],
        zone=view.zone.key,
    )


def try_page(file: str) -> str:
    """A form to try a file in."""
    return _render("try.html.j2", file, "Try a file")


def _render(template: str, file: str, current: str, scripts: Sequence[str] = SCRIPTS, **context: object) -> str:
    return (
        environment()
        .get_template(template)
        .render(
            **context,
            file=file,
            current=current,
            views=(("Models", "/"), ("Money", "/money"), ("Events", "/events"), ("Try a file", "/try")),
            styles=[asset_url(name) for name in STYLES],
            scripts=[asset_url(name) for name in scripts],
        )
    )
