"""docs/backtest.md tells the policies, situations and figures that the code has."""

from __future__ import annotations

from harness.pages import ROOT, Page

from warmer.core.backtest import policies
from warmer.core.backtest.learned_stop import CANDIDATES
from warmer.core.backtest.trace import SECOND
from warmer.core.backtest.world import World
from warmer.core.situations import NAMES

BACKTEST = Page(ROOT / "docs" / "backtest.md")


def test_every_policy_is_told_and_no_other() -> None:
    assert sorted(BACKTEST.first_cells("Policies")) == sorted(policies.NAMES)


def test_every_situation_is_told_and_no_other() -> None:
    assert BACKTEST.first_cells("Situations") == list(NAMES)


def test_the_figures_of_the_world_are_those_of_the_code() -> None:
    told = dict(BACKTEST.table("The world"))
    world = World()
    assert f"sigma {world.boot_sigma:g}" in told["boot"]
    assert told["run of a request"] == f"{world.run / SECOND:g} s"
    assert told["run of a heartbeat, billed"] == f"{world.beat / SECOND:g} s"
    assert f"{world.late_mean / SECOND:g} s on average" in told["from sending a heartbeat to its reaching the instance"]
    assert CANDIDATES[:4].tolist() == [0, 1, 2, 4]
    assert CANDIDATES[-2] == 4096
