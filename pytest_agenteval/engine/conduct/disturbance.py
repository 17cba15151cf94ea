"""What a perturbation does in one attempt, beside injecting faults: to the prompt, to tools, to the environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inspect_ai.model import ChatMessage, ChatMessageUser
from inspect_ai.util import SandboxEnvironment

from pytest_agenteval.collect.perturbation import Perturbation
from pytest_agenteval.collect.prompt_variants import changed_prompt, prompt_digest, why_no_variant
from pytest_agenteval.engine.conduct.injector import Injector
from pytest_agenteval.engine.conduct.reshaped import Reshaping
from pytest_agenteval.options.perturbations import SHAPES, TEXTS
from pytest_agenteval.run.perturbed import OwnPerturbation

__all__ = ["Disturbance"]

_TIMEZONES = ("IST-5:30", "NST3:30", "NZST-12", "AKST9")
"""In POSIX's form, which needs no data in the image."""
_LOCALES = ("C", "POSIX", "tr_TR.UTF-8", "de_DE.UTF-8")


class Disturbance:
    """Holds what one attempt at a variant meets. Without a perturbation it changes nothing."""

    def __init__(self, perturbation: Perturbation | None = None, task: str = "", attempt: int = 0) -> None:
        """`task` is the name of the base: the same texts in all cells."""
        self.problem: str | None = None
        """Why the variant cannot be played, in a sentence."""
        self._perturbation, self._key = perturbation, (task, attempt)
        self._met = False
        self._texts = [] if perturbation is None else [each for each in perturbation.changes if each in TEXTS]
        shapes = [] if perturbation is None else [each for each in perturbation.changes if each in SHAPES]
        self.reshaping = None if perturbation is None or not shapes else Reshaping(shapes, self._random("shapes"))
        """How the model is told about tools; None if as in the base."""
        self.own = None
        """What the test sees of it; None in the base."""
        if perturbation is not None:
            self.own = OwnPerturbation(perturbation.name, self._random("author"))

    @property
    def met(self) -> bool | None:
        """Whether it changed something that the agent saw; None where it only injects faults, or there is none."""
        one = self._perturbation
        if one is None or not (one.changes or one.prompt is not None or one.author):
            return None
        reshaped = self.reshaping is not None and self.reshaping.met
        return self._met or reshaped or (one.author and self.own is not None and self.own.used)

    def prompt(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The messages in which a test gives its task, with the first one of the user in other words."""
        given = list(messages)
        if self._perturbation is None or not (self._texts or self._perturbation.prompt is not None):
            return given
        for at, message in enumerate(given):
            if isinstance(message, ChatMessageUser) and isinstance(message.content, str):
                given[at] = message.model_copy(update={"content": self._reworded(message.content)})
                break
        return given

    def unplayed(self) -> str | None:
        """Why the attempt says nothing, once the agent has ended: its stored prompt is of another text."""
        one = self._perturbation
        if one is None or one.prompt is None or self._met:
            return self.problem
        return self.problem or f"variant {one.prompt.name} is of another text ({one.prompt.of}) than the test's prompt"

    def surround(self, environment: SandboxEnvironment, injector: Injector) -> None:
        """Let the agent's commands in this sandbox run in another environment. It is a sandbox of one try."""
        changes = () if self._perturbation is None else self._perturbation.changes
        variables: dict[str, str] = {}
        if "timezone" in changes:
            variables["TZ"] = self._random("timezone").choice(_TIMEZONES)
        if "locale" in changes:
            locale = self._random("locale").choice(_LOCALES)
            variables |= {"LC_ALL": locale, "LANG": locale}
        if not variables:
            return
        inner: Any = getattr(environment, "_sandbox", environment)
        plain = inner.exec

        async def exec(cmd: list[str], *arguments: Any, **named: Any) -> Any:
            if injector.acting:
                self._met = True
                given = list(arguments)
                if len(given) > 2:
                    given[2] = variables | (given[2] or {})
                else:
                    named["env"] = variables | (named.get("env") or {})
                return await plain(cmd, *given, **named)
            return await plain(cmd, *arguments, **named)

        inner.exec = exec

    def _reworded(self, text: str) -> str:
        stored = None if self._perturbation is None else self._perturbation.prompt
        if stored is not None:
            if stored.of != prompt_digest(text):
                return text  # a task may ask its agent several times
            if why := why_no_variant(text, stored.text):
                self.problem = f"variant {stored.name} cannot stand for the test's prompt: {why}"
                return text
            self._met, text = True, stored.text
        for change in self._texts:
            changed = changed_prompt(change, text, self._random(change))
            self._met, text = self._met or changed != text, changed
        return text

    def _random(self, what: str) -> Any:
        assert self._perturbation is not None
        return self._perturbation.random(*self._key, what)
