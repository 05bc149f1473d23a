from __future__ import annotations

import re
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer import config
from warmer.config.edit import edited, replace_file
from warmer.core.hours import ActiveHours
from warmer.core.spec import ModelSpec, PolicyName
from warmer.errors import UsageError

SAMPLE = Path(__file__).parents[2] / "config" / "warmer.yaml"
EVENING = ("Mo-Fr 18:00-24:00; Sa,Su 12:00-24:00",)
LATE = ("Mo-Fr 18:00-02:00", "Sa 10:00-14:00")

BLOCK = """\
# top
defaults:
  policy: fixed   # everyone's
models:
  # the first
  - model: a/b   # its target
    hours:  # when
      - Mo-Fr 08:00-20:00   # workdays
      # and then
      - Sa 10:00-14:00   # Saturdays
    every: 30s      # as agreed
    # a word about the policy
    policy: adaptive
    cold_target: 5%   # not less
    input: {prompt: "a # is no comment", n: 1}

  # the second
  - model: c/d
    shadow: adaptive
# the end
"""
FLOW = "models: [{model: a/b, cold_target: 5%, policy: adaptive}, {policy: fixed, shadow: aware, model: c/d}]  # all\n"
STYLES = {
    "block": BLOCK,
    "flow": FLOW,
    "crlf": BLOCK.replace("\n", "\r\n"),
    "no end of line": BLOCK.removesuffix("# the end\n").rstrip("\n"),
}


def comments(text: str) -> list[str]:
    return sorted(found.strip() for found in re.findall(r"(?m)(?:^|(?<=\s))# .*$", text.replace("\r", "")))


def changed(text: str, **wanted: Any) -> str:
    """The text with its first entry changed."""
    content = text.encode()
    first = config.parse(content, path="f").models[0]
    return edited(content, {first.name: replace(first, **wanted)}, path="f").decode()


def hours(first: ModelSpec, lines: tuple[str, ...]) -> ActiveHours:
    return ActiveHours(lines=lines, zone=first.hours.zone, country=first.hours.country)


def test_the_sample_keeps_every_line_that_is_not_changed() -> None:
    content = SAMPLE.read_bytes()
    spec = config.parse(content, path="f")
    wanted = {
        one.name: replace(one, policy=PolicyName.ADAPTIVE, cold_target=0.01, every=None, hours=hours(one, EVENING))
        for one in spec.models
    }
    after = edited(content, wanted, path="f").decode()
    assert config.parse(after.encode(), path="f").models == tuple(wanted.values())
    before = content.decode().splitlines()
    kept = [line for line in before if "every: 50s" not in line]
    assert [line for line in after.splitlines() if line in kept] == kept
    assert comments(content.decode()) == comments(after)


