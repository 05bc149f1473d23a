"""What the `Provider` port promises, of every host that a file can name: one suite over all of them."""

from __future__ import annotations

import asyncio
import gc
import re
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from harness.hosts import KEY, KINDS, WRONG_KEY, Host, Street
from harness.ports import refusing_port
from structlog.testing import capture_logs

from warmer.core.beat import Prediction, Status, Use, Verdict
from warmer.core.cost import cost_of
from warmer.core.price import Billing, Known
from warmer.core.spec import Spec
from warmer.core.verdict import DEFAULT_WARM_WAIT_S, judge
from warmer.engine.account import Account
from warmer.engine.contracts import Contracts
from warmer.engine.desk import Desk
from warmer.errors import AccountRefused, ModelRefused, ProviderError, Unavailable, Unreachable
from warmer.ledger import open_ledger
from warmer.ports import Provider

EACH = pytest.mark.parametrize("kind", KINDS)
LONE = pytest.mark.parametrize("kind", [kind for kind, host in KINDS.items() if host.is_lone])
KEYED = pytest.mark.parametrize("kind", [kind for kind, host in KINDS.items() if host.has_key])
PATIENT_S = 5.0
"""A typical wait by which whatever is up is found warm, however busy this machine is."""
KEPT_S = 60.0
SECOND, CALL = "price: {per_second: 0.0004}", "price: {per_output: 0.002}"
ENDED_EARLY = (Status.CANCELED, Status.ABORTED, Status.UNKNOWN)
ADVICE = re.compile(r"\b(put|check|correct|start|write)\b", re.IGNORECASE)
_T = TypeVar("_T")


class Beats:
    """A provider, and beats through it as its file has them."""

    def __init__(self, host: Host, spec: Spec) -> None:
        self.host, self.spec, self.model = host, spec, spec.models[0]
        self.provider = host.open(spec)
        self._contracts = Contracts(self.provider, host.clock)

    async def send(self) -> Prediction:
        """One, as far as its create tells."""
        request = await self._contracts.request(self.model)
        await self.provider.admit()
        return await self.provider.create(request)

    async def seen(self) -> Prediction:
        """One, and how it ended."""
        return await self.ended(await self.send())

    async def ended(self, prediction: Prediction) -> Prediction:
        """How it ends: soon, for a long run would go on for longer than is asked here."""
        async with asyncio.timeout(20):
            while prediction.status.is_open:
                await asyncio.sleep(0.02)
                prediction = await self.provider.read(prediction.id)
        return prediction


@asynccontextmanager
async def beating(host: Host, *run: str, deadline_s: float = 600.0, **where: str) -> AsyncIterator[Beats]:
    """Beats at `host`; what was opened for them is gone afterwards, with every task of its own."""
    spec = host.spec(*(run or (host.short,)), **where)
    model = replace(spec.models[0], deadline=timedelta(seconds=deadline_s))
    beats = Beats(host, replace(spec, models=(model,)))
    try:
        yield beats
    finally:
        await beats.provider.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def play(scene: Coroutine[Any, Any, _T]) -> _T:
    """What comes of it."""

    async def bounded() -> _T:
        async with asyncio.timeout(60):
            return await scene

    return asyncio.run(bounded())


def stamps(prediction: Prediction) -> list[Any]:
    return [one for one in (prediction.created_at, prediction.started_at, prediction.completed_at) if one is not None]


async def until(what: Callable[[], bool]) -> None:
    """Returns once it is so: soon, for a long run would go on for longer than is asked here."""
    for _ in range(400):
        if await asyncio.to_thread(what):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it has not come to that")


@dataclass(frozen=True)
class Met:
    """A host, the beat that woke it, and the one after."""

    host: Host
    cold: Prediction
    warm: Prediction


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Met]]:
    hosts, met = Street(tmp_path_factory.mktemp("hosts")), dict[str, Met]()

    def wake(kind: str) -> Met:
        if kind not in met:
            host = hosts[kind]

            async def scene() -> Met:
                async with beating(host) as beats:
                    return Met(host, await beats.seen(), await beats.seen())

            met[kind] = play(scene())
        return met[kind]

    yield wake
    hosts.close()


