"""The account's list of predictions, read page by page, and how far an import of it has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from warmer.core.beat import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some predictions of the list, newest first, and where it goes on."""

    predictions: tuple[Prediction, ...]
    cursor: str | None  # of the next, older page, in the provider's words; None: the list ends here


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import of the account's own predictions. Stamps of predictions are the provider's, the others ours."""

    started_at: datetime  # which import: there are no two of one moment
    since: datetime  # how far back it is to go
    scope: str  # the models it is for: for others the list is read anew
    newest_at: datetime | None = None  # everything from here down to the cursor is on record; None: no page is yet
    cursor: str | None = None  # of the page to go on with
    finished_at: datetime | None = None
