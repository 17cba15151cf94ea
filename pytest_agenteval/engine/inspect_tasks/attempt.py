"""One attempt at a sample of an Inspect task: its own set-up, solver and scorers, held to the limits of agent tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NoReturn

import anyio
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.event import ScoreEvent
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage, ChatMessageUser, GenerateConfig, Model, get_model
from inspect_ai.scorer import Score, Target
from inspect_ai.solver import Generate, Solver, TaskState, chain
from inspect_ai.util import span
from pydantic_core import to_jsonable_python

from pytest_agenteval.collect.inspect_task import TASK_SOLVER, Asked
from pytest_agenteval.engine import inspect_private
from pytest_agenteval.engine.agents.agent import Agent, AgentRequest, agent_limits
from pytest_agenteval.engine.agents.confidence import ask_if_asked_for
from pytest_agenteval.engine.inspect_tasks.scores import Judge, NotJudged, NotNamed, grader_models, scorer_names
from pytest_agenteval.engine.models.faults import limit_cause, limit_in, needing
from pytest_agenteval.engine.models.meter import CallMeter
from pytest_agenteval.texts import beginning

__all__ = ["ALL_TOKENS", "InspectSample", "LoadedTask"]

ALL_TOKENS = (None, "all")
"""Token limits that are about tokens of all kinds: those are limits of the agent task."""
_LONGEST = 300


@dataclass(slots=True)
class LoadedTask:
    """An Inspect task as its function made it, for all of its attempts."""

    asked: Asked
    make: Callable[[], Task]
    task: Task
    judge: Judge
    code: str
    """The version of its package, or a digest of its file."""
    needs_model: bool
    """Whether its function asked for the model: then it is made once more for every model."""
    unclear: str | None = None
    """Why the scores of an attempt were no verdict, where those of no other will be one."""
    _by_model: dict[str, Task] = field(default_factory=dict)

    def for_model(self, model: Model) -> Task:
        """The task whose solver and scorers may hold this model; inside the evaluation."""
        if not self.needs_model:
            return self.task
        if str(model) not in self._by_model:
            self._by_model[str(model)] = self.make()
        return self._by_model[str(model)]


class InspectSample:
    """A sample of an Inspect task: the value of the parameter of an agent task that is made from it."""

    def __init__(self, loaded: LoadedTask, sample: Sample, identity: str) -> None:
        assert sample.id is not None
        self.id = sample.id
        self._loaded, self._sample, self._identity = loaded, sample, identity

    def __repr__(self) -> str:
        """Equal for what is the same task: stored attempts are compared by it."""
        return f"InspectSample({self._identity})"

    @property
    def graders(self) -> tuple[str, ...]:
        """The models that its scorers name."""
        return tuple(grader_models(self._loaded.task))

    @property
    def metadata(self) -> dict[str, Any]:
        """What the sample says of itself."""
        return dict(self._sample.metadata or {})

    def in_log(self, task: str) -> Sample:
        """What the log shows of it, under the name of the agent task."""
        one = self._sample
        return Sample(id=task, input=one.input, target=one.target, choices=one.choices, metadata=one.metadata)

    async def run(self, agent: Agent) -> None:
        """The body of the agent task. Raises `AssertionError` where the score does not pass, or does not say."""
        if not isinstance(agent, Agent):
            raise TypeError(
                "the fixture agent is overridden here, and an Inspect task has a solver of its own: "
                "give your agent with --agent-scaffold=module:attribute, or leave the override out of this folder"
            )
        meter, outer = agent._meter, agent._state
        if self._loaded.unclear is not None:  # no need to pay for an attempt that cannot be judged
            _refuse(meter, self._loaded.unclear)
        task = self._loaded.for_model(get_model())
        state = _prepared(task, deepcopy(self._sample), outer)
        await _furnish(self._sample)
        scores: Mapping[str, Score] = {}
        try:
            generate = _generate(get_model(), _config(task, get_model()))
            if task.setup is not None:  # the task's doing, not the agent's
                state = await _step(chain(task.setup), state, generate)
            try:
                state = await _solved(task, state, generate, agent)
            finally:
                state = inspect_private.sample_state() or state
                outer.messages, outer.output = state.messages, state.output
            await ask_if_asked_for(meter, state.messages, None)
            scores = await _scored(task, state)
        finally:
            outer.metadata["scores"] = to_jsonable_python(scores, exclude_none=True, fallback=str)
            if task.cleanup is not None:
                with anyio.CancelScope(shield=True):
                    await task.cleanup(state)
        if meter.plays is not None:
            meter.plays.scored(meter.attempt.number, dict(_flat(scores)))
        self._judge(meter, scores)

    def _judge(self, meter: CallMeter, scores: Mapping[str, Score]) -> None:
        judge = self._loaded.judge
        try:
            passed, said = judge.decide(scores)
        except NotJudged as error:
            sentence = f"{self._loaded.asked.name}: {error}"
            if isinstance(error, NotNamed):
                self._loaded.unclear = sentence
            _refuse(meter, sentence)
        if not passed:
            others = [f"{name}: {_short(score.value)}" for name, score in scores.items() if name != judge.scorer]
            judging, why = scores.get(judge.scorer or ""), ""
            if judging is not None and (judging.explanation or judging.answer):
                what = "its explanation" if judging.explanation else "the answer"
                why = f" ({what}: {_short(judging.explanation or judging.answer)})"
            raise AssertionError("; ".join([f"{said}, which does not pass{why}", *others]))


def _refuse(meter: CallMeter, sentence: str) -> NoReturn:
    """The attempt is broken, because it says nothing about the agent."""
    meter.attempt.miswired = sentence
    raise AssertionError(sentence) from None


def _prepared(task: Task, sample: Sample, outer: TaskState) -> TaskState:
    """The state of a try, which Inspect finds wherever solvers, tools and scorers ask for it."""
    asked = sample.input
    messages: list[ChatMessage] = [ChatMessageUser(content=asked)] if isinstance(asked, str) else asked
    state = TaskState(
        model=outer.model,
        sample_id=sample.id or outer.sample_id,
        epoch=outer.epoch,
        input=sample.input,
        messages=[message.model_copy(update={"source": "input"}) for message in messages],
        target=Target(sample.target),
        choices=sample.choices,
        message_limit=task.message_limit,
        token_limit=None if task.token_limit_type in ALL_TOKENS else task.token_limit,
        token_limit_type=task.token_limit_type or "all",
        metadata=sample.metadata or {},
        sample_uuid=outer.uuid,
    )
    inspect_private.set_sample_state(state)
    inspect_private.init_subtask_store(state.store)
    if task.scorer:
        inspect_private.init_scoring_context(task.scorer, state.target)
    if task.model_roles:
        inspect_private.init_model_roles({**task.model_roles, **inspect_private.model_roles()})
    inspect_private.init_tool_approval(task.approval)
    return state


def _config(task: Task, model: Model) -> GenerateConfig:
    """How the task generates, unless the user sets it."""
    config = task.config.merge(inspect_private.active_generate_config()).merge(model.config)
    inspect_private.set_active_generate_config(config)
    return config


def _generate(model: Model, config: GenerateConfig) -> Generate:
    async def generate(
        state: TaskState, tool_calls: Any = "loop", cache: Any = inspect_private.NOT_GIVEN, **kwargs: Any
    ) -> TaskState:
        return await inspect_private.task_generate(
            model, state, tool_calls, cache, config.merge(GenerateConfig(**kwargs))
        )

    return generate


async def _furnish(sample: Sample) -> None:
    """Write the sample's files into its sandbox and run its set-up script, as Inspect does."""
    environments = inspect_private.sandbox_environments_context_var.get(None)
    if not environments:
        return
    files = inspect_private.resolve_sample_files(sample.files) if sample.files else {}
    await inspect_private.copy_sandbox_environment_files(
        {path: await inspect_private.read_sandboxenv_file(content) for path, content in files.items()}, environments
    )
    if sample.setup:
        script = await inspect_private.read_sandboxenv_file(sample.setup)
        if not script.lstrip().startswith(b"#!"):
            script = b"#!/usr/bin/env bash\n\n" + script
        await inspect_private.setup_sandbox_environment(script, environments)


