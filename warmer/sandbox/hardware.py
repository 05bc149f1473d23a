"""The machines that the sandbox rents out, with what a second of each costs.

Figures: replicate.com/pricing, stored copy of 2025, re-read by others in 2026. The daemon has a table of its own: the
two are compared by what they bill, so they must not share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One row of `GET /v1/hardware`."""

    sku: str
    name: str
    usd_per_second: Decimal


_ROWS = (
    ("cpu", "CPU", "0.000100"),
    ("gpu-t4", "Nvidia T4 GPU", "0.000225"),
    ("gpu-a40-small", "Nvidia A40 GPU", "0.000575"),
    ("gpu-a40-large", "Nvidia A40 (Large) GPU", "0.000725"),
    ("gpu-a40-large-2x", "2x Nvidia A40 (Large) GPU", "0.001450"),
    ("gpu-a40-large-4x", "4x Nvidia A40 (Large) GPU", "0.002900"),
    ("gpu-a40-large-8x", "8x Nvidia A40 (Large) GPU", "0.005800"),
    ("gpu-l40s", "Nvidia L40S GPU", "0.000975"),
    ("gpu-2x-l40s", "2x Nvidia L40S GPU", "0.001950"),
    ("gpu-4x-l40s", "4x Nvidia L40S GPU", "0.003900"),
    ("gpu-8x-l40s", "8x Nvidia L40S GPU", "0.007800"),
    ("gpu-a100-large", "Nvidia A100 (80GB) GPU", "0.001400"),
    ("gpu-a100-large-2x", "2x Nvidia A100 (80GB) GPU", "0.002800"),
    ("gpu-a100-large-4x", "4x Nvidia A100 (80GB) GPU", "0.005600"),
    ("gpu-a100-large-8x", "8x Nvidia A100 (80GB) GPU", "0.011200"),
    ("gpu-h100", "Nvidia H100 GPU", "0.001525"),
    ("gpu-h100-2x", "2x Nvidia H100 GPU", "0.003050"),
    ("gpu-h100-4x", "4x Nvidia H100 GPU", "0.006100"),
    ("gpu-h100-8x", "8x Nvidia H100 GPU", "0.012200"),
)

HARDWARE = {sku: Hardware(sku=sku, name=name, usd_per_second=Decimal(usd)) for sku, name, usd in _ROWS}