@pytest.fixture
def met(kind: str, street: Callable[[str], Met]) -> Met:
    return street(kind)


@pytest.fixture
def host(met: Met) -> Host:
    """One that is up."""
    return met.host


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(open_ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}"))
    yield desk
    desk.close()


# -- a beat ------------------------------------------------------------------------------------------------------------


@EACH
def test_the_first_beat_wakes_it_and_the_next_one_finds_it_warm(met: Met) -> None:
    for one in (met.cold, met.warm):
        assert (one.status, one.error) == (Status.SUCCEEDED, None)
        assert one.created_at <= one.started_at <= one.completed_at
        assert one.wait_s is not None and one.run_s is not None and one.run_s >= 0
    assert judge(Use.of(met.cold), (), DEFAULT_WARM_WAIT_S) is Verdict.COLD
    assert judge(Use.of(met.warm), (), PATIENT_S) is Verdict.WARM
    assert met.cold.completed_at <= met.warm.created_at


@EACH
def test_a_create_comes_back_long_before_its_run_is_over(host: Host) -> None:
    async def scene() -> None:
        async with beating(host, host.long) as beats:
            out = await beats.send()
            assert out.status.is_open and out.completed_at is None
            assert (await beats.provider.read(out.id)).id == out.id
            await beats.provider.cancel(out.id)

    play(scene())


@EACH
def test_ids_are_of_one_beat_and_stamps_are_utc_and_an_end_stays(met: Met) -> None:
    async def scene() -> list[Prediction]:
        async with beating(met.host) as beats, beating(met.host) as others:
            seen = list(await asyncio.gather(*(one.seen() for one in (beats, others, beats))))
            for one, of in zip(seen, (beats, others, beats), strict=True):
                assert await of.provider.read(one.id) == one
            return seen

    seen = [met.cold, met.warm, *play(scene())]
    assert {one.status for one in seen} == {Status.SUCCEEDED}
    assert len({one.id for one in seen}) == len(seen)
    assert {stamp.utcoffset() for one in seen for stamp in stamps(one)} == {timedelta(0)}


@EACH
def test_an_id_of_nobody_is_told_to_be_so(host: Host) -> None:
    async def scene() -> None:
        async with beating(host) as beats:
            for nobody in ("zz9zz9zz9zz9zz9zz9zz9zz9zz", "http-0", "../account"):
                with pytest.raises(Unavailable):
                    await beats.provider.read(nobody)

    play(scene())


@EACH
def test_a_beat_of_another_process_is_read_to_an_end_or_not_at_all(host: Host) -> None:
    async def scene() -> None:
        async with beating(host, host.long) as gone:
            out = await gone.send()
            await gone.provider.cancel(out.id)
            await gone.ended(out)
        async with beating(host) as beats:
            try:
                seen = await beats.ended(await beats.provider.read(out.id))
            except Unavailable:
                pass
            else:
                assert (seen.id, seen.status in ENDED_EARLY) == (out.id, True)
                assert abs(seen.created_at - out.created_at) < timedelta(seconds=1)
            await beats.provider.cancel(out.id)

    play(scene())


# -- to stop one -------------------------------------------------------------------------------------------------------


@EACH
def test_what_is_canceled_ends_so_and_is_not_left_running(host: Host) -> None:
    async def scene() -> Prediction:
        async with beating(host, host.long) as beats:
            out = await beats.send()
            await beats.provider.cancel(out.id)
            ended = await beats.ended(out)
            if host.tells_work:
                await until(lambda: not host.is_at_work())
            await beats.provider.cancel(out.id)
            assert await beats.provider.read(out.id) == ended
            return ended

    ended = play(scene())
    assert ended.status in ENDED_EARLY
    assert ended.completed_at is None or ended.completed_at >= ended.created_at


