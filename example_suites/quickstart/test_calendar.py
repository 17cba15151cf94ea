import json

from pytest_agenteval import Agent, Sandbox, agent_task

# Worked out by hand: pairs of what goes in and what must come out.
HIDDEN_CASES = [
    ([], []),
    (
        [["2024-05-06T09:00+02:00", "2024-05-06T10:00+02:00"], ["2024-05-06T07:30+00:00", "2024-05-06T08:15+00:00"]],
        [["2024-05-06T07:00Z", "2024-05-06T08:15Z"]],
    ),
    (  # given out of order; Kolkata's end touches London's begin; New York's lies a whole hour later
        [
            ["2024-05-06T06:00-04:00", "2024-05-06T06:30-04:00"],
            ["2024-05-06T09:00+01:00", "2024-05-06T10:00+01:00"],
            ["2024-05-06T12:30+05:30", "2024-05-06T13:30+05:30"],
        ],
        [["2024-05-06T07:00Z", "2024-05-06T09:00Z"], ["2024-05-06T10:00Z", "2024-05-06T10:30Z"]],
    ),
    (  # one inside the other, across midnight and the end of the year
        [["2024-12-31T20:00-05:00", "2025-01-01T02:00-05:00"], ["2025-01-01T03:00+01:00", "2025-01-01T04:00+01:00"]],
        [["2025-01-01T01:00Z", "2025-01-01T07:00Z"]],
    ),
]

SOLUTION = """cat > busy.py <<'END'
from datetime import datetime, timezone


def merge(meetings):
    merged = []
    for start, end in sorted([datetime.fromisoformat(time) for time in meeting] for meeting in meetings):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([start, end])
    return [[time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%MZ") for time in span] for span in merged]
END"""

CALL = "import busy, json, sys; print(json.dumps([busy.merge(meetings) for meetings in json.load(sys.stdin)]))"


@agent_task(solution=SOLUTION)
async def test_merges_meetings_across_time_zones(agent: Agent, sandbox: Sandbox) -> None:
    """Write a function from its description alone: the sandbox is empty when the agent starts."""
    await agent.run(
        "Write busy.py with a function `merge(meetings)`. Each meeting is a list of two strings, its start and its end,"
        " such as `2024-05-06T09:00+02:00`: a time to the minute and its offset from UTC, which may differ from one to"
        " the next. `merge` returns the spans of time that are busy, in order, in the same form but in UTC and ending"
        " in `Z` (`2024-05-06T07:00Z`). Meetings that overlap, or where one ends when the other starts, are one span."
        " The meetings come in any order. Use the standard library only."
    )

    inputs, expected = zip(*HIDDEN_CASES, strict=True)
    check = await sandbox.exec(["python3", "-c", CALL], input=json.dumps(inputs), timeout=10)
    assert check.success, check.stderr
    assert json.loads(check.stdout) == list(expected)
