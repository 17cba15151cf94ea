"""Scaffolds by name: the agent programs that `agent.run` puts around the model. Checked before anything is spent."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from inspect_ai.agent import AgentState
from inspect_ai.tool import bash

from pytest_agenteval.collect.inspect_task import TASK_SOLVER
from pytest_agenteval.engine.agents.agent import REACT, AgentRequest, Scaffold
from pytest_agenteval.engine.agents.own_code import AgentContext, run_own_code
from pytest_agenteval.engine.agents.program import SandboxAgent, run_program
from pytest_agenteval.engine.conduct.faulty import faulty_tools
from pytest_agenteval.engine.inspect_private import (
    PrerequisiteError,
    is_registry_object,
    registry_find,
    registry_info,
    registry_unqualified_name,
)
from pytest_agenteval.engine.models.faults import import_named, what_is_lacking, why_not_imported
from pytest_agenteval.engine.models.meter import CallMeter
from pytest_agenteval.errors import NotReady, did_you_mean, nearest

__all__ = ["OwnScaffold", "ProgramScaffold", "open_scaffolds"]

_OWN_TAKES = ["task", "context"]
"""The first parameters of an own agent."""
BASH_SECONDS = 180
"""How long one command of the built-in agent may take; it fails with a time-out after that and the agent goes on."""
_OURS = {"tools": "the test gives them with agent.run(tools=...)", "model": "it is the model under evaluation"}
_INSTRUCTIONS = ("prompt", "instructions", "system_prompt")
"""What agents call their system message, in the order of choice."""
_KINDS = "give `async def agent(task, context)`, an Inspect agent, a SandboxAgent, or what returns one of them"


@dataclass(frozen=True, slots=True)
class InspectScaffold:
    """An agent of Inspect's: created for each run by its factory, or one that already exists."""

    name: str
    factory: Callable[..., Any] | None
    arguments: Mapping[str, Any]
    made: Any = None
    own_tools: bool = True
    """Whether it has its own tools if the test gives it none; otherwise it gets bash."""

    def refuse(self, request: AgentRequest) -> None:
        """Refuse tools or instructions that the program does not take."""
        takes = set() if self.factory is None else _parameters(self.factory).keys()
        if request.tools is not None and "tools" not in takes:
            raise TypeError(f"scaffold {self.name} takes no tools: leave out agent.run(tools=...)")
        if request.instructions is not None and not takes & set(_INSTRUCTIONS):
            raise TypeError(f"scaffold {self.name} takes no instructions: leave out agent.run(instructions=...)")

    async def run(self, state: AgentState, request: AgentRequest, meter: CallMeter) -> AgentState:
        """Make the agent and let it work."""
        done: AgentState = await self.make(request, meter)(state)
        return done

    def make(self, request: AgentRequest, meter: CallMeter | None = None) -> Any:
        """The agent, created afresh if there is a factory; for one attempt, its tools meet that one's faults."""
        if self.factory is None:
            return self.made
        takes, given = _parameters(self.factory), dict(self.arguments)
        if request.tools is not None:
            given["tools"] = list(request.tools)
        elif not self.own_tools or ("tools" in takes and takes["tools"].default is inspect.Parameter.empty):
            given["tools"] = [bash(timeout=BASH_SECONDS)]
        if meter is not None and "tools" in given:
            given["tools"] = faulty_tools(given["tools"], meter.injector)
        if request.instructions is not None:
            given[next(name for name in _INSTRUCTIONS if name in takes)] = request.instructions
        if not request.submit and "submit" in takes:
            given["submit"] = False
        return self.factory(**given)


@dataclass(frozen=True, slots=True)
class OwnScaffold:
    """An own agent: `async def agent(task, context)`, or `def`, which then runs in a thread of its own."""

    name: str
    code: Callable[..., Any]
    arguments: Mapping[str, Any]

    def refuse(self, request: AgentRequest) -> None:
        """It is told all there is, and makes of it what it wants."""

    async def run(self, state: AgentState, request: AgentRequest, meter: CallMeter) -> AgentState:
        """Call it, its clients led over the bridge."""
        tools = tuple(faulty_tools(request.tools or (), meter.injector))
        context = AgentContext(request.model, tuple(state.messages), request.instructions, tools)
        return await run_own_code(self.code, self.arguments, context, state, meter)


