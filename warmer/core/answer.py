"""What an endpoint's reply means: served, still waking, accepted under an id, or no, and then what to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

from warmer.core.endpoint import ACCEPTED, Endpoint, Poll, Reading, origin_of
from warmer.core.plain import one_line
from warmer.core.units import finite
from warmer.errors import AccountRefused, CreditExhausted, ModelRefused, ProviderError, Throttled

DEFAULT_RETRY = timedelta(seconds=10)
"""Where a 429 names no time."""
LONGEST_RETRY = timedelta(hours=1)
LONGEST_HINT_S = 60.0
"""A waking host that asks for more is asked by then all the same: it may be up sooner than it thinks."""
_PAUSES_S = (0.5, 1.0, 2.0, 3.0, 5.0)
_LOOKS_S = (0.25, 0.5, 1.0)
_MOST_TOLD = 200
_LONGEST_ID = 200
_ABSURD_S = 86_400.0
_MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply, as far as it was read."""

    status: int
    headers: Mapping[str, str] = field(repr=False)  # by their names in small letters
    body: Any = field(default=None, repr=False)  # the JSON value; None where it was none, or too long to be read


@dataclass(frozen=True, slots=True)
class Served:
    """Answered well."""


@dataclass(frozen=True, slots=True)
class Waking:
    """Not yet: ask again, `after_s` if the host says when."""

    said: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """Accepted under `id`, and perhaps begun."""

    id: str
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The answer will be at `url`, of the same origin."""

    url: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It was taken and went wrong."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not taken."""

    error: ProviderError


Meaning = Served | Waking | Queued | Elsewhere | Failed | Refused


def meaning(endpoint: Endpoint, answer: Answer, *, id_: str | None = None) -> Meaning:
    """What `answer` means: of the request itself, or of a look at what was accepted under `id_`."""
    poll, status = endpoint.poll, answer.status
    if status in endpoint.warm.waking and not _is_good(endpoint, status):
        return Waking(said_by(answer), _hint_s(answer))
    if status == 303 and (url := _beside(endpoint, answer)) is not None:
        return Elsewhere(url)
    if poll is not None and 200 <= status < 300:
        return _polled(endpoint, poll, answer, id_)
    if 200 <= status < 300 or _is_good(endpoint, status):
        return _judged(endpoint, answer)
    if id_ is not None and (status == 429 or status >= 500):
        return Waking(said_by(answer), _hint_s(answer))  # of the look, and not of what it looks for
    return _problem(endpoint, answer)


def pause_s(tries: int, after_s: float | None) -> float:
    """Seconds until a waking endpoint is asked again, after so many tries: as it says, else ever less often."""
    if after_s is not None:
        return min(max(after_s, _PAUSES_S[0]), LONGEST_HINT_S)
    return _PAUSES_S[min(tries, len(_PAUSES_S) - 1)]


