"""Work on a machine, for an agent that is installed on it: see cli_agents.py and sandboxes/cli."""

import pytest

from pytest_agenteval import Agent, Sandbox, agent_task

pytestmark = pytest.mark.agent_task(sandbox="cli")

SECRET = "the blue heron flies at noon"

LEDGER = """\
2026-03-01 rent 900.00
2026-03-02 food 41.25
2026-03-09 food 18.75
2026-03-12 books 30.00
2026-04-01 rent 900.00
2026-04-03 food 55.50
"""

COUNTDOWN = """\
#!/bin/bash
# prints the numbers from $1 down to 1, a line each
n=$1
while [ $n -ge 1 ]
    echo $n
    n=$((n + 1))
done
"""


@agent_task(solution="mkdir -p backup/notes && cp -p notes/*.txt backup/notes/ && chmod 600 backup/notes/*")
async def test_makes_a_backup(agent: Agent, sandbox: Sandbox) -> None:
    """Copy some files of a tree, with permissions of their own."""
    await sandbox.write_file("notes/secret.txt", SECRET)
    await sandbox.write_file("notes/list.txt", "milk\n")
    await sandbox.write_file("notes/draft.md", "# Draft\n")

    await agent.run(
        "Copy every .txt file in ~/notes, and nothing else, to ~/backup/notes. Only their owner may read or write the "
        "copies (mode 600). Leave ~/notes as it is."
    )

    found = await sandbox.exec(["find", "backup", "notes", "-type", "f", "-printf", "%p\\n"])
    assert sorted(found.stdout.split()) == [
        "backup/notes/list.txt", "backup/notes/secret.txt", "notes/draft.md", "notes/list.txt", "notes/secret.txt",
    ]  # fmt: skip
    assert await sandbox.read_file("backup/notes/secret.txt") == SECRET
    modes = await sandbox.exec(["stat", "-c", "%a", "backup/notes/list.txt", "backup/notes/secret.txt"])
    assert modes.stdout.split() == ["600", "600"]


@agent_task(solution="awk '$1 ~ /^2026-03/ {sum[$2] += $3} END {for (k in sum) printf \"%s %.2f\\n\", k, sum[k]}' "
            "ledger.txt | sort > march.txt")  # fmt: skip
async def test_adds_up_a_month(agent: Agent, sandbox: Sandbox) -> None:
    """Compute from a text file; the answer is a file."""
    await sandbox.write_file("ledger.txt", LEDGER)

    await agent.run(
        "Each line of ledger.txt has a date, a kind and an amount. Write march.txt: for each kind with an amount in "
        "March 2026 a line with the kind, a blank, and the sum with two digits after the point, sorted by kind."
    )

    assert (await sandbox.read_file("march.txt")).splitlines() == ["books 30.00", "food 60.00", "rent 900.00"]


@agent_task(
    solution="sed -i -e 's/^while \\(.*\\)$/while \\1; do/' -e 's/n + 1/n - 1/' countdown && chmod +x countdown"
)
async def test_repairs_a_script(agent: Agent, sandbox: Sandbox) -> None:
    """A script with two faults and without permission to run; it is tried with numbers that nobody has named."""
    await sandbox.write_file("countdown", COUNTDOWN)

    await agent.run("`./countdown 3` should print 3, 2 and 1, a line each. Repair it, so that it can be run like this.")

    for start in (4, 1):
        done = await sandbox.exec(["timeout", "5", "./countdown", str(start)])
        assert (done.returncode, done.stdout.split()) == (0, [str(n) for n in range(start, 0, -1)])


@agent_task(
    solution="mkdir -p www && echo up > www/state.txt && "
    "setsid python3 -m http.server 8080 --bind 127.0.0.1 --directory www > /dev/null 2>&1 < /dev/null & "
    "until python3 -c \"import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/state.txt')\" "
    "2> /dev/null; do sleep 0.1; done",
)
async def test_leaves_a_server_running(agent: Agent, sandbox: Sandbox) -> None:
    """What the agent has started goes on when its program has ended."""
    await agent.run(
        "Serve a file state.txt, whose only line is `up`, by HTTP at port 8080 of this machine, at /state.txt. The "
        "server must go on when you are done. There is python3, and no network."
    )

    code = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/state.txt').read().decode())"
    answer = await sandbox.exec(["python3", "-c", code], timeout=20)
    assert answer.stdout.strip() == "up", answer.stderr
