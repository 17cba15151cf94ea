import random

from pytest_agenteval import Agent, Sandbox, agent_task

# The facts come first, and the log is made from them: the check needs no parser that could share a mistake.
FAILURES = {"203.0.113.7": 11, "198.51.100.23": 6, "203.0.113.70": 5, "192.0.2.44": 4, "198.51.100.2": 1}

COUNT = r"""
awk '/Failed password/ {
    times = match($0, /repeated [0-9]+/) ? substr($0, RSTART + 9, RLENGTH - 9) : 1
    for (i = 1; i < NF; i++) if ($i == "from") failures[$(i + 1)] += times
} END { for (address in failures) print address, failures[address] }' auth.log > counts
"""


def auth_log() -> str:
    """A log of an SSH server with exactly these failures, among logins that succeeded, in a fixed random order."""
    events = []
    for address, failures in FAILURES.items():
        events += [f"Accepted password for ann from {address} port 50022 ssh2"] * 3
        if failures > 4:
            events.append(f"message repeated 3 times: [ Failed password for root from {address} port 50123 ssh2]")
            failures -= 3
        users = ["root", "invalid user admin"] * failures
        events += [f"Failed password for {user} from {address} port 50321 ssh2" for user in users[:failures]]
    random.Random(1).shuffle(events)
    return "".join(f"Mar  3 04:{minute:02}:09 gate sshd[812]: {event}\n" for minute, event in enumerate(events))


@agent_task(
    solution=[COUNT, "awk '$2 >= 5' counts | sort -k2,2nr > blocked.txt"],
    answer=str(sum(FAILURES.values())),
)
async def test_counts_failed_logins(agent: Agent, sandbox: Sandbox) -> None:
    """Parse a log. One address is the beginning of another, and one line may stand for several failures."""
    await sandbox.write_file("auth.log", auth_log())

    result = await agent.run(
        "auth.log is the log of an SSH server. A line `message repeated N times: [ ... ]` stands for N such messages."
        " Write blocked.txt: a line `ADDRESS COUNT` for every address with at least 5 failed passwords, the highest"
        " count first. Answer with the number of failed passwords from all addresses together, and nothing else."
    )

    blocked = [line.split() for line in (await sandbox.read_file("blocked.txt")).splitlines()]
    assert blocked == [[address, str(count)] for address, count in FAILURES.items() if count >= 5]
    assert result.answer.strip() == str(sum(FAILURES.values()))
