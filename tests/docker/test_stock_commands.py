from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from inspect_ai._util.cpu import effective_cpu_count
from inspect_ai.util._concurrency import init_concurrency
from inspect_ai.util._subprocess import init_max_subprocesses
from support.sandboxes import on

from pytest_agenteval.engine.sandboxes.places import Sandboxes, SandboxSpec
from pytest_agenteval.sandbox.asked.compose import default_compose
from pytest_agenteval.sandbox.images.images import ensure_default_image


def test_commands_under_inspects_own_provider_do_not_wait_for_each_others_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for one that is asked for later; left alone, Inspect would run two for each processor at once."""
    waiting = 2 * max(effective_cpu_count(), 2) + 1
    monkeypatch.delenv("INSPECT_DOCKER_CLI_CONCURRENCY", raising=False)
    compose = tmp_path / "compose.yaml"
    compose.write_text(default_compose(ensure_default_image(print).name), "utf-8")

    async def work() -> None:
        sandboxes, ended = Sandboxes(), []
        spec = SandboxSpec("docker", compose, "test")
        await sandboxes.prepare([spec])
        init_concurrency()  # as an evaluation does when it starts
        init_max_subprocesses(waiting + 1)
        async with sandboxes.open(spec) as opened:
            box = opened.environment
            pipes = [f"pipe{number}" for number in range(waiting)]
            assert (await box.exec(["mkfifo", *pipes])).success

            async def wait(pipe: str) -> None:
                ended.append((await box.exec(["cat", pipe])).stdout)

            with anyio.fail_after(60):
                async with anyio.create_task_group() as group:
                    for pipe in pipes:
                        group.start_soon(wait, pipe)
                    last_first = " ".join(reversed(pipes))
                    await box.exec(["sh", "-c", f"for pipe in {last_first}; do echo go > $pipe; done"])
        await sandboxes.close()
        assert ended == ["go\n"] * waiting

    on("asyncio", work)
