"""The durable record: beats, customers' calls, ticks. One SQL for every database."""

from warmer.ledger.opening import default_url, open_ledger
from warmer.ledger.sql import SqlLedger
from warmer.ledger.upkeep import Findings, Upkeep

__all__ = ["Findings", "SqlLedger", "Upkeep", "default_url", "open_ledger"]
