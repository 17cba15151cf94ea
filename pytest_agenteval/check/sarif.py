"""A check's result as SARIF 2.1.0, as GitHub's code scanning reads it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from pytest_agenteval import __version__
from pytest_agenteval.check.findings import SUITE, CheckResult, Finding
from pytest_agenteval.check.rules import RULES, Rule, Severity

__all__ = ["check_sarif"]

_DOCS = "https://pytest-agenteval.github.io/pytest-agenteval/explanation/honest-suites.html"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def check_sarif(result: CheckResult) -> dict[str, Any]:
    """The findings as a SARIF log. Paths are relative to pytest's rootdir, which must be the repository's root."""
    ids = sorted({finding.rule for finding in result.findings})
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "pytest-agenteval check",
                        "semanticVersion": __version__,
                        "informationUri": _DOCS,
                        "rules": [_rule(RULES[rule]) for rule in ids],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, ids.index(finding.rule)) for finding in result.findings],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.title.title().replace(" ", ""),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "helpUri": _DOCS,
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    about = "" if finding.task == SUITE else f"{finding.task}: "
    text = "\n".join([f"{about}{finding.message}", *finding.evidence])
    place = {
        "artifactLocation": {"uri": PurePosixPath(finding.file or ".").as_posix()},
        "region": {"startLine": max(1, finding.line)},
    }
    told: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.weight],
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"agentevalCheck/v1": finding.id},
    }
    if finding.accepted is not None:
        told["suppressions"] = [{"kind": "external", "justification": finding.accepted}]
    return told
