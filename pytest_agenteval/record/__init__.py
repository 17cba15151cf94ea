"""What is kept of an attempt, within a run and across runs: outcomes, records, costs, identities, merging.

Pure: no pytest, no Inspect, no files but the suite's own source in `record/fingerprint`.
"""
