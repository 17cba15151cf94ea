from __future__ import annotations

import pytest
from support.suite_runs import Run

from pytest_agenteval.options.values import role

SUITE = """
import pytest
from inspect_ai.tool import tool
from pytest_agenteval import SimulatedUser, agent_task, dialogue

@tool
def cancel(done):
    async def execute(order: int) -> str:
        '''Cancel an order.

        Args:
            order: its number
        '''
        done.append(order)
        return "cancelled"
    return execute

USER = SimulatedUser(scenario="You want order 7 cancelled.", script=["Hello.", "Please cancel order 7.", "Thanks."])

@agent_task(solution=[("cancel", {"order": 7})], answer="Order 7 is cancelled.")
async def test_talk(agent, attempt):
    done = []
    talk = await dialogue(agent, USER, tools=[cancel(done)], instructions="Be kind.")
    assert done == [7]
    assert talk.heard == tuple(USER.script)
    assert talk.said == ("Order 7 is cancelled.",) * 3
    assert (talk.turns, talk.ended_by, talk.limit, talk.cost, talk.user_cost) == (3, "user", None, 0.0, 0.0)
    assert [call.tool for call in talk.tool_calls] == ["cancel"]
    roles = ["user", "assistant", "tool", "assistant", "user", "assistant", "user", "assistant"]
    assert [message.role for message in talk.messages] == roles
"""


def test_the_oracle_plays_the_solution_in_a_dialogue_and_the_null_says_nothing(run: Run) -> None:
    result = run(SUITE, "--agent-model=agenteval/oracle", "--k=2", "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines_random(["*oracle] PASSED 2/2*", "*null] FAILED 0/2*"])
    assert "user $" not in result.stdout.str()  # nobody played a role: the costs of roles are not told apart


def test_the_turns_and_the_agents_own_limits_end_a_dialogue(run: Run) -> None:
    result = run(
        """
        import pytest
        from pytest_agenteval import SimulatedUser, agent_task, dialogue
        USER = SimulatedUser(scenario="x", script=["Hello."] * 9)
        @agent_task(answer="Yes.")
        async def test_turns(agent):
            talk = await dialogue(agent, USER, tools=[], max_turns=4)
            assert (talk.turns, talk.ended_by, talk.limit, talk.said) == (4, "turns", None, ("Yes.",) * 4)
        @agent_task(answer="Yes.", turn_limit=2)
        async def test_limit(agent):
            talk = await dialogue(agent, USER, tools=[])
            assert (talk.ended_by, talk.limit, talk.said[:2]) == ("limit", "turns", ("Yes.",) * 2)
            assert len(talk.heard) == 3
        @agent_task(answer="Yes.")
        async def test_wrong(agent):
            for max_turns, message in ((0, "one turn at least"), (-1, "one turn at least")):
                with pytest.raises(ValueError, match=message):
                    await dialogue(agent, USER, max_turns=max_turns)
            for script in ((), "Hello."):
                with pytest.raises(ValueError, match="a list with the person's messages"):
                    SimulatedUser(scenario="x", script=script)
            with pytest.raises(ValueError, match="what ends the dialogue"):
                SimulatedUser(scenario="x", script=["a"], stop=" ")
            await agent.run("x")
        """,
        model="agenteval/oracle",
    )
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("agent=openai/gpt-5-mini", "names the agent under evaluation: give its model with --agent-model"),
        ("user", "must be NAME=PROVIDER/MODEL"),
        ("=openai/gpt-5-mini", "must be NAME=PROVIDER/MODEL"),
        ("user=gpt-5-mini", "must be PROVIDER/MODEL"),
        ("user=agenteval/oracle", "gives the role to a built-in model: they play agents only"),
    ],
)
def test_what_is_no_role(raw: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        role(raw)


def test_roles_that_cannot_be_played_are_refused(run: Run) -> None:
    unknown = run(SUITE, "--agent-role=user=opanai/gpt-5-mini")
    assert unknown.ret == 4
    assert (
        "model opanai/gpt-5-mini of --agent-role=user cannot be used: Inspect knows no provider 'opanai'; "
        "did you mean openai/gpt-5-mini?"
    ) in " ".join([*unknown.outlines, *unknown.errlines])
    twice = run(SUITE, "--agent-role=user=openai/a", "--agent-role=user=openai/b")
    assert twice.ret == 4
    twice.stderr.fnmatch_lines(["*--agent-role gives user twice: give each role one model*"])