@EACH
def test_to_cancel_what_is_over_changes_nothing(host: Host) -> None:
    async def scene() -> None:
        async with beating(host) as beats:
            ended = await beats.seen()
            await beats.provider.cancel(ended.id)
            assert await beats.provider.read(ended.id) == ended

    play(scene())


@EACH
def test_who_leaves_leaves_nothing_running_past_its_deadline(host: Host) -> None:
    async def scene() -> None:
        async with beating(host, host.long, deadline_s=host.deadline_s) as beats:
            assert (await beats.send()).status.is_open
        if host.tells_work:
            await until(lambda: not host.is_at_work())

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        play(scene())
        gc.collect()
    assert [str(one.message) for one in told if issubclass(one.category, ResourceWarning)] == []


@EACH
def test_a_beat_that_outlasts_its_deadline_is_on_record_as_failed_for_it(host: Host, kind: str, desk: Desk) -> None:
    async def scene() -> Any:
        async with beating(host, host.long, SECOND, deadline_s=host.deadline_s) as beats:
            model = replace(beats.model, name=f"{kind} past its deadline")
            account = Account.over(beats.provider, desk, host.clock, lambda: [model])
            tick = await account.heartbeat.tick(model, asked=True)
            assert tick.next_at > tick.observation.created_at
            return tick.observation, await desk.do(lambda ledger: ledger.latest_beat(model.name, sent=True))

    with capture_logs() as lines:
        seen, kept = play(scene())
    assert kept == seen
    if host.tells_work:  # it was seen to run, and is paid for
        assert (seen.status, seen.cost_usd > 0) == (Status.CANCELED, True)
    else:
        assert seen.status in ENDED_EARLY
    assert timedelta(seconds=host.deadline_s) <= seen.completed_at - seen.created_at
    (failed,) = (line for line in lines if line["event"] == "beat.failed")
    assert (failed["status"], failed["error"]) == (seen.status, seen.error)
    if host.is_lone:  # Replicate says no more than `canceled`
        assert "within its deadline of" in seen.error and "write a longer `deadline`" in seen.error
    assert "beat.done" not in [line["event"] for line in lines]


@EACH
@pytest.mark.parametrize("leaves", ["as it sends", "as it stops"])
def test_who_is_cut_short_leaves_nothing_running(host: Host, leaves: str) -> None:
    async def scene() -> None:
        async with beating(host, host.long, deadline_s=host.deadline_s) as beats:
            if leaves == "as it sends":
                under_way = asyncio.create_task(beats.send())
                if host.tells_work:
                    await until(host.is_at_work)
                under_way.cancel()
            else:
                out = await beats.send()
                under_way = asyncio.create_task(beats.provider.cancel(out.id))
                for _ in range(5):
                    await asyncio.sleep(0)
            await beats.provider.close()
            await asyncio.gather(under_way, return_exceptions=True)
        if host.tells_work:
            await until(lambda: not host.is_at_work())

    play(scene())


