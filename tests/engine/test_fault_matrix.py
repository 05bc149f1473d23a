"""Faults on real processes and sockets, each in one of the phases; `make bench-faults` has all in all of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from harness.faults import OF_ACCOUNT, OF_MODELS
from harness.matrix import Act, Play, perform
from harness.promises import Broken, Phase

LASTS_S = 300.0
"""A beat may come as late as its interval after the fault, and is past its deadline a minute later. Silence, too, takes
long to be everybody's: a create, a look for it and a last question hang first."""
PHASES = (Phase.START, Phase.MIDDLE, Phase.RELOAD, Phase.KILL)


def faults_in(phase: Phase) -> tuple[str, ...]:
    """Those of models whose turn it is."""
    return tuple(OF_MODELS)[PHASES.index(phase) :: len(PHASES)]


def played(folder: Path, *plays: Play) -> list[Broken]:
    return asyncio.run(perform(plays, folder))


def test_faults_of_models_one_after_another_in_one_daemon(tmp_path: Path) -> None:
    acts = tuple(Act(phase=phase, names=faults_in(phase), lasts_s=LASTS_S) for phase in PHASES)
    assert played(tmp_path, Play(acts=acts, speed=15.0, to_the_end=False)) == []


def test_faults_of_models_under_caps_that_bind(tmp_path: Path) -> None:
    act = Act(phase=Phase.CAP, names=tuple(OF_MODELS)[::3], lasts_s=LASTS_S)
    assert played(tmp_path, Play(acts=(act,), speed=40.0)) == []


def test_faults_of_the_account_each_with_a_daemon_of_its_own(tmp_path: Path) -> None:
    plays = [
        Play(
            acts=(Act(phase=PHASES[number % len(PHASES)], names=(name,), lasts_s=LASTS_S),),
            speed=20.0,
            to_the_end=False,
        )
        for number, name in enumerate(OF_ACCOUNT)
    ]
    assert played(tmp_path, *plays) == []
