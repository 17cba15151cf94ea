from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_agenteval import agent_task
from pytest_agenteval.collect.agent_task import TaskOptions
from pytest_agenteval.sandbox.asked.choice import (
    BuiltInImage,
    ChoiceError,
    ConfigFile,
    NamedImage,
    choose,
    is_dockerfile,
)
from pytest_agenteval.sandbox.images.images import definition


def made(*files: Path) -> Path:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return files[0]


def test_without_a_wish_and_without_files_it_is_the_default_image(tmp_path: Path) -> None:
    assert choose(None, folder=tmp_path, root=tmp_path) == BuiltInImage("default")


def test_a_file_beside_the_suite_is_its_sandbox_and_a_compose_file_comes_first(tmp_path: Path) -> None:
    dockerfile = made(tmp_path / "Dockerfile")
    assert choose(None, folder=tmp_path, root=tmp_path) == ConfigFile(dockerfile)
    compose = made(tmp_path / "compose.yaml")
    assert choose(None, folder=tmp_path, root=tmp_path, default="python") == ConfigFile(compose)


def test_the_runs_default_is_for_suites_without_a_file(tmp_path: Path) -> None:
    assert choose(None, folder=tmp_path, root=tmp_path, default="python") == BuiltInImage("python")
    assert choose(None, folder=tmp_path, root=tmp_path, default="image:a/b:1") == NamedImage("a/b:1")


def test_the_mark_comes_before_a_file_beside_the_suite(tmp_path: Path) -> None:
    made(tmp_path / "Dockerfile")
    assert choose("default", folder=tmp_path, root=tmp_path) == BuiltInImage("default")


def test_a_name_is_looked_up_from_the_suites_folder_to_the_rootdir_and_the_nearest_counts(tmp_path: Path) -> None:
    root, suite = tmp_path / "root", tmp_path / "root" / "a" / "b"
    suite.mkdir(parents=True)
    made(tmp_path / "sandboxes" / "gpu" / "Dockerfile")
    with pytest.raises(ChoiceError, match="'gpu'"):
        choose("gpu", folder=suite, root=root)
    far = made(root / "sandboxes" / "gpu" / "Dockerfile")
    assert choose("gpu", folder=suite, root=root) == ConfigFile(far)
    near = made(root / "a" / "sandboxes" / "gpu" / "compose.yml")
    assert choose("gpu", folder=suite, root=root) == ConfigFile(near)


def test_a_folder_of_the_users_comes_before_a_built_in_image_of_that_name(tmp_path: Path) -> None:
    own = made(tmp_path / "sandboxes" / "python" / "Dockerfile")
    assert choose("python", folder=tmp_path, root=tmp_path) == ConfigFile(own)


def test_the_definition_of_a_built_in_image_is_the_built_in_image() -> None:
    checkout = definition("python").parent.parent
    assert choose("python", folder=checkout / "tests", root=checkout) == BuiltInImage("python")


def test_a_path_is_relative_to_the_test_file_and_that_of_the_default_to_the_rootdir(tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    near, far = made(suite / "envs" / "Dockerfile"), made(tmp_path / "envs" / "Dockerfile")
    assert choose("envs/Dockerfile", folder=suite, root=tmp_path) == ConfigFile(near)
    assert choose(None, folder=suite, root=tmp_path, default="envs/Dockerfile") == ConfigFile(far)


def test_a_path_may_be_of_a_folder_and_a_file_may_be_beside_the_suite(tmp_path: Path) -> None:
    made(tmp_path / "envs" / "Dockerfile")
    found = choose("envs/", folder=tmp_path, root=tmp_path)
    assert isinstance(found, ConfigFile)
    assert found.path.samefile(tmp_path / "envs" / "Dockerfile")
    for name in ("Dockerfile.gpu", "gpu.Dockerfile", "big.yaml", "big.yml"):
        file = made(tmp_path / name)
        assert choose(name, folder=tmp_path, root=tmp_path) == ConfigFile(file)


@pytest.mark.parametrize("image", ["python:3.12-slim", "ghcr.io/a/b@sha256:00", "localhost:5000/x", "debian"])
def test_an_image_is_named_with_its_prefix(tmp_path: Path, image: str) -> None:
    assert choose(f"image:{image}", folder=tmp_path, root=tmp_path) == NamedImage(image)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("python:3.12-slim", "for an image write image:python:3.12-slim"),
        ("ghcr.io/a/b", "no file .*/ghcr.io/a/b: for an image write image:ghcr.io/a/b"),
        ("image:", "has no image's name"),
        ("image: x", "has no image's name"),
        ("nope", "neither .* has sandboxes/nope/ .* nor is it one of default, python"),
        ("envs/none.yaml", "no file"),
        ("empty/", "no compose.yaml or Dockerfile"),
        ("envs/notes.txt", "neither as a compose file"),
        ("two words", "no name of a sandbox"),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, wish: str, words: str) -> None:
    made(tmp_path / "envs" / "notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ChoiceError, match=words):
        choose(wish, folder=tmp_path, root=tmp_path)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("Dockerfile", True), ("Dockerfile.gpu", True), ("x.Dockerfile", True), ("dockerfile", False), ("a.yaml", False)],
)
def test_what_a_dockerfile_is_called(name: str, is_one: bool) -> None:
    """As Inspect's own rule has it."""
    from inspect_ai.util._sandbox.compose import is_dockerfile as inspects

    assert is_dockerfile(name) is is_one
    assert inspects(name) is is_one


@pytest.mark.parametrize(
    ("name", "value"),
    [("sandbox", " "), ("sandbox", 1), ("network", "host"), ("network", True), ("cpus", 0), ("cpus", "2"),
     ("memory", "lots"), ("memory", 0), ("memory", "0m"), ("memory", 1.5), ("memory", True), ("user", 1000),
     ("user", ""), ("runtime", "")],
)  # fmt: skip
def test_options_of_a_container_that_cannot_be_used(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"agent_task\({name}=.*\): {name} must be"):
        TaskOptions.from_marks([agent_task(**{name: value}).mark])


@pytest.mark.parametrize(
    ("name", "value"),
    [("sandbox", "image:a:1"), ("network", "bridge"), ("network", "none"), ("cpus", 0.5), ("memory", "512m"),
     ("memory", 1 << 30), ("user", "1000:1000"), ("runtime", "runsc"), ("network", None), ("memory", None)],
)  # fmt: skip
def test_options_of_a_container_that_can(name: str, value: Any) -> None:
    found = TaskOptions.from_marks([agent_task(**{name: value}).mark])
    assert getattr(found, name) == value
