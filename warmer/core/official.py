"""Official models are always on: a beat of one warms nothing, and is billed all the same."""

from __future__ import annotations

from warmer.core.price import Billing
from warmer.core.spec import ModelSpec

ALWAYS_ON = "always on at its host, so that no beat is sent; write `billing: official` in its entry to send them anyway"


def is_left_alone(entry: ModelSpec, billing: Billing) -> bool:
    """Whether beats of `entry` are not sent, because the provider says `billing`. What the file says goes before it."""
    return billing is Billing.OFFICIAL and entry.billing is None
