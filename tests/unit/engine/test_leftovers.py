from __future__ import annotations

from pytest_agenteval.engine.sandboxes.leftovers import Processes, since

BEFORE = Processes.read("7:100 1\n8:120 1")


def test_what_was_there_before_stays_with_all_that_it_starts() -> None:
    now = Processes.read("7:100 1\n8:120 1\n20:500 8\n21:501 20")
    assert since(now, BEFORE) == []


def test_everything_else_is_left_over_however_it_was_started() -> None:
    now = Processes.read("7:100 1\n30:500 1\n31:501 30\n32:502 0\n33:503 99")
    assert since(now, BEFORE) == ["30", "31", "32", "33"]


def test_an_orphan_does_not_belong_to_the_containers_first_process() -> None:
    assert since(Processes.read("1:1 0\n7:100 1\n30:500 1"), Processes.read("1:1 0\n7:100 1")) == ["30"]


def test_an_id_that_was_used_again_is_another_process() -> None:
    assert since(Processes.read("7:999 1"), BEFORE) == ["7"]


def test_who_asks_is_no_leftover_and_the_dead_are_kept_apart() -> None:
    told = Processes.read("self 40\n40:600 0\n41:601 40\n50:610 1\ndead 60:611\ndead 61")
    assert (dict(told.parents), told.dead) == ({"50:610": "1"}, {"60:611", "61"})
