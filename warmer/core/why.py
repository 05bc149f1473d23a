"""Each reason in words, for who reads: why a beat went out, and why none does."""

from __future__ import annotations

from collections.abc import Mapping

from warmer.core.beat import Reason

WHY: Mapping[Reason, str] = {
    Reason.FIRST_SIGHT: "nothing was known of its last use",
    Reason.INTERVAL_OVER: "its fixed interval was over",
    Reason.IDLE: "nobody had used it for the interval, and soon its instance would be gone",
    Reason.PROBE: "to find out how long an idle instance is kept",
    Reason.OPENING: "its active hours begin soon, and it takes time to boot",
    Reason.LIKELY: "a call is likely enough for a beat to pay",
    Reason.ORDERED: "somebody asked for it",
    Reason.PAUSED: "somebody has paused it",
    Reason.CLOSED: "it is outside its active hours",
    Reason.NOT_DUE: "its fixed interval is still running",
    Reason.RECENT_ACTIVITY: "it was used a moment ago, and is warm by that",
    Reason.UNLIKELY: "no call is likely enough for a beat to pay",
    Reason.NOT_WORTH_WARMING: "at the price of a cold start in the file, beats do not pay for it",
    Reason.FLOOR_HELD: "its floor holds the instances, so that no beat is needed",
    Reason.OBSERVING: "it is only observed: nothing is ever sent",
    Reason.ALWAYS_ON: "it is an official model, which is always on",
    Reason.IN_FLIGHT: "its last beat is still out",
    Reason.CLAIMED_ELSEWHERE: "another process sends this very beat",
    Reason.MODEL_DISABLED: "the provider refuses it as the file has it",
    Reason.OVER_BUDGET: "what is left of a budget is less than a beat may cost",
    Reason.PRICE_UNKNOWN: "it has a budget, and nobody knows what a beat may cost",
    Reason.BACKING_OFF: "its last beats failed",
    Reason.ACCOUNT_REFUSED: "the provider refuses the token",
    Reason.CREDIT_EXHAUSTED: "the account has no credit",
    Reason.THROTTLED: "the provider was asked too often",
    Reason.UNREACHABLE: "the provider cannot be reached",
}
