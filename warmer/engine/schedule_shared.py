"""Timers that any number of processes share, on procrastinate: one deferred job a model, in the ledger's PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, LiteralString

import procrastinate
import psycopg
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from procrastinate.worker import Worker
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from warmer.core.health import Member
from warmer.errors import LedgerError
from warmer.log import Event, get
from warmer.ports import OnDue

_QUEUE, _TASK = "warmer", "warmer.tick"
_POLL_S = 0.2
"""Between two looks for jobs that have come due: half of it is how late a beat is on average."""
_SIGN_S = 2.5
"""Between two signs of life."""
_DEAD_S = 10.0
"""A process that gave none for this long is frozen, or its machine is gone."""
_WATCH_S = 1.0
"""Between two looks for who takes part, and for who does so no more."""
_LOOK_S = 5.0
"""Between two looks for jobs that are missing."""
_RETRY_S = 2.0
_AT_ONCE = 100_000
"""Jobs that one process may have in hand: each is a tick that waits. What limits beats is the account's rate."""
_PATIENCE_S = 5.0
"""How long a worker that ends waits for what it has in hand. A daemon that leaves has given it up by then."""
_LATER_S = 3600.0
"""For a model that waits for nothing but a change from outside: its job must not be missing."""
_STEP_S = 2.0
"""The server's clock and ours part by more than this when one is set; they also drift apart, slowly."""

_MIGRATIONS = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
"""procrastinate's, whose names are in order."""
_MADE_BY = "The queue of warmer, up to "
# By the server's clock, which is one for all. procrastinate has no call that brings a job forward; `queueing_lock` is
# unique among the jobs that wait. In order, so that two processes never wait for each other.
_WANTED: LiteralString = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, scheduled_at)
    SELECT %(queue)s, %(task)s, 'warmer:' || name, 'warmer:' || name, jsonb_build_object('name', name),
        now() + make_interval(secs => delay)
    FROM unnest(%(names)s::text[], %(delays)s::float8[]) AS wanted (name, delay)
"""
_ARM: LiteralString = f"""{_WANTED} ORDER BY name
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET scheduled_at = excluded.scheduled_at
    WHERE procrastinate_jobs.scheduled_at > excluded.scheduled_at
"""
_ARM_MISSING: LiteralString = f"""{_WANTED}
    WHERE NOT EXISTS (SELECT FROM procrastinate_jobs WHERE lock = 'warmer:' || name AND status = 'doing') ORDER BY name
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING
"""
# A worker's connection holds a lock from before the worker can be seen; the server lets go of it as soon as the process
# is gone. A process whose connection broke, or that was frozen, is not dead: it joins anew, and the claim of a beat in
# the ledger keeps what it was in the middle of from being doubled.
_JOIN: LiteralString = """
    WITH joined AS (INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id)
    SELECT id, pg_advisory_lock(hashtext('warmer worker in ' || current_schema()), id::int) FROM joined
"""
_TAKE_OVER: LiteralString = """
    WITH gone AS (
        DELETE FROM procrastinate_workers WHERE id IN (
            SELECT id FROM procrastinate_workers WHERE id <> %(number)s AND (
                last_heartbeat < now() - make_interval(secs => %(dead_s)s)
                OR pg_try_advisory_xact_lock(hashtext('warmer worker in ' || current_schema()), id::int)
            ) FOR UPDATE SKIP LOCKED
        ) RETURNING id, last_heartbeat < now() - make_interval(secs => %(dead_s)s) AS is_silent
    ), in_hand AS (
        DELETE FROM procrastinate_jobs WHERE id IN (
            SELECT id FROM procrastinate_jobs
            WHERE status = 'doing' AND queue_name = %(queue)s
                AND (worker_id IS NULL OR worker_id IN (SELECT id FROM gone))
            FOR UPDATE SKIP LOCKED
        ) RETURNING lock, args
    ), armed AS (
        INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, scheduled_at)
        SELECT %(queue)s, %(task)s, lock, lock, args || '{"left": true}', now() FROM in_hand ORDER BY lock
        ON CONFLICT (queueing_lock) WHERE status = 'todo'
        DO UPDATE SET args = excluded.args, scheduled_at = least(procrastinate_jobs.scheduled_at, now())
    )
    SELECT id, is_silent FROM gone ORDER BY id
