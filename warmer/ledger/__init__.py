"""The durable record: beats, customers' calls, ticks. One SQL for every database."""

from warmer.ledger.opening import default_url, open_ledger
from warmer.ledger.sql import SqlLedger

__all__ = ["SqlLedger", "default_url", "open_ledger"]