# -- what it costs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "says", "billing", "known"),
    [
        ("replicate", [], Billing.PUBLIC, Known.UNKNOWN),
        ("replicate", [SECOND], Billing.PUBLIC, Known.EXACT),
        ("replicate", ["billing: private", SECOND], Billing.PRIVATE, Known.ESTIMATED),
        ("cog", [], Billing.OWN, Known.EXACT),
        ("cog", [SECOND], Billing.OWN, Known.EXACT),
        ("cog", ["billing: private"], Billing.PRIVATE, Known.UNKNOWN),
        ("cog", ["billing: private", SECOND], Billing.PRIVATE, Known.ESTIMATED),
        ("url, queued", [], Billing.PUBLIC, Known.UNKNOWN),
        ("url, queued", [SECOND], Billing.PUBLIC, Known.EXACT),
        ("url, queued", [CALL], Billing.CALL, Known.EXACT),
        ("url, held", [], Billing.PUBLIC, Known.UNKNOWN),
        ("url, held", [SECOND], Billing.PUBLIC, Known.ESTIMATED),  # its run is told from the wait by us
        ("url, held", [CALL], Billing.CALL, Known.EXACT),
        ("url, held", ["billing: private", SECOND], Billing.PRIVATE, Known.ESTIMATED),
    ],
)
def test_a_beat_costs_what_its_class_pays_for(met: Met, says: list[str], billing: Billing, known: Known) -> None:
    async def scene() -> Any:
        async with beating(met.host, met.host.short, *says) as beats:
            contract = await beats.provider.describe(beats.model.target)
            return beats.model.billing_or(contract.billing), beats.model.price_on(contract.hardware)

    found, price = play(scene())
    assert found is billing
    for one, verdict in ((met.cold, Verdict.COLD), (met.warm, Verdict.WARM)):
        cost = cost_of(one, verdict, price=price, billing=found, kept_s=KEPT_S)
        assert cost.known is known
        busy_s = one.run_s
        if billing is Billing.PRIVATE:
            busy_s += KEPT_S + (one.wait_s if verdict is Verdict.COLD else 0)
        if known is Known.UNKNOWN:
            assert cost.usd is None
        elif billing is Billing.CALL:
            assert cost.usd == Decimal("0.002")
        else:
            usd = Decimal(str(busy_s)) * Decimal("0.0004") if SECOND in says else 0
            assert cost.usd == pytest.approx(usd, abs=Decimal("0.000001"))


# -- refusals ----------------------------------------------------------------------------------------------------------


def refused(host: Host, *run: str, **where: str) -> ProviderError:
    """The error with which a beat is refused, once it is known to tell what to do, and no secret."""

    async def scene() -> None:
        async with beating(host, *run, **where) as beats:
            await beats.seen()

    with pytest.raises(ProviderError) as caught:
        play(scene())
    text = f"{caught.value!r} {caught.value} {getattr(caught.value, 'hint', '')}"
    assert KEY[3:] not in text and WRONG_KEY[3:] not in text
    assert caught.value.__cause__ is None
    assert ADVICE.search(text), text
    return caught.value


@EACH
def test_a_wrong_input_is_refused_for_the_model_with_the_key_to_correct(host: Host) -> None:
    error = refused(host, host.wrong)
    assert isinstance(error, ModelRefused)
    assert error.key == "input"
    assert re.search(r"`(input|body)`", error.hint)


@KEYED
def test_a_wrong_key_is_refused_for_the_account(host: Host) -> None:
    error = refused(host, key=WRONG_KEY)
    assert isinstance(error, AccountRefused)
    assert "headers" in str(error) or "token" in str(error)


@EACH
def test_a_host_that_is_gone_is_out_of_reach_and_nothing_was_sent(host: Host) -> None:
    with refusing_port() as port:
        error = refused(host, url=f"http://127.0.0.1:{port}")
    assert isinstance(error, Unreachable)


# -- what there is none of ---------------------------------------------------------------------------------------------


@LONE
def test_of_what_a_lone_host_has_not_there_is_none(met: Met) -> None:
    async def scene() -> None:
        async with beating(met.host) as beats:
            provider: Provider = beats.provider
            assert [page async for page in provider.pages(met.cold.created_at)] == []
            assert [page async for page in provider.pages(cursor="c2")] == []
            assert await provider.recent(met.cold.created_at) == ()
            assert await provider.versions(beats.model.target) == ()
            assert (provider.token_mark, provider.skew) == ("", timedelta(0))
            assert (provider.scaler, provider.webhooks) == (None, None)
            with pytest.raises(Unavailable, match="streams nothing"):
                await provider.first_output(f"{met.host.url}/stream")

    play(scene())


def test_an_account_lists_what_was_sent(street: Callable[[str], Met]) -> None:
    met = street("replicate")

    async def scene() -> None:
        async with beating(met.host) as beats:
            listed = [one.id for one in await beats.provider.recent(met.cold.created_at)]
            assert listed[-2:] == [met.warm.id, met.cold.id]
            assert beats.provider.token_mark and KEY not in beats.provider.token_mark
            assert len(await beats.provider.versions(beats.model.target)) == 1

    play(scene())
