"""What comes to light late is learned as if it had been known in time."""

from __future__ import annotations

from datetime import timedelta

from engine.stage import START
from engine.told import ENTRY, Told, facts
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.core.history import Evidence
from warmer.core.learned import Learned
from warmer.engine.learning import Learning
from warmer.engine.lesson import SETTLES_IN

END = 200
minutes = st.integers(0, 120)
late = st.integers(0, SETTLES_IN // timedelta(minutes=1) - 1)


@settings(max_examples=30, deadline=None)
@given(
    finds=st.lists(
        st.tuples(minutes, late, st.floats(10, 900), st.booleans()), max_size=25, unique_by=lambda find: find[0]
    ),
    looks=st.lists(minutes, max_size=15),
)
def test_late_news_teach_what_they_would_have_taught_in_time(
    finds: list[tuple[int, int, float, bool]], looks: list[int]
) -> None:
    told, learning = Told(), Learning(lambda: (ENTRY,))
    for minute in (*sorted(looks), END):
        told.known = [
            Evidence(at=START + timedelta(minutes=ended), gap_s=gap_s, cold=cold, wait_s=5.0 if cold else 0.1)
            for ended, later, gap_s, cold in sorted(finds)
            if ended + later <= minute
        ]
        seen = facts(learning, told, START + timedelta(minutes=minute))
        assert seen == facts(Learning(lambda: (ENTRY,)), told, START + timedelta(minutes=minute))


def test_models_of_which_nothing_is_known_share_what_is_thought_of_them() -> None:
    assert Learned().idle_timeout is Learned().idle_timeout
