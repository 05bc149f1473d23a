"""How far apart the beats of the models in force go out: worked out anew where they are other ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from warmer.core.spec import ModelSpec
from warmer.core.spread import apart_s


class Spread:
    """Of the models of one account."""

    def __init__(self, models: Callable[[], Sequence[ModelSpec]]) -> None:
        self._models = models
        self._of: Sequence[ModelSpec] = ()
        self._apart_s = 0.0

    @property
    def apart_s(self) -> float:
        """Seconds, as `warmer.core.spread.apart_s` has them."""
        if (models := self._models()) is not self._of:
            self._of, self._apart_s = models, apart_s(models)
        return self._apart_s
