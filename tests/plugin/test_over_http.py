from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.http_runs import AGENT, HttpRun, all_calls, run_suite
from support.scripted_policy import CommandPolicy, Expected, Faults, Policy, Tokens, make_plan, total
from support.scripted_server import Entry, ScriptedServer

K = 8
TASKS = ("alpha", "beta", "gamma", "delta")
MODELS = ("agent-1", "agent-2")
OTHER = "openai-api/scripted/agent-2"
PRICES = {
    AGENT: {"input": 2.0, "output": 10.0, "cache_read": 0.5},
    OTHER: {"input": 0.25, "output": 1.5},
}


def _suite(*tasks: str) -> str:
    return "\n".join(
        f"""
async def test_{task}(agent, sandbox):
    await agent.run("Do task {task}.")
    assert await sandbox.read_file("out.txt") == "right\\n"
"""
        for task in tasks
    )


def _policy(
    p_success: float, faults: Faults, *, p_tool_fault: float = 0.3, tokens: Tokens | None = None
) -> CommandPolicy:
    return CommandPolicy(
        p_success=p_success,
        p_malformed_arguments=p_tool_fault,
        p_unknown_tool=p_tool_fault,
        p_failing_command=p_tool_fault,
        success=("echo right > out.txt",),
        failure=("echo wrong > out.txt",),
        tokens=tokens or Tokens(prompt=1000, completion=100, cached=400),
        faults=faults,
    )


CLOSED = Faults(p_429=0.08, p_500=0.08, p_hang=0.04, most_per_call=4)
"""Refusals, and connections that are closed without an answer."""
SILENT = Faults(p_429=0.05, p_500=0.05, p_hang=0.04, hang_seconds=3600)
"""Refusals, and answers that never come: the client's time-out ends them."""
POLICIES: dict[str, Policy] = {
    "alpha": _policy(0.6, CLOSED),
    "beta": _policy(1.0, CLOSED, tokens=Tokens(prompt=3000, completion=40)),
    "gamma": _policy(0.9, SILENT, tokens=Tokens(prompt=500, completion=500, cached=500)),
    "delta": _policy(0.0, Faults(), p_tool_fault=0.0),
}


def _price(task: str, model: str) -> float:
    """What one answered call costs, by hand: fresh input, cached input, output, in dollars per million tokens."""
    tokens = POLICIES[task].tokens
    fresh = tokens.prompt - tokens.cached
    if model == "agent-1":
        return (fresh * 2.0 + tokens.cached * 0.5 + tokens.completion * 10.0) / 1e6
    return (fresh * 0.25 + tokens.cached * 0.25 + tokens.completion * 1.5) / 1e6  # no price of its own for the cache


@dataclass(frozen=True, slots=True)
class Drawn:
    """A run, and what the server drew for it."""

    run: HttpRun
    expected: dict[tuple[str, str], Expected]
    single: dict[tuple[str, str], list[Expected]]
    journal: tuple[Entry, ...]

    def of(self, model: str) -> Expected:
        """The sums over all tasks of a model."""
        return total(self.expected[task, model] for task in TASKS)

    def cost(self, model: str) -> float:
        """The sum of all answered calls of a model."""
        return math.fsum(self.expected[task, model].calls * _price(task, model) for task in TASKS)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawn]:
    with ScriptedServer(POLICIES, seed=13, models=MODELS) as server:
        run = run_suite(
            tmp_path_factory.mktemp("exact"),
            server,
            _suite(*TASKS),
            "--agent-concurrency=8",
            "--agent-generate=max_retries=50",
            "--agent-model-arg=client_timeout=6",
            "--max-cost=5",
            "--agent-generate=max_tokens=1000",
            k=K,
            models=(AGENT, OTHER),
            prices=PRICES,
        )
        pairs = [(task, model) for task in TASKS for model in MODELS]
        yield Drawn(
            run,
            {(task, model): server.totals(task, K, model=model) for task, model in pairs},
            {(task, model): [server.expected(task, n, model=model) for n in range(K)] for task, model in pairs},
            server.journal,
        )


def test_every_kind_of_fault_was_drawn(drawn: Drawn) -> None:
    for model in MODELS:
        sums = drawn.of(model)
        assert min(sums.refused_429, sums.refused_500, sums.hangs) > 0
        assert min(sums.malformed_arguments, sums.unknown_tools, sums.failing_commands) > 0
    assert drawn.expected["gamma", "agent-1"].hangs + drawn.expected["gamma", "agent-2"].hangs > 0
    assert drawn.of("agent-1") != drawn.of("agent-2")


