import pytest

from pytest_agenteval import Agent, Sandbox, agent_task

CART = '''\
def total(prices, tax):
    """The sum of prices in cents, plus tax in percent, rounded to the nearest cent."""
    net = sum(prices)
    return (200 * net + 2 * net * tax + 100) // 200


def shipping(weight):
    """The price in cents of sending so many grams."""
    return 490 if weight <= 2000 else 890
'''

# What changed in cart.py, by the number of the commit; every other commit adds a page to the manual.
EDITS = {
    5: ("Raise the price of heavy parcels", "890", "950"),
    13: ("Make total easier to read", "(200 * net + 2 * net * tax + 100) // 200", "net + net * tax // 100"),
    17: ("Raise the weight limit", "2000", "2500"),
}

BISECT = """
git bisect start HEAD v1 &&
git bisect run python3 -B -c 'from cart import total; raise SystemExit(total([99], 19) != 118)'
"""
REVERT = "git checkout -q main && git revert --no-edit refs/bisect/bad && git bisect reset"


@pytest.fixture
async def repository(sandbox: Sandbox) -> str:
    """A git repository with 20 commits after the tag v1, one of which broke cart.py. Returns the hash of the last."""
    cart = CART
    script = ["git init -q -b main", "git config user.name Ann", "git config user.email ann@example.org"]
    script += ["git config commit.gpgsign false", f"cat > cart.py <<'END'\n{cart}END", "mkdir manual"]
    script += ["git add .", "git commit -qm 'Begin'", "git tag v1"]
    for number in range(1, 21):
        subject, old, new = EDITS.get(number, (f"Write page {number} of the manual", "", ""))
        cart = cart.replace(old, new)
        script += [f"cat > cart.py <<'END'\n{cart}END"] if old else [f"echo Page {number} > manual/{number}.md"]
        script += ["git add .", f"git commit -qm '{subject}'"]
    made = await sandbox.exec(["bash", "-e"], input="\n".join([*script, "git rev-parse HEAD"]), timeout=60)
    assert made.success, made.stderr
    return made.stdout.strip()


@agent_task(solution=[BISECT, REVERT], answer="Make total easier to read")
async def test_finds_the_commit_that_broke_it(agent: Agent, sandbox: Sandbox, repository: str) -> None:
    """Find a regression in a history and take back that commit alone. Its subject does not give it away."""
    result = await agent.run(
        "This directory is a git repository. At the tag v1, `total([99], 19)` of cart.py was 118, as its docstring"
        " demands; on the branch main it is not. Find the commit that broke it and revert it with one new commit on"
        " main. Keep the rest of the history and all other changes, and leave main checked out and clean."
        " Answer with the subject line of the commit that broke it, and nothing else."
    )

    parent = await sandbox.exec(["git", "rev-parse", "main~1"], timeout=10)
    assert parent.stdout.strip() == repository, "main is not the old history and one commit more"
    changed = await sandbox.exec(["git", "diff", "--name-only", "main~1", "main"], timeout=10)
    assert changed.stdout.split() == ["cart.py"]
    reverted = await sandbox.exec(["git", "show", "main:cart.py"], timeout=10)
    assert reverted.stdout == CART.replace("890", "950").replace("2000", "2500")
    status = await sandbox.exec(["git", "status", "--porcelain", "--branch", "--untracked-files=no"], timeout=10)
    assert status.stdout.splitlines() == ["## main"]
    bisecting = await sandbox.exec(["git", "bisect", "log"], timeout=10)
    assert not bisecting.success, "a bisection is still going on"
    assert result.answer.strip() == "Make total easier to read"
