from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import data_snapshot
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider, Tier, TieredPrices
from hypothesis import given
from hypothesis import strategies as st

from pytest_agenteval.errors import NotReady
from pytest_agenteval.money.estimate import DEFAULT_MAX_OUTPUT, estimate_tokens, max_output, worst_case
from pytest_agenteval.money.prices import (
    BuiltInPrices,
    FirstKnown,
    GenaiPrices,
    PriceBook,
    PriceTable,
    Rates,
    TokenUsage,
    open_prices,
)

USAGE = TokenUsage(input=1_000, output=500, cache_read=8_000, cache_write=2_000)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return path


def info(name: str, **prices: Decimal | TieredPrices) -> ModelInfo:
    return ModelInfo(id=name, match=ClauseEquals(name), prices=ModelPrice(**prices))


def provider(name: str, *models: ModelInfo, match: str | None = None) -> Provider:
    return Provider(
        id=name,
        name=name,
        api_pattern="never",
        models=list(models),
        model_match=None if match is None else ClauseEquals(match),
    )


def tiered(base: str, above_200k: str) -> TieredPrices:
    return TieredPrices(Decimal(base), [Tier(200_000, Decimal(above_200k))])


@pytest.fixture
def genai() -> GenaiPrices:
    return GenaiPrices(
        DataSnapshot(
            [
                provider(
                    "anthropic",
                    info("tiered", input_mtok=tiered("3", "6"), output_mtok=tiered("15", "22.5")),
                    info(
                        "cached",
                        input_mtok=Decimal(3),
                        output_mtok=Decimal(15),
                        cache_read_mtok=Decimal("0.3"),
                        cache_write_mtok=Decimal("3.75"),
                    ),
                    info("embedding", input_mtok=Decimal(1)),
                    info("free", input_mtok=Decimal(0), output_mtok=Decimal(0)),
                    match="cached",
                ),
                provider("aws", info("cached", input_mtok=Decimal(4), output_mtok=Decimal(20))),
                provider(
                    "perplexity",
                    info("sonar", input_mtok=Decimal(1), output_mtok=Decimal(1), requests_kcount=Decimal(12)),
                ),
            ],
            from_auto_update=False,
        )
    )


# Rates


def test_cost_adds_every_class_of_tokens_at_its_own_rate() -> None:
    # 1000 x 0.25 + 500 x 2 + 8000 x 0.025 + 2000 x 0.5 = 2450 millionths
    assert Rates(0.25, 2.0, 0.025, 0.5).cost(USAGE) == pytest.approx(0.00245)


def test_cached_tokens_of_unknown_rate_cost_what_fresh_input_costs() -> None:
    # (1000 + 8000 + 2000) x 0.25 + 500 x 2 = 3750 millionths
    assert Rates(0.25, 2.0).cost(USAGE) == pytest.approx(0.00375)
    assert (Rates(0.25, 2.0).cache_read_or_input, Rates(0.25, 2.0).cache_write_or_input) == (0.25, 0.25)


def test_a_known_cache_rate_of_zero_is_not_unknown() -> None:
    assert Rates(0.25, 2.0, 0.0, 0.0).cost(TokenUsage(cache_read=1_000_000, cache_write=1_000_000)) == 0.0


def test_a_fee_per_call_is_added_once() -> None:
    assert Rates(1.0, 1.0, per_call=0.012).cost(TokenUsage(input=1_000, output=1_000)) == pytest.approx(0.014)


@pytest.mark.parametrize("rate", [-0.01, float("nan"), float("inf")])
def test_rates_that_are_no_prices_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="cache_read is not a price"):
        Rates(1.0, 1.0, cache_read=rate)


def test_negative_token_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="cache_write tokens is negative: -1"):
        TokenUsage(input=5, cache_write=-1)


# The user's file


def test_file_prices_the_models_it_names(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[models."openai/gpt-5-mini"]\ninput = 0.25\noutput = 2\ncache_read = 0.025\n'
        '[models."perplexity/sonar"]\ninput = 1\noutput = 1\ncache_write = 0\nper_call = 0.012\n',
    )
    table = PriceTable.read(path)
    # 1000 x 0.25 + 500 x 2 + 8000 x 0.025 + 2000 x 0.25 (unknown: input) = 1950 millionths
    assert table.price("openai/gpt-5-mini", USAGE) == pytest.approx(0.00195)
    assert table.rates("openai/gpt-5-mini") == Rates(0.25, 2.0, 0.025, None)
    assert table.rates("openai/gpt-5-mini", 1_000_000) == Rates(0.25, 2.0, 0.025, None)
    assert table.rates("perplexity/sonar") == Rates(1.0, 1.0, None, 0.0, per_call=0.012)
    assert table.source("openai/gpt-5-mini") == f'{path} [models."openai/gpt-5-mini"]'


