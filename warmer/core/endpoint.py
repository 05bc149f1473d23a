"""An HTTP endpoint that is kept warm by its own address: what is sent to it, and what its replies mean."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A request that keeps something warm."""

    name: str  # of its entry
    url: str
    method: str = "GET"

    @property
    def label(self) -> str:
        """What tells one endpoint from another: two entries may ask different things of one address."""
        return f"{self.name} at {self.url}"
