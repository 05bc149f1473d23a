"""What the engine needs of the world: the protocols, nothing else."""

from __future__ import annotations

from warmer.ports.ledger import Ledger, Notes
from warmer.ports.outside import UNMETERED, Board, Console, Contacts, Hearing, Inbox, Listener, Meter, Unmetered, Vitals
from warmer.ports.world import RECENT_AT_MOST, Clock, OnDue, Provider, Scaler, Schedule, Webhooks

__all__ = [
    "RECENT_AT_MOST",
    "UNMETERED",
    "Board",
    "Clock",
    "Console",
    "Contacts",
    "Hearing",
    "Inbox",
    "Ledger",
    "Listener",
    "Meter",
    "Notes",
    "OnDue",
    "Provider",
    "Scaler",
    "Schedule",
    "Unmetered",
    "Vitals",
    "Webhooks",
]
