"""What of an Inspect task's scores decides whether an attempt passes, named or the only one there is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai import Task
from inspect_ai.scorer import Score

from pytest_agenteval.collect.inspect_task import Passes
from pytest_agenteval.engine.inspect_private import (
    has_registry_params,
    registry_params,
    scorer_metrics,
    unique_scorer_name,
)
from pytest_agenteval.engine.models.models import unknown_provider
from pytest_agenteval.errors import NotReady, did_you_mean
from pytest_agenteval.texts import beginning

__all__ = ["Judge", "NotJudged", "NotNamed", "choose_judge", "grader_models", "scorer_names"]

_TEXTS: Mapping[str, bool] = {
    "C": True, "I": False, "P": False, "N": False, "yes": True, "true": True, "no": False, "false": False,
}  # fmt: skip
"""Inspect's letters for correct, incorrect, partial and no answer, and the words it takes for 1 and 0."""
_NUMBERS: Mapping[str, float] = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}


class NotJudged(Exception):
    """The scores do not say whether the attempt passed, in one sentence."""


class NotNamed(NotJudged):
    """They would say it if the user had named what judges: the same for every attempt."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Which score decides, and which of its values passes."""

    scorer: str | None
    """None if the task has no scorer and its solver gives the only score."""
    key: str | None
    passes: Passes | None

    def decide(self, scores: Mapping[str, Score]) -> tuple[bool, str]:
        """Whether the attempt passed, and the score that says so in a few words. Raises `NotJudged` where none does."""
        name = self.scorer if self.scorer is not None else _only(scores)
        if name not in scores:
            raise NotJudged(f"no score came from {name}; there are {', '.join(scores) or 'none'}")
        value: Any = scores[name].value
        if isinstance(value, Mapping):
            key = self.key if self.key is not None else _only_key(name, value)
            if key not in value:
                raise NotJudged(f"the scorer {name} gave no {key}; there are {', '.join(map(str, value))}")
            name, value = f"{name}/{key}", value[key]
        elif self.key is not None:
            raise NotNamed(f"the scorer {name} gave {_shown(value)}, which has no key {self.key}: leave the key out")
        return self._passed(name, value), f"{name} gave {_shown(value)}"

    def _passed(self, name: str, value: Any) -> bool:
        if callable(self.passes):
            return bool(self.passes(value))
        if value is None or (isinstance(value, float) and math.isnan(value)):
            raise NotJudged(f"{name} gave no score")
        if isinstance(self.passes, str):
            return bool(value == self.passes)
        if isinstance(self.passes, bool) and isinstance(value, bool):
            return value is self.passes
        if self.passes is not None:
            return _number(name, value) >= self.passes
        if isinstance(value, str) and (value in _TEXTS or value.lower() in _TEXTS):
            return _TEXTS[value] if value in _TEXTS else _TEXTS[value.lower()]
        number = _number(name, value)
        if number not in (0, 1):
            raise NotNamed(f"{name} gave {_shown(value)}: say which values pass, for example with passes=0.5")
        return number == 1


def choose_judge(name: str, task: Task, scorer: str | None, key: str | None, passes: Passes | None) -> Judge:
    """What judges: what the user names, else the task's headline metric, else the only score there is.

    Raises `NotReady` where what is named is not there, or nothing is named and there are several.
    """
    names = scorer_names(task)
    headline = getattr(task, "headline_metric", None)
    if scorer is None and headline is not None and headline.scorer in names:
        scorer, key = headline.scorer, key if key is not None else headline.score
    if scorer is None and len(names) > 1:
        raise NotReady(
            f"{name} has the scorers {' and '.join(names)}: say which one judges, for example scorer={names[0]}"
        )
    if scorer is not None and names and scorer not in names:
        hint = did_you_mean(scorer, names, f"there are {', '.join(names)}")
        raise NotReady(f"{name} has no scorer {scorer!r}; {hint}")
    judging = scorer if scorer is not None else next(iter(names), None)
    keys = _keys(task, names, judging)
    if key is None and len(keys) > 1:
        raise NotReady(
            f"the scorer {judging} of {name} gives {' and '.join(keys)}: "
            f"say which one judges, for example key={keys[0]}"
        )
    if key is not None and keys and key not in keys:
        hint = did_you_mean(key, keys, f"there are {', '.join(keys)}")
        raise NotReady(f"the scorer {judging} of {name} has no key {key!r}; {hint}")
    return Judge(judging, key, passes)


def grader_models(task: Task) -> Iterator[str]:
    """The models that the scorers of a task were made with, as in `model_graded_qa(model="openai/gpt-5")`."""
    for scorer in task.scorer or ():
        for value in registry_params(scorer).values() if has_registry_params(scorer) else ():
            for text in value if isinstance(value, list | tuple) else (value,):
                if isinstance(text, str) and "/" in text and unknown_provider(text) is None:
                    yield text


def scorer_names(task: Task) -> list[str]:
    """The names of a task's scorers, each once, as Inspect's logs have them."""
    names: list[str] = []
    for scorer in task.scorer or ():
        names.append(unique_scorer_name(scorer, names))
    return names


def _keys(task: Task, names: Sequence[str], judging: str | None) -> list[str]:
    """The keys of the judging scorer's values, as far as its metrics declare them."""
    if judging not in names:
        return []
    metrics = scorer_metrics((task.scorer or [])[names.index(judging)])
    groups = [metrics] if isinstance(metrics, Mapping) else [each for each in metrics if isinstance(each, Mapping)]
    return [key for group in groups for key in group if not set(key) & set("*?[")]


def _only(scores: Mapping[str, Score]) -> str:
    if len(scores) != 1:
        raise NotNamed(f"there are the scores {', '.join(scores) or 'none'}: say which one judges, with scorer=NAME")
    return next(iter(scores))


def _only_key(name: str, value: Mapping[str, Any]) -> str:
    if len(value) != 1:
        keys = list(value)
        raise NotNamed(f"the scorer {name} gave {', '.join(keys)}: say which one judges, for example key={keys[0]}")
    return next(iter(value))


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, str):
        if value in _NUMBERS:
            return _NUMBERS[value]
        if value.lower() in _TEXTS:
            return float(_TEXTS[value.lower()])
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isnan(number):
            return number
    raise NotNamed(f"{name} gave {_shown(value)}: say which value passes, for example passes=C")


def _shown(value: Any) -> str:
    return beginning(json.dumps(value, default=str, ensure_ascii=False), 200)
