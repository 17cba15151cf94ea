"""The k-out-of-n rule against hand-computed orders."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_agenteval.estimate.early_stop.order import Units, next_units

untimed = settings(deadline=None)


def test_the_rule_picks_where_both_answers_meet_by_hand():
    # Cost / P(pass): b 1/.9, c 2/.6, a 1/.2. Cost / P(fail): a 1/.8, c 2/.4, b 1/.1. PASS needs two, FAIL needs two.
    units = Units(
        np.array([7, 8, 9]),
        np.array([0.2, 0.9, 0.6]),
        np.array([1.0, 1.0, 2.0]),
        np.ones(3, np.bool_),
        np.ones(3, np.bool_),
    )
    assert next_units(units, 2, 2, slots=1) == [9]
    # 0.2 + 0.9 + 0.6 < 2: FAIL is likelier, and the next slot goes to the other task of its set.
    assert next_units(units, 2, 2, slots=3) == [9, 7]


def test_an_answer_that_can_no_longer_come_asks_for_nothing():
    # PASS needs two, and only the first may still pass. Cost / P(fail): 5 is 1/.8, 4 is 1/.5, 6 is 1/.1.
    units = Units(
        np.array([4, 5, 6]),
        np.array([0.5, 0.2, 0.9]),
        np.ones(3),
        np.array([True, False, False]),
        np.ones(3, np.bool_),
    )
    assert next_units(units, 2, 2, slots=3) == [5, 4]


@untimed
@given(st.integers(1, 12), st.data())
def test_the_two_sets_of_the_rule_always_meet(size: int, data: st.DataObject):
    chance = data.draw(st.lists(st.floats(0.001, 0.999), min_size=size, max_size=size))
    cost = data.draw(st.lists(st.floats(0.01, 100), min_size=size, max_size=size))
    to_pass = data.draw(st.integers(1, size))
    everything = np.ones(size, np.bool_)
    units = Units(np.arange(size), np.array(chance), np.array(cost), everything, everything)
    (pick,) = next_units(units, to_pass, size + 1 - to_pass, slots=1)
    by_pass = sorted(range(size), key=lambda i: cost[i] / chance[i])[:to_pass]
    by_fail = sorted(range(size), key=lambda i: cost[i] / (1 - chance[i]))[: size + 1 - to_pass]
    assert cost[pick] / chance[pick] <= max(cost[i] / chance[i] for i in by_pass)
    assert cost[pick] / (1 - chance[pick]) <= max(cost[i] / (1 - chance[i]) for i in by_fail)
