"""A program that starts sandboxes, prints `STARTED`, and works in all of them until it is killed.

In Docker; or, with a second argument `k8s`, in the cluster.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.sandboxes import provided_by, sandbox_config


async def main(count: int) -> None:
    provider, config = sandbox_config()
    await provider.task_init("many", config)
    up = 0

    async def work() -> None:
        nonlocal up
        environments = await provider.sample_init("many", config, {})
        try:
            await environments["default"].exec(["true"], user="root")
            up += 1
            if up == count:
                print("STARTED", flush=True)
            await environments["default"].exec(["sleep", "600"])
        finally:
            await provider.sample_cleanup("many", config, environments, True)

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(work)


if __name__ == "__main__":
    try:
        with provided_by("k8s" if "k8s" in sys.argv else "docker"):
            anyio.run(main, int(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
