"""Webhooks of Replicate: signed, as Standard Webhooks has it, with a secret that the account's API tells.

Source: https://replicate.com/docs/topics/webhooks/verify-webhook, https://www.standardwebhooks.com.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from warmer.core.beat import Prediction
from warmer.errors import Unavailable, UsageError
from warmer.providers.replies import prediction_of, word
from warmer.providers.wire import Reply

if TYPE_CHECKING:  # an extra
    from standardwebhooks import Webhook

SECRET = "/webhooks/default/secret"  # noqa: S105 - the path of it
TOLERANCE = timedelta(minutes=5)
"""How far from now one may have been signed: as long as the library of Standard Webhooks allows."""
_PREFIX = "whsec_"
_LEAST_KEY = 16
"""Bytes. With fewer, or none, anybody could sign."""
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


class ReplicateWebhooks:
    """Implements the `Webhooks` port. What they are signed with is kept in memory alone."""

    def __init__(
        self,
        url: str,
        *,
        read: Callable[..., Awaitable[Reply]],
        now: Callable[[], datetime],
        mask: Callable[[str], None],
    ) -> None:
        """`now` is the provider's time; `mask` is told the secret before it is used.

        Raises UsageError where the library is not installed.
        """
        try:
            from standardwebhooks import Webhook
        except ImportError as exc:
            raise UsageError(
                f"`public_url` needs {exc.name}: install it with `pip install 'warmer[webhooks]'`"
            ) from exc
        self._make: Callable[[bytes], Webhook] = Webhook
        self._url, self._read, self._now, self._mask = url, read, now, mask
        self._signer: Webhook | None = None

    def __repr__(self) -> str:
        return f"ReplicateWebhooks({self._url!r})"

    @property
    def url(self) -> str:
        """The address of ours that they are sent to."""
        return self._url

    @property
    def is_open(self) -> bool:
        """Whether it is known what they are signed with."""
        return self._signer is not None

    @property
    def asked(self) -> Mapping[str, Any]:
        """What a create says to have one: nothing, where it could not be verified."""
        return {"webhook": self._url, "webhook_events_filter": ["completed"]} if self.is_open else {}

    async def open(self) -> None:
        """Ask the API what they are signed with."""
        secret = word((await self._read("GET", SECRET, about="the webhooks' secret")).body, "key") or ""
        bare = secret.removeprefix(_PREFIX)
        self._mask(bare)
        try:
            key = base64.b64decode(bare, validate=True)
        except ValueError:
            key = b""
        if len(key) < _LEAST_KEY:
            raise Unavailable("the webhooks' secret could not be read. It is worth another try later")
        self._signer = self._make(key)

    def read(self, headers: Mapping[str, str], body: bytes) -> Prediction:
        """The prediction that was told.

        The body is as the API's own reply, and signed with what the API alone knows, so it is believed as such: what
        it says is not asked for again. Raises ValueError, with why, for all else.
        """
        if self._signer is None:
            raise ValueError("it is not known yet what webhooks are signed with")
        message, stamp, signatures = (headers.get(name, "") for name in _HEADERS)
        if not message or not re.fullmatch(r"[0-9]{1,11}", stamp, re.ASCII) or not signatures:
            raise ValueError(f"it has no {', '.join(_HEADERS)}")
        signed_at = datetime.fromtimestamp(int(stamp), UTC)
        if abs(self._now() - signed_at) > TOLERANCE:
            raise ValueError(f"it was signed over {TOLERANCE.seconds // 60} minutes from now")
        # The library would go by the wall clock, which may be set wrong: only its signature is asked for.
        ours = self._signer.sign(message, signed_at, body.decode()).encode()
        if not any(hmac.compare_digest(ours, one.encode()) for one in signatures.split(" ")):
            raise ValueError("its signature is not the provider's")
        try:
            prediction = prediction_of(json.loads(body), self._now())
        except RecursionError:
            prediction = None
        if prediction is None:
            raise ValueError("it is of no prediction")
        return prediction
