"""The console script `pytest-agenteval`. Its subcommands load what they need when they are called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_agenteval.cli.check import add_check
from pytest_agenteval.cli.export import add_export
from pytest_agenteval.cli.new_suite import add_new_suite
from pytest_agenteval.cli.report import add_compare, add_report
from pytest_agenteval.cli.sandboxes import add_cleanup, add_images
from pytest_agenteval.cli.variants import add_variants
from pytest_agenteval.errors import NotReady

__all__ = ["main"]

NOT_READY = 2
"""The exit status where logs, Docker's daemon or what else is needed cannot be had; argparse's, too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    split = given.index("--") if "--" in given else len(given)
    asked = _parser().parse_args(given[:split])
    asked.extra = given[split + 1 :]
    try:
        status: int = asked.run(asked)
    except NotReady as error:
        from pytest_agenteval.texts import inert

        print(inert(f"pytest-agenteval: {error}"), file=sys.stderr)
        return NOT_READY
    return status


class _Version(argparse.Action):
    """Like argparse's own action, which would look up the version for every command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from pytest_agenteval import __version__

        print(f"{parser.prog} {__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pytest-agenteval", description="Tools for suites of agent tasks.", allow_abbrev=False
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_check(commands)
    add_new_suite(commands)
    add_report(commands)
    add_compare(commands)
    add_export(commands)
    add_cleanup(commands)
    add_images(commands)
    add_variants(commands)
    return parser
