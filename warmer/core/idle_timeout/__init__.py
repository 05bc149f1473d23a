"""How long a host keeps an idle instance: learned from gaps and what was found after them, never assumed."""

from warmer.core.idle_timeout.belief import REMEMBERED, TELLS_FROM_S, Find, IdleTimeout

__all__ = ["REMEMBERED", "TELLS_FROM_S", "Find", "IdleTimeout"]
