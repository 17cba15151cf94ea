"""Every row of the table of outcomes by what the design says of it, and what must hold whatever the facts are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_agenteval.record.outcome_table import TABLE, Exit, Facts, Loss, Part, Raised, Unanswered, rule
from pytest_agenteval.record.outcomes import Cause, Outcome

ERROR, SKIP, XFAIL = Exit(text="KeyError: 'x'"), Exit(Raised.SKIP, text="no"), Exit(Raised.XFAIL, text="known")
LOST, DOWN = Exit(fault=Cause.SANDBOX, text="gone"), Exit(fault=Cause.PROVIDER, text="503")
RETURNED = Exit(Raised.RETURNED, text="returned <class 'bool'>")
STARTED = Facts(agent_started=True, wants_agent=True, time_limit=60.0, grading_time_limit=30.0)
EARLY = replace(STARTED, agent_started=False)
OWN, TAKEN = Loss(own=True, taken=False, reason="out of memory"), Loss(own=False, taken=True, reason="removed")

ROWS: list[tuple[str, Facts, Outcome, Cause | None, str]] = [
    (
        "the run stopped it",
        replace(STARTED, body=ERROR, stopped=Cause.BUDGET, limit=Cause.COST),
        Outcome.NOT_RUN,
        Cause.BUDGET,
        ERROR.text,
    ),
    (
        "a call could not be counted",
        replace(STARTED, miswired="a client went past the bridge"),
        Outcome.BROKEN,
        None,
        "a client went past the bridge",
    ),
    (
        "nobody could tell whether it kept its limits",
        replace(STARTED, body=ERROR, unmeasured="token_limit cannot be held: m answered without usage"),
        Outcome.ENVIRONMENT_ERROR,
        Cause.PROVIDER,
        "token_limit cannot be held: m answered without usage",
    ),
    (
        "this machine lacks something that no agent can bring",
        replace(STARTED, body=ERROR, lacking=(Part.BODY, "the grader cannot run here: nltk is not installed")),
        Outcome.BROKEN,
        None,
        "the grader cannot run here: nltk is not installed",
    ),
    (
        "the provider was silent until the time was up",
        replace(STARTED, body=ERROR, timed_out=True, timed_out_by=Cause.PROVIDER),
        Outcome.ENVIRONMENT_ERROR,
        Cause.PROVIDER,
        "the agent's 60.0 s were up",
    ),
    ("the provider failed", replace(STARTED, body=DOWN), Outcome.ENVIRONMENT_ERROR, Cause.PROVIDER, "503"),
    (
        "the provider failed, and the agent's code made something else of it",
        replace(STARTED, body=ERROR, unanswered=Unanswered(Cause.PROVIDER, "503 overloaded")),
        Outcome.ENVIRONMENT_ERROR,
        Cause.PROVIDER,
        "503 overloaded\nKeyError: 'x'",
    ),
    ("it skipped itself before the agent started", replace(EARLY, body=SKIP), Outcome.SKIPPED, None, "no"),
    ("it skipped itself before the agent started", replace(EARLY, body=XFAIL), Outcome.SKIPPED, None, "known"),
    (
        "it skipped itself before the agent started",
        replace(EARLY, body=SKIP, in_setup=True),
        Outcome.SKIPPED,
        None,
        "no",
    ),
    (
        "it passed in a sandbox that was taken away",
        replace(STARTED, loss=TAKEN),
        Outcome.ENVIRONMENT_ERROR,
        Cause.SANDBOX,
        "removed",
    ),
    (
        "it passed while what the agent left running went on",
        replace(STARTED, left_running=True),
        Outcome.BROKEN,
        None,
        "leftovers='stop' did not hold: call `await attempt.agent_done()` where the agent is done and the checks begin",
    ),
    (
        "it broke a rule that must hold",
        replace(STARTED, rule_broken="no push: git push origin"),
        Outcome.FAILED,
        None,
        "no push: git push origin",
    ),
    ("passed", STARTED, Outcome.PASSED, None, ""),
    ("passed", replace(STARTED, unanswered=Unanswered(Cause.PROVIDER, "503")), Outcome.PASSED, None, ""),
    ("passed", replace(STARTED, limit=Cause.TURNS), Outcome.PASSED, None, ""),
    ("passed", replace(STARTED, loss=OWN), Outcome.PASSED, None, ""),
    (
        "the agent ended its sandbox after it had reached a limit",
        replace(STARTED, body=ERROR, limit=Cause.TIME, loss=OWN),
        Outcome.LIMIT,
        Cause.TIME,
        ERROR.text,
    ),
    (
        "the agent ended its sandbox",
        replace(STARTED, body=LOST, loss=OWN),
        Outcome.FAILED,
        Cause.SANDBOX_EXHAUSTED,
        "out of memory; gone",
    ),
    (
        "the sandbox was lost",
        replace(EARLY, body=LOST, loss=OWN),
        Outcome.ENVIRONMENT_ERROR,
        Cause.SANDBOX,
        "out of memory; gone",
    ),
    (
        "the sandbox was lost",
        replace(STARTED, body=ERROR, loss=TAKEN),
        Outcome.ENVIRONMENT_ERROR,
        Cause.SANDBOX,
        "removed; KeyError: 'x'",
    ),
    ("the sandbox failed", replace(STARTED, teardown=LOST), Outcome.ENVIRONMENT_ERROR, Cause.SANDBOX, "gone"),
    (
        "no agent had started when the time was up",
        replace(EARLY, body=SKIP, timed_out=True),
        Outcome.BROKEN,
        Cause.SETUP,
        "no agent had started after 30 s",
    ),
    ("a fixture raised", replace(STARTED, body=ERROR, in_setup=True), Outcome.BROKEN, Cause.SETUP, ERROR.text),
    ("a fixture raised", replace(STARTED, body=SKIP, in_setup=True), Outcome.BROKEN, Cause.SETUP, SKIP.text),
    ("the body raised before the agent started", replace(EARLY, body=ERROR), Outcome.BROKEN, None, ERROR.text),
    ("a teardown raised", replace(STARTED, teardown=ERROR), Outcome.BROKEN, Cause.TEARDOWN, ERROR.text),
    ("a teardown raised", replace(EARLY, body=SKIP, teardown=ERROR), Outcome.BROKEN, Cause.TEARDOWN, ERROR.text),
    (
        "the agent never ran",
        EARLY,
        Outcome.BROKEN,
        None,
        "the agent never ran: is an `await` missing before agent.run(...)?",
    ),
    (
        "it skipped itself after the agent had started",
        replace(STARTED, body=SKIP, limit=Cause.COST),
        Outcome.BROKEN,
        None,
        "skipped after the agent had started: no",
    ),
    (
        "it returned a value, which is an error here",
        replace(STARTED, body=RETURNED),
        Outcome.BROKEN,
        None,
        RETURNED.text,
    ),
    (
        "the agent raised before its first model call",
        replace(STARTED, body=ERROR, agent_unheard=True),
        Outcome.BROKEN,
        None,
        "the agent raised before its first model call: KeyError: 'x'",
    ),
    (
        "the agent's time was up",
        replace(STARTED, body=ERROR, timed_out=True, timed_out_by=Cause.TIME),
        Outcome.LIMIT,
        Cause.TIME,
        "the agent's 60.0 s were up",
    ),
    (
        "the agent reached a limit",
        replace(STARTED, body=ERROR, limit=Cause.COST),
        Outcome.LIMIT,
        Cause.COST,
        ERROR.text,
    ),
    (
        "the agent reached a limit",
        replace(STARTED, body=ERROR, limit=Cause.COST, timed_out=True),
        Outcome.LIMIT,
        Cause.COST,
        "the checks after the agent took longer than 30 s",
    ),
    (
        "the conversation has outgrown the model",
        replace(STARTED, body=ERROR, unanswered=Unanswered(Cause.CONTEXT, "400 too long")),
        Outcome.LIMIT,
        Cause.CONTEXT,
        "400 too long\nKeyError: 'x'",
    ),
    (
        "the provider does not take the conversation",
        replace(STARTED, body=ERROR, unanswered=Unanswered(Cause.REFUSED, "400 bad roles")),
        Outcome.FAILED,
        Cause.REFUSED,
        "400 bad roles\nKeyError: 'x'",
    ),
    (
        "the checks took too long",
        replace(STARTED, body=ERROR, timed_out=True),
        Outcome.FAILED,
        Cause.GRADING_TIME,
        "the checks after the agent took longer than 30 s",
    ),
    (
        "a limit was exceeded",
        replace(STARTED, body=Exit(fault=Cause.TOKENS, text="too many")),
        Outcome.LIMIT,
        Cause.TOKENS,
        "too many",
    ),
    ("failed", replace(STARTED, body=ERROR), Outcome.FAILED, None, ERROR.text),
    ("failed", replace(STARTED, body=XFAIL), Outcome.FAILED, None, XFAIL.text),
]


@pytest.mark.parametrize(("name", "facts", "outcome", "cause", "message"), ROWS)
def test_a_row_decides(name: str, facts: Facts, outcome: Outcome, cause: Cause | None, message: str) -> None:
    ruling = rule(facts)
    assert (ruling.row, ruling.outcome, ruling.cause, ruling.message) == (name, outcome, cause, message)


def test_every_row_has_an_example() -> None:
    assert [row.name for row in TABLE] == list(dict.fromkeys(name for name, *_ in ROWS))


def test_only_what_counts_as_a_failure_can_be_excused() -> None:
    assert rule(replace(STARTED, body=XFAIL)).excused
    assert rule(replace(STARTED, body=XFAIL, limit=Cause.COST)).excused
    assert not rule(replace(STARTED, body=ERROR)).excused
    assert not rule(replace(EARLY, body=XFAIL)).excused
    assert not rule(replace(STARTED, body=XFAIL, loss=TAKEN)).excused


exits = st.none() | st.builds(
    Exit,
    st.sampled_from(Raised),
    st.sampled_from((None, Cause.SANDBOX, Cause.PROVIDER, Cause.TOKENS)),
    st.sampled_from(("", "text")),
)
all_facts = st.builds(
    Facts,
    body=exits,
    teardown=exits,
    in_setup=st.booleans(),
    agent_started=st.booleans(),
    agent_unheard=st.booleans(),
    wants_agent=st.booleans(),
    asynchronous=st.booleans(),
    stopped=st.sampled_from((None, None, None, Cause.BUDGET)),
    miswired=st.sampled_from((None, None, None, "past the bridge")),
    limit=st.sampled_from((None, None, Cause.COST)),
    timed_out=st.booleans(),
    timed_out_by=st.sampled_from((None, Cause.TIME, Cause.PROVIDER)),
    time_limit=st.just(60.0),
    grading_time_limit=st.just(30.0),
    loss=st.none() | st.builds(Loss, st.booleans(), st.booleans(), st.just("gone")),
).filter(lambda f: f.body is not None or not (f.timed_out or f.in_setup))


@given(all_facts)
def test_no_facts_make_a_verdict_that_nobody_can_defend(facts: Facts) -> None:
    ruling = rule(facts)
    ended = facts.ended(ruling.blames)
    assert (ruling.blames is None) == (ended is None), "what is blamed was raised"
    if ruling.outcome is Outcome.PASSED:
        assert facts.body is None and facts.teardown is None, "a pass hides no exception"
        assert facts.agent_started or not facts.wants_agent
    if ruling.outcome is Outcome.FAILED:
        assert facts.agent_started, "no failure is an agent's that had not begun"
    if ruling.outcome is Outcome.SKIPPED:
        assert not facts.agent_started and facts.teardown is None
    if ruling.outcome is Outcome.ENVIRONMENT_ERROR and facts.loss is not None and facts.agent_started:
        blameless = ruling.cause is Cause.PROVIDER or not facts.loss.own or facts.loss.taken
        assert blameless, "an agent cannot choose to be an environment error"
    if ruling.blames is Part.TEARDOWN and ruling.outcome is Outcome.BROKEN:
        assert ruling.cause is Cause.TEARDOWN