@dataclass(frozen=True, slots=True)
class ProgramScaffold:
    """A program in the sandbox, which must be a container."""

    name: str
    program: SandboxAgent

    def refuse(self, request: AgentRequest) -> None:
        """Refuse tools, and instructions for which it has no place."""
        if request.tools is not None:
            raise TypeError(f"scaffold {self.name} is a program with its own tools: leave out agent.run(tools=...)")
        if request.instructions is not None and "instructions" not in self.program.places():
            raise TypeError(
                f"scaffold {self.name} takes no instructions: put {{instructions}} into its command, env or stdin"
            )

    async def run(self, state: AgentState, request: AgentRequest, meter: CallMeter) -> AgentState:
        """Run it in the attempt's sandbox."""
        return await run_program(self.program, state, request.instructions, meter)


class TaskSolver:
    """The name under which an Inspect task's own solver runs; that task runs it, and nothing else has one."""

    def refuse(self, request: AgentRequest) -> NoReturn:
        """Refuse everything: a test that is made from an Inspect task does not come here in its own solver."""
        raise TypeError(f"scaffold {TASK_SOLVER} is the solver of an Inspect task, and this test is made from none")

    async def run(self, state: AgentState, request: AgentRequest, meter: CallMeter) -> AgentState:
        """Refuse it, too."""
        self.refuse(request)


def open_scaffolds(
    names: Iterable[str], arguments: Sequence[tuple[str, Any]], offered: Mapping[str, Any] | None = None
) -> Mapping[str, Scaffold]:
    """The scaffolds of a run, by name: `react`, another agent of Inspect's registry, or `module:attribute`.

    `arguments` are for all scaffolds, or as `SCAFFOLD:NAME` for one; `offered` by plugins, by name, is what
    `module:attribute` may stand for. Raises `NotReady`: unknown, not an agent, or an argument it does not take.
    """
    names = list(dict.fromkeys(names))
    given: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in arguments:
        scaffold, _, argument = key.rpartition(":")
        if scaffold and scaffold not in given:
            raise NotReady(
                f"--agent-scaffold-arg={key}: no scaffold {scaffold!r} runs; they are {', '.join(names) or 'none'}"
            )
        for name in [scaffold] if scaffold else names:
            given[name][argument] = value
    return {name: _open(name, given[name], offered or {}) for name in names}


def _open(name: str, arguments: Mapping[str, Any], offered: Mapping[str, Any]) -> Scaffold:
    if name == TASK_SOLVER:
        if arguments:
            raise NotReady(f"scaffold {name} takes no {next(iter(arguments))}: it is the Inspect task's own")
        return TaskSolver()
    if ":" not in name and name not in offered:
        factory = _registered(name)
        _refuse_arguments(name, factory, arguments, 0)
        if arguments.get("attempts", 1) != 1:  # Inspect's agents then call its score(), which needs a scorer
            raise NotReady(
                f"--agent-scaffold-arg=attempts cannot be used with {name}: between its attempts it would ask whether "
                "it is right, and a test is graded once, when the agent has ended"
            )
        return _tried(InspectScaffold(name, factory, arguments, own_tools=name.rpartition("/")[2] != REACT))
    found = offered[name] if name in offered else _attribute(name)
    if is_registry_object(found) and registry_info(found).type == "agent" and not _takes_state(found):
        _refuse_arguments(name, found, arguments, 0)
        return _tried(InspectScaffold(name, found, arguments))
    if isinstance(found, SandboxAgent):
        _refuse_made(name, arguments)
        return ProgramScaffold(name, found)
    if not callable(found):
        raise NotReady(f"scaffold {name} is a {type(found).__name__}, not an agent: {_KINDS}")
    if _takes_state(found):
        _refuse_made(name, arguments)
        return InspectScaffold(name, None, {}, found)
    if _takes_task(found):
        _refuse_arguments(name, found, arguments, 2)
        return OwnScaffold(name, found, arguments)
    _refuse_half_an_agent(name, found, arguments)
    return _from_factory(name, found, arguments)


def _tried(scaffold: InspectScaffold) -> InspectScaffold:
    """See whether it can be made: what it lacks here would break every attempt. Other errors may be for the place."""
    try:
        scaffold.make(AgentRequest("", None, None, True))
    except (PrerequisiteError, ImportError) as error:
        why = what_is_lacking(error) or why_not_imported(error)
        raise NotReady(f"scaffold {scaffold.name} cannot be made: {why}") from error
    except Exception:
        pass
    return scaffold


