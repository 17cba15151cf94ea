"""The report as JSON: models that say what each field means, beside the functions that fill them from a judgement.

Costs are US dollars, durations are seconds, rates lie in [0, 1]. What is unknown is None (null), never 0. Nothing here
estimates or judges.
"""

from __future__ import annotations

from pytest_agenteval.report.json.report import SCHEMA_VERSION, json_report, json_schema

__all__ = ["SCHEMA_VERSION", "json_report", "json_schema"]
