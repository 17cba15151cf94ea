"""Decides whether a stored attempt was at the same task: the code, files and values that a test consists of.

Source is read, never run. Anything that cannot be determined is reported as a doubt, in a sentence.
"""

from __future__ import annotations

from pytest_agenteval.record.fingerprint.parts import (
    Fingerprint,
    conftests_above,
    declared_files,
    fingerprint,
    module_fingerprint,
)

__all__ = ["Fingerprint", "conftests_above", "declared_files", "fingerprint", "module_fingerprint"]
