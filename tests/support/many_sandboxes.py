"""A program that starts sandboxes, prints `STARTED`, and works in all of them until it is killed."""

from __future__ import annotations

import sys

import anyio

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.docker.containers import ContainerConfig


async def main(count: int) -> None:
    config = ContainerConfig()
    await AgentevalSandbox.task_init("many", config)
    up = 0

    async def work() -> None:
        nonlocal up
        environments = await AgentevalSandbox.sample_init("many", config, {})
        try:
            await environments["default"].exec(["true"], user="root")
            up += 1
            if up == count:
                print("STARTED", flush=True)
            await environments["default"].exec(["sleep", "600"])
        finally:
            await AgentevalSandbox.sample_cleanup("many", config, environments, True)

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(work)


if __name__ == "__main__":
    try:
        anyio.run(main, int(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
