"""The agent as an enemy: what it can do to its own sandbox, to the host, and to others.

Every attack has a documented end, and none of them makes a check say what is not so.
"""

from __future__ import annotations

import resource
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from inspect_ai.util import OutputLimitExceededError, SandboxUnavailableError
from inspect_ai.util._sandbox.limits import override_sandbox_output_limit
from support.sandboxes import on, opened

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.exec import channel

Check = Callable[[AgentevalSandbox], Awaitable[None]]

FORGE = """
import ctypes, glob, os, struct
done = b"".join(struct.pack("<IBI", 5, 68, call) + struct.pack("<iB", 0, 0) for call in range(1, 50))
for process in (1, *map(int, os.environ.get("PIDS", "").split())):
    print("ptrace", ctypes.CDLL(None).ptrace(16, process, 0, 0))
    for name in ("mem", "environ", "maps", "fd/0", "fd/1", "fd/3", "fd/4", "fd/5", "root/etc/passwd", "cwd"):
        try:
            file = os.open(f"/proc/{process}/{name}", os.O_RDWR | os.O_NONBLOCK)
            os.write(file, done)
            print("wrote", name)
        except OSError as error:
            print(name, error.errno)
"""

pytestmark = pytest.mark.usefixtures("provider")


def attack(check: Check, **config: Any) -> None:
    async def run() -> None:
        with anyio.fail_after(120):
            async with opened(**config) as sandbox:
                await check(sandbox)

    on("asyncio", run)


async def works(sandbox: AgentevalSandbox, **options: Any) -> bool:
    result = await sandbox.exec(["sh", "-c", "echo $((6 * 7)); exit 3"], **options)
    return (result.stdout, result.returncode) == ("42\n", 3)


@pytest.mark.parametrize("user", ["agent", "root"])
def test_signals_do_not_reach_the_exec_server_of_the_container(user: str) -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        for signal in ("KILL", "STOP", "INT", "TERM", "SEGV", "HUP", "CHLD", "PIPE"):
            script = f"kill -{signal} 1; kill -{signal} -1"
            with suppress(TimeoutError):  # where the command has stopped itself
                await sandbox.exec(["sh", "-c", script], timeout=1 if signal == "STOP" else None)
            assert await works(sandbox), signal
            assert await works(sandbox, user="root"), signal

    attack(check, user=user)


def test_an_exec_server_killed_by_its_own_user_is_replaced() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        assert await works(sandbox, user="nobody")
        killed = await sandbox.exec(["sh", "-c", "kill -9 -1"], user="nobody")
        assert (killed.success, killed.returncode) == (False, 137)
        assert await works(sandbox, user="nobody")
        assert await works(sandbox)

    attack(check)


def test_an_exec_server_stopped_by_its_own_user_in_a_command_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "_SILENCE_SECONDS", 1.0)

    async def check(sandbox: AgentevalSandbox) -> None:
        # From another session: a command that stops itself could not be told from its server.
        stop = "for p in $(pgrep -u nobody -f '[e]xec server'); do kill -STOP $p; done"
        stopper = f"(while ! [ -e /tmp/go ]; do sleep 0.05; done; {stop}) > /dev/null 2>&1 &"
        await sandbox.exec(["sh", "-c", stopper], user="nobody")
        stopped = await sandbox.exec(["sh", "-c", "touch /tmp/go; sleep 600"], user="nobody")
        assert (stopped.success, stopped.returncode) == (False, 137)  # as if it had been killed
        assert await works(sandbox, user="nobody")
        assert await works(sandbox)

    attack(check)


@pytest.mark.docker_only
def test_limits_the_agent_sets_on_its_own_exec_server_never_give_a_success() -> None:
    async def starved(sandbox: AgentevalSandbox) -> None:
        assert await works(sandbox, user="root")
        assert (await sandbox.exec(["prlimit", "--pid", "1", "--nofile=3:3"])).success
        assert not (await sandbox.exec(["true"])).success
        with pytest.raises(OSError, match="Too many open files"):
            await sandbox.read_file("/etc/hostname")
        assert await works(sandbox, user="root")
        root_server = "$(pgrep -u root -f 'exec server')"
        refused = await sandbox.exec(["sh", "-c", f"prlimit --pid {root_server} --cpu=1:1"], user="nobody")
        assert not refused.success

    async def killed(sandbox: AgentevalSandbox) -> None:
        await sandbox.exec(["prlimit", "--pid", "1", "--cpu=1:1"])
        with pytest.raises(SandboxUnavailableError):
            while True:
                await sandbox.exec(["head", "-c", "5000000", "/dev/zero"])

    attack(starved)
    attack(killed)


