"""The HTML report: one self-contained file, with every verdict, figure, attempt and conversation of a run."""

from __future__ import annotations

from pytest_agenteval.report.html.page import check_installed, write_html

__all__ = ["check_installed", "write_html"]
