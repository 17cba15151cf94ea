"""Verdicts of runs that were merged from shards, and what the comparison with a baseline finds.

Run: `python tests/bench/bench_shards.py [cases] [repetitions]` (defaults: 10000 and 2000). It exits with 1 if a verdict
of a merge is wrong: not that of the whole run though nothing is lost, or PASS or FAIL though a lost shard could have
turned it. Then it repeats comparisons of 6 tasks with 8 attempts each, before and after, and shows how often the gate
fails the run, alone and in 20 repetitions, and how many of the tasks that fell it names.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from random import Random
from time import perf_counter

from support.made_records import CELL, task
from support.sharded_runs import made, wrong

from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.judge import Verdict
from pytest_agenteval.judge.baseline import compare, judge_comparison
from pytest_agenteval.record.history import EarlierAttempt, EarlierRun
from pytest_agenteval.record.tool_calls import ToolCalls

ATTEMPTS = 8


def letters(random: Random, rate: float) -> str:
    return "".join("p" if random.random() < rate else "f" for _ in range(ATTEMPTS))


def compared(random: Random, before: Sequence[float], after: Sequence[float]) -> tuple[bool, set[int], set[int]]:
    """Whether the run fails, the tasks that it names, and those that pass less often than before."""
    then = [letters(random, rate) for rate in before]
    now = [letters(random, rate) for rate in after]
    attempts = [
        EarlierAttempt(CELL, str(n), letter == "p", 0.0, ToolCalls(), None)
        for n, each in enumerate(then)
        for letter in each
    ]
    run = summarize([task(each, name=str(n)) for n, each in enumerate(now)])
    [found] = compare(run, EarlierRun("before", tuple(attempts)))
    named = {int(each.task) for each in (*found.regressed, *found.fell_most)}
    fell = {n for n, (one, other) in enumerate(zip(then, now, strict=True)) if other.count("p") < one.count("p")}
    return judge_comparison(found).verdict is Verdict.FAIL, named, fell


def main(cases: int = 10_000, repetitions: int = 2000) -> int:
    began, mistakes, whole = perf_counter(), 0, 0
    for seed in range(cases):
        whole += made(Random(seed)).is_whole
        if (why := wrong(Random(seed))) is not None:
            mistakes += 1
            print(f"case {seed}: {why}")
    print(f"{mistakes} wrong of {cases} merges ({whole} of them whole) in {perf_counter() - began:.0f} s")
    random = Random(0)
    for what, before, after in (
        ("nothing changed", [0.8] * 6, [0.8] * 6),
        ("6 tasks fell from .8 to .5", [0.8] * 6, [0.5] * 6),
        ("6 of 12 tasks fell from .8 to .5", [0.8] * 12, [0.5] * 6 + [0.8] * 6),
        ("1 of 6 tasks fell from 1 to .1", [1.0] * 6, [0.1] + [1.0] * 5),
    ):
        results = [compared(random, before, after) for _ in range(repetitions)]
        failed = [(named, fell) for verdict, named, fell in results if verdict]
        exact = sum(named == fell for named, fell in failed)
        rate = len(failed) / repetitions
        print(
            f"{what}: {rate:.1%} of runs fail, {20 * rate:.1f} of 20; {exact} of {len(failed)} name what fell exactly"
        )
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
