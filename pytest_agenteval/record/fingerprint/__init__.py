"""What makes a stored attempt an attempt at the same task: the code, files and values that a test is made of.

Source is read, never run. Where it cannot be told what a test is made of, that is a doubt, said in a sentence.
"""

from __future__ import annotations

from pytest_agenteval.record.fingerprint.declared import declared_files
from pytest_agenteval.record.fingerprint.modules import module_fingerprint
from pytest_agenteval.record.fingerprint.parts import Fingerprint, conftests_above, fingerprint

__all__ = ["Fingerprint", "conftests_above", "declared_files", "fingerprint", "module_fingerprint"]
