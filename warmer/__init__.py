"""warmer keeps hosted models warm with the fewest heartbeats, and shows what that cost and whether it worked."""

__version__ = "0.1.0"