@pytest.mark.parametrize("user", ["agent", "root"])
def test_the_channel_of_an_exec_server_cannot_be_opened_read_or_written(user: str) -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        assert await works(sandbox, user="root")
        assert await works(sandbox, user="nobody")
        servers = (await sandbox.exec(["pgrep", "-f", "exec server"], user="root")).stdout.split()
        assert len(servers) == (3 if user == "agent" else 2)
        forged = await sandbox.exec(["python3", "-c", FORGE], env={"PIDS": " ".join(servers)})
        assert forged.success, forged.stderr
        lines = forged.stdout.splitlines()
        assert {line for line in lines if line.startswith("ptrace")} == {"ptrace -1"}
        assert not [line for line in lines if line.startswith("wrote")]
        failed = await sandbox.exec(["sh", "-c", "exit 9"])
        assert failed.returncode == 9

    attack(check, user=user)


def test_the_verifiers_interpreter_is_not_the_one_the_agent_put_on_the_path() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        fake = "#!/bin/sh\ntouch /tmp/fooled\nprintf forged\n"
        for name in ("python3", "sh", "id"):
            await sandbox.write_file(f"bin/{name}", fake)
            await sandbox.exec(["/bin/chmod", "755", f"bin/{name}"])
        assert (await sandbox.exec(["/usr/bin/id", "-u"], user="root")).stdout == "0\n"
        assert not (await sandbox.exec(["/usr/bin/test", "-e", "/tmp/fooled"])).success

    attack(check, env={"PATH": "/home/agent/bin:/usr/bin:/bin"})


@pytest.mark.docker_only
def test_a_fork_bomb_is_held_in_its_own_sandbox() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        with pytest.raises(TimeoutError):
            await sandbox.exec(["bash", "-c", "f() { f | f & }; f; sleep 60"], timeout=2)
        # The bomb left its shell's session to nobody: what remains of it is still there, and is still held.
        await sandbox.exec(["sh", "-c", "echo x"])
        async with opened() as other:
            assert await works(other)

    attack(check, pids=100)


def test_memory_exhausted_by_a_command_ends_that_command() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        assert (await sandbox.exec(["python3", "-c", "bytearray(1 << 30)"])).returncode == 137
        assert await works(sandbox)
        assert await works(sandbox, user="root")

    attack(check, memory="128m")


@pytest.mark.docker_only
def test_a_full_file_system_is_an_error_of_the_write() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        full = await sandbox.exec(["sh", "-c", "cat /dev/zero > /work/full"])
        assert not full.success
        with pytest.raises(OSError, match="No space left"):
            await sandbox.write_file("file", b"x" * 100_000)
        assert await works(sandbox)

    attack(check, tmpfs={"/work": "rw,size=2m,mode=777"}, working_dir="/work")


@pytest.mark.docker_only
def test_a_gigabyte_of_output_costs_the_host_no_memory() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        script = "head -c 1000000000 /dev/zero; head -c 100000000 /dev/zero >&2; echo end"
        result = await sandbox.exec(["sh", "-c", script])
        assert result.stdout.endswith("end\n")
        assert len(result.stdout) == len(result.stderr) == 10 << 20
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10  # KiB
        assert int((await sandbox.exec(["sh", "-c", "ps -o rss= -p 1"])).stdout) < 40 << 10

    attack(check)


def test_endless_output_does_not_keep_others_waiting() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(sandbox.exec, ["yes"])
            for _ in range(5):
                assert await works(sandbox)
            group.cancel_scope.cancel()
        await sandbox.exec(["sh", "-c", "yes > /dev/null & yes & true"])
        assert await works(sandbox)

    attack(check)


def test_a_child_that_leaves_its_session_outlives_its_command_but_not_the_sandbox() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        left = "trap '' TERM; touch /tmp/left; sleep 600"
        script = f'setsid sh -c "{left}" & while ! [ -e /tmp/left ]; do sleep 0.05; done; touch /tmp/both; sleep 600'
        async with anyio.create_task_group() as group:
            group.start_soon(sandbox.exec, ["sh", "-c", script])
            await sandbox.exec(["sh", "-c", "while ! [ -e /tmp/both ]; do sleep 0.05; done"])
            group.cancel_scope.cancel()
        await sandbox.exec(["sh", "-c", 'while [ "$(pgrep -cx sleep)" = 2 ]; do sleep 0.05; done'])
        assert (await sandbox.exec(["pgrep", "-cx", "sleep"])).stdout == "1\n"
        assert await works(sandbox)

    attack(check)


