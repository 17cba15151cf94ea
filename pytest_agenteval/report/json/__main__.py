"""Prints the schema of the JSON report, which is checked in as `report.schema.json`."""

import json

from pytest_agenteval.report.json import json_schema

print(json.dumps(json_schema(), indent=1))
