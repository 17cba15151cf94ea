"""From a sentence to a suite: `pytest-agenteval new-suite`.

A query becomes sub-tasks, a quota and drafts; a draft becomes a task when it is played and holds, and never because a
model says so. Nothing that a model wrote runs on the host. The core is pure: intent, proposals, the closed list of
checks, quota, ledger, rendering. `proposers`, `calls`, `gate` and `solving` are its edges; `building` drives them.
"""
