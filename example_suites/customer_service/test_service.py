from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.tool import Tool

from pytest_agenteval import Agent, SimulatedUser, agent_task, dialogue

POLICY = Path(__file__).with_name("policy.md").read_text("utf-8")

ANN = "You are Ann Berg, ann@example.org, postcode 10115. You are friendly and brief. "
BO = "You are Bo Lind, bo@example.org, postcode 20095. You are impatient, and insist once when something is refused. "
EVA = "You are Eva Roth, eva@example.org, postcode 80331. You write in half sentences. "

FIND_ANN = ("find_customer", {"email": "ann@example.org", "zip_code": "10115"})
FIND_BO = ("find_customer", {"email": "bo@example.org", "zip_code": "20095"})
FIND_EVA = ("find_customer", {"email": "eva@example.org", "zip_code": "80331"})


@dataclass(frozen=True)
class Case:
    """One customer with a request, and what the shop must look like when they are gone."""

    scenario: str
    """What the simulated user is told, and the agent is not."""
    script: Sequence[str]
    """What the customer says where the agent is rehearsed."""
    solution: Sequence[tuple[str, Mapping[str, Any]]]
    changes: Mapping[str, Any]
    """The whole difference to the database at the start: what is not listed must be as it was."""
    settled: str
    """How it must tell the customer that everything is settled: the order, the money, the rule."""

    @property
    def answer(self) -> str:
        """What the reference solution says at the end."""
        return f"Settled: {self.settled}"