def test_a_model_the_file_does_not_name_is_unpriced(tmp_path: Path) -> None:
    table = PriceTable.read(write(tmp_path, '[models."openai/gpt-5"]\ninput = 1\noutput = 2\n'))
    for name in ("openai/gpt-5-mini", "gpt-5", "openai/gpt", "OpenAI/gpt-5", ""):
        assert (table.price(name, USAGE), table.rates(name), table.source(name)) == (None, None, None)


def test_exact_name_wins_then_the_longest_beginning() -> None:
    table = PriceTable(
        "t",
        {
            "*": Rates(1, 1),
            "openai-api/*": Rates(2, 2),
            "openai-api/local/*": Rates(3, 3),
            "openai-api/local/q": Rates(4, 4),
        },
    )

    def rate(model: str) -> float | None:
        rates = table.rates(model)
        return None if rates is None else rates.input

    assert rate("openai-api/local/q") == 4
    assert rate("openai-api/local/q2") == 3
    assert rate("openai-api/other/q") == 2
    assert rate("anthropic/claude") == 1
    assert table.source("openai-api/local/q2") == 't [models."openai-api/local/*"]'


def test_a_star_for_everything_else_leaves_the_built_in_models_free() -> None:
    everything = PriceTable("t", {"*": Rates(1, 1)})
    assert FirstKnown([everything, BuiltInPrices()]).price("agenteval/noisy", USAGE) == 0.0
    rehearsal = PriceTable("t", {"*": Rates(1, 1), "agenteval/*": Rates(2, 2)})
    assert FirstKnown([rehearsal, BuiltInPrices()]).rates("agenteval/noisy") == Rates(2, 2)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_bytes(b'\xef\xbb\xbf[models."m"]\ninput = 1\noutput = 2\n')
    assert PriceTable.read(path).rates("m") == Rates(1.0, 2.0)


GOOD = '[models."m"]\ninput = 1\noutput = 2\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the file has no price"),
        ("[models]\n", "the file has no price"),
        ("# only a comment\n", "the file has no price"),
        ("models = 3\n", '"models" is not a table'),
        ('[model."m"]\ninput = 1\n', 'unknown key "model"'),
        (GOOD + '[other]\n"x" = 1\n', 'unknown key "other"'),
        ("[models.openai/gpt-5]\ninput = 1\n", "is not TOML"),
        ("input: 1\n", "is not TOML"),
        (GOOD + GOOD, "is not TOML"),
        ('[models]\n"m" = 1\n', '[models."m"] is not a table'),
        ("[models.gpt-4.1]\ninput = 1\noutput = 2\n", "put the model's name in quotes"),
        (GOOD + "inputs = 1\n", 'unknown key "inputs"; known are input, output, cache_read, cache_write, per_call'),
        ('[models."m"]\ninput = 1\n', "output is missing"),
        ('[models."m"]\noutput = 1\n', "input is missing"),
        (GOOD + "cache_read = -0.1\n", "cache_read is negative: -0.1"),
        (GOOD + "cache_read = nan\n", "cache_read is not a finite number: nan"),
        (GOOD + "cache_read = inf\n", "cache_read is not a finite number: inf"),
        (GOOD + f"cache_read = 1{'0' * 400}\n", "cache_read is not a finite number: inf"),
        (GOOD + 'cache_read = "0.1"\n', "cache_read is not a number: '0.1'"),
        (GOOD + "cache_read = true\n", "cache_read is not a number: True"),
        ('[models."a*b"]\ninput = 1\noutput = 2\n', "a * may stand only at the end"),
        ('[models."**"]\ninput = 1\noutput = 2\n', "a * may stand only at the end"),
        ('[models.""]\ninput = 1\noutput = 2\n', "the name of the model is empty"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence_that_names_the_file(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(NotReady) as raised:
        PriceTable.read(path)
    message = str(raised.value)
    assert complaint in message
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert message.endswith(".")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="there is no such file of prices"):
        open_prices(tmp_path / "none.toml")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"cannot be read \(Is a directory\)"):
        PriceTable.read(tmp_path)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_bytes(b"\xff\xfe[\x00")
    with pytest.raises(NotReady, match="is not UTF-8 text"):
        PriceTable.read(path)


# genai-prices


def test_tiers_hold_for_each_call_and_not_for_the_sum(genai: GenaiPrices) -> None:
    call = TokenUsage(input=100_000, output=5_000)  # 0.1 x $3 + 0.005 x $15 = $0.375
    assert sum(genai.price("anthropic/tiered", call) or 0 for _ in range(10)) == pytest.approx(3.750)
    # 1 x $6 + 0.05 x $22.5
    assert genai.price("anthropic/tiered", TokenUsage(input=1_000_000, output=50_000)) == pytest.approx(7.125)


