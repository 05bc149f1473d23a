"""Whatever comes back, in bytes, headers or JSON: a value of ours or a ProviderError. Nothing else ever comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from harness.fuzz import budget
from hypothesis import example, given
from hypothesis import strategies as st

from warmer.core.beat import BeatRequest, Contract, Prediction, Status
from warmer.core.price import Billing
from warmer.core.smallest import smallest_input
from warmer.core.spec import AccountSpec, Target, TargetKind
from warmer.errors import ProviderError
from warmer.providers.problems import LONGEST_RETRY, problem_of, retry_hint, stated_limit
from warmer.providers.replicate import Replicate
from warmer.providers.replies import page_of, prediction_of
from warmer.testing import VirtualClock, run

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TARGET = Target(kind=TargetKind.MODEL, owner="a", name="b")
REQUEST = BeatRequest(
    target=TARGET, version="v", billing=Billing.PUBLIC, input={"text": "x"}, deadline=timedelta(minutes=1)
)
KEYS = (
    *("id", "status", "created_at", "started_at", "completed_at", "metrics", "predict_time", "total_time", "error"),
    *("model", "version", "deployment", "deadline", "input", "data_removed", "results", "next", "detail", "title"),
    *("message", "retry_after", "invalid_fields", "field", "description", "username", "latest_version", "is_official"),
    *("openapi_schema", "components", "schemas", "Input", "Output", "properties", "type", "$ref", "allOf", "enum"),
    *("default_example", "current_release", "configuration", "hardware", "visibility", "min_instances", "default"),
    *("urls", "stream"),
)
WORDS = (
    *(status.value for status in Status),
    *("p1", "hidden", "2026-11-21T09:00:00Z", "2026-11-21", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"),
    *("#/components/schemas/Input", "#", "https://elsewhere.test/?cursor=x", "//[", "?cursor=%ZZ", "array", "string"),
    *("reduced to 6 requests per minute with a burst of 1 requests", "resets in ~30s", "in 9999999999 s", "1e999"),
    *("\x00", "\ud800", "\u2028", "a" * 5000, "owner/name", "/", "../../account", "NaN", "-0"),
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from((10**400, -1, 2**63))
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(WORDS)
)
values = st.recursive(
    leaves,
    lambda within: (
        st.lists(within, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), within, max_size=6)
    ),
    max_leaves=25,
)
headers = st.dictionaries(
    st.sampled_from(("retry-after", "date", "content-type", "content-encoding", "location", "link", "ratelimit-reset")),
    st.sampled_from(
        (
            *("0", "-1", "1e9", "99999999999999999999", "soon", "", " ", "NaN", "inf", "gzip", "br", "identity, gzip"),
            *("Sat, 21 Nov 2026 09:00:30 GMT", "Sat, 99 Nov 2026 09:00:30 GMT", "Sat, 21 Nov 0000 00:00:00 GMT"),
            *("Sat, 21 Nov 2026 09:00:30 +9999", "Fri, 31 Dec 9999 23:59:59 -2359", "application/json; charset=utf-7"),
        )
    )
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
    max_size=4,
)
bodies = (
    st.binary(max_size=60)
    | values.map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        (
            *(
                b"[" * 100_000,
                b'{"a":' * 50_000,
                b"9" * 5000,
                b'{"id": ' + b"1" * 10_000 + b"}",
                b"\xef\xbb\xbf{}",
                b"NaN",
            ),
            *(b'{"id": "p1", "status": "' + b"x" * 100_000 + b'"}', b'{"id": "p1", "id": 4}', b'"\\ud800"'),
        )
    )
)


@budget(300)
@given(values)
@example({"id": "p1", "created_at": "0001-01-01T00:00:00+23:59"})
@example({"id": "p1", "error": {"a": [float("nan"), 10**400]}})
@example({"id": "p1", "metrics": {"predict_time": 10**400}})
@example({"results": [{"id": "p1"}], "next": "http://[::1"})
def test_any_value_is_read_with_tolerance(value: Any) -> None:
    found = prediction_of(value, NOW)
    if found is not None:
        assert found.created_at.tzinfo is not None
        assert found.wait_s is None or found.wait_s >= 0
        assert len(found.error or "") <= 500
        assert found.is_free in (True, False)
    page = page_of(value, NOW)
    assert page is None or all(isinstance(each, Prediction) for each in page.predictions)
    assert stated_limit(value) is None or stated_limit(value).per_minute >= 1  # type: ignore[union-attr]


@budget(500)
@given(st.integers(100, 999), values, st.none() | st.text(max_size=40), st.booleans())
def test_any_refusal_is_an_error_with_a_bounded_wait(status: int, body: Any, hint: str | None, creating: bool) -> None:
    error = problem_of(status, body, about="a/b", now=NOW, retry_after=hint, creating=creating)
    assert isinstance(error, ProviderError)
    assert len(str(error)) < 2000
    assert timedelta(0) < retry_hint(body, hint, NOW) <= LONGEST_RETRY


CALLS: tuple[Callable[[Replicate], Any], ...] = (
    lambda it: it.create(REQUEST),
    lambda it: it.read("p1"),
    lambda it: it.cancel("p1"),
    lambda it: it.recent(NOW - timedelta(hours=1)),
    lambda it: it.describe(TARGET),
    lambda it: it.describe(Target(kind=TargetKind.DEPLOYMENT, owner="a", name="b")),
    lambda it: it.versions(TARGET),
    lambda it: it.verify(),
    lambda it: it.scaler.instances(Target(kind=TargetKind.DEPLOYMENT, owner="a", name="b")),
)


@budget(1000)
@given(st.sampled_from(CALLS), st.sampled_from((200, 201, 202, 204, 301, 400, 401, 404, 429, 500)), headers, bodies)
def test_any_bytes_are_an_answer_or_an_error_of_the_provider(
    call: Callable[[Replicate], Any], status: int, head: dict[str, str], body: bytes
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=head, stream=httpx.ByteStream(body))

    async def ask() -> None:
        account = AccountSpec(base_url="https://api.example.test/v1")
        replicate = Replicate(account, "r8_warmer_secret", VirtualClock(NOW), transport=httpx.MockTransport(answer))
        try:
            found = await call(replicate)
            if isinstance(found, Contract):
                smallest_input(found.input_schema, found.example_input)
        except ProviderError as error:
            assert "r8_warmer_secret" not in str(error)
            assert error.__cause__ is None
        finally:
            await replicate.close()
        assert abs(replicate.skew) < timedelta(days=10_000 * 366)

    run(ask())