def look_s(looks: int) -> float:
    """Seconds until the next look at what was accepted under an id, after so many of them."""
    return _LOOKS_S[min(looks, len(_LOOKS_S) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long a call that was answered well waited and ran, in seconds, and whether something had to start first."""

    wait_s: float
    run_s: float
    woke: bool
    is_told: bool  # whether the host told how long it ran


def times_of(
    endpoint: Endpoint,
    answer: Answer,
    *,
    before_s: float,
    took_s: float,
    begun_s: float | None = None,
    woke: bool = False,
    usual_run_s: float = 0.0,
) -> Times:
    """The times of the call that `answer` answered.

    `before_s`: of the tries before it, `took_s`: from its sending to the answer, `begun_s`: until it was seen to run.
    `woke`: a try before was told to wait. `usual_run_s`: of a warm call.

    What the host tells goes before what was seen. Where neither tells the wait from the run, a call that took longer
    than a warm one does was held until an instance was up: all but a usual run of it was the wait.
    """
    within_s = endpoint.warm.within.total_seconds()
    wait_s, run_s = _told_s(answer, endpoint.wait), _told_s(answer, endpoint.run)
    is_told = run_s is not None
    if wait_s is None:
        wait_s = max(0.0, took_s - run_s) if run_s is not None else begun_s
    if wait_s is not None:
        woke = woke or wait_s > within_s
    elif took_s > within_s:
        woke, wait_s = True, max(0.0, took_s - usual_run_s)
    else:
        wait_s = 0.0
    run_s = max(0.0, took_s - wait_s) if run_s is None else run_s
    return Times(wait_s=before_s + wait_s, run_s=run_s, woke=woke, is_told=is_told)


def value_at(body: Any, path: str) -> Any:
    """The value under a path such as `data.0.status`: keys of objects, and places in lists from 0; None for none."""
    found = _found(body, path)
    return None if found is _MISSING else found


def said_by(answer: Answer) -> str:
    """A reply in a few words: its status, and what its JSON says of an error."""
    words = [value_at(answer.body, path) for path in ("error.message", "error", "message", "detail", "status")]
    word = next((word for word in words if isinstance(word, str) and word), "")
    line = one_line(word[: 4 * _MOST_TOLD]).strip()[:_MOST_TOLD]
    return f"{answer.status}: {line}" if line else str(answer.status)


def _is_good(endpoint: Endpoint, status: int) -> bool:
    good = endpoint.warm.status
    return status in good if good else 200 <= status < 300 and status != ACCEPTED


def _judged(endpoint: Endpoint, answer: Answer) -> Meaning:
    """Whether what a good reply has to hold is there. It is asked again until it is."""
    if not _is_good(endpoint, answer.status):
        return Waking(said_by(answer), _hint_s(answer))
    for name, value in endpoint.warm.header.items():
        if answer.headers.get(name.lower(), "").strip() != value:
            return Waking(f"{answer.status} without {name}: {value}", _hint_s(answer))
    for path, value in endpoint.warm.json.items():
        if not _is_same(_found(answer.body, path), value):
            return Waking(f"{answer.status} with another `{path}`", _hint_s(answer))
    return Served()


def _polled(endpoint: Endpoint, poll: Poll, answer: Answer, id_: str | None) -> Meaning:
    state = value_at(answer.body, poll.state) if poll.state else None
    if poll.state is not None and str(state) in poll.failed:
        return Failed(said_by(answer) if id_ is None else f"{state}: {said_by(answer)}")
    if poll.state is not None and str(state) in poll.done:
        return _judged(endpoint, answer)
    if id_ is None:
        found = value_at(answer.body, poll.id)
        if isinstance(found, bool) or not isinstance(found, str | int) or not 0 < len(str(found)) <= _LONGEST_ID:
            return Failed(f"{said_by(answer)}: its reply has no id at `{poll.id}`; correct `poll: {{id: …}}`")
        return Queued(str(found), begun=str(state) in poll.running)
    if poll.state is None:
        return _judged(endpoint, answer)
    return Queued(id_, begun=str(state) in poll.running)


def _problem(endpoint: Endpoint, answer: Answer) -> Meaning:
    status, said = answer.status, said_by(answer)
    where = endpoint.origin
    if status == 401:
        return Refused(
            AccountRefused(f"{where} does not accept the key ({said}). Put a valid one where `headers` point")
        )
    if status == 402:
        return Refused(
            CreditExhausted(
                f"{where} wants to be paid ({said}). Add credit there; beats go on by themselves a few minutes later"
            )
        )
    if status == 429:
        after = DEFAULT_RETRY if (hint_s := _hint_s(answer)) is None else timedelta(seconds=max(1.0, hint_s))
        return Refused(
            Throttled(
                f"{where} is asked too often ({said}). warmer waits {after.total_seconds():.0f} s by itself",
                min(after, LONGEST_RETRY),
            )
        )
    if 300 <= status < 400:
        hint = "write the final address as `url`: a redirect is not followed, because the headers would go there"
        return Refused(ModelRefused(f"{where} redirects ({said})", hint, "target"))
    if 400 <= status < 500:
        return Refused(ModelRefused(f"{where} refuses the request ({said})", *_remedy(endpoint, status)))
    return Failed(said)


def _remedy(endpoint: Endpoint, status: int) -> tuple[str, str]:
    """What to change in the entry, and at which key of it."""
    if status == 403:
        return "let the key that `headers` point to call it, or point to another key", "target"
    if status in (404, 410):
        return "correct `url`: its path, and that what answers there was not taken down", "target"
    if status == 405:
        other = "POST" if endpoint.method == "GET" else "GET"
        return f"write another `method`, such as {other}", "target"
    if status == 408:
        return "write its status among `waking` where it only tells that an instance is starting", "target"
    return "correct `body` and `headers`: they are what this endpoint takes", "input"


def _beside(endpoint: Endpoint, answer: Answer) -> str | None:
    """Where a 303 leads to, if that is the endpoint's own origin."""
    location = answer.headers.get("location", "")
    try:
        url = urljoin(endpoint.url, location)
        return url if location and origin_of(url) == endpoint.origin else None
    except ValueError:
        return None


def _hint_s(answer: Answer) -> float | None:
    """When to ask again, in seconds: `Retry-After`, or `estimated_time` in the JSON."""
    written = answer.headers.get("retry-after", "").strip()
    hints = [_seconds(written) if written.replace(".", "", 1).isdigit() else _until(written, answer)]
    hints.append(_seconds(value_at(answer.body, "estimated_time")))
    valid = [hint for hint in hints if hint is not None and hint <= _ABSURD_S]
    return max(valid, default=None)


def _until(moment: str, answer: Answer) -> float | None:
    """By the host's own clock."""
    try:
        ends, now = parsedate_to_datetime(moment), parsedate_to_datetime(answer.headers.get("date", ""))
        return max(
            0.0, (ends.replace(tzinfo=ends.tzinfo or UTC) - now.replace(tzinfo=now.tzinfo or UTC)).total_seconds()
        )
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _told_s(answer: Answer, reading: Reading | None) -> float | None:
    if reading is None:
        return None
    told = _seconds(value_at(answer.body, reading.path))
    return None if told is None else told / 1000 if reading.unit == "ms" else told


def _seconds(value: object) -> float | None:
    number = finite(value)
    return number if number is not None and number >= 0 else None


def _found(body: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(body, Mapping) and step in body:
            body = body[step]
        elif isinstance(body, list) and step.isdigit() and int(step) < len(body):
            body = body[int(step)]
        else:
            return _MISSING
    return body


def _is_same(found: Any, wanted: Any) -> bool:
    """Whether it is the same value, `true` not being 1."""
    return found is not _MISSING and isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)