def test_the_server_got_exactly_the_drawn_requests(drawn: Drawn) -> None:
    for (task, model), sums in drawn.expected.items():
        answered = [entry.answered for entry in drawn.journal if (entry.task, entry.model) == (task, model)]
        assert len(answered) == sums.requests
        assert answered.count("hang") == sums.hangs
    assert {entry.client_retry for entry in drawn.journal} == {0}  # Inspect does all retrying, in sight of the meter


@pytest.mark.parametrize("model", MODELS)
def test_passes_of_every_task_are_the_drawn_ones(drawn: Drawn, model: str) -> None:
    rows = drawn.run.rows(model)
    for task in TASKS:
        c = drawn.expected[task, model].successes
        assert drawn.run.ended(f"test_{task}", model).count("passed") == c
        assert rows[f"test_{task}"][:3] == [f"{c}/{K}", f"{c / K:.3f}", f"{float(c == K):.3f}"]


@pytest.mark.parametrize("model", MODELS)
def test_the_cell_has_the_drawn_pass_rates(drawn: Drawn, model: str) -> None:
    passes = [drawn.expected[task, model].successes for task in TASKS]
    curve = [sum(math.comb(c, j) / math.comb(K, j) for c in passes) / len(TASKS) for j in range(1, K + 1)]
    block = drawn.run.block(model)
    assert f"pass@1 {curve[0]:.3f} | pass^8 {curve[-1]:.3f} | gap {curve[0] - curve[-1]:.3f}" in block
    assert f"pass^1 to pass^8: {' '.join(f'{rate:.3f}' for rate in curve)}" in block


@pytest.mark.parametrize("model", MODELS)
def test_tool_call_failures_by_tool_and_type_are_the_drawn_ones(drawn: Drawn, model: str) -> None:
    sums, rows = drawn.of(model), drawn.run.rows(model)
    failures = sums.malformed_arguments + sums.unknown_tools
    block = drawn.run.block(model)
    assert f"tool-call failures {failures} of {sums.calls} calls ({100 * failures / sums.calls:.1f}%: " in block
    assert f"bash parsing {sums.malformed_arguments}" in block
    assert f"no_such_tool parsing {sums.unknown_tools}" in block
    assert f"non-zero exits {sums.failing_commands}" in block
    for task in TASKS:
        one = drawn.expected[task, model]
        assert rows[f"test_{task}"][3] == str(one.malformed_arguments + one.unknown_tools)
        exits = [call.exit_code for a in drawn.run.attempts(f"test_{task}", model) for call in a.tool_calls]
        assert exits.count(3) == one.failing_commands


@pytest.mark.parametrize("model", MODELS)
def test_refused_calls_are_no_environment_errors_while_retries_are_left(drawn: Drawn, model: str) -> None:
    assert f"environment errors 0 of {K * len(TASKS)} tries" in drawn.run.block(model)
    sums = drawn.of(model)
    attempts = [a for task in TASKS for a in drawn.run.attempts(f"test_{task}", model)]
    assert sum(call.retries for call in all_calls(attempts)) == sums.refused_429 + sums.refused_500 + sums.hangs


@pytest.mark.parametrize("model", MODELS)
def test_every_attempt_costs_its_calls_by_the_price_of_its_model(drawn: Drawn, model: str) -> None:
    for task in TASKS:
        costs = sorted(attempt.cost or 0.0 for attempt in drawn.run.attempts(f"test_{task}", model))
        by_hand = sorted(one.calls * _price(task, model) for one in drawn.single[task, model])
        assert costs == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_every_attempt_has_the_tokens_of_its_calls(drawn: Drawn, model: str) -> None:
    for task in TASKS:
        sums, calls = drawn.expected[task, model], all_calls(drawn.run.attempts(f"test_{task}", model))
        assert len(calls) == sums.calls
        assert sum(call.input_tokens for call in calls) == sums.prompt_tokens - sums.cached_tokens
        assert sum(call.cache_read_tokens for call in calls) == sums.cached_tokens
        assert sum(call.output_tokens for call in calls) == sums.completion_tokens


@pytest.mark.parametrize("model", MODELS)
def test_the_report_shows_the_sums_of_the_costs(drawn: Drawn, model: str) -> None:
    sums, cost, block = drawn.of(model), drawn.cost(model), drawn.run.block(model)
    assert _dollars(block, "total cost") == pytest.approx(cost, rel=5e-3)  # three digits are shown
    assert _dollars(block, "per success") == pytest.approx(cost / sums.successes, rel=5e-3)
    reliable = sum(drawn.expected[task, model].successes == K for task in TASKS)
    assert _dollars(block, "per reliable task") == pytest.approx(cost / reliable, rel=5e-3)
    for task in TASKS:
        shown = drawn.run.rows(model)[f"test_{task}"][-2]
        by_hand = drawn.expected[task, model].calls * _price(task, model) / K
        assert float(shown.removeprefix("$")) == pytest.approx(by_hand, rel=5e-3)


