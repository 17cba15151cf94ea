"""Wrong variants of a solution, of its answer and of the end state. Pure: same solution, same mutants."""

from __future__ import annotations

import itertools
import json
import random
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from pytest_agenteval.check.patches import patch_variants
from pytest_agenteval.check.plays import Play, Role, Steps

__all__ = ["COLLATERAL", "DAMAGE", "WHOLE_PART", "mutants", "sampled"]

Step = str | tuple[str, dict[str, Any]]

FLIPS = (
    (r"<=", "<"), (r">=", ">"), (r"(?<![<>=!-])==(?!=)", "!="), (r"!=", "=="), (r"(?<![<=\-])\b<\b", "<="),
    (r"\bmin\b", "max"), (r"\bmax\b", "min"), (r"\band\b", "or"), (r"\bor\b", "and"), (r"\bTrue\b", "False"),
    (r"\bFalse\b", "True"), (r"\bnot ", ""), (r" \+ ", " - "), (r" - ", " + "), (r"\bsorted\(", "list("),
    (r"\.lower\(\)", ""), (r"\.strip\(\)", ""), (r"\bDESC\b", "ASC"), (r"\bLEFT JOIN\b", "JOIN"),
    (r"\bsort -u\b", "sort"), (r"\buniq\b", "cat"), (r"/g'", "'"), (r"\bANY\b", "ALL"),
)  # fmt: skip
"""What to look for and what to write instead, at each place."""
_NUMBER = re.compile(r"(?<![\w.$\\])\d+(?![\w.])")
_TEMPORARY = "/tmp/.agenteval-mutant.$$"
_LAST_NUMBER = (
    "awk '{l[NR]=$0} /[0-9]/{n=NR} END{for(i=1;i<=NR;i++){if(i!=n){print l[i];continue} h=l[i];t=l[i];"
    'sub(/[0-9]+[^0-9]*$/,"",h);sub(/.*[0-9]/,"",t);'
    "print h (substr(l[i],length(h)+1,length(l[i])-length(h)-length(t))+1) t}}' F"
)


def _through(command: str) -> str:
    return f"{command} > {_TEMPORARY} && cat {_TEMPORARY} > F; rm -f {_TEMPORARY}"


DAMAGE: Mapping[str, str] = {
    "file-deleted": "rm -f F",
    "file-empty": ": > F",
    "first-line-lost": _through("sed 1d F"),
    "last-line-lost": _through("sed '$d' F"),
    "cut-in-half": _through('head -c "$(($(wc -c < F) / 2))" F'),
    "last-line-twice": _through("{ cat F; tail -n 1 F; }"),
    "lines-reversed": _through("tac F"),
    "number-off-by-one": _through(_LAST_NUMBER),
    "case-swapped": _through("tr 'a-zA-Z' 'A-Za-z' < F"),
}
"""By operator, a shell command that damages the file F, which the solution has made or changed."""
COLLATERAL: Mapping[str, str] = {
    "other-file-deleted": "rm -f F",
    "other-file-changed": "echo '# changed by nobody' >> F",
}
"""The same for a file that the solution leaves alone."""
WHOLE_PART = {"drop-step", "stop-after", "answer-empty", "file-deleted"}
"""Operators that leave out a whole step, file or answer."""
_HARMLESS_ON_CODE = {"last-line-twice"}
_CODE = {".py", ".sh", ".sql", ".js", ".ts", ".rb"}


def mutants(
    steps: Steps, answer: str, changed: Iterable[str], untouched: Iterable[str], vocabulary: Sequence[Any] = ()
) -> list[Play]:
    """All mutants of a solution, each once.

    Args:
        steps: of the solution.
        answer: the declared one.
        changed: files that the solution makes or changes, as the state names them.
        untouched: files that it leaves alone and that must stay.
        vocabulary: tool calls of the suite's other tasks.
    """
    made = [
        *_step_mutants(steps, answer),
        *(play for at, step in enumerate(steps) for play in _inside(steps, at, step, answer, vocabulary)),
        *_answer_mutants(steps, answer),
        *_state_mutants(steps, answer, changed, DAMAGE),
        *_state_mutants(steps, answer, untouched, COLLATERAL),
    ]
    solution = Play("", Role.MUTANT, steps, answer).digest
    unique = {play.digest: play for play in reversed(made) if play.digest != solution}
    return [unique[digest] for digest in dict.fromkeys(play.digest for play in made) if digest in unique]


def sampled(plays: Sequence[Play], most: int | None, seed: int) -> list[Play]:
    """At most so many, first those that miss a whole part, then evenly over the operators; None means all."""
    if most is None or len(plays) <= most:
        return list(plays)
    draw = random.Random(f"{seed}/{'/'.join(play.digest for play in plays)}")
    by_operator: dict[str, list[Play]] = {}
    for play in plays:
        by_operator.setdefault("" if play.operator in WHOLE_PART else play.operator, []).append(play)
    first = by_operator.pop("", [])
    piles = [draw.sample(pile, len(pile)) for pile in by_operator.values()]
    rest = [play for row in itertools.zip_longest(*piles) for play in row if play is not None]
    turns = [*draw.sample(first, len(first)), *rest]
    chosen = {play.digest for play in turns[:most]}
    return [play for play in plays if play.digest in chosen]


def _mutant(operator: str, steps: Iterable[Step], answer: str, about: str, after: str = "", file: str = "") -> Play:
    play = Play("", Role.MUTANT, tuple(steps), answer, after, about, operator, file)
    return replace(play, name=f"{operator}-{play.digest[:8]}")


def _with(steps: Steps, at: int, step: Step) -> Steps:
    return (*steps[:at], step, *steps[at + 1 :])