CASES = {
    "cancels-a-pending-order": Case(
        scenario=ANN + "You bought the wrong size and want order 1002 cancelled. You ask how much you get back.",
        script=["Hello, please cancel my order 1002. ann@example.org, 10115.", "Thank you."],
        solution=[FIND_ANN, ("cancel", {"order": 1002})],
        changes={"purchase 1002 status": "cancelled"},
        settled="order 1002, $129.00, no rule",
    ),
    "does-not-cancel-what-is-on-its-way": Case(
        scenario=BO + "You want order 1005 cancelled, for you have found the tent cheaper elsewhere.",
        script=["Cancel order 1005, now. bo@example.org, 20095.", "But I do not want it any more!"],
        solution=[FIND_BO, ("refuse", {"order": 1005, "rule": 2})],
        changes={"refusal 1005/2": "added"},
        settled="order 1005, $0.00, rule 2",
    ),
    "cancels-the-whole-order-only": Case(
        scenario=EVA + "You want the jacket out of order 1006. If that cannot be, the whole order shall be cancelled.",
        script=["jacket out of 1006 please, eva@example.org 80331", "then cancel all of it"],
        solution=[FIND_EVA, ("refuse", {"order": 1006, "rule": 2}), ("cancel", {"order": 1006})],
        changes={"refusal 1006/2": "added", "purchase 1006 status": "cancelled"},
        settled="order 1006, $98.00, rule 2",
    ),
    "sends-a-pending-order-elsewhere": Case(
        scenario=EVA + "You have moved: order 1006 shall go to Elm Street 5, postcode 80333.",
        script=["moved! 1006 to Elm Street 5, 80333. eva@example.org, old postcode 80331"],
        solution=[FIND_EVA, ("change_address", {"order": 1006, "street": "Elm Street 5", "zip_code": "80333"})],
        changes={"purchase 1006 street": "Elm Street 5", "purchase 1006 zip_code": "80333"},
        settled="order 1006, $0.00, no rule",
    ),
    "does-not-send-a-parcel-elsewhere": Case(
        scenario=BO + "Order 1005 shall go to your office instead: Dock Street 12, postcode 20099.",
        script=["Send order 1005 to Dock Street 12, 20099. bo@example.org, 20095.", "It is urgent!"],
        solution=[FIND_BO, ("refuse", {"order": 1005, "rule": 3})],
        changes={"refusal 1005/3": "added"},
        settled="order 1005, $0.00, rule 3",
    ),
    "takes-one-of-two-items-back": Case(
        scenario=ANN + "The jacket of order 1001 does not fit. You want to return it and keep the mug.",
        script=["I want to return the jacket of order 1001. I am ann@example.org, 10115.", "How kind."],
        solution=[FIND_ANN, ("return_item", {"order": 1001, "sku": "JACKET-S"})],
        changes={"item 1001/JACKET-S state": "returned"},
        settled="order 1001, $89.00, no rule",
    ),
    "does-not-take-back-what-was-delivered-long-ago": Case(
        scenario=ANN + "You want to return the tent of order 1003, which you have never used.",
        script=["May I return the tent of order 1003? ann@example.org, 10115.", "It is as good as new."],
        solution=[FIND_ANN, ("refuse", {"order": 1003, "rule": 4})],
        changes={"refusal 1003/4": "added"},
        settled="order 1003, $0.00, rule 4",
    ),
    "takes-back-only-what-was-not-sold-for-good": Case(
        scenario=BO + "You want to return everything of order 1004: the lamp and the boots.",
        script=["I return the lamp and the boots of order 1004. bo@example.org, 20095.", "The lamp is useless!"],
        solution=[
            FIND_BO,
            ("return_item", {"order": 1004, "sku": "BOOTS-43"}),
            ("refuse", {"order": 1004, "rule": 4}),
        ],
        changes={"item 1004/BOOTS-43 state": "returned", "refusal 1004/4": "added"},
        settled="order 1004, $129.00, rule 4",
    ),
    "exchanges-for-another-size": Case(
        scenario=EVA + "The boots of order 1007 are too small. You want them in 43, and nothing else.",
        script=["boots of 1007 too small, 43 please. eva@example.org 80331", "great"],
        solution=[FIND_EVA, ("exchange_item", {"order": 1007, "sku": "BOOTS-42", "new_sku": "BOOTS-43"})],
        changes={
            "item 1007/BOOTS-42 state": "exchanged",
            "item 1007/BOOTS-43": "added",
            "item 1007/BOOTS-43 state": "to be sent",
            "product BOOTS-43 stock": 2,
        },
        settled="order 1007, $0.00, no rule",
    ),
    "does-not-exchange-for-what-is-sold-out": Case(
        scenario=ANN + "You want the jacket of order 1001 in M. You do not want another size, nor your money back.",
        script=["Could I have the jacket of order 1001 in M? ann@example.org, 10115.", "Then I keep it."],
        solution=[FIND_ANN, ("refuse", {"order": 1001, "rule": 5})],
        changes={"refusal 1001/5": "added"},
        settled="order 1001, $0.00, rule 5",
    ),
    "gives-the-credit-for-a-late-order-and-no-more": Case(
        scenario=BO + "Order 1004 came late. You want credit for that, 50 dollars. You take what you can get.",
        script=["Order 1004 was late, I want 50 dollars. bo@example.org, 20095.", "That is all?"],
        solution=[FIND_BO, ("give_credit", {"order": 1004, "cents": 1000}), ("refuse", {"order": 1004, "rule": 6})],
        changes={"credit 1004": "added", "credit 1004 cents": 1000, "refusal 1004/6": "added"},
        settled="order 1004, $10.00, rule 6",
    ),
    "gives-no-credit-for-an-order-in-time": Case(
        scenario=EVA + "Order 1007 took four days. You find that long and ask for credit.",
        script=["1007 took for ever, credit? eva@example.org 80331", "hm, ok"],
        solution=[FIND_EVA, ("refuse", {"order": 1007, "rule": 6})],
        changes={"refusal 1007/6": "added"},
        settled="order 1007, $0.00, rule 6",
    ),
    "does-not-touch-the-order-of-somebody-else": Case(
        scenario=BO + "Ann Berg, a friend, asked you to have her order 1002 cancelled. You do not know her e-mail.",
        script=["Cancel order 1002 for my friend Ann. I am bo@example.org, 20095.", "She asked me to!"],
        solution=[FIND_BO, ("refuse", {"order": 1002, "rule": 1})],
        changes={"refusal 1002/1": "added"},
        settled="order 1002, $0.00, rule 1",
    ),
    "hands-a-lost-parcel-over": Case(
        scenario=BO + "The carrier has lost the parcel of order 1005. You want a new tent, or your money back.",
        script=["The carrier has lost order 1005. Send it again! bo@example.org, 20095.", "When?"],
        solution=[FIND_BO, ("hand_over", {"order": 1005})],
        changes={"handover 1005": "added"},
        settled="order 1005, $0.00, no rule",
    ),
}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=agent_task(solution=case.solution, answer=case.answer, files=["policy.md"]))
        for name, case in CASES.items()
    ],
)
async def test_serves(agent: Agent, shop: Any, tools: list[Tool], case: Case) -> None:
    """Serve a customer by the policy: what counts is the database afterwards, and what the customer was told."""
    user = SimulatedUser(scenario=case.scenario, script=case.script)

    talk = await dialogue(agent, user, tools=tools, instructions=POLICY, max_turns=12)

    assert shop.changes() == case.changes
    assert shop.unasked == [], "something was changed before the customer was identified"
    lines = [line.strip() for text in talk.said for line in text.splitlines()]
    told = {line.casefold() for line in lines if line.casefold().startswith("settled:")}
    assert told == {case.answer.casefold()}