def _refuse_made(name: str, arguments: Mapping[str, Any]) -> None:
    if arguments:
        raise NotReady(f"scaffold {name} is made already and takes no {next(iter(arguments))}: name a factory")


def _refuse_half_an_agent(name: str, code: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Refuse an agent without the parameters of one; a factory may have any that arguments or defaults give."""
    takes = _parameters(code)
    open_ones = [name for name, given in takes.items() if given.default is given.empty and name not in arguments]
    if inspect.isclass(code) or not (inspect.iscoroutinefunction(code) or set(open_ones) & set(_OWN_TAKES)):
        return
    lacking = " and ".join(word for word in _OWN_TAKES if word not in takes)
    wrong = f"lacks {lacking}" if lacking else f"takes ({', '.join(takes)})"
    raise NotReady(
        f"scaffold {name} {wrong}: the first two parameters of an agent are task and context, "
        "as in `async def agent(task, context)`"
    )


def _from_factory(name: str, factory: Callable[..., Any], arguments: Mapping[str, Any]) -> Scaffold:
    _refuse_arguments(name, factory, arguments, 0)
    try:
        made = factory(**arguments)  # what it makes says what it is; nothing runs yet
    except Exception as error:
        why = what_is_lacking(error) or f"{type(error).__name__}: {error}"
        raise NotReady(f"scaffold {name} cannot be made: {why}") from error
    if inspect.iscoroutine(made):
        made.close()
    elif isinstance(made, SandboxAgent):
        return ProgramScaffold(name, made)
    elif callable(made) and _takes_state(made):
        return InspectScaffold(name, factory, arguments)
    elif callable(made) and _takes_task(made):
        return OwnScaffold(name, made, {})
    raise NotReady(f"scaffold {name} made a {type(made).__name__}, not an agent: {_KINDS}")


def _registered(name: str) -> Callable[..., Any]:
    wanted = (name, f"inspect_ai/{name}")
    # asked by name first: what is not there makes Inspect load the agents of other packages
    for found in registry_find(lambda info: info.type == "agent" and info.name in wanted):
        if callable(found):
            return found
    agents = registry_find(lambda info: info.type == "agent")
    known = {registry_info(found).name.removeprefix("inspect_ai/") for found in agents} - {"bridge"}
    short = {registry_unqualified_name(found): registry_info(found).name for found in agents}
    near = nearest(name, [*known, *short])
    hint = "" if near is None else f"did you mean {near if near in known else short[near]}? "
    raise NotReady(
        f"Inspect knows no agent {name!r}; {hint}There are {', '.join(sorted(known))}, and your own as module:attribute"
    )


def _attribute(name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    found: Any = import_named(module_name, f"scaffold {name}")
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = nearest(part, [key for key in dir(found) if not key.startswith("_")])
            hint = "" if near is None else f"; did you mean {near}?"
            raise NotReady(f"scaffold {name}: {module_name} has no {part!r}{hint}")
        found = getattr(found, part)
    return found


def _refuse_arguments(name: str, code: Callable[..., Any], arguments: Mapping[str, Any], before: int) -> None:
    """Refuse arguments that it does not take, and a lack of those it needs; `before` parameters are not the user's."""
    parameters = list(_parameters(code).values())[before:]
    takes = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for argument in arguments:
        if argument in _OURS and not before:
            raise NotReady(f"--agent-scaffold-arg={argument} cannot be used with {name}: {_OURS[argument]}")
        if argument not in takes and not anything:
            hint = did_you_mean(argument, takes, f"it takes {', '.join(takes) or 'none'}")
            raise NotReady(f"--agent-scaffold-arg={argument}: scaffold {name} has no such argument; {hint}")
    for parameter in parameters:
        needed = parameter.name in takes and parameter.default is parameter.empty and parameter.name not in _OURS
        if needed and parameter.name not in arguments:
            raise NotReady(f"scaffold {name} needs {parameter.name}: add --agent-scaffold-arg={parameter.name}=VALUE")


def _parameters(code: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(code).parameters
    except (TypeError, ValueError):
        return {}


def _takes_state(code: Callable[..., Any]) -> bool:
    return not inspect.isclass(code) and next(iter(_parameters(code)), None) == "state"


def _takes_task(code: Callable[..., Any]) -> bool:
    return not inspect.isclass(code) and list(_parameters(code))[:2] == _OWN_TAKES