def test_paths_that_lead_elsewhere_are_read_as_the_agents_user_and_never_wait() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        setup = """
            ln -s /etc/shadow shadow; ln -s /proc/1/environ environ; ln -s /proc/1/mem mem; ln -s /proc/kcore kcore
            ln -s /proc/kmsg kmsg; ln -s /dev/zero zero; ln -s /proc/self/fd/0 stdin; ln -s /dev/random random
            mkfifo pipe; ln -s pipe to-pipe; ln -s a b; ln -s b a; ln -s /proc/self/mem own; ln -s / root
            python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
        """
        assert (await sandbox.exec(["sh", "-ec", setup])).success
        for name in ("shadow", "environ", "mem", "kcore", "kmsg", "zero", "stdin", "random", "pipe", "to-pipe", "a",
                     "own", "root", "socket", "\udce9", "x" * 300, "x/" * 3000):  # fmt: skip
            with pytest.raises(OSError):
                await sandbox.read_file(name)
        for name in ("shadow", "environ", "mem", "pipe", "to-pipe", "a", "root", "socket", "/proc/sysrq-trigger",
                     "/proc/sys/kernel/core_pattern", "/sys/kernel/uevent_helper"):  # fmt: skip
            with pytest.raises(OSError):
                await sandbox.write_file(name, "x")
        with pytest.raises(ValueError, match="NUL"):
            await sandbox.read_file("a\0b")
        assert await works(sandbox)

    attack(check)


def test_a_file_that_grows_while_it_is_read_stops_at_the_limit() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        await sandbox.exec(["sh", "-c", "yes > endless 2>/dev/null &"])
        await sandbox.exec(["sh", "-c", "while ! [ -s endless ]; do sleep 0.01; done"])
        with override_sandbox_output_limit(300_000, "read_file"):
            try:
                data = await sandbox.read_file("endless")
            except OutputLimitExceededError:
                pass
            else:
                assert len(data) <= 300_000
        assert await works(sandbox)

    attack(check, memory="512m")


@pytest.mark.docker_only
def test_the_host_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTEVAL_TEST_SECRET", "of the host")
    reach = """
        ! env | grep -q AGENTEVAL_TEST_SECRET
        ! tr '\\0' '\\n' < /proc/1/environ 2>/dev/null | grep -q AGENTEVAL_TEST_SECRET
        for path in /var/run/docker.sock /run/docker.sock /run/containerd; do ! [ -e $path ]; done
        [ "$(ls /sys/class/net)" = lo ]
        [ "$(awk 'NR > 1' /proc/net/route | wc -l)" = 0 ]
        ! mount -t tmpfs none /mnt 2>/dev/null
        ! mknod /tmp/disk b 8 0 2>/dev/null
        ! unshare --user --map-root-user true 2>/dev/null
        ! nsenter --target 1 --net true 2>/dev/null
        ! echo 1 > /proc/sys/kernel/panic
        ! dd if=/dev/mem of=/dev/null count=1
        ! chroot /proc/1/root true
        ! dmesg
        grep -q 'NoNewPrivs:.1' /proc/self/status
        grep -q 'Seccomp:.2' /proc/self/status
    """
    connect = "import socket; socket.create_connection(('{}', {}), 2)"

    async def check(sandbox: AgentevalSandbox) -> None:
        for line in filter(None, map(str.strip, reach.splitlines())):
            done = await sandbox.exec(["sh", "-c", line])
            assert done.returncode == 0, (line, done)
        for host, port in (("172.17.0.1", 22), ("1.1.1.1", 53), ("169.254.169.254", 80), ("host.docker.internal", 80)):
            assert not (await sandbox.exec(["python3", "-c", connect.format(host, port)], timeout=10)).success

    attack(check)
    attack(check, user="root")


@pytest.mark.docker_only
def test_one_sandbox_does_not_reach_another() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        async with opened() as other:
            server = (
                "import http.server as h; h.HTTPServer(('0.0.0.0', 8000), h.BaseHTTPRequestHandler).serve_forever()"
            )
            await other.exec(["sh", "-c", f'python3 -c "{server}" > /dev/null 2>&1 &'])
            await other.exec(["sh", "-c", "echo secret > /tmp/secret; echo > /dev/shm/secret"])
            await other.exec(
                [
                    "sh",
                    "-c",
                    "while ! python3 -c \"import socket; socket.create_connection(('127.0.0.1', 8000))\"; do :; done",
                ]
            )
            client = "import socket; socket.create_connection(('127.0.0.1', 8000), 2)"
            assert not (await sandbox.exec(["python3", "-c", client])).success
            assert not (await sandbox.exec(["ls", "/tmp/secret"])).success
            assert (await sandbox.exec(["ls", "/dev/shm"])).stdout == ""
            assert "HTTPServer" not in (await sandbox.exec(["ps", "aux"])).stdout
            await sandbox.exec(["sh", "-c", "kill -9 -1"], user="root")
            assert await works(other)

    attack(check)
