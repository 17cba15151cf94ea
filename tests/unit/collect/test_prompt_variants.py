from __future__ import annotations

import re
import tomllib
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_agenteval.collect.perturbation import perturbations_of
from pytest_agenteval.collect.prompt_variants import (
    StoredPrompt,
    changed_prompt,
    prompt_digest,
    protected,
    read_prompts,
    why_no_variant,
    written,
)
from pytest_agenteval.options.perturbations import TEXTS, perturbation

WORDS = st.lists(
    st.sampled_from(
        ["please", "repair", "the", "function", "`add(a, b)`", "in", "calc.py", "so that", "it", "returns", "42", "and",
         '"exit 0"', "src/app/main.py", "URL", "maxCount", "\n", "carefully", "```\nx = 1\n```", "'a b'"]
    ),
    min_size=1,
    max_size=60,
).map(" ".join)  # fmt: skip
BASE = "Please repair the function `add(a, b)` in src/calc.py so that it returns 42 for every number."


@given(WORDS, st.integers(0, 2**32), st.sampled_from([change for change in TEXTS if change != "markdown"]))
def test_what_carries_the_meaning_survives_every_change(text: str, seed: int, change: str) -> None:
    changed = changed_prompt(change, text, Random(seed))
    assert protected(changed) == protected(text)
    assert changed == changed_prompt(change, text, Random(seed))


def test_each_change_changes_something_and_only_what_it_says() -> None:
    text = f"{BASE * 6}\n\n- one option\n- another option\n- a third one"
    found = {change: changed_prompt(change, text, Random(1)) for change in TEXTS}
    assert text not in found.values()
    assert found["lowercase"].startswith("please repair")
    assert found["markdown"] == f"## Task\n\n{text}\n"
    assert "  " in found["whitespace"]
    assert found["whitespace"].split() == text.split()
    assert sorted(found["option-order"].splitlines()) == sorted(text.splitlines())
    assert found["option-order"].splitlines() != text.splitlines()


def test_numbered_steps_keep_their_order() -> None:
    text = "1. first\n2. then\n3. last"
    assert changed_prompt("option-order", text, Random(1)) == text


@pytest.mark.parametrize(
    ("variant", "why"),
    [
        (BASE, "the base itself"),
        ("Fix it.", "half to twice"),
        (BASE.replace("42", "43").replace("Please", "Kindly"), "lacks '42'"),
        (BASE.replace("src/calc.py", "the file calc"), "lacks 'src/calc.py'"),
        (BASE.replace("`add(a, b)`", "`add`").replace("Please", "Do"), "lacks '`add(a, b)`'"),
    ],
)
def test_a_text_that_cannot_stand_for_its_base(variant: str, why: str) -> None:
    assert why in (why_no_variant(BASE, variant) or "")


def test_a_good_variant_passes() -> None:
    assert why_no_variant(BASE, "Kindly mend `add(a, b)` of src/calc.py: for every number it has to return 42.") is None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text("ab\"'\\\n", min_size=1))
def test_what_is_written_is_read_back(text: str, base: str) -> None:
    made = tomllib.loads(written(base, [StoredPrompt("one", prompt_digest(base), text, "m", "ana")]))
    clean = text.replace("\r\n", "\n")
    assert made["base"] == base
    assert made["one"]["text"] in (text, clean)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[a]\ntext = 'x'", "must have `of` and `text`"),
        ("[a]\nof = 'sha256:1'\ntext = 'x'\nextra = 'y'", "may have"),
        ("[a]\nof = 'sha256:1'\ntext = 'x'\n[b]\nof = 'sha256:1'\ntext = 'x'", "the same text"),
        (f'base = "{BASE}"\n[a]\nof = "sha256:1"\ntext = "x"', "of another text than `base`"),
        (f'base = "{BASE}"\n[a]\nof = "{prompt_digest(BASE)}"\ntext = "x"', "half to twice"),
        ("[a", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "v.toml").write_text(content)
    with pytest.raises(ValueError, match=re.escape(why)):
        read_prompts(tmp_path / "v.toml")


def test_variants_of_one_kind_share_the_attempts() -> None:
    stored = [StoredPrompt(name, "sha256:1", name) for name in "abc"]
    found = perturbations_of([perturbation("prompts"), perturbation("typos+exec-faults")], 8, 0, stored)
    assert [(each.group, each.name, each.k) for each in found] == [
        ("prompts", "prompt-a", 3),
        ("prompts", "prompt-b", 3),
        ("prompts", "prompt-c", 2),
        ("typos+exec-faults", "typos+exec-faults", 8),
    ]
    assert found[3].changes == ("typos",)
    assert found[3].faults is not None
    only = perturbations_of([perturbation("prompts:only=b")], 8, 0, stored)
    assert [(each.name, each.k) for each in only] == [("prompt-b", 8)]
    assert perturbations_of([perturbation("author")], 8, 0) == []
