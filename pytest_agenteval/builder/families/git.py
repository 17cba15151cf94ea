"""A repository with a short history. What is right is told by the drawn history, not by git."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pytest_agenteval.builder.families.family import Deck, Part, PartsFamily

__all__ = ["GIT"]

_FILES = ("cart", "login", "search", "mail", "report", "price", "stock", "label")
_VERBS = ("Add", "Extend", "Describe", "Measure", "Sort", "Check")
_G = "git -C shop"


@dataclass(frozen=True, slots=True)
class _Commit:
    file: str
    subject: str


def _deal(rng: random.Random, steps: int) -> Deck:
    names = rng.sample(_FILES, 6)
    history = [_Commit(f"{name}.txt", f"{rng.choice(_VERBS)} the {name}") for name in names]
    setup = [f"git init -q -b main shop && {_G} config user.name shop && {_G} config user.email shop@localhost"]
    for at, commit in enumerate(history, 1):
        date = f"2026-02-{at:02}T12:00:00"
        write = f"echo {rng.randint(100, 999)} > shop/{commit.file} && {_G} add {commit.file}"
        when = f"GIT_AUTHOR_DATE={date} GIT_COMMITTER_DATE={date}"
        setup.append(f"{write} && {when} {_G} commit -q -m '{commit.subject}'")
    old, topic = rng.sample(["spike", "draft", "trial", "sketch"], 2)
    setup.append(f"{_G} branch {old} main~3 && {_G} branch {topic} main~2")
    version = f"{rng.randint(1, 4)}.{rng.randint(1, 9)}"
    parts = [
        _branches(rng, history), _tags(rng, history, version), _deletes(old), _renames(rng, topic, history),
        _ignores(rng), _commits(version), _removes(history[0]),
    ]  # fmt: skip
    # what commits comes last, in this order: `main` moves
    chosen = sorted(rng.sample(range(7), min(steps, 7)))
    return Deck(
        title="Work in a git repository",
        intro="shop is a git repository; you are on its branch main, and nothing is to be committed yet.",
        parts=[parts[at] for at in chosen],
        setup=setup,
        outro="Make no other commit, and leave every other branch and tag where it is.",
        checks=[
            {"kind": "git", "path": "shop", "args": ["symbolic-ref", "--short", "HEAD"], "stdout": "main"},
            {"kind": "git", "path": "shop", "args": ["rev-list", "--count", "main"],
             "stdout": str(len(history) + sum(at >= 4 for at in chosen))},
        ],
    )  # fmt: skip


def _subject(ref: str, subject: str) -> dict[str, object]:
    return {"kind": "git", "path": "shop", "args": ["log", "-1", "--format=%s", ref], "stdout": subject}


def _gone(branch: str) -> dict[str, object]:
    return {"kind": "git", "path": "shop", "args": ["branch", "--list", branch], "stdout": ""}


def _branches(rng: random.Random, history: list[_Commit]) -> Part:
    name, back = rng.choice(["release", "stable", "support"]), rng.randint(1, 4)
    return Part(
        f'Create a branch {name} at the commit "{history[-1 - back].subject}".',
        f"{_G} branch {name} main~{back}",
        [_subject(f"refs/heads/{name}", history[-1 - back].subject)],
        [("at main", f"{_G} branch {name}"), ("a tag instead", f"{_G} tag {name} main~{back}")],
        f"{_G} branch {name} \"$({_G} log --format=%H --grep='^{history[-1 - back].subject}$' -1 main)\"",
    )


def _tags(rng: random.Random, history: list[_Commit], version: str) -> Part:
    back = rng.randint(1, 4)
    subject = history[-1 - back].subject
    return Part(
        f'Tag the commit "{subject}" as v{version}.',
        f"{_G} tag v{version} main~{back}",
        [_subject(f"refs/tags/v{version}", subject)],
        [("tags main", f"{_G} tag v{version}"), ("a branch instead", f"{_G} branch v{version} main~{back}")],
        f"cd shop && git log --format='%H %s' | grep '{subject}' | cut -d' ' -f1 | xargs git tag v{version}; cd ..",
    )


def _deletes(old: str) -> Part:
    return Part(
        f"Delete the branch {old}.",
        f"{_G} branch -D {old}",
        [_gone(old)],
        [("renames it", f"{_G} branch -m {old} {old}-2"), ("checks out", f"{_G} checkout -q {old}")],
        f"{_G} update-ref -d refs/heads/{old}",
    )


def _renames(rng: random.Random, topic: str, history: list[_Commit]) -> Part:
    new = rng.choice(["feature", "next", "topic"])
    return Part(
        f"Rename the branch {topic} to {new}.",
        f"{_G} branch -m {topic} {new}",
        [_subject(f"refs/heads/{new}", history[-3].subject), _gone(topic)],
        [("copies it", f"{_G} branch -c {topic} {new}"), ("at main", f"{_G} branch -D {topic} && {_G} branch {new}")],
        f"{_G} branch {new} {topic} && {_G} branch -D {topic}",
    )


def _in_main(file: str, text: str) -> dict[str, object]:
    return {"kind": "git", "path": "shop", "args": ["show", f"main:{file}"], "stdout": text}


def _ignores(rng: random.Random) -> Part:
    pattern = rng.choice(["*.tmp", "*.bak", "*.swp"])
    write = f"echo '{pattern}' > shop/.gitignore && {_G} add .gitignore"
    return Part(
        f'Commit to main, with the message "Ignore scratch files", a file .gitignore whose one line is `{pattern}`.',
        f"{write} && {_G} commit -q -m 'Ignore scratch files'",
        [_in_main(".gitignore", pattern), {"kind": "git", "path": "shop", "stdout": "Ignore scratch files",
          "args": ["log", "-1", "--format=%s", "main", "--", ".gitignore"]}],
        [("without the commit", write), ("another message", f"{write} && {_G} commit -q -m ignore")],
        f"cd shop && printf '%s\\n' '{pattern}' > .gitignore && git add -A && "
        "git commit -qm 'Ignore scratch files'; cd ..",
    )  # fmt: skip


def _commits(version: str) -> Part:
    write = f"echo {version} > shop/VERSION.txt && {_G} add VERSION.txt"
    message = f"Version {version}"
    return Part(
        f'Commit to main, with the message "{message}", a file VERSION.txt that holds {version}.',
        f"{write} && {_G} commit -q -m '{message}'",
        [_in_main("VERSION.txt", version), {"kind": "git", "path": "shop", "stdout": message,
          "args": ["log", "-1", "--format=%s", "main", "--", "VERSION.txt"]}],
        [("without the commit", write), ("another message", f"{write} && {_G} commit -q -m version")],
        f"cd shop && printf '{version}\\n' > VERSION.txt && git add VERSION.txt && git commit -qm '{message}'; cd ..",
    )  # fmt: skip


def _removes(commit: _Commit) -> Part:
    message = f"Remove {commit.file}"
    return Part(
        f'Remove {commit.file} from main in a commit with the message "{message}".',
        f"{_G} rm -q {commit.file} && {_G} commit -q -m '{message}'",
        [{"kind": "git", "path": "shop", "args": ["ls-tree", "--name-only", "main", commit.file], "stdout": ""},
         {"kind": "git", "path": "shop", "args": ["log", "-1", "--format=%s", "main", "--", commit.file],
          "stdout": message}],
        [("deletes the file", f"rm shop/{commit.file}"), ("without the commit", f"{_G} rm -q {commit.file}")],
        f"cd shop && rm {commit.file} && git add -A && git commit -qm '{message}'; cd ..",
    )  # fmt: skip


GIT = PartsFamily(
    name="git",
    about="Branches, tags and commits in a git repository.",
    topics=("git", "repository", "repositories", "branch", "commit", "version", "history", "tag"),
    deal=_deal,
)
"""The family."""
