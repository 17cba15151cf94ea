from __future__ import annotations

from pathlib import Path

import pytest

from pytest_agenteval.sandbox.asked.content import Content, content_of


def compose(folder: Path, text: str) -> Content:
    (folder / "context").mkdir(exist_ok=True)
    (folder / "context" / "Dockerfile").touch()
    (folder / "data").mkdir(exist_ok=True)
    (folder / "compose.yaml").write_text(text, "utf-8")
    return content_of(folder / "compose.yaml")


BUILT = "services: {default: {build: context, env_file: [a.env, {path: b.env}], volumes: ['./data:/data']}}"


@pytest.mark.parametrize("changed", ["context/Dockerfile", "a.env", "b.env", "data/facts.csv"])
def test_what_a_service_is_made_from_or_gets_counts(tmp_path: Path, changed: str) -> None:
    for name in ("a.env", "b.env"):
        (tmp_path / name).write_text("A=1", "utf-8")
    before = compose(tmp_path, BUILT)
    assert compose(tmp_path, BUILT) == before
    (tmp_path / changed).write_text("B=2", "utf-8")
    after = compose(tmp_path, BUILT)
    assert (before.doubt, after.doubt, before.digest == after.digest) == (None, None, False)


def test_the_file_itself_counts(tmp_path: Path) -> None:
    digests = {compose(tmp_path, f"services: {{default: {{build: context, user: '{user}'}}}}").digest for user in "12"}
    assert len(digests) == 2


@pytest.mark.parametrize(
    "text",
    [
        "services: {default: {build: 'https://example.com/repo.git'}}",
        "services: {default: {build: nowhere}}",
        "services: {default: {build: context, extends: {file: other.yaml, service: a}}}",
        "include: [other.yaml]\nservices: {default: {build: context}}",
        "configs: {a: {file: a.txt}}\nservices: {default: {build: context}}",
    ],
)
def test_what_cannot_be_compared_is_a_doubt(tmp_path: Path, text: str) -> None:
    assert compose(tmp_path, text).doubt is not None


def test_a_dockerfile_counts_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch", "utf-8")
    before = content_of(tmp_path / "Dockerfile")
    (tmp_path / "copied.txt").write_text("new", "utf-8")
    assert content_of(tmp_path / "Dockerfile").digest != before.digest
