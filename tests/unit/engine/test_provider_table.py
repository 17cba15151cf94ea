from __future__ import annotations

import pytest

from pytest_agenteval.engine.models.provider_table import TABLE, Blame, blame

FIRST, LATER = False, True
"""Whether the provider has answered in the conversation before."""

SAID: tuple[tuple[str, int | None, str, str, Blame], ...] = (
    # a full context window
    ("OpenAI", 400, "context_length_exceeded invalid_request_error",
     "This model's maximum context length is 128000 tokens. However, your messages resulted in 150000 tokens.",
     Blame.CONTEXT),
    ("OpenAI Responses", 400, "context_length_exceeded",
     "Your input exceeds the context window of this model. Please adjust your input and try again.", Blame.CONTEXT),
    ("Azure", 400, "invalid_request_error",
     "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 509178 tokens. Please "
     "reduce the length of the messages.", Blame.CONTEXT),
    ("Anthropic", 400, "invalid_request_error", "prompt is too long: 215000 tokens > 200000 maximum", Blame.CONTEXT),
    ("Anthropic with max_tokens", 400, "invalid_request_error",
     "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or "
     "`max_tokens` and try again", Blame.CONTEXT),
    ("Anthropic, bytes", 413, "request_too_large", "Request exceeds the maximum size", Blame.CONTEXT),
    ("Google", 400, "INVALID_ARGUMENT",
     "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).", Blame.CONTEXT),
    ("vLLM", 400, "BadRequestError 400",
     "This model's maximum context length is 8192 tokens. However, you requested 9100 tokens (8100 in the messages, "
     "1000 in the completion). Please reduce the length of the messages or completion.", Blame.CONTEXT),
    ("vLLM, newer", 400, "BadRequestError 400",
     "The decoder prompt (length 8357) is longer than the maximum model length of 8192. Make sure that `max_model_len` "
     "is no smaller than the number of text tokens.", Blame.CONTEXT),
    ("SGLang", 400, "", "Input length 131393 exceeds the maximum allowed input length of 131040 tokens.",
     Blame.CONTEXT),
    ("llama.cpp", 400, "exceed_context_size_error",
     "request (9412 tokens) exceeds the available context size (8192 tokens), try increasing it", Blame.CONTEXT),
    ("llama.cpp, older", 400, "invalid_request_error",
     "the request exceeds the available context size. try increasing the context size or enable context shift",
     Blame.CONTEXT),
    ("llama.cpp while it generates", 500, "server_error", "Context size has been exceeded.", Blame.CONTEXT),
    ("LM Studio", 400, "",
     "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context "
     "length of only 4096 tokens, which is not enough.", Blame.CONTEXT),
    ("TGI", 422, "validation",
     "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9000 `inputs` tokens and 512 "
     "`max_new_tokens`", Blame.CONTEXT),
    ("TGI, the prompt alone", 422, "validation",
     "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000", Blame.CONTEXT),
    ("Ollama", 400, "", "prompt too long; exceeded max context length by 4 tokens", Blame.CONTEXT),
    ("Ollama, other words", 500, "api_error", "the input length exceeds the context length", Blame.CONTEXT),
    ("LiteLLM", 400, "400",
     "litellm.ContextWindowExceededError: litellm.BadRequestError: VertexAIException - The input token count exceeds",
     Blame.CONTEXT),
    ("Bedrock", 400, "ValidationException", "Input is too long for requested model.", Blame.CONTEXT),
    ("OpenRouter", 400, "400",
     "This endpoint's maximum context length is 16384 tokens. However, you requested about 26265 tokens (26255 of text "
     "input, 10 in the output).", Blame.CONTEXT),
    ("xAI", 400, "Client specified an invalid argument",
     "This model's maximum prompt length is 131072 but the request contains 140213 tokens.", Blame.CONTEXT),
    ("Mistral", 400, "invalid_request_prompt",
     "Prompt contains 36108 tokens, too large for model with 32768 maximum context length", Blame.CONTEXT),
    ("Groq", 400, "context_length_exceeded", "Please reduce the length of the messages or completion.", Blame.CONTEXT),
    ("Together", 400, "invalid_request_error",
     "The input (516368 tokens) is longer than the model's context length (262144 tokens).", Blame.CONTEXT),
    ("Moonshot", 400, "invalid_request_error", "Invalid request: Your request exceeded model token limit: 8192",
     Blame.CONTEXT),
    ("DashScope", 400, "invalid_parameter_error", "Range of input length should be [1, 129024]", Blame.CONTEXT),
    ("nginx", 413, "", "413 Request Entity Too Large", Blame.CONTEXT),
    # content that the provider does not answer to
    ("Azure", 400, "content_filter",
     "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
     Blame.CONTENT),
    ("OpenAI", 400, "invalid_prompt",
     "Invalid prompt: your prompt was flagged as potentially violating our usage policy.", Blame.CONTENT),
    ("Anthropic", 400, "invalid_request_error", "Output blocked by content filtering policy", Blame.CONTENT),
    ("xAI", 403, "The caller does not have permission to execute the specified operation",
     "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_DATA_LEAKAGE", Blame.CONTENT),
    ("OpenRouter", 403, "403", "Your chosen model requires moderation and your input was flagged", Blame.CONTENT),
    ("DeepSeek", 400, "invalid_request_error", "Content Exists Risk", Blame.CONTENT),
    ("DashScope", 400, "data_inspection_failed", "Input data may contain inappropriate content.", Blame.CONTENT),
    ("LiteLLM", 400, "400", "litellm.ContentPolicyViolationError: AzureException - filtered", Blame.CONTENT),
    # a conversation that cannot be: an own agent's work
    ("OpenAI", 400, "invalid_request_error",
     "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The "
     "following tool_call_ids did not have response messages: call_1", Blame.CONVERSATION),
    ("OpenAI, the other way round", 400, "invalid_request_error",
     "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
     Blame.CONVERSATION),
    ("Anthropic", 400, "invalid_request_error",
     "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_01.",
     Blame.CONVERSATION),
    ("Google", 400, "INVALID_ARGUMENT",
     "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
     Blame.CONVERSATION),
    ("vLLM", 400, "BadRequestError",
     "After the optional system message, conversation roles must alternate user/assistant/user/assistant/...",
     Blame.CONVERSATION),
    ("Bedrock", 400, "ValidationException",
     "Expected toolResult blocks at messages.2.content for the following Ids: tooluse_1", Blame.CONVERSATION),
    # key, quota, rate, overload: none of it is the agent's, whatever the status
    ("OpenAI, key", 401, "invalid_api_key", "Incorrect API key provided: sk-none.", Blame.PROVIDER),
    ("Google, key", 400, "INVALID_ARGUMENT API_KEY_INVALID", "API key not valid. Please pass a valid API key.",
     Blame.PROVIDER),
    ("xAI, key", 400, "Client specified an invalid argument", "Incorrect API key provided: xa***ey.", Blame.PROVIDER),
    ("Google, place", 400, "FAILED_PRECONDITION", "User location is not supported for the API use.", Blame.PROVIDER),
    ("Anthropic, credit", 400, "invalid_request_error",
     "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase "
     "credits.", Blame.PROVIDER),
    ("OpenRouter, credit", 402, "402", "Insufficient credits. Add more using https://openrouter.ai/credits",
     Blame.PROVIDER),
    ("xAI, credit", 403, "The caller does not have permission to execute the specified operation",
     "Your newly created team doesn't have any credits or licenses yet.", Blame.PROVIDER),
    ("OpenAI, quota", 429, "insufficient_quota",
     "You exceeded your current quota, please check your plan and billing details.", Blame.PROVIDER),
    ("OpenAI, rate", 429, "rate_limit_exceeded tokens",
     "Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 40000. The "
     "input or output tokens must be reduced in order to run successfully.", Blame.PROVIDER),
    ("Groq, rate", 413, "rate_limit_exceeded tokens",
     "Request too large for model `llama-3.3-70b` on tokens per minute (TPM): Limit 6000, Requested 7000, please "
     "reduce your message size and try again.", Blame.PROVIDER),
    ("Bedrock, rate", 429, "ThrottlingException", "Too many tokens, please wait before trying again.", Blame.PROVIDER),
    ("Bedrock, access", 403, "AccessDeniedException", "You don't have access to the model with the specified model ID.",
     Blame.PROVIDER),
    ("Bedrock, profile", 400, "ValidationException",
     "Invocation of model ID x with on-demand throughput isn't supported.", Blame.PROVIDER),
    ("Anthropic, overload", 529, "overloaded_error", "Overloaded", Blame.PROVIDER),
    ("Google, overload", 503, "UNAVAILABLE", "The model is overloaded. Please try again later.", Blame.PROVIDER),
    ("OpenAI, country", 403, "unsupported_country_region_territory", "Country, region, or territory not supported",
     Blame.PROVIDER),
    ("a login page", 403, "", "Just a moment...", Blame.PROVIDER),
    ("vLLM, name", 404, "NotFoundError", "The model `m` does not exist.", Blame.PROVIDER),
    ("a gateway", 502, "", "502 Bad Gateway", Blame.PROVIDER),
    ("OpenAI, fault", 500, "server_error", "The server had an error while processing your request.", Blame.PROVIDER),
    ("Ollama, memory", 500, "api_error", "model requires more system memory (9.0 GiB) than is available (7.1 GiB)",
     Blame.PROVIDER),
    ("a gateway that quotes", 504, "", "upstream timed out: POST /v1 (maximum context length 131072)", Blame.PROVIDER),
    ("no answer at all", None, "", "Connection error.", Blame.PROVIDER),
)  # fmt: skip