def test_rates_are_those_of_the_tier_a_prompt_reaches(genai: GenaiPrices) -> None:
    assert genai.rates("anthropic/tiered") == Rates(3.0, 15.0)
    assert genai.rates("anthropic/tiered", 200_000) == Rates(3.0, 15.0)
    assert genai.rates("anthropic/tiered", 200_001) == Rates(6.0, 22.5)


def test_cached_tokens_are_beside_the_input_tokens_and_reach_the_tier(genai: GenaiPrices) -> None:
    # 1000 x 3 + 10000 x 0.3 + 2000 x 3.75 + 100 x 15 = 15000 millionths
    usage = TokenUsage(input=1_000, output=100, cache_read=10_000, cache_write=2_000)
    assert genai.price("anthropic/cached", usage) == pytest.approx(0.015)
    # All 201,000 tokens at $6: no cache rate is known.
    long = TokenUsage(input=1_000, cache_read=100_000, cache_write=100_000)
    assert genai.price("anthropic/tiered", long) == pytest.approx(1.206)


def test_a_fee_per_request_is_part_of_price_and_rates(genai: GenaiPrices) -> None:
    assert genai.rates("perplexity/sonar") == Rates(1.0, 1.0, per_call=0.012)
    assert genai.price("perplexity/sonar", TokenUsage(input=1_000, output=1_000)) == pytest.approx(0.014)


def test_a_model_without_an_output_rate_is_unpriced_and_a_free_one_is_not(genai: GenaiPrices) -> None:
    for name in ("anthropic/embedding", "anthropic/unheard-of", "nobody/nothing", "anthropic", "anthropic/", ""):
        assert (genai.price(name, USAGE), genai.rates(name), genai.source(name)) == (None, None, None)
    assert genai.price("anthropic/free", USAGE) == 0.0


