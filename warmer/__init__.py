"""warmer keeps hosted models warm with the fewest heartbeats, and shows what that cost and whether it worked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warmer.version import __version__

if TYPE_CHECKING:
    from warmer.library import Warmer, backtest, load_config

__all__ = ["Warmer", "__version__", "backtest", "load_config"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from warmer import library  # heavy: no command pays for it

    return getattr(library, name)
