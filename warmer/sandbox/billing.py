"""What a prediction and an instance cost, by class. Exact: nothing is rounded.

Source: replicate.com/docs/topics/billing. Rounding and a minimum charge are not published, so there are none here.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from warmer.sandbox.predictions import Prediction, Status
from warmer.sandbox.traits import Billing

_MICROSECOND = timedelta(microseconds=1)


def seconds(span: timedelta) -> Decimal:
    """A span in seconds, to the microsecond."""
    return Decimal(span // _MICROSECOND) / 1_000_000


def bill_of_prediction(prediction: Prediction) -> Decimal | None:
    """USD for a prediction that is over; None where the instances are billed instead.

    Failed and aborted ones are free, a canceled one costs the time it ran, an official model bills what it made.
    """
    if prediction.billing.by_instance:
        return None
    if prediction.billing is Billing.OFFICIAL:
        if prediction.status is not Status.SUCCEEDED or prediction.traits.usd_per_output is None:
            return Decimal(0)
        made = prediction.output
        return prediction.traits.usd_per_output * (len(made) if isinstance(made, list) else 1)
    if prediction.status not in (Status.SUCCEEDED, Status.CANCELED) or prediction.run is None:
        return Decimal(0)
    return prediction.usd_per_second * seconds(prediction.run)


def bill_of_instance(billing: Billing, usd_per_second: Decimal, online: timedelta) -> Decimal | None:
    """USD for an instance online that long, set-up and idle included; None where the predictions are billed instead."""
    return usd_per_second * seconds(online) if billing.by_instance else None
