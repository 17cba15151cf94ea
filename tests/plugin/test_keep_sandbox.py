from __future__ import annotations

import re
import shutil
from pathlib import Path

from support.suite_runs import Run


def test_a_local_sandbox_is_kept_as_a_copy_of_its_folder(run: Run) -> None:
    result = run(
        """
        from pytest_agenteval import agent_task

        @agent_task(solution="mkdir made && echo left > made/file")
        async def test_fails(agent):
            await agent.run("go")
            assert False

        @agent_task(solution="true")
        async def test_passes(agent):
            await agent.run("go")
        """,
        "--agent-keep-sandbox",
        model="agenteval/oracle",
    )
    (place,) = re.findall(r"its sandbox is kept; enter it by: cd (\S+)$", result.stdout.str(), re.MULTILINE)
    try:
        assert (Path(place) / "made" / "file").read_text() == "left\n"
    finally:
        shutil.rmtree(place)


def test_no_sandbox_is_kept_unless_asked(run: Run) -> None:
    result = run("async def test_fails(agent):\n    await agent.run('go')\n    assert False\n")
    assert "its sandbox" not in result.stdout.str()