def test_the_provider_that_sends_the_bill_is_asked_first_then_the_bare_name(genai: GenaiPrices) -> None:
    def rate(model: str) -> float | None:
        rates = genai.rates(model)
        return None if rates is None else rates.input

    assert rate("anthropic/cached") == 3
    assert rate("bedrock/cached") == 4
    assert rate("anthropic/bedrock/cached") == 4
    assert rate("openai-api/bedrock/cached") == 4
    assert rate("openai-api/gateway/cached") == 3
    assert (genai.source("bedrock/cached") or "").endswith(": aws/cached")
    assert (genai.source("openai-api/gateway/cached") or "").endswith(": anthropic/cached (by name)")


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("openai/gpt-5-mini", "openai/gpt-5-mini"),
        ("openai/gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("openai/azure/gpt-4o", "azure/gpt-4o"),
        ("azureai/gpt-4o", "azure/gpt-4o"),
        ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("anthropic/vertex/claude-sonnet-4-5", "google/claude-sonnet-4-5"),
        ("google/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("google/vertex/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("vertex/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("grok/grok-4", "x-ai/grok-4-0709"),
        ("openai-api/deepseek/deepseek-chat", "deepseek/deepseek-chat"),
        ("litellm-proxy/openai/gpt-4o", "openai/gpt-4o"),
        ("openrouter/anthropic/claude-sonnet-4.5", "openrouter/anthropic/claude-sonnet-4.5"),
        ("together/meta-llama/Llama-3.3-70B-Instruct-Turbo", "together/meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    ],
)
def test_names_of_inspect_are_found_in_the_installed_package(model: str, found: str) -> None:
    source = GenaiPrices().source(model)
    assert source is not None
    assert source.startswith("genai-prices ")
    assert source.split(": ")[1].removesuffix(" (by name)") == found


@pytest.mark.parametrize(
    "model",
    [
        "ollama/gpt-4o",
        "vllm/gpt-4o",
        "hf/openai/gpt-4o",
        "mockllm/model",
        "openai-api/ollama/gpt-4o",
        "agenteval/noisy",
    ],
)
def test_local_models_are_unpriced_even_under_a_known_name(model: str) -> None:
    assert GenaiPrices().price(model, USAGE) is None
    assert GenaiPrices().source(model) is None


def test_rates_and_price_agree_for_the_models_of_the_installed_package() -> None:
    book = GenaiPrices()
    usage = TokenUsage(input=150_000, output=5_000, cache_read=40_000, cache_write=20_000)
    checked = 0
    for each in data_snapshot.get_snapshot().providers:
        if each.id not in ("openai", "anthropic", "google"):
            continue
        for model in (f"{each.id}/{listed.id}" for listed in each.models):
            rates = book.rates(model, usage.total_input)
            expected = None if rates is None else pytest.approx(rates.cost(usage))
            assert book.price(model, usage) == expected, model
            checked += rates is not None
    assert checked > 50


def test_prices_do_not_follow_an_update_that_other_code_has_made() -> None:
    changed = DataSnapshot(
        [provider("openai", info("gpt-5-mini", input_mtok=Decimal(999), output_mtok=Decimal(999)))],
        from_auto_update=True,
    )
    before = GenaiPrices().price("openai/gpt-5-mini", USAGE)
    data_snapshot.set_custom_snapshot(changed)
    try:
        assert GenaiPrices().price("openai/gpt-5-mini", USAGE) == before
    finally:
        data_snapshot.set_custom_snapshot(None)


def test_without_the_package_every_price_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    book = GenaiPrices()
    assert (book.price("openai/gpt-4o", USAGE), book.rates("openai/gpt-4o"), book.source("openai/gpt-4o")) == (
        None,
    ) * 3


def test_the_package_is_loaded_at_the_first_look_up_and_not_before() -> None:
    program = (
        "import sys; from pytest_agenteval.money.prices import TokenUsage, open_prices\n"
        "book = open_prices(); loaded = lambda: 'genai_prices' in sys.modules\n"
        "free = book.price('agenteval/oracle', TokenUsage(input=1)); print(free, loaded())\n"
        "print(book.rates('ollama/x'), loaded()); print(book.rates('openai/gpt-4o') is None, loaded())"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split("\n")[:3] == ["0.0 False", "None False", "False True"]


# Several sources


def test_the_first_source_that_knows_a_model_answers_everything() -> None:
    first, second = PriceTable("first", {"a": Rates(1, 1)}), PriceTable("second", {"a": Rates(2, 2), "b": Rates(3, 3)})
    book: PriceBook = FirstKnown([first, second])
    million = TokenUsage(input=1_000_000)
    assert (book.price("a", million), book.source("a")) == (1.0, 'first [models."a"]')
    assert (book.price("b", million), book.rates("b")) == (3.0, Rates(3, 3))
    assert (book.price("c", million), book.rates("c"), book.source("c")) == (None, None, None)


def test_the_users_price_wins_over_genai_prices(tmp_path: Path) -> None:
    path = write(tmp_path, '[models."openai/gpt-4o"]\ninput = 100\noutput = 200\n')
    assert open_prices(path).rates("openai/gpt-4o") == Rates(100.0, 200.0)
    assert (open_prices().source("openai/gpt-4o") or "").startswith("genai-prices ")


def test_built_in_models_are_known_to_be_free() -> None:
    book = open_prices()
    assert (book.price("agenteval/null", USAGE), book.source("agenteval/null")) == (0.0, "built in")
    assert book.rates("agenteval/null") == Rates(0, 0, 0, 0)
    assert BuiltInPrices().price("agenteval", USAGE) is None


# Worst cases


def test_worst_case_takes_the_dearest_input_rate_and_all_output() -> None:
    # 1000 x 3.75 + 2000 x 15 = 33750 millionths
    assert worst_case(Rates(3, 15, 0.3, 3.75), input_tokens=1_000, max_output_tokens=2_000) == pytest.approx(0.03375)
    # 1000 x 3 + 2000 x 15 = 33000 millionths
    assert worst_case(Rates(3, 15), input_tokens=1_000, max_output_tokens=2_000) == pytest.approx(0.033)
    assert worst_case(Rates(1, 1, per_call=0.012), input_tokens=0, max_output_tokens=0) == pytest.approx(0.012)


amounts = st.floats(0, 1_000)
counts = st.integers(0, 10**7)


@given(
    rates=st.builds(Rates, amounts, amounts, st.none() | amounts, st.none() | amounts, amounts),
    usage=st.builds(TokenUsage, counts, counts, counts, counts),
    spare=counts,
)
def test_no_call_within_its_estimates_costs_more_than_the_worst_case(
    rates: Rates, usage: TokenUsage, spare: int
) -> None:
    bound = worst_case(rates, input_tokens=usage.total_input + spare, max_output_tokens=usage.output + spare)
    assert rates.cost(usage) <= bound * (1 + 1e-12)


@pytest.mark.parametrize(
    ("max_tokens", "token_limit_left", "expected"),
    [
        (100, None, 100),
        (100_000, 5_000, 100_000),
        (None, 5_000, 5_000),
        (None, 500_000, DEFAULT_MAX_OUTPUT),
        (None, -3, 0),
        (None, None, DEFAULT_MAX_OUTPUT),
    ],
)
def test_most_output_of_a_call(max_tokens: int | None, token_limit_left: int | None, expected: int) -> None:
    assert max_output(max_tokens, token_limit_left) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], 0),
        ([""], 0),
        (["a"], 1),
        (["abc"], 1),
        (["abcd"], 2),
        (["abcd", "a", '{"type": "object"}'], 2 + 1 + 6),
        (["日本語"], 3),
        (["\ud800"], 1),
    ],
)
def test_estimated_tokens_are_a_third_of_the_bytes_rounded_up(texts: list[str], expected: int) -> None:
    assert estimate_tokens(texts) == expected
