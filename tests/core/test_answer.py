"""What a reply of an endpoint means, and how long the call took that it answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from warmer.core.address import is_inside
from warmer.core.answer import (
    LONGEST_HINT_S,
    Answer,
    Elsewhere,
    Failed,
    Queued,
    Refused,
    Served,
    Times,
    Waking,
    meaning,
    pause_s,
    said_by,
    times_of,
    value_at,
)
from warmer.core.beat import Status, Use, Verdict
from warmer.core.endpoint import Endpoint, Poll, Reading, Warm
from warmer.core.verdict import judge

URL = "https://example.test/warm"
START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
POLL = Poll(path="/s/{id}", state="status", done=("DONE",), running=("RUNNING",), failed=("LOST",))


def answered(status: int = 200, body: Any = None, **headers: str) -> Answer:
    return Answer(status=status, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=body)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (answered(200), Served),
        (answered(204), Served),
        (answered(202), Waking),
        (answered(503), Waking),
        (answered(502), Failed),
        (answered(500), Failed),
        (answered(404), Refused),
        (answered(307, location="/there"), Refused),
        (answered(303, location="/there"), Elsewhere),
        (answered(303, location="//example.test:444/"), Refused),
        (answered(303, location="http://example.test/"), Refused),
        (answered(303), Refused),
    ],
    ids=lambda value: value.status if isinstance(value, Answer) else value.__name__,
)
def test_a_status_means_the_same_wherever_nothing_else_is_said(answer: Answer, wanted: type[object]) -> None:
    assert isinstance(meaning(Endpoint(name="e", url=URL), answer), wanted)


def test_what_the_file_calls_good_or_waking_goes_before() -> None:
    endpoint = Endpoint(name="e", url=URL, warm=Warm(status=(202, 404), waking=(500, 404)))
    assert meaning(endpoint, answered(202)) == Served()
    assert meaning(endpoint, answered(404)) == Served()
    assert isinstance(meaning(endpoint, answered(500)), Waking)
    assert isinstance(meaning(endpoint, answered(503)), Failed)
    assert isinstance(meaning(endpoint, answered(200)), Waking)


@pytest.mark.parametrize(
    ("wanted", "body", "is_good"),
    [
        ({"a": True}, {"a": True}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1.0}, {"a": 1}, True),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {}, False),
        ({"a.1.b": "x"}, {"a": [{}, {"b": "x"}]}, True),
        ({"a.7": "x"}, {"a": ["x"]}, False),
        ({"a": "x", "b": "y"}, {"a": "x"}, False),
        ({"a": "x"}, ["a"], False),
        ({"a": "x"}, None, False),
    ],
)
def test_values_are_compared_as_json_has_them(wanted: dict[str, Any], body: Any, is_good: bool) -> None:
    found = meaning(Endpoint(name="e", url=URL, warm=Warm(json=wanted)), answered(200, body))
    assert isinstance(found, Served if is_good else Waking)


def test_an_id_is_accepted_once_and_its_state_is_what_counts() -> None:
    endpoint = Endpoint(name="e", url=URL, poll=POLL)
    assert meaning(endpoint, answered(201, {"id": 7})) == Queued("7")
    assert meaning(endpoint, answered(202, {"id": "a", "status": "RUNNING"})) == Queued("a", begun=True)
    assert meaning(endpoint, answered(200, {"id": "a", "status": "DONE"})) == Served()  # at once
    assert isinstance(meaning(endpoint, answered(200, {"id": "a", "status": "LOST"})), Failed)
    assert isinstance(meaning(endpoint, answered(200, {})), Failed)
    assert isinstance(meaning(endpoint, answered(429)), Refused)
    for look, wanted in (({"status": "WHO KNOWS"}, Queued("a")), ({"status": "RUNNING"}, Queued("a", begun=True))):
        assert meaning(endpoint, answered(200, look), id_="a") == wanted
    assert isinstance(meaning(endpoint, answered(429), id_="a"), Waking)
    assert isinstance(meaning(endpoint, answered(500), id_="a"), Waking)
    assert isinstance(meaning(endpoint, answered(404), id_="a"), Refused)
    by_status = Endpoint(name="e", url=URL, poll=Poll(path="/s/{id}"))
    assert isinstance(meaning(by_status, answered(202), id_="a"), Waking)
    assert meaning(by_status, answered(200), id_="a") == Served()


@pytest.mark.parametrize(
    ("headers", "body", "after_s"),
    [
        ({}, None, None),
        ({"retry_after": "7"}, None, 7.0),
        ({"retry_after": "2.5"}, {"estimated_time": 20}, 20.0),
        ({"retry_after": "-7"}, {"estimated_time": "soon"}, None),
        ({"retry_after": "999999999"}, None, None),
        ({"retry_after": "Sat, 21 Nov 2026 09:00:30 GMT", "date": "Sat, 21 Nov 2026 09:00:00 GMT"}, None, 30.0),
        ({"retry_after": "Sat, 21 Nov 2026 09:00:30 GMT"}, None, None),  # by a clock that nobody knows
    ],
)
def test_when_to_ask_again_is_heard_where_it_can_be_true(headers: dict[str, str], body: Any, after_s: Any) -> None:
    found = meaning(Endpoint(name="e", url=URL), answered(503, body, **headers))
    assert isinstance(found, Waking)
    assert found.after_s == after_s


def test_a_waking_host_is_asked_ever_less_often_and_never_in_a_rush() -> None:
    paces = [pause_s(tries, None) for tries in range(10)]
    assert paces == sorted(paces)
    assert 0 < paces[0] < paces[-1] == 5.0
    assert (pause_s(0, 0.0), pause_s(3, 7.0), pause_s(0, 3600.0)) == (0.5, 7.0, LONGEST_HINT_S)


WITHIN = Warm(within=timedelta(seconds=2))
HELD = Endpoint(name="e", url=URL, warm=WITHIN)
TOLD = Endpoint(name="e", url=URL, warm=WITHIN, wait=Reading(path="d", unit="ms"), run=Reading(path="x", unit="ms"))
RUN_TOLD = Endpoint(name="e", url=URL, warm=WITHIN, run=Reading(path="t.x"))


@pytest.mark.parametrize(
    ("endpoint", "body", "seen", "wanted"),
    [
        (HELD, None, {"took_s": 1.5}, (0.0, 1.5, False, False)),
        (HELD, None, {"took_s": 9.0}, (9.0, 0.0, True, False)),
        (HELD, None, {"took_s": 9.0, "usual_run_s": 1.5}, (7.5, 1.5, True, False)),
        (HELD, None, {"took_s": 1.5, "before_s": 30.0, "woke": True}, (30.0, 1.5, True, False)),
        (HELD, None, {"took_s": 9.0, "before_s": 30.0, "woke": True, "usual_run_s": 1.0}, (38.0, 1.0, True, False)),
        (HELD, None, {"took_s": 9.0, "begun_s": 0.5}, (0.5, 8.5, False, False)),
        (HELD, None, {"took_s": 9.0, "begun_s": 8.0}, (8.0, 1.0, True, False)),
        (TOLD, {"d": 100, "x": 7000}, {"took_s": 7.5}, (0.1, 7.0, False, True)),
        (TOLD, {"d": 8000, "x": "400"}, {"took_s": 9.0}, (8.0, 0.4, True, True)),
        (TOLD, {"d": 8000}, {"took_s": 9.0}, (8.0, 1.0, True, False)),
        (TOLD, {"d": -1, "x": True}, {"took_s": 1.0}, (0.0, 1.0, False, False)),
        (RUN_TOLD, {"t": {"x": 6.5}}, {"took_s": 7.0}, (0.5, 6.5, False, True)),
        (RUN_TOLD, {"t": {"x": 0.5}}, {"took_s": 7.0}, (6.5, 0.5, True, True)),
    ],
)
def test_the_wait_is_told_from_the_run_by_what_is_known(
    endpoint: Endpoint, body: Any, seen: dict[str, Any], wanted: tuple[float, float, bool, bool]
) -> None:
    found = times_of(endpoint, answered(200, body), **{"before_s": 0.0, **seen})
    wait_s, run_s, woke, is_told = wanted
    assert found == Times(wait_s=wait_s, run_s=pytest.approx(run_s), woke=woke, is_told=is_told)


@pytest.mark.parametrize(("woke", "wanted"), [(True, Verdict.COLD), (False, Verdict.WARM), (None, Verdict.UNSURE)])
def test_what_was_told_of_a_start_goes_before_the_length_of_a_wait(woke: bool | None, wanted: Verdict) -> None:
    use = Use(
        id="u", status=Status.SUCCEEDED, created_at=START, started_at=None, completed_at=None, wait_s=1.7, woke=woke
    )
    assert judge(use, [], 0.2) is wanted


def test_a_reply_is_told_in_a_few_words_on_one_line() -> None:
    assert said_by(answered(500, {"error": {"message": "out\nof\x1b[31m memory"}})) == "500: out of [31m memory"
    assert said_by(answered(500, {"error": {"code": 3}})) == "500"
    assert said_by(answered(503)) == "503"
    assert len(said_by(answered(500, {"detail": "x" * 10_000}))) < 300
    assert value_at([{"a": 1}], "0.a") == 1
    assert value_at([{"a": 1}], "1.a") is None


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("192.168.0.9", True),
        ("169.254.1.1", True),
        ("fd00::1", True),
        ("hello", True),
        ("hello.default.svc", True),
        ("Hello.default.svc.cluster.local.", True),
        ("db.internal", True),
        ("example.test", False),
        ("8.8.8.8", False),
        ("0.0.0.0", False),
        ("::", False),
        ("2130706433", False),
        ("0x7f000001", False),
        ("svc.example", False),
        ("notlocal.example", False),
        ("", False),
    ],
)
def test_a_network_of_ones_own_is_told_by_the_name_or_the_address(host: str, wanted: bool) -> None:
    assert is_inside(host) is wanted
