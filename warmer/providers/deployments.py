"""Deployments: how many instances they hold, over the same connections and with the same rules as all else."""

from __future__ import annotations

import json
from typing import Protocol
from urllib.parse import quote

from warmer.core.floor import Instances
from warmer.core.spec import Target
from warmer.errors import ModelRefused, Unavailable
from warmer.providers.replies import at, word
from warmer.providers.wire import Reply


class Ask(Protocol):
    """A request of the account's; returns a successful reply, and raises the ProviderError branch for any other."""

    async def __call__(self, method: str, path: str, *, about: str, body: bytes | None = None) -> Reply:
        """`about` names what is asked for, in errors."""
        ...


def deployment_path(target: Target) -> str:
    """Where the API has `target`."""
    return f"/deployments/{quote(target.owner, safe='')}/{quote(target.name, safe='')}"


class Deployments:
    """The `Scaler` port over Replicate's API."""

    def __init__(self, *, read: Ask, change: Ask) -> None:
        """`read` may repeat what it sends; `change` sends once."""
        self._read, self._change = read, change

    async def instances(self, target: Target) -> Instances:
        """What the deployment may scale to now."""
        reply = await self._read("GET", deployment_path(target), about=f"deployment {target.slug}")
        return _instances(reply, target)

    async def set_minimum(self, target: Target, instances: int) -> Instances:
        """Ask once for another floor, and return what the reply says.

        Raises Doubtful or Unavailable where it may have been carried out: look before repeating.
        """
        about = f"{instances} as min_instances of deployment {target.slug}"
        body = json.dumps({"min_instances": instances}).encode()
        try:
            reply = await self._change("PATCH", deployment_path(target), about=about, body=body)
        except ModelRefused as exc:
            refused = str(exc)
        else:
            return _instances(reply, target)
        raise ModelRefused(
            refused,
            f"let the token's account change {target.slug}, and write no more `instances` than its max_instances",
        )


def _instances(reply: Reply, target: Target) -> Instances:
    settings = at(reply.body, "current_release", "configuration")
    least = _count(at(settings, "min_instances"))
    if least is None:
        raise Unavailable(f"the reply for deployment {target.slug} could not be read. It is worth another try later")
    return Instances(
        least=least,
        most=_count(at(settings, "max_instances")),
        release=_count(at(reply.body, "current_release", "number")),
        hardware=word(settings, "hardware"),
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
