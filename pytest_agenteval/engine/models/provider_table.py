"""Whose fault is a call that a model's provider did not answer: a table of what servers say, and one pure function."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["TABLE", "Blame", "Row", "blame"]


class Blame(StrEnum):
    """What stands behind a refused call."""

    CONTEXT = "context"
    """The conversation is longer than the model's context window: a limit that the agent ran into."""
    CONTENT = "content"
    """The provider does not want to answer to this content: the agent's failure."""
    CONVERSATION = "conversation"
    """The conversation is not one that the provider takes, and the agent made it: the agent's failure."""
    PROVIDER = "provider"
    """Key, quota, rate, overload, a wrong name, a fault of the server: says nothing about the agent."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: it applies where everything it names fits."""

    blame: Blame
    statuses: frozenset[int] | None = None
    """HTTP statuses, or None for any, an answer without one included."""
    says: re.Pattern[str] | None = None
    """Found in the error's code, its type, or the beginning of its message."""
    answered: bool = False
    """Only where the provider has answered in the same conversation before: key, name and settings are right then."""


def blame(status: int | None, code: str, message: str, *, answered: bool) -> Blame:
    """Whose fault it is, by the first row that applies.

    `status` is HTTP's, also one that an answer with status 200 has in its body, or None; `code` is the error's own code
    and type, for example `context_length_exceeded`, or empty; `answered` says whether the model has answered in the
    same conversation before.
    """
    text = f"{code} {message[:_BEGINNING]}"
    for row in TABLE:
        fits = row.statuses is None or status in row.statuses
        if fits and (answered or not row.answered) and (row.says is None or row.says.search(text)):
            return row.blame
    return Blame.PROVIDER


_BEGINNING = 500
"""Characters of a message that are read: what comes later may be the agent's own text, which servers quote."""


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_ACCOUNT = _any_of(
    r"credit balance is too low",  # Anthropic, with status 400
    r"insufficient[_ ](?:quota|credits|balance|funds)|exceeded your current quota|quota exceeded|spending limit",
    r"billing[_ ](?:hard_limit|not_active|details)|(?:doesn't|does not) have any credits",  # OpenAI, xAI (403)
    r"API key not valid|API_KEY_INVALID|Incorrect API key|invalid[_ ]api[_ ]key",  # Google and xAI: 400
    r"User location is not supported|unsupported_country",  # Google (400), OpenAI (403)
    r"rate_limit|rate limit|tokens per (?:minute|day)",  # Groq: a request above the account's rate is a 413
    r"ThrottlingException|ServiceQuotaExceeded|on-demand throughput isn.t supported|AccessDeniedException",  # Bedrock
    r"overloaded",
)
_CONTEXT = _any_of(
    r"context_length_exceeded|ContextWindowExceeded|model_context_window_exceeded|input_too_large",  # codes
    r"exceed_context_size_error|exceeds the available context size",  # llama.cpp
    r"Context size has been exceeded",  # llama.cpp and LM Studio, with status 500
    r"context the overflows|context overflows|context length of only",  # LM Studio
    r"maximum (?:context|prompt|model|input) length",  # OpenAI, vLLM, SGLang, OpenRouter, DeepSeek, xAI, Mistral
    r"maximum allowed (?:input )?length",  # SGLang
    r"(?:exceeds?|longer than|larger than|greater than) the (?:model's )?(?:maximum )?(?:context|input length)",
    r"exceed(?:s|ed)? (?:the )?(?:max(?:imum)? )?context|context window exceeds",  # Anthropic, Ollama, MiniMax
    r"prompt (?:is )?too long|prompt_too_long|input is too long|conversation is too long",  # Anthropic, Bedrock, Ollama
    r"`inputs` tokens \+ `max_new_tokens` must be|`inputs` must have less than",  # TGI
    r"input token count.{0,40}exceeds|exceeds the maximum number of tokens",  # Google
    r"token count of \d+ exceeds|exceeded model token limit|tokens? exceeds? the configured limit",  # Moonshot, Azure
    r"reduce the length of (?:the|your) (?:messages|prompt|input)",  # Groq, OpenAI
    r"range of input length should be",  # DashScope
)
_CONTENT = _any_of(
    r"content_filter|content_policy|ContentPolicyViolation|ResponsibleAIPolicyViolation",  # OpenAI, Azure, LiteLLM
    r"content management policy|content filtering policy",  # Azure, Anthropic
    r"violat\w+ (?:our |the )?usage (?:policy|policies|guidelines)|SAFETY_CHECK_TYPE",  # OpenAI; xAI, with status 403
    r"cyber_policy|bio_policy|flagged as potentially",  # OpenAI
    r"requires moderation|input was flagged",  # OpenRouter, with status 403
    r"Content Exists Risk|data_inspection_failed|DataInspectionFailed|inappropriate content|considered high risk",
    r"blocked by (?:our )?(?:safety|content|guardrail)|guardrail_intervened|PROHIBITED_CONTENT",  # Google, Bedrock
)
_FORM = _any_of(
    r"must be followed by tool messages|did not have response messages",  # OpenAI, DeepSeek, DashScope
    r"must be a response to a prece+ding message with 'tool_calls'|No tool (?:call|output) found for function call",
    r"`tool_use` ids were found without|unexpected `tool_use_id`|content blocks must be non-empty",  # Anthropic
    r"Expected toolResult blocks|tool(?:Result|Use) blocks at messages",  # Bedrock
    r"function (?:call turn comes immediately after|response parts)",  # Google
    r"roles must alternate|Expected last role|Not the same number of function calls",  # vLLM, Anthropic, Mistral
)

TABLE: tuple[Row, ...] = (
    Row(Blame.PROVIDER, frozenset({401, 402, 404, 407, 408, 425, 429, 502, 503, 504, 529})),
    Row(Blame.PROVIDER, says=_ACCOUNT),
    Row(Blame.CONTEXT, says=_CONTEXT),
    Row(Blame.CONTENT, says=_CONTENT),
    Row(Blame.CONVERSATION, frozenset({400, 422}), _FORM),
    Row(Blame.CONTEXT, frozenset({413})),
    Row(Blame.CONVERSATION, frozenset({400, 422}), answered=True),
)
"""In order; where no row applies it is the provider's."""