def _step_mutants(steps: Steps, answer: str) -> Iterator[Play]:
    if len(steps) < 2:
        return
    for at in range(len(steps)):
        yield _mutant("drop-step", steps[:at] + steps[at + 1 :], answer, f"without step {at + 1}")
    for at in range(1, len(steps) - 1):
        yield _mutant("stop-after", steps[:at], answer, f"stops after step {at}")
    for at in range(len(steps) - 1):
        swapped = (*steps[:at], steps[at + 1], steps[at], *steps[at + 2 :])
        yield _mutant("swap-steps", swapped, answer, f"swaps steps {at + 1} and {at + 2}")


def _inside(steps: Steps, at: int, step: Step, answer: str, vocabulary: Sequence[Any]) -> Iterator[Play]:
    if not isinstance(step, str):
        yield from _call_mutants(steps, at, step, answer, vocabulary)
        return
    patched = step.lstrip().startswith("git apply")
    for operator, text, about in patch_variants(step, _line_variants) if patched else _text_variants(step):
        yield _mutant(operator, _with(steps, at, text), answer, f"step {at + 1}: {about}")


def _line_variants(line: str) -> Iterator[tuple[str, str, str]]:
    """Operator, changed text and description for each place in a text where a number or a word can be changed."""
    for found in _NUMBER.finditer(line):
        more = str(int(found[0]) + 1)
        yield "number", line[: found.start()] + more + line[found.end() :], f"{found[0]} becomes {more}"
    for pattern, new in FLIPS:
        for found in re.finditer(pattern, line):
            about = f"{found[0].strip()!r} becomes {new.strip()!r}" if new.strip() else f"without {found[0].strip()!r}"
            yield "flip", line[: found.start()] + new + line[found.end() :], about


def _text_variants(step: str) -> Iterator[tuple[str, str, str]]:
    yield from _line_variants(step)
    for found in re.finditer(r">\s*([\w./-]+)", step):
        if "<<" not in found[0] and found[1] not in ("/dev/null", "&1", "&2"):
            yield "wrong-file", f"{step[: found.end()]}.out{step[found.end() :]}", f"writes {found[1]}.out"
    lines = step.splitlines()
    if len(lines) > 3:
        for at, line in enumerate(lines[1:-1], 1):
            if line.strip():
                yield "drop-line", "\n".join([*lines[:at], *lines[at + 1 :]]), f"without {line.strip()[:60]!r}"
    parts = re.split(r"(\s*(?:&&|;|\|)\s*)", step)
    if 3 <= len(parts) <= 15 and "<<" not in step and len(lines) == 1:
        for at in range(0, len(parts), 2):
            gone = (at, at + 1) if at + 1 < len(parts) else (at - 1, at)
            kept = "".join(part for place, part in enumerate(parts) if place not in gone)
            yield "drop-stage", kept, f"without {parts[at].strip()[:60]!r}"


def _call_mutants(
    steps: Steps, at: int, step: tuple[str, dict[str, Any]], answer: str, vocabulary: Sequence[Any]
) -> Iterator[Play]:
    tool, arguments = step
    for name, value in arguments.items():
        seen = [used[name] for other, used in vocabulary if other == tool and name in used and used[name] != value]
        others = list({json.dumps(each, default=str): each for each in seen}.values())[:3]
        if isinstance(value, int) and not isinstance(value, bool):
            others += [value + 1, value - 1]
        elif isinstance(value, str) and not others:
            others = [f"{value}x"]
        for other in others:
            call = (tool, {**arguments, name: other})
            yield _mutant("argument", _with(steps, at, call), answer, f"{tool}({name}={other!r})")
    for kind in (int, str):
        names = [name for name, value in arguments.items() if isinstance(value, kind)]
        if len(names) == 2:
            one, other = names
            call = (tool, {**arguments, one: arguments[other], other: arguments[one]})
            yield _mutant("swap-arguments", _with(steps, at, call), answer, f"{tool}: swaps {one} and {other}")
    again = (*steps[: at + 1], step, *steps[at + 1 :])
    yield _mutant("repeat-call", again, answer, f"calls {tool}({arguments}) twice")
    if at == len(steps) - 1:
        own = [json.dumps(each, default=str) for each in steps]
        for call in vocabulary:
            if json.dumps(call, default=str) not in own:
                yield _mutant("extra-call", (*steps, tuple(call)), answer, f"also calls {call[0]}({call[1]})")


def _answer_mutants(steps: Steps, answer: str) -> Iterator[Play]:
    if not answer.strip():
        return
    yield _mutant("answer-empty", steps, "", "submits no answer")
    yield _mutant("answer-hedged", steps, f"It is {answer}, or it is not; I cannot say.", "hedges its answer")
    yield _mutant("answer-negated", steps, f"It is not {answer}.", "denies its answer")
    if len(answer) > 3:
        yield _mutant("answer-half", steps, answer[: len(answer) // 2], "submits half of the answer")
    for found in re.finditer(r"\d+", answer):
        more = str(int(found[0]) + 1)
        text = answer[: found.start()] + more + answer[found.end() :]
        yield _mutant("answer-number", steps, text, f"answers {more} for {found[0]}")


def _state_mutants(steps: Steps, answer: str, files: Iterable[str], table: Mapping[str, str]) -> Iterator[Play]:
    for file in files:
        quoted = shlex.quote(file)
        code = PurePosixPath(file).suffix in _CODE
        for operator, command in table.items():
            if code and operator in _HARMLESS_ON_CODE:
                continue
            after = re.sub(r"\bF\b", lambda _, name=quoted: name, command)  # type: ignore[misc]
            yield _mutant(operator, steps, answer, f"{file}: {operator.replace('-', ' ')}", after, file)
