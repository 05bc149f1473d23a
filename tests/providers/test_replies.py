from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.core.beat import Prediction, Status
from warmer.providers.replies import clean, page_of, prediction_of

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)

FINISHED = {
    "id": "gm3qorzdhgbfurvjtvhg6dckhu",
    "model": "replicate/hello-world",
    "version": "5c7d5dc6",
    "input": {"text": "Alice"},
    "output": "hello Alice",
    "error": None,
    "status": "succeeded",
    "created_at": "2023-09-08T16:19:34.765994Z",
    "started_at": "2023-09-08T16:19:34.779176Z",
    "completed_at": "2023-09-08T16:19:34.791859Z",
    "metrics": {"predict_time": 0.012683, "total_time": 0.025865, "input_token_count": 3},
    "deadline": "2023-09-08T16:29:34.765994Z",
    "urls": {"get": "http://elsewhere.test/"},
}


def test_a_finished_prediction_is_read_whole() -> None:
    found = prediction_of(FINISHED, NOW)
    assert found is not None
    assert (found.status, found.predict_s, found.total_s) == (Status.SUCCEEDED, 0.012683, 0.025865)
    assert found.wait_s == pytest.approx(0.013182)
    assert found.deadline == found.created_at + timedelta(minutes=10)
    assert found.input == {"text": "Alice"}


def test_a_prediction_just_made_lacks_most_keys() -> None:
    found = prediction_of({"id": "a1", "status": "starting", "created_at": "2024-04-22T11:15:15.329Z"}, NOW)
    assert found == Prediction(
        id="a1", status=Status.STARTING, created_at=datetime(2024, 4, 22, 11, 15, 15, 329000, UTC)
    )


@pytest.mark.parametrize("fraction", ["", ".3", ".329", ".329118", ".32911845", ".329118451"])
def test_instants_are_read_with_any_number_of_digits(fraction: str) -> None:
    found = prediction_of({"id": "a1", "created_at": f"2024-04-22T11:15:15{fraction}Z"}, NOW)
    assert found is not None
    assert found.created_at.replace(microsecond=0) == datetime(2024, 4, 22, 11, 15, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "read_as"),
    [(s.value, s) for s in Status]
    + [("pending", Status.UNKNOWN), (None, Status.UNKNOWN), (["starting"], Status.UNKNOWN)],
)
def test_a_new_status_is_unknown(status: Any, read_as: Status) -> None:
    found = prediction_of({"id": "a1", "status": status}, NOW)
    assert found is not None
    assert found.status is read_as


@pytest.mark.parametrize(
    ("key", "value", "attribute"),
    [
        ("version", "hidden", "version"),
        ("metrics", {"predict_time": "0.1"}, "predict_s"),
        ("metrics", {"predict_time": True}, "predict_s"),
        ("metrics", {"predict_time": -1}, "predict_s"),
        ("metrics", {"predict_time": float("nan")}, "predict_s"),
        ("metrics", {"predict_time": 10**400}, "predict_s"),
        ("metrics", [1], "predict_s"),
        ("started_at", "yesterday", "started_at"),
        ("started_at", "2023-09-08T16:19:34", "started_at"),
        ("started_at", "0001-01-01T00:00:00+23:00", "started_at"),
        ("started_at", 1694189974, "started_at"),
        ("data_removed", True, "input"),
        ("input", None, "input"),
        ("error", "", "error"),
        ("model", {"name": "x"}, "model"),
    ],
)
def test_what_cannot_be_read_is_none(key: str, value: Any, attribute: str) -> None:
    found = prediction_of(FINISHED | {key: value}, NOW)
    assert found is not None
    assert getattr(found, attribute) is None


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("CUDA out of memory\n(code: E1001)", "CUDA out of memory (code: E1001)"),
        ({"detail": "interrupted"}, "interrupted"),
        ({"code": 7}, '{"code": 7}'),
        (["a"], '["a"]'),
    ],
)
def test_an_error_is_one_line_of_text_in_whatever_shape_it_comes(error: Any, text: str) -> None:
    found = prediction_of(FINISHED | {"error": error}, NOW)
    assert found is not None
    assert found.error == text


@pytest.mark.parametrize("reply", [None, [], "x", {}, {"id": None}, {"id": ""}, {"id": "../account"}, {"id": "a" * 65}])
def test_a_reply_without_an_id_is_no_prediction(reply: Any) -> None:
    assert prediction_of(reply, NOW) is None


def test_an_odd_row_of_the_list_does_not_hide_the_others() -> None:
    page = page_of({"results": [None, {"id": "a b"}, FINISHED], "next": None}, NOW)
    assert page is not None
    assert [p.id for p in page.predictions] == [FINISHED["id"]]


def test_text_is_short_plain_and_can_be_encoded() -> None:
    text = clean("\ud800a\x1b[31m\nb\u2028" + "x" * 10_000)
    assert len(text) == 500
    assert text.encode("utf-8").startswith(b"a [31m b x")


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["hidden", "2024-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_reply = st.fixed_dictionaries({}, optional=dict.fromkeys([*FINISHED, "deployment", "data_removed"], _json))


@given(reply=_reply | _json, next_=_json)
def test_no_reply_raises(reply: Any, next_: Any) -> None:
    for given_id in ({}, {"id": "a1"}):
        whole = reply | given_id if isinstance(reply, dict) else reply
        found = prediction_of(whole, NOW)
        if found is not None:
            json.dumps([found.error, found.model, found.version, found.wait_s, found.run_s]).encode()
        page_of({"results": [whole], "next": next_}, NOW)
    page_of(reply, NOW)