@pytest.mark.parametrize("answered", [FIRST, LATER])
@pytest.mark.parametrize(
    ("status", "code", "message", "whose"), [row[1:] for row in SAID], ids=[f"{row[0]}-{row[1]}" for row in SAID]
)
def test_what_servers_say_has_one_meaning_at_any_point_of_a_conversation(
    status: int | None, code: str, message: str, whose: Blame, answered: bool
) -> None:
    assert blame(status, code, message, answered=answered) is whose


@pytest.mark.parametrize("status", [400, 422])
def test_an_unknown_refusal_is_about_the_conversation_once_the_provider_has_answered_in_it(status: int) -> None:
    message = "tool schemas of this deployment must not have defaults"
    assert blame(status, "invalid_request_error", message, answered=FIRST) is Blame.PROVIDER
    assert blame(status, "invalid_request_error", message, answered=LATER) is Blame.CONVERSATION


@pytest.mark.parametrize("status", [None, 200, 403, 404, 418, 500, 503])
def test_any_other_status_without_known_words_is_the_providers(status: int | None) -> None:
    assert blame(status, "", "no", answered=LATER) is Blame.PROVIDER


def test_what_a_server_quotes_of_the_agents_text_decides_nothing() -> None:
    quoted = "1 validation error for Request: input_value=" + "x" * 500 + " credit balance is too low"
    assert blame(400, "", quoted, answered=LATER) is Blame.CONVERSATION


def test_no_row_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row decides at least one of the sayings above, or an unknown one."""
    said = [(status, code, message) for _, status, code, message, _ in SAID] + [(400, "", "unknown")]
    asked = [(one, answered) for one in said for answered in (FIRST, LATER)]
    whole = [blame(*one, answered=answered) for one, answered in asked]
    for idle in TABLE:
        rest = tuple(row for row in TABLE if row is not idle)
        monkeypatch.setattr("pytest_agenteval.engine.models.provider_table.TABLE", rest)
        assert whole != [blame(*one, answered=answered) for one, answered in asked], idle