"""
_WORKERS: LiteralString = """
    SELECT id, extract(epoch FROM now() - last_heartbeat)::float8 AS silent_s,
        extract(epoch FROM now())::float8 AS now_s
    FROM procrastinate_workers ORDER BY id
"""
_HEED: LiteralString = "LISTEN warmer_said"
_SAY: LiteralString = "SELECT pg_notify('warmer_said', %(word)s)"


class SharedSchedule:
    """Implements the `Schedule` port over all processes of one ledger.

    A job is due once, in whichever process comes first. It ends with the tick that it calls for, and the next one is
    armed by then: at every instant each model has a job that waits or is in hand. What a process that is gone had in
    hand is due at once, as left behind; a job that is missing is armed by the next to look.
    """

    is_shared = True

    def __init__(self, on_due: OnDue, *, server: Mapping[str, Any]) -> None:
        """`on_due` returns the tick that is under way then, if any. `server`: libpq's."""
        self._on_due, self._server = on_due, dict(server)
        self._names = set[str]()  # the models of this process
        self._pending = dict[str, float]()  # armed and not written yet: when, by the loop's clock
        self._armed = set[str]()  # since its tick began
        self._news, self._turn = asyncio.Event(), asyncio.Lock()
        self._is_stopping = False
        self._failures = 0  # since it last worked
        self._ahead_s: float | None = None  # of the server's clock before ours
        self._app: procrastinate.App | None = None
        self._worker: Worker | None = None
        self._living: asyncio.Task[None] | None = None
        self._hear: Callable[[str], None] = lambda word: None
        self.members: tuple[Member, ...] = ()
        """Who takes part, as of the last look."""

    def start(self) -> None:
        """Begin to call; needs the running loop."""
        self._living = asyncio.get_running_loop().create_task(self._live(), name="shared schedule")

    def arm(self, name: str, delay_s: float) -> None:
        """Call for `name` once, in some process, `delay_s` from now; sooner where that is what it was armed for."""
        self._names.add(name)
        self._armed.add(name)
        self._note(name, asyncio.get_running_loop().time() + max(0.0, delay_s))

    def disarm(self, name: str) -> None:
        """No more of `name` here. Its job stays: other processes may have the model still."""
        self._names.discard(name)
        self._pending.pop(name, None)

    def stop(self) -> None:
        """No more calls; what was called for goes on."""
        self._is_stopping = True
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call]  # procrastinate says nothing of its type

    async def close(self) -> None:
        """Let the others have what is in hand, and leave."""
        self.stop()
        if self._living is not None:
            await asyncio.wait({self._living}, timeout=0.5)
            self._living.cancel()
            await asyncio.wait({self._living}, timeout=0.5)

    async def alone(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`, which does not end, while no other process does. Ends with a bug in it, or in this schedule."""
        while True:
            # Whoever uses the ledger says that it cannot be used.
            with suppress(psycopg.Error):
                async with await self._connect() as connection:
                    await self._lead(connection, work)
            await self._pause(_RETRY_S)

    def heed(self, hear: Callable[[str], None]) -> None:
        """Have `hear` called with each word that one of the processes says. Before `start`."""
        self._hear = hear

    async def say(self, word: str) -> None:
        """Have all processes hear `word`, this one too, within _WATCH_S. What cannot be said now is not said later."""
        if self._app is not None:
            with suppress(ConnectorException):
                await self._app.connector.execute_query_async(_SAY, word=word)

    # -- who does what is done once ----------------------------------------------------------------------------------

    async def _lead(self, connection: psycopg.AsyncConnection[Any], work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lock, and work for as long as the connection holds it: a process that dies loses it at once."""
        take = "SELECT pg_try_advisory_lock(hashtext('warmer'), hashtext(current_schema()))"
        while not (await (await connection.execute(take)).fetchone() or [False])[0]:
            await self._pause(_RETRY_S)
        working = asyncio.ensure_future(work())
        try:
            while not working.done():
                await self._pause(_LOOK_S, working)
                await connection.execute("SELECT 1")
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        working.result()

    async def _pause(self, seconds: float, *but: asyncio.Future[Any]) -> None:
        """Let time pass, unless something ends. Raises what this schedule ended by."""
        if self._living is None:
            raise RuntimeError("not started")
        await asyncio.wait({self._living, *but}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._living.done():
            self._living.result()

    # -- a worker's life ---------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Be a worker, and another one after each that failed."""
        while not self._is_stopping:
            try:
                await self._life()
            except (ConnectorException, psycopg.Error, LedgerError, TimeoutError) as exc:
                self._failures += 1
                if self._failures == 1:
                    cause = " ".join(str(exc.__cause__ or exc).split())
                    get().error(Event.LEDGER_FAILED, error=f"the queue beside the ledger: {cause}")
            if not self._is_stopping:
                await asyncio.sleep(_RETRY_S)

    async def _life(self) -> None:
        await _make_queue(self._server)
        # Each of the queue's statements is whole by itself. A server that crashes may forget the last ones: what is
        # missing then is armed anew.
        quick = {"autocommit": True, "options": f"{self._server.get('options', '')} -c synchronous_commit=off"}
        connector = procrastinate.PsycopgConnector(
            pool_factory=_pool, kwargs=self._server | quick, min_size=1, max_size=4, timeout=10.0
        )
        self._app = app = procrastinate.App(connector=connector)
        app.task(name=_TASK, queue=_QUEUE, pass_context=True)(self._tick)
        async with app.open_async(), await self._connect(row_factory=dict_row) as presence:
            app.job_manager = _Jobs(connector, presence)
            presence.add_notify_handler(lambda notice: self._hear(notice.payload))  # with each answer to a look
            await presence.execute(_HEED)
            self._worker = worker = Worker(
                app,
                queues=[_QUEUE],
                concurrency=_AT_ONCE,
                fetch_job_polling_interval=_POLL_S,
                abort_job_polling_interval=_LATER_S,  # nobody asks for that
                listen_notify=False,  # it is a job's time that comes, and of that nobody is notified
                delete_jobs="always",
                install_signal_handlers=False,
                update_heartbeat_interval=_SIGN_S,
                stalled_worker_timeout=_LATER_S,  # they are looked after here
                shutdown_graceful_timeout=_PATIENCE_S,
            )
            run = worker.run()  # type: ignore[no-untyped-call]  # nor of this one's
            tasks = [
                asyncio.ensure_future(work)
                for work in (run, self._keep_looking(worker, presence), self._keep_writing())
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
            for end in ends:
                if isinstance(end, Exception):
                    raise end

    def _late_s(self, due: datetime | None) -> float | None:
        """For how long a job has been due, by the server's clock."""
        if due is None or self._ahead_s is None:
            return None
        return time.monotonic() + self._ahead_s - due.timestamp()

    async def _tick(self, context: procrastinate.JobContext, name: str, left: bool = False) -> None:
        """A job: see the tick to its end, and the next job written. `left`: a process had it in hand that is gone."""
        self._armed.discard(name)
        try:
            tick = self._on_due(name, self._late_s(context.job.scheduled_at), left)
            if tick is not None:
                await asyncio.wait({tick})
        finally:
            if name in self._names and (self._is_stopping or name not in self._armed):
                self.arm(name, 0.0 if self._is_stopping else _LATER_S)
            with suppress(ConnectorException):  # it is kept, and the next look writes it
                await self._write()

    async def _keep_writing(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await self._write()

    async def _write(self) -> None:
        async with self._turn:
            taken, self._pending = self._pending, {}
            try:
                await self._ask(_ARM, taken)
            except BaseException:
                for name, at in taken.items():
                    self._note(name, at)
                raise

    def _note(self, name: str, at: float) -> None:
        self._pending[name] = min(at, self._pending.get(name, at))
        self._news.set()

    async def _ask(self, statement: LiteralString, wanted: Mapping[str, float]) -> None:
        if wanted and self._app is not None:
            now = asyncio.get_running_loop().time()
            await self._app.connector.execute_query_async(
                statement,
                queue=_QUEUE,
                task=_TASK,
                names=list(wanted),
                delays=[max(0.0, at - now) for at in wanted.values()],
            )

    async def _keep_looking(self, worker: Worker, presence: psycopg.AsyncConnection[DictRow]) -> None:
        number: int | None = None  # as long as it has not joined
        looked_at = -_LOOK_S
        try:
            while True:
                if number is None and worker.worker_id is not None:
                    number = worker.worker_id
                    get().info(Event.WORKER_JOINED, worker=number, host=socket.gethostname(), pid=os.getpid())
                if number is not None:
                    await self._watch(number, presence)
                    if (now := time.monotonic()) - looked_at >= _LOOK_S:
                        looked_at = now
                        await self._ask(_ARM_MISSING, dict.fromkeys(self._names, now))
                    if self._failures:
                        get().info(Event.LEDGER_RESUMED, failures=self._failures)
                        self._failures = 0
                await asyncio.sleep(_POLL_S if number is None else _WATCH_S)
        finally:
            if not self._is_stopping:
                self.members = ()  # nobody knows until it has joined again
            if number is not None:
                get().info(Event.WORKER_LEFT, worker=number, why="stopped" if self._is_stopping else "failed")

    async def _watch(self, number: int, presence: psycopg.AsyncConnection[DictRow]) -> None:
        """Take over from those that are gone, and see who is there."""
        asked = {"number": number, "dead_s": _DEAD_S, "queue": _QUEUE, "task": _TASK}
        async with asyncio.timeout(_DEAD_S):  # by then the others take this one for frozen
            for gone in await (await presence.execute(_TAKE_OVER, asked)).fetchall():
                get().warning(Event.WORKER_LEFT, worker=gone["id"], why="silent" if gone["is_silent"] else "gone")
            rows = await (await presence.execute(_WORKERS)).fetchall()
        if number not in {row["id"] for row in rows}:
            raise LedgerError("the others took this process for gone, for it gave no sign of life: it joins anew")
        self.members = tuple(
            Member(number=row["id"], silent_s=row["silent_s"], is_self=row["id"] == number) for row in rows
        )
        for row in rows[:1]:
            ahead_s = row["now_s"] - time.monotonic()
            if self._ahead_s is not None and abs(ahead_s - self._ahead_s) > _STEP_S:
                # Jobs are where the clock was before, years from now perhaps.
                await self._ask(_ARM, dict.fromkeys(self._names, asyncio.get_running_loop().time()))
            self._ahead_s = ahead_s

    async def _connect(self, **how: Any) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(**self._server, autocommit=True, **how)


class _Jobs(JobManager):
    """Has each worker join over `presence`, whose end is the worker's."""

    def __init__(self, connector: procrastinate.PsycopgConnector, presence: psycopg.AsyncConnection[DictRow]) -> None:
        super().__init__(connector)
        self._presence = presence

    async def register_worker(self) -> int:
        (joined,) = await (await self._presence.execute(_JOIN)).fetchall()
        return int(joined["id"])

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        # Where it was taken over meanwhile, there is nothing to finish.
        await self.connector.execute_query_async("DELETE FROM procrastinate_jobs WHERE id = %(id)s", id=job.id)


def _pool(**given: Any) -> AsyncConnectionPool:
    # procrastinate would ask the server before each statement whether it is there.
    return AsyncConnectionPool(**(given | {"check": _check}))


async def _check(connection: psycopg.AsyncConnection[Any]) -> None:
    look = select.poll()
    look.register(connection.fileno(), select.POLLIN)
    if look.poll(0):  # nothing was asked: it says that it goes
        raise psycopg.OperationalError("the server has gone")


async def _make_queue(server: Mapping[str, Any]) -> None:
    """Make procrastinate's tables where there are none, or bring ours up to the procrastinate that is installed.

    Raises LedgerError where they are newer.
    """
    newest = _MIGRATIONS[-1].name
    async with await psycopg.AsyncConnection.connect(**server, autocommit=True) as connection:
        # One process makes them; another that starts in the same second waits here, and finds them made.
        await connection.execute("SELECT pg_advisory_lock(hashtext('warmer queue'), hashtext(current_schema()))")
        found = await connection.execute(
            "SELECT made, obj_description(made) FROM to_regclass('procrastinate_jobs') made"
        )
        made, comment = await found.fetchone() or (None, None)
        known = str(comment).removeprefix(_MADE_BY)
        if made is None:
            async with connection.transaction():
                await connection.execute(SchemaManager.get_schema())
                await connection.execute(_made_by(newest))
        elif known == comment or comment is None:
            return  # somebody else's, who looks after it
        elif known > newest:
            raise LedgerError(
                f"it was made by a newer procrastinate (schema {known}, this one knows {newest}). "
                "Upgrade this one: pip install --upgrade 'warmer[shared]'"
            )
        else:
            for migration in _MIGRATIONS:
                if migration.name > known:
                    async with connection.transaction():  # one each: what one adds to a type, the next may use
                        await connection.execute(migration.read_bytes())
                        await connection.execute(_made_by(migration.name))


def _made_by(migration: str) -> sql.Composed:
    return sql.SQL("COMMENT ON TABLE procrastinate_jobs IS {}").format(_MADE_BY + migration)
