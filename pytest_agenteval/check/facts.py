"""What a check knows: the tasks of a suite, and what happened when they were played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_agenteval.check.plays import Play, Role, Steps
from pytest_agenteval.check.states import ANSWER, is_file
from pytest_agenteval.record.outcomes import Cause, Outcome

__all__ = ["Played", "Task", "Texts"]


@dataclass(frozen=True, slots=True)
class Texts:
    """What the agent could read before it began and after the solution: texts by place."""

    start: Mapping[str, str]
    end: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Played:
    """A play, and what came of it."""

    play: Play
    outcome: Outcome
    cause: Cause | None = None
    message: str = ""
    exception: str | None = None
    """The name of the exception's type."""
    where: str | None = None
    answer: str = ""
    """What was submitted."""
    start: Mapping[str, str] | None = None
    """The state of the sandbox when the agent began; None if it could not be read or there is no sandbox."""
    end: Mapping[str, str] | None = None
    """The state when it had done everything."""
    texts: Texts | None = None
    prompt: str = ""
    instructions: str = ""
    """System messages and tools, as text."""
    request: str = ""
    """All of the first model call, as text; of a play that does nothing only."""
    scores: Mapping[str, str] = field(default_factory=dict)
    """What the scorers of an Inspect task gave, by scorer or `scorer/key`; empty for other tasks."""
    judge_calls: int = 0
    """Calls of models in other roles than the agent's."""
    judge_cost: float | None = 0.0
    """What they cost in US dollars; None if that is unknown."""
    swapped: bool = False
    """Whether a judge's prompt had parts whose order could be, and was, changed."""
    agent_seconds: float | None = None
    """From the agent's first turn to its last."""
    grading_seconds: float | None = None
    """From then to the end of the attempt."""
    turns: int = 0
    log: str | None = None
    broke: tuple[str, ...] = ()
    """The task's rules that it broke, each with the evidence."""
    number: int = 0
    """Of the attempt in its log; 0 where there was none."""

    @property
    def passed(self) -> bool:
        """Whether the checker accepted it."""
        return self.outcome is Outcome.PASSED

    @property
    def state(self) -> Mapping[str, str]:
        """The end state with the answer, as far as it is known."""
        return {**(self.end or {}), ANSWER: self.answer.strip()}


@dataclass(frozen=True, slots=True)
class Task:
    """An agent task, and its plays."""

    name: str
    """Its node id without the cell."""
    file: str
    """Relative to pytest's rootdir."""
    line: int
    """Of the test function, from 1."""
    steps: Steps = ()
    answer: str = ""
    solvable: bool = True
    """Whether a solution or an answer is declared."""
    skip: str | None = None
    """Why pytest skips it."""
    trouble: str | None = None
    """Why it could not be evaluated: its own model, the error of a shared fixture."""
    time_limit: float | None = None
    turn_limit: int | None = None
    grading_time_limit: float | None = None
    sandbox_file: str | None = None
    """The Dockerfile or compose file of its sandbox, relative to pytest's rootdir."""
    image: str | None = None
    """The image that its mark names."""
    source: str | None = None
    """A digest of its test function's source."""
    family: str = ""
    """What its parameters vary: the node id of its test function."""
    holdout: str | None = None
    """What it is held out as: `samples`, `tasks` or `domains`; None if it is open."""
    network: str | None = None
    """The network of its sandbox, such as `none` or `bridge`; None if unknown."""
    own_prompt: bool = False
    """Whether its prompts come from `agent.run`: what the task says is then known apart from a scaffold's words."""
    nodeid: str = ""
    """pytest's own, by which logs know it."""
    identity: Mapping[str, str] | None = None
    """Digests of everything that defines it; None where that is not known for sure, so that no play is used again."""
    plays: tuple[Played, ...] = field(default=())

    def of(self, *roles: Role) -> list[Played]:
        """Its plays of these kinds."""
        return [played for played in self.plays if played.play.role in roles]

    @property
    def prompt(self) -> str:
        """What the agent was asked; empty if no play got that far."""
        return next((played.prompt for played in self.plays if played.prompt), "")

    @property
    def texts(self) -> Mapping[str, str]:
        """The files that it starts with, by path; empty if unknown."""
        read = next((played.texts for played in self.plays if played.texts is not None), None)
        return {} if read is None else {place: text for place, text in read.start.items() if is_file(place)}
