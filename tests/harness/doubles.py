"""Hosts of models, each as it documents itself, over real sockets and in the time of a given clock.

What takes time lets it pass on that clock: on one that jumps, a boot of minutes is over at once, and has taken minutes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from harness.wire import Asked, answer
from warmer.ports import Clock

KEY = "k3y-of-the-host"


@dataclass
class Double(ABC):
    """A host with one instance, which boots when it is called and is gone once it has idled for long enough."""

    clock: Clock
    boot_s: float = 8.0
    run_s: float = 0.4
    idle_timeout_s: float = 60.0
    key: str = KEY
    asked: list[Asked] = field(default_factory=list)
    _up_at: float | None = None
    _used_at: float = 0.0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Listen, and give the address up to the path."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.close()
            await server.wait_closed()

    @abstractmethod
    async def reply(self, asked: Asked, path: str) -> bytes:
        """What comes back for `asked`, whose key is good."""

    @abstractmethod
    def may(self, asked: Asked) -> bool:
        """Whether `asked` has the key."""

    def refusal(self) -> bytes:
        """What comes back without."""
        return answer("401 Unauthorized", {"error": "invalid credentials"})

    def wake(self) -> float:
        """When the instance is up, by the clock; it is started where there is none."""
        now = self.clock.monotonic()
        if self._up_at is None or now - max(self._used_at, self._up_at) > self.idle_timeout_s:
            self._up_at = now + self.boot_s
        self._used_at = max(now, self._up_at)
        return self._up_at

    async def hold(self) -> None:
        """Let the boot pass, if there is one, and the run."""
        await self.clock.sleep(max(0.0, self.wake() - self.clock.monotonic()) + self.run_s)
        self._used_at = self.clock.monotonic()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            asked = Asked(head, await reader.readexactly(int(length[1])) if length else b"")
            self.asked.append(asked)
            path = asked.line.split()[1].decode()
            writer.write(await self.reply(asked, path) if self.may(asked) else self.refusal())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def header(asked: Asked, name: str) -> str | None:
    """The header called `name`, in whatever capitals."""
    found = re.search(rb"(?i)\r\n%s: ([^\r]*)" % name.encode(), asked.head)
    return found[1].decode() if found else None


def method(asked: Asked) -> str:
    return asked.line.split()[0].decode()


def body(asked: Asked) -> Any:
    return json.loads(asked.body)


class HuggingFace(Double):
    """An Inference Endpoint: 503 while a replica initializes, or held for as long as `X-Scale-Up-Timeout` says.

    Source: https://huggingface.co/docs/inference-endpoints/en/guides/autoscaling
    """

    def may(self, asked: Asked) -> bool:
        return header(asked, "authorization") == f"Bearer {self.key}"

    async def reply(self, asked: Asked, path: str) -> bytes:
        if method(asked) != "POST" or "inputs" not in body(asked):
            return answer("422 Unprocessable Entity", {"error": "missing field `inputs`"})
        left = self.wake() - self.clock.monotonic()
        if left > float(header(asked, "x-scale-up-timeout") or 0):
            return answer("503 Service Unavailable", {"error": "503 Service Unavailable"})
        await self.hold()
        return answer("200 OK", [{"generated_text": "hi there"}])


@dataclass
class RunPod(Double):
    """A queue-based Serverless endpoint: /run, /runsync, /status/ID and /cancel/ID, with times in milliseconds.

    Sources: https://docs.runpod.io/serverless/endpoints/operation-reference, .../serverless/references/job-states
    """

    jobs: dict[str, tuple[float, float]] = field(default_factory=dict)  # when it came, and began
    cancelled: set[str] = field(default_factory=set)
    _ids: itertools.count[int] = field(default_factory=itertools.count)

    def may(self, asked: Asked) -> bool:
        return header(asked, "authorization") in (self.key, f"Bearer {self.key}")

    def refusal(self) -> bytes:
        return answer("401 Unauthorized")

    async def reply(self, asked: Asked, path: str) -> bytes:
        match path.split("/")[3:]:
            case ["run" | "runsync" as how] if method(asked) == "POST" and "input" in body(asked):
                job = f"{next(self._ids):08d}-e1"
                now = self.clock.monotonic()
                # A worker that is up takes a job within a moment.
                self.jobs[job] = now, max(now + 0.05, self.wake())
                if how == "runsync":
                    await self.clock.sleep(self.jobs[job][1] + self.run_s - now)
                    return answer("200 OK", self._state(job))
                return answer("200 OK", {"id": job, "status": "IN_QUEUE"})
            case ["status", job] if job in self.jobs:
                return answer("200 OK", self._state(job))
            case ["cancel", job] if job in self.jobs and method(asked) == "POST":
                self.cancelled.add(job)
                return answer("200 OK", self._state(job))
            case ["run" | "runsync"]:
                return answer("400 Bad Request", {"error": "no input is provided"})
        return answer("404 Not Found")

    def _state(self, job: str) -> dict[str, Any]:
        came, began = self.jobs[job]
        now, told = self.clock.monotonic(), {"id": job, "delayTime": round((began - came) * 1000)}
        if job in self.cancelled:
            return {"id": job, "status": "CANCELLED"}
        if now < began:
            return {"id": job, "status": "IN_QUEUE"}
        if now < began + self.run_s:
            return {**told, "status": "IN_PROGRESS"}
        self._used_at = max(self._used_at, began + self.run_s)
        return {**told, "status": "COMPLETED", "executionTime": round(self.run_s * 1000), "output": "hi"}


@dataclass
class Modal(Double):
    """A web function behind proxy auth: held while a container starts, and after 150 s a 303 to its result.

    Sources: https://modal.com/docs/guide/webhook-timeouts, https://modal.com/docs/guide/webhook-proxy-auth
    """

    held_s: float = 150.0
    calls: dict[str, float] = field(default_factory=dict)  # when its result is there
    _ids: itertools.count[int] = field(default_factory=itertools.count)

    def may(self, asked: Asked) -> bool:
        return (header(asked, "modal-key"), header(asked, "modal-secret")) == (self.key, self.key)

    def refusal(self) -> bytes:
        return answer("401 Unauthorized", "modal-http: missing credentials for proxy authorization")

    async def reply(self, asked: Asked, path: str) -> bytes:
        call = path.partition("__modal_function_call_id=")[2]
        if not call:
            call = f"fc-{next(self._ids)}"
            self.calls[call] = max(self.clock.monotonic(), self.wake()) + self.run_s
        elif method(asked) != "GET" or call not in self.calls:
            return answer("404 Not Found", "modal-http: no such call")
        left = self.calls[call] - self.clock.monotonic()
        await self.clock.sleep(min(left, self.held_s))
        if left > self.held_s:
            return answer("303 See Other", "", f"Location: /?__modal_function_call_id={call}")
        self._used_at = self.clock.monotonic()
        return answer("200 OK", {"text": "hi"})


@dataclass
class Baseten(Double):
    """A deployment that scales to zero: async requests are queued until a replica is up; a wake is accepted with 202.

    Sources: https://docs.baseten.co/api-reference/environments-async-predict, .../get-async-request-status,
    .../cancel-a-queued-async-request, https://www.baseten.co/changelog/wake-scaled-to-zero-models/
    """

    requests: dict[str, float] = field(default_factory=dict)  # when it began
    cancelled: set[str] = field(default_factory=set)
    _ids: itertools.count[int] = field(default_factory=itertools.count)

    def may(self, asked: Asked) -> bool:
        return header(asked, "authorization") == f"Api-Key {self.key}"

    async def reply(self, asked: Asked, path: str) -> bytes:
        match method(asked), path.strip("/").split("/"):
            case "POST", [*_, "async_predict"] if "model_input" in body(asked):
                name = f"r{next(self._ids):07d}"
                self.requests[name] = max(self.clock.monotonic(), self.wake())
                return answer("202 Accepted", {"request_id": name})
            case "POST", [*_, "wake"]:
                self.wake()
                return answer("202 Accepted", {})
            case "GET", ["async_request", name] if name in self.requests:
                return answer("200 OK", self._state(name))
            case "DELETE", ["async_request", name] if name in self.requests:
                if self._state(name)["status"] != "QUEUED":
                    return answer("400 Bad Request", {"error": "only queued requests can be canceled"})
                self.cancelled.add(name)
                return answer("200 OK", {"request_id": name, "canceled": True})
        return answer("400 Bad Request", {"error": "bad request"})

    def _state(self, name: str) -> dict[str, Any]:
        now, began = self.clock.monotonic(), self.requests[name]
        state = "QUEUED" if now < began else "IN_PROGRESS" if now < began + self.run_s else "SUCCEEDED"
        if state == "SUCCEEDED":
            self._used_at = max(self._used_at, began + self.run_s)
        return {"request_id": name, "status": "CANCELED" if name in self.cancelled else state, "errors": []}


class Knative(Double):
    """A service scaled to zero: the activator holds what comes until a pod is ready. The service itself asks for a key.

    Source: https://knative.dev/docs/serving/request-flow/
    """

    def may(self, asked: Asked) -> bool:
        return header(asked, "x-api-key") == self.key

    async def reply(self, asked: Asked, path: str) -> bytes:
        if path != "/healthz":
            return answer("404 Not Found")
        await self.hold()
        return answer("200 OK", "ok")


class Function(Double):
    """An Azure function with a function key, held while an instance starts.

    Source: https://learn.microsoft.com/azure/azure-functions/function-keys-how-to
    """

    def may(self, asked: Asked) -> bool:
        return header(asked, "x-functions-key") == self.key

    def refusal(self) -> bytes:
        return answer("401 Unauthorized")

    async def reply(self, asked: Asked, path: str) -> bytes:
        await self.hold()
        return answer("204 No Content")
