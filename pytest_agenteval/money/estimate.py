"""The most that a model call can cost, estimated before the call is made."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_agenteval.money.rates import Rates, TokenUsage

__all__ = ["DEFAULT_MAX_OUTPUT", "estimate_tokens", "max_output", "worst_case"]

DEFAULT_MAX_OUTPUT = 16_384
"""How many output tokens a call is assumed to write at most if nothing else limits it.

A compromise, for the number decides how many calls a budget lets run at once. A step of an agent with its reasoning
seldom writes more than a few thousand tokens; 16,384 was the hard maximum of a generation of models (gpt-4o). What
today's models could write in theory, 64,000 to 128,000 tokens, would reserve over a dollar per call at $10 per million,
and a run with a budget of $5 would stop with most of it unspent. A call that does write more overshoots the budget by
the difference; give a `max_tokens` to exclude that.
"""

_BYTES_PER_TOKEN = 3


def estimate_tokens(texts: Iterable[str]) -> int:
    """How many tokens the texts of a prompt make at most: messages, system prompt, and the schemas of the tools.

    A token per three bytes of UTF-8, rounded up for each text: a third more than the four characters per token usual in
    English prose and code, and about one token per character of Chinese, Japanese or Korean. It needs no tokenizer,
    which may have to be downloaded. Base64 and long numbers can make more tokens than this; images are not text.
    """
    # "surrogatepass": half a surrogate pair, as in the output of a broken program, must not end the run.
    return sum(-(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN) for text in texts)


def max_output(max_tokens: int | None = None, token_limit_left: int | None = None) -> int:
    """The most output tokens that a call can write.

    The call's own `max_tokens`, because the provider enforces it. Without one, what remains of the task's token limit,
    but at most :data:`DEFAULT_MAX_OUTPUT`: a limit may lower the estimate, but a generous one (for all calls of an
    attempt together) must not raise it. With neither, :data:`DEFAULT_MAX_OUTPUT`.
    """
    if max_tokens is not None:
        return max(0, max_tokens)
    if token_limit_left is not None:
        return min(max(0, token_limit_left), DEFAULT_MAX_OUTPUT)
    return DEFAULT_MAX_OUTPUT


def worst_case(rates: Rates, *, input_tokens: int, max_output_tokens: int) -> float:
    """The most that a call costs, in dollars: its input at the highest rate of all classes, and the most it may write.

    Use the rates for this size of prompt, `book.rates(model, input_tokens)`, because long prompts may have a higher
    tier.

    Raises:
        ValueError: a number of tokens is negative.
    """
    dearest = max(rates.input, rates.cache_write_or_input, rates.cache_read_or_input)
    bound = Rates(input=dearest, output=rates.output, per_call=rates.per_call)
    return bound.cost(TokenUsage(input=input_tokens, output=max_output_tokens))
