from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_agenteval.record.shards import shard_of


def test_parts_are_the_same_for_ever() -> None:
    """`printf %s t.py::test_a | sha256sum` begins with 75a2b72a2ccebc6c: that modulo N, plus 1."""
    assert [shard_of("t.py::test_a", shards) for shards in (1, 2, 3, 7, 100)] == [
        0x75A2B72A2CCEBC6C % shards + 1 for shards in (1, 2, 3, 7, 100)
    ]


@given(st.text(), st.integers(1, 50))
def test_every_test_is_in_exactly_one_part(key: str, shards: int) -> None:
    assert 1 <= shard_of(key, shards) <= shards
    assert shard_of(key, 1) == 1


def test_parts_are_of_like_size() -> None:
    sizes = [0, 0, 0]
    for number in range(3000):
        sizes[shard_of(f"tests/test_suite.py::test_{number}", 3) - 1] += 1
    assert sum(sizes) == 3000
    assert min(sizes) > 900  # 1000 each on average, standard deviation 26
