"""A question to a model outside of any attempt: the suite builder's. Opened, repeated and priced like those of runs."""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from dataclasses import dataclass

from inspect_ai.hooks import Hooks, ModelRetry, hooks
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser, Model

from pytest_agenteval.engine.models.content_guard import guard_content
from pytest_agenteval.engine.models.gateway import stand_around_models
from pytest_agenteval.engine.models.models import open_models
from pytest_agenteval.engine.models.provider_errors import one_line, said_by
from pytest_agenteval.engine.models.usage import model_call
from pytest_agenteval.money.estimate import DEFAULT_MAX_OUTPUT, estimate_tokens, worst_case
from pytest_agenteval.money.prices import PriceBook
from pytest_agenteval.options.settings import Settings
from pytest_agenteval.record.records import ModelCall

__all__ = ["Answer", "NoAnswer", "Respondent", "open_respondents"]


@dataclass(slots=True)
class _Tries:
    lost: int = 0
    """Requests that ended without a status: the provider may have billed them."""


_tries: contextvars.ContextVar[_Tries | None] = contextvars.ContextVar("agenteval_asking", default=None)


@hooks(name="pytest_agenteval_asking", description="pytest-agenteval: repeated requests of the suite builder")
class AskingHooks(Hooks):
    """Counts the requests whose answer was lost; those that were refused are not billed."""

    def enabled(self) -> bool:
        """Only around a question."""
        return _tries.get() is not None

    async def on_model_retry(self, data: ModelRetry) -> None:
        """A request is repeated."""
        tries = _tries.get()
        if tries is not None and data.status_code is None:
            tries.lost += 1


class NoAnswer(Exception):
    """The model did not answer, after all repetitions. The message is one sentence."""

    def __init__(self, message: str, *, billed: bool, lost: int) -> None:
        super().__init__(message)
        self.billed = billed
        """Whether the last request may have been billed."""
        self.lost = lost
        """Repeated requests before it that may have been billed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said."""

    text: str
    call: ModelCall
    """With its tokens and its price, as far as they are known."""
    lost: int
    """Repeated requests before it that may have been billed."""


class Respondent:
    """A model that is asked single questions."""

    def __init__(self, name: str, model: Model, prices: PriceBook) -> None:
        self.name, self._model, self._prices = name, model, prices

    @property
    def setup(self) -> str:
        """Everything that its answers depend on beside the question."""
        return self._model.config.model_dump_json(exclude_none=True)

    @property
    def priced(self) -> bool:
        """Whether its price is known."""
        return self._prices.source(self.name) is not None

    def at_most(self, instructions: str, question: str) -> float | None:
        """The most that a question costs, in dollars; None where no price is known."""
        tokens = estimate_tokens([instructions, question]) + 64  # the frame of the request
        rates = self._prices.rates(self.name, tokens)
        if rates is None:
            return None
        most = self._model.config.max_tokens or DEFAULT_MAX_OUTPUT
        return worst_case(rates, input_tokens=tokens, max_output_tokens=most)

    async def ask(self, instructions: str, question: str) -> Answer:
        """Ask one question.

        Raises:
            NoAnswer: the provider failed or refused.
        """
        messages: Sequence[ChatMessage] = [ChatMessageSystem(content=instructions), ChatMessageUser(content=question)]
        tries = _Tries()
        token = _tries.set(tries)
        try:
            output = await self._model.generate(list(messages))
        except Exception as error:
            said = said_by(error)
            message = f"{self.name} did not answer: {one_line(str(said) or str(error))}"
            raise NoAnswer(message, billed=said.status is None, lost=tries.lost) from error
        finally:
            _tries.reset(token)
        call = model_call(self._model, output, self._prices, 0)
        return Answer(output.completion or "", call, tries.lost)


def open_respondents(names: Sequence[str], settings: Settings, prices: PriceBook) -> dict[str, Respondent]:
    """Models by name.

    Raises:
        NotReady: a provider, a package or a key is missing.
    """
    guard_content()
    stand_around_models()
    return {name: Respondent(name, model, prices) for name, model in open_models(names, settings).items()}
