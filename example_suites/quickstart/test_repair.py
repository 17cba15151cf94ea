import json
import statistics

from pytest_agenteval import Agent, Sandbox, agent_task

BROKEN = '''\
def median(values):
    """The middle value; for an even number of values, the mean of the two in the middle."""
    values.sort()
    return values[len(values) // 2]
'''

HIDDEN_CASES = [[7, 1, 4], [4, 1, 3, 2], [5], [2, 9], [-3, 10, -8, 0, 6, 1]]

# Runs in the sandbox: calls the repaired function, and tells what it returned and what became of the list.
CALL = """
import json, sys, middle
print(json.dumps([[middle.median(values), values] for values in json.load(sys.stdin)]))
"""


@agent_task(
    solution=[
        "sed -i 's/values.sort()/values = sorted(values)/' middle.py",
        "sed -i 's|return .*|return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2|' middle.py",
    ],
)
async def test_repairs_a_function(agent: Agent, sandbox: Sandbox) -> None:
    """Repair a function. The inputs of the check are not in the sandbox, and the comparison happens out here."""
    await sandbox.write_file("middle.py", BROKEN)

    await agent.run(
        "The function `median` in middle.py does not do what its docstring says, and it reorders the list it is given."
        " Repair both. Keep its name and its parameter."
    )

    check = await sandbox.exec(["python3", "-c", CALL], input=json.dumps(HIDDEN_CASES), timeout=10)
    assert check.success, check.stderr
    assert json.loads(check.stdout) == [[statistics.median(values), values] for values in HIDDEN_CASES]