@pytest.mark.parametrize("model", MODELS)
def test_calls_without_an_answer_are_reported_as_perhaps_billed(drawn: Drawn, model: str) -> None:
    assert (
        f"total cost ≥ ${_shown(drawn.run.block(model), 'total cost')} ({drawn.of(model).hangs} calls without an"
        in (drawn.run.block(model))
    )
    for task in TASKS:
        attempts = drawn.run.attempts(f"test_{task}", model)
        assert sum(attempt.lost_calls for attempt in attempts) == drawn.expected[task, model].hangs
        assert all((attempt.lost_cost > 0) == (attempt.lost_calls > 0) for attempt in attempts)


def test_both_cells_cost_together_what_they_cost_each_and_the_run_stayed_in_its_budget(drawn: Drawn) -> None:
    both = drawn.cost("agent-1") + drawn.cost("agent-2")
    assert _dollars(drawn.run.text, "total cost of all cells") == pytest.approx(both, rel=5e-3)
    assert drawn.run.gate("--max-cost").startswith("PASS")
    assert drawn.run.code == 1  # the tasks that the draws failed
    assert "INTERNALERROR" not in drawn.run.text


def _shown(text: str, what: str) -> str:
    found = re.search(rf"{what} (?:≥ )?\$([\d.]+)", text)
    assert found is not None
    return found[1]


def _dollars(text: str, what: str) -> float:
    return float(_shown(text, what))


# -- environment errors, counted ---------------------------------------------------------------------------------------

FLAKY = Faults(p_429=0.1, p_500=0.15, most_per_call=3)


@dataclass(frozen=True, slots=True)
class Tries:
    """What k attempts meet that are tried again after every refusal."""

    conversations: int
    errors: int
    calls: int


def _tries(policy: Policy, seed: int, task: str, k: int) -> Tries:
    """By hand: a refusal ends a try. The first call of a conversation may be asked for again by another try, a later
    one may not, so then the conversation is left and another one begun, until k have run to their ends."""
    conversations = errors = calls = ended = 0
    while ended < k:
        plan = make_plan(policy, seed, "agent-1", task, conversations)
        conversations += 1
        errors += len(plan.refusals(0))
        left_at = next((step for step in range(1, len(plan.steps)) if plan.refusals(step)), None)
        if left_at is None:
            ended += 1
            calls += len(plan.steps)
        else:
            errors += 1
            calls += left_at
    return Tries(conversations, errors, calls)


def test_environment_errors_are_the_drawn_refusals_where_the_provider_is_not_asked_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    k, seed = 6, 4
    policies: dict[str, Policy] = {
        "alpha": _policy(1.0, FLAKY, p_tool_fault=0.0),
        "beta": _policy(1.0, Faults(), p_tool_fault=0.0),
    }
    tries = {task: _tries(policy, seed, task, k) for task, policy in policies.items()}
    assert (tries["beta"].errors, tries["alpha"].errors > 3) == (0, True)
    with ScriptedServer(policies, seed=seed) as server:
        run = run_suite(
            tmp_path_factory.mktemp("flaky"),
            server,
            _suite(*policies),
            "--agent-generate=max_retries=0",
            "--agent-env-retries=50",
            k=k,
            prices=PRICES,
        )
        assert {task: server.started(task) for task in policies} == {t: tries[t].conversations for t in tries}
    price, errors, rows = (600 * 2.0 + 400 * 0.5 + 100 * 10.0) / 1e6, tries["alpha"].errors, run.rows("agent-1")
    assert (rows["test_alpha"][0], rows["test_beta"][0]) == (f"{k}/{k}", f"{k}/{k}")
    assert (rows["test_alpha"][4], rows["test_beta"][4]) == (str(errors), "0")
    shares = f"{errors} of {2 * k + errors} tries"
    assert f"environment errors {shares} ({100 * errors / (2 * k + errors):.1f}%)" in run.block("agent-1")
    assert f"{shares} met an environment error" in run.gate("--agent-max-env-error-rate")
    # what the repeated tries cost is counted, and kept apart
    attempts = run.attempts("test_alpha")
    assert len(all_calls(attempts)) == tries["alpha"].calls
    assert sum(attempt.cost or 0.0 for attempt in attempts) == pytest.approx(tries["alpha"].calls * price, rel=1e-9)
    assert [len(attempt.model_calls) for attempt in attempts] == [2] * k
    assert {retry.cause.value for attempt in attempts for retry in attempt.retries} == {"provider"}
    assert sum(attempt.lost_calls for attempt in attempts) == 0  # a refusal was not billed
    assert (run.code, run.status_line[:20]) == (10, "exit 10: UNDECIDED: ")