async def _solved(task: Task, state: TaskState, generate: Generate, agent: Agent) -> TaskState:
    """Let the task's own solver work, or the scaffold that replaces it; a limit ends either without an error."""
    with _state_limits(state, agent._meter):
        if agent.scaffold == TASK_SOLVER:
            async with agent_limits(agent._meter), span(name="solver", type="agent"):
                state = await _step(task.solver, state, generate)
        else:
            try:
                await agent._turn(state.messages, AgentRequest(agent.model, state.tools or None, None, submit=True))
            finally:  # the scorers see how far it came where a limit of the state ended it
                state.messages, state.output = agent._state.messages, agent._state.output
    return state


async def _step(solver: Solver, state: TaskState, generate: Generate) -> TaskState:
    done = await solver(state, generate)
    inspect_private.set_sample_state(done, replacing=state)
    return done


@contextmanager
def _state_limits(state: TaskState, meter: CallMeter) -> Iterator[None]:
    """Hold what runs in here to the limits of the state, which the task or its solver sets."""
    limits = (state._message_limit, state._token_limit, state._cost_limit)
    try:
        with limits[0], limits[1], limits[2]:
            yield
    except Exception as error:
        limit = limit_in(error)
        if limit is None or not any(limit.source is each for each in limits):
            raise
        meter.attempt.limit = meter.attempt.limit or limit_cause(limit)
    if meter.used.tokens is None and (state.token_limit is not None or state.cost_limit is not None):
        raise meter.not_to_be_held("the limit that the Inspect task sets on tokens or cost")


async def _scored(task: Task, state: TaskState) -> dict[str, Score]:
    """All scores, by name: those that the solver gave, and those of the scorers."""
    scores = state.scores = dict(state.scores or {})
    async with span(name="scorers"):
        for name, scorer in zip(scorer_names(task), task.scorer or (), strict=True):
            async with span(name=name, type="scorer"):
                with needing(f"the scorer {name}"):
                    score = await scorer(state, state.target)
                if score is not None:
                    scores[name] = score
                    transcript()._event(ScoreEvent(score=score, target=state.target.target, scorer=name))
    return scores


def _flat(scores: Mapping[str, Score]) -> Iterator[tuple[str, str]]:
    for name, score in scores.items():
        if isinstance(score.value, Mapping):
            yield from ((f"{name}/{key}", _short(value)) for key, value in score.value.items())
        else:
            yield name, _short(score.value)


def _short(value: object) -> str:
    return beginning(" ".join(str(value).split()), _LONGEST)