@pytest.mark.parametrize("path", sorted((SAMPLE.parent / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_entry_of_an_example_can_be_changed(path: Path) -> None:
    content = path.read_bytes()
    spec = config.parse(content, path="f")
    wanted = {
        one.name: replace(one, policy=PolicyName.OBSERVE, every=None, hours=hours(one, LATE)) for one in spec.models
    }
    after = edited(content, wanted, path="f")
    assert config.parse(after, path="f").models == tuple(wanted.values())
    assert comments(after.decode()) == comments(content.decode())


def test_what_would_not_pass_is_refused_with_its_fault() -> None:
    text = "models:\n  - model: a/b\n    traffic: off\n"
    with pytest.raises(UsageError, match="goes by customers' calls"):
        changed(text, policy=PolicyName.ADAPTIVE)


@pytest.mark.parametrize("style", STYLES)
def test_what_was_wanted_is_said_and_every_comment_stays(style: str) -> None:
    text = STYLES[style]
    first = config.parse(text.encode(), path="f").models[0]
    after = changed(
        text, policy=PolicyName.AWARE, cold_target=None, every=timedelta(minutes=4), hours=hours(first, LATE)
    )
    found = config.parse(after.encode(), path="f").models[0]
    assert (found.policy, found.cold_target, found.every) == (PolicyName.AWARE, None, timedelta(minutes=4))
    assert found.hours.lines == LATE
    for comment in comments(text):
        assert comment in after
    assert after.count("\r") == after.count("\n") if "\r" in text else "\r" not in after


def test_a_list_of_hours_becomes_a_line_with_its_comments_under_it() -> None:
    first = config.parse(BLOCK.encode(), path="f").models[0]
    after = changed(BLOCK, hours=hours(first, EVENING))
    assert (
        """\
    hours: Mo-Fr 18:00-24:00; Sa,Su 12:00-24:00  # when
    # workdays
    # and then   # Saturdays
    every: 30s      # as agreed
"""
        in after
    )


def test_a_key_from_the_defaults_becomes_the_entrys_own() -> None:
    content = BLOCK.encode()
    second = config.parse(content, path="f").models[1]
    assert second.policy is PolicyName.FIXED
    wanted = replace(second, policy=PolicyName.ADAPTIVE, cold_target=0.005, shadow=None)
    after = edited(content, {"c/d": wanted}, path="f").decode()
    assert after == BLOCK.replace(
        "  - model: c/d\n    shadow: adaptive\n", "  - model: c/d\n    policy: adaptive\n    cold_target: 0.5%\n"
    )


def test_braces_stay_on_their_line() -> None:
    after = changed(FLOW, policy=PolicyName.AWARE, cold_target=None, hours=ActiveHours(lines=LATE, zone=ZONE))
    expected = "[{model: a/b, hours: [Mo-Fr 18:00-02:00, Sa 10:00-14:00], policy: aware}, "
    assert after.startswith(f"models: {expected}")
    after = changed(FLOW, hours=ActiveHours(lines=EVENING, zone=ZONE))
    assert 'hours: "Mo-Fr 18:00-24:00; Sa,Su 12:00-24:00", cold_target' in after


def test_nothing_wanted_changes_nothing() -> None:
    for text in STYLES.values():
        assert changed(text) == text


def test_entries_that_share_a_value_are_left_alone() -> None:
    text = "models:\n  - model: a/b\n    hours: &office Mo-Fr 08:00-20:00\n  - {model: c/d, hours: *office}\n"
    with pytest.raises(UsageError, match="by hand"):
        changed(text, hours=ActiveHours(lines=EVENING, zone=ZONE))
    second = config.parse(text.encode(), path="f").models[1]
    wanted = {"c/d": replace(second, hours=ActiveHours(lines=("24/7",), zone=ZONE))}
    assert edited(text.encode(), wanted, path="f").decode() == text.replace("*office", "24/7")


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(STYLES)),
    st.sampled_from([policy for policy in PolicyName if policy is not PolicyName.FLOOR]),  # only deployments have one
    st.sampled_from([None, 0.005, 0.02]),
    st.sampled_from([None, timedelta(seconds=90)]),
    st.sampled_from([("24/7",), EVENING, LATE]),
    st.booleans(),
)
def test_any_change_of_any_entry_is_said_or_refused(
    style: str,
    policy: PolicyName,
    target: float | None,
    every: timedelta | None,
    lines: tuple[str, ...],
    first: bool,
) -> None:
    content = STYLES[style].encode()
    model = config.parse(content, path="f").models[0 if first else 1]
    adaptive = policy is PolicyName.ADAPTIVE
    wanted = replace(
        model,
        policy=policy,
        cold_target=target if adaptive else None,
        every=every,
        hours=hours(model, lines),
        shadow=None if model.shadow is policy else model.shadow,
    )
    after = edited(content, {model.name: wanted}, path="f")
    assert wanted in config.parse(after, path="f").models
    assert edited(after, {model.name: wanted}, path="f") == after


ZONE = config.parse(FLOW.encode(), path="f").zone


def test_a_file_is_replaced_whole_and_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    target, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    replace_file(link, before=b"old", after=b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.yaml", "real.yaml"]


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "f.yaml"
    target.write_bytes(b"by somebody else")
    with pytest.raises(UsageError, match="run this again"):
        replace_file(target, before=b"old", after=b"new")
    assert target.read_bytes() == b"by somebody else"
    with pytest.raises(UsageError, match="cannot be written"):
        replace_file(tmp_path / "gone.yaml", before=b"old", after=b"new")
