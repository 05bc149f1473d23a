"""When will the next request come? Learned from one model's own request times, and from nothing else.

The expected number of requests in a window that starts `s` seconds after the last one is

    renewal(s, how busy the last hour was) x rhythm(weekday, time of day)

`gaps` holds the first factor, `rhythm` the second; `model` joins them to the one forecast that decisions ask.
"""

from warmer.core.forecast.model import Forecast

__all__ = ["Forecast"]
