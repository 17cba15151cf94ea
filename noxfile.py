"""All checks with one command: `nox`. A single one: `nox -s lint`. What there is: `nox -l`."""

from __future__ import annotations

import shutil
from pathlib import Path
from zipfile import ZipFile

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "pure", "tests", "floors", "docs", "wheel"]
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PURE = "record,estimate,judge,money"
"""Folders without input and output: what their tests leave out is a gap, not a platform."""
PURE_FLOOR = 95
"""Per cent of lines and branches of the pure folders that their unit tests must reach."""


def _install(session: nox.Session, *extra: str, group: str = "dev") -> None:
    pyproject = nox.project.load_toml("pyproject.toml")
    session.install(*extra, "-e", ".[html,k8s,prices]", *nox.project.dependency_groups(pyproject, group))


@nox.session
def lint(session: nox.Session) -> None:
    """Style of the code."""
    session.install("ruff>=0.11")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types of the package under mypy, types of the public API under pyright as well."""
    _install(session)
    session.run("mypy")
    session.run("pyright")


@nox.session
def pure(session: nox.Session) -> None:
    """Coverage of the pure folders by their own unit tests."""
    _install(session, "coverage>=7.6")
    folders = PURE.split(",")
    sources = ",".join(f"pytest_agenteval/{folder}/*" for folder in folders)
    tests = [f"tests/unit/{folder}" for folder in folders]
    session.run("coverage", "run", "--branch", f"--include={sources}", "-m", "pytest", "-q", *tests)
    session.run("coverage", "report", "--skip-covered", f"--fail-under={PURE_FLOOR}")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The whole test suite with the newest packages; needs Docker. Arguments go to pytest."""
    _install(session)
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session(venv_backend="uv")
def floors(session: nox.Session) -> None:
    """The tests that need no Docker, with the oldest packages that `pyproject.toml` allows. Arguments go to pytest."""
    _install(session, "--resolution=lowest-direct")
    types = "--ignore=tests/unit/house/test_static_checks.py"  # which know the newest packages only
    session.run("pytest", "-n", "2", types, *(session.posargs or ["tests/unit", "tests/plugin"]))


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site, where a broken link is an error."""
    _install(session, group="docs")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", session.create_tmp())


@nox.session
def wheel(session: nox.Session) -> None:
    """The wheel, built from the sdist into dist/, holds every file and runs the example suite without the checkout."""
    dist = Path("dist").resolve()
    shutil.rmtree(dist, ignore_errors=True)
    session.install("build>=1.2")
    session.run("python", "-m", "build", "--outdir", str(dist))
    [built] = dist.glob("*.whl")
    sources = [*Path("pytest_agenteval").rglob("*"), *Path("sandboxes").rglob("*")]
    files = {str(file) for file in sources if file.is_file() and file.suffix != ".pyc"}
    packed = {name.replace("pytest_agenteval/sandboxes_data/", "sandboxes/") for name in ZipFile(built).namelist()}
    if missing := files - packed:
        session.error(f"the wheel lacks {', '.join(sorted(missing))}: see [tool.hatch] and .gitignore")
    session.install(str(built))
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder)
    shutil.copytree("example_suites/quickstart", folder / "quickstart")
    with session.chdir(folder):
        session.run("pytest-agenteval", "--version")
        session.run(
            "pytest", "quickstart", "-p", "no:cacheprovider", "-q",
            "--agent-model=agenteval/oracle", "--agent-sandbox=local", "--k=2", "--agent-log-dir=logs",
            *session.posargs,
        )  # fmt: skip
