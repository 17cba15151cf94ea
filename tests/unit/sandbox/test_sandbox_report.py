from __future__ import annotations

from support.made_records import attempt, task_of

from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.record.records import from_json, to_json
from pytest_agenteval.report.cell_block import cell_block
from pytest_agenteval.report.failures import failure_lines


def waits(*seconds: float | None) -> list[str]:
    attempts = (attempt("p", number, sandbox_wait_seconds=wait) for number, wait in enumerate(seconds, 1))
    (cell,) = summarize([task_of(*attempts)]).cells
    return [line.text.strip() for line in cell_block(cell, 300) if "waited" in line.text]


def test_waits_for_a_sandbox_are_told_above_a_second_per_attempt() -> None:
    assert waits(*[0.9] * 100) == []
    assert waits(0.0, 2.0) == []
    assert waits(2.0, 5.0, None) == [
        "an attempt waited 3.5 s on average for a place to start its sandbox: the processors and the memory of "
        "Docker's host, or the room in the cluster, say how many start at once; it counts in no time limit, and "
        "nothing need be done"
    ]


def test_what_nobody_measured_is_no_wait_of_none() -> None:
    assert waits(None, None) == []
    (cell,) = summarize([task_of(attempt("p"))]).cells
    assert cell.sandbox_wait_seconds is None


def test_each_kept_sandbox_of_like_failures_is_named() -> None:
    kept = (attempt("f", number, sandbox_kept=f"docker exec -it box-{number} bash -l") for number in (1, 2))
    lines = [line.text.strip() for line in failure_lines(task_of(*kept, attempt("p", 3)))]
    assert [line for line in lines if "kept" in line] == [
        "its sandbox of attempt 1 is kept; enter it by: docker exec -it box-1 bash -l",
        "its sandbox of attempt 2 is kept; enter it by: docker exec -it box-2 bash -l",
    ]


def test_the_fields_of_the_sandbox_cross_processes_and_may_be_absent() -> None:
    record = task_of(attempt("p", image="sha256:0", sandbox_wait_seconds=0.25, sandbox_kept="cd /x"))
    data = to_json(record)
    assert from_json(data) == record
    for name in ("image", "sandbox_wait_seconds", "sandbox_kept"):
        del data["attempts"][0][name]
    assert from_json(data) == task_of(attempt("p"))
