from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter

import anyio
import pytest
from support.sandboxes import containers, on, opened

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox

OPERATIONS = 600
AT_ONCE = 32

pytestmark = pytest.mark.usefixtures("provider")


async def mixed_operations_where_a_quarter_is_cancelled(counts: Counter[str]) -> None:
    choose = random.Random(1)
    async with opened() as sandbox:
        places = anyio.CapacityLimiter(AT_ONCE)

        async def operate(number: int, kind: float, size: int, patience: float) -> None:
            async with places:
                if kind < 0.25:
                    with anyio.move_on_after(patience) as scope:
                        await sandbox.exec(["sh", "-c", "yes | head -c 300000; sleep 5"])
                    counts["cancelled"] += scope.cancelled_caught
                    return
                data = random.Random(number).randbytes(size)
                if kind < 0.5:
                    result = await sandbox.exec(["sha256sum"], input=data)
                    assert result.stdout.split()[0] == hashlib.sha256(data).hexdigest()
                elif kind < 0.75:
                    result = await sandbox.exec(["sh", "-c", f"echo {number}; echo e{number} >&2; exit {number % 200}"])
                    assert (result.stdout, result.stderr) == (f"{number}\n", f"e{number}\n")
                    assert result.returncode == number % 200
                else:
                    await sandbox.write_file(f"d{number}/f", data)
                    assert await sandbox.read_file(f"d{number}/f", text=False) == data
                counts["finished"] += 1

        with anyio.fail_after(300):
            async with anyio.create_task_group() as group:
                for number in range(OPERATIONS):
                    size = choose.choice([0, 10, 1000, 200_000, 3_000_000])
                    group.start_soon(operate, number, choose.random(), size, choose.random() * 0.05)
        await nothing_is_left(sandbox)


async def nothing_is_left(sandbox: AgentevalSandbox) -> None:
    """The next command already meets no process of a cancelled one, not even one that waits to be collected."""
    found = await sandbox.exec(["pgrep", "-a", "sleep|yes|head"])
    assert (found.returncode, found.stdout) == (1, "")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_mixed_operations_survive_cancellations_of_a_quarter(backend: str) -> None:
    counts: Counter[str] = Counter()
    on(backend, mixed_operations_where_a_quarter_is_cancelled, counts=counts)
    assert counts["cancelled"] > OPERATIONS / 8
    assert counts.total() == OPERATIONS  # no command that was to be cancelled has ended by itself


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_command_is_killed_with_its_children(backend: str) -> None:
    async def cancel() -> None:
        async with opened() as sandbox:
            script = "set -m; trap '' TERM INT HUP; sleep 61 & sleep 62 & echo > up; wait"
            assert (await sandbox.exec(["mkfifo", "up"])).success
            async with anyio.create_task_group() as group:
                group.start_soon(sandbox.exec, ["bash", "-c", script])
                with anyio.fail_after(60):
                    await sandbox.exec(["cat", "up"])
                group.cancel_scope.cancel()
            assert group.cancel_scope.cancelled_caught
            await nothing_is_left(sandbox)

    on(backend, cancel)


def test_a_command_meets_nothing_of_one_that_was_cancelled_before_it() -> None:
    async def cancel() -> None:
        async with opened() as sandbox:
            script = "for each in $(seq 200); do sleep 63 & done; echo > up; wait"
            assert (await sandbox.exec(["mkfifo", "up"])).success
            for _ in range(5):
                async with anyio.create_task_group() as group:
                    group.start_soon(sandbox.exec, ["bash", "-c", script])
                    with anyio.fail_after(60):
                        await sandbox.exec(["cat", "up"])
                    group.cancel_scope.cancel()
                await nothing_is_left(sandbox)

    on("asyncio", cancel)


def test_time_limits_of_asyncio_itself_leave_the_sandbox_usable() -> None:
    async def native() -> None:
        async with opened() as sandbox:
            for number in range(100):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(number / 20_000):
                        await sandbox.exec(["sleep", "5"])
            assert (await sandbox.exec(["echo", "usable"])).stdout == "usable\n"

    on("asyncio", native)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_start_leaves_no_container(backend: str) -> None:
    async def cancel() -> None:
        for milliseconds in (1, 20, 40, 60, 80, 120, 160):
            with anyio.move_on_after(milliseconds / 1000):
                async with opened():
                    pass

    before = containers()
    on(backend, cancel)
    assert containers() <= before
