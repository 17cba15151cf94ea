from __future__ import annotations

import json
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from inspect_ai.util import OutputLimitExceededError, SandboxUnavailableError
from inspect_ai.util._sandbox.environment import SandboxEnvironmentSpec
from inspect_ai.util._sandbox.limits import override_sandbox_output_limit
from support.sandboxes import containers, derived_image, on, opened

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.docker.containers import ContainerConfig
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE

pytestmark = pytest.mark.usefixtures("provider")


def inspected(kind: str, name: str) -> dict[str, Any]:
    command = ("docker", kind, "inspect", name)
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)[0])


def with_sandbox(check: Callable[[AgentevalSandbox], Awaitable[None]], backend: str = "asyncio", **config: Any) -> None:
    async def run() -> None:
        async with opened(**config) as sandbox:
            await check(sandbox)

    on(backend, run)


def test_a_command_that_cannot_be_started_fails_as_in_a_shell() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        missing = await sandbox.exec(["no-such-command"])
        assert (missing.success, missing.returncode) == (False, 127)
        assert "no-such-command" in missing.stderr
        assert (await sandbox.exec(["/no/such/file"])).returncode == 127
        nowhere = await sandbox.exec(["true"], cwd="/no/such/folder")
        assert nowhere.returncode == 126
        assert "/no/such/folder" in nowhere.stderr
        with pytest.raises(PermissionError, match="/etc/passwd"):
            await sandbox.exec(["/etc/passwd"])
        stranger = await sandbox.exec(["true"], user="stranger")
        assert (stranger.returncode, "stranger" in stranger.stderr) == (126, True)
        with pytest.raises(ValueError, match="NUL"):
            await sandbox.exec(["echo", "a\0b"])
        with pytest.raises(ValueError, match="empty"):
            await sandbox.exec([])
        for size in (3_000_000, 20_000_000):
            long = await sandbox.exec(["echo", "x" * size])
            assert (long.returncode, "too long" in long.stderr) == (126, True)
        assert (await sandbox.exec(["true"])).success

    with_sandbox(check)


def test_exit_statuses_and_signals_are_told_apart_from_time_outs() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        assert (await sandbox.exec(["sh", "-c", "exit 255"])).returncode == 255
        assert (await sandbox.exec(["sh", "-c", "kill -KILL $$"], timeout=30)).returncode == 137
        assert (await sandbox.exec(["sh", "-c", "exit 124"], timeout=30)).returncode == 124
        with pytest.raises(TimeoutError) as late:
            await sandbox.exec(["sh", "-c", "echo out; echo err >&2; sleep 30"], timeout=2)
        assert late.value.truncated_output == "out\nerr\n"  # type: ignore[attr-defined]

    with_sandbox(check)


def test_a_time_out_ends_children_that_ignore_sigterm_or_have_groups_of_their_own() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        script = "set -m; sleep 71 & trap '' TERM; (trap '' TERM; sleep 72; sleep 73) & wait; sleep 74"
        with pytest.raises(TimeoutError):
            await sandbox.exec(["bash", "-c", script], timeout=1)
        assert (await sandbox.exec(["pgrep", "-a", "sleep"])).stdout == ""

    with_sandbox(check)


def test_a_background_child_neither_delays_the_answer_nor_dies_of_it() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        server = "(sleep 1; echo still writing; echo alive > /tmp/alive; sleep 600) & echo started"
        assert (await sandbox.exec(["sh", "-c", server], timeout=60)).stdout == "started\n"
        wait = "while ! [ -e /tmp/alive ]; do sleep 0.05; done"
        assert (await sandbox.exec(["sh", "-c", wait], timeout=60)).success
        noisy = await sandbox.exec(["sh", "-c", "yes & echo started"], timeout=60)
        assert noisy.success

    with_sandbox(check)


def test_long_output_keeps_its_end_and_the_limit_is_read_at_each_call() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        with override_sandbox_output_limit(1000, "exec"):
            result = await sandbox.exec(["sh", "-c", "seq 100000; seq 200000 >&2"])
        assert result.stdout.endswith("99999\n100000\n")
        assert len(result.stdout) == len(result.stderr) == 1000
        with override_sandbox_output_limit(1000, "exec"):
            cut = await sandbox.exec(["sh", "-c", "for i in $(seq 999); do printf €; done"])
        assert cut.stdout == "€" * 333
        assert len((await sandbox.exec(["head", "-c", "5000000", "/dev/zero"])).stdout) == 5_000_000

    with_sandbox(check)


def test_files_raise_the_error_of_what_is_wrong_with_them() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        await sandbox.exec(
            ["sh", "-c", "mkfifo pipe; ln -s loop loop; mkdir dir; printf '\\377' > latin; echo > no; chmod 0 no"]
        )
        for path, error in {
            "absent": FileNotFoundError,
            "dir": IsADirectoryError,
            "no": PermissionError,
            "pipe": OSError,
            "loop": OSError,
            "latin": UnicodeDecodeError,
            "/dev/zero": OSError,
        }.items():
            with pytest.raises(error):
                await sandbox.read_file(path)
        for path, error in {
            "dir": IsADirectoryError,
            "no": PermissionError,
            "/etc/passwd": PermissionError,
            "pipe": OSError,
            "/proc/1/oom_score": OSError,
        }.items():
            with pytest.raises(error):
                await sandbox.write_file(path, "x")
        await sandbox.write_file("/dev/null", "x" * 300_000)
        await sandbox.write_file("new/folders/file", "a\r\nb\n")
        assert await sandbox.read_file("new/folders/file") == "a\r\nb\n"
        with override_sandbox_output_limit(5, "read_file"):
            assert await sandbox.read_file("new/folders/file") == "a\r\nb\n"
        with override_sandbox_output_limit(4, "read_file"), pytest.raises(OutputLimitExceededError):
            await sandbox.read_file("new/folders/file")
        with pytest.raises(OSError, match="No space left"):
            await sandbox.write_file("/dev/shm/full", b"\0" * (65 << 20))
        with pytest.raises(OSError, match="No space left"):
            await sandbox.write_file("/dev/full", "x")

    with_sandbox(check)


def test_environment_user_and_folder_are_what_was_asked_for() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        env = dict(
            line.split("=", 1)
            for line in (await sandbox.exec(["env"], env={"A": "b=c\nd"})).stdout.split("\n")
            if "=" in line
        )
        assert {"A": "b=c", "FROM": "config"}.items() <= env.items()
        assert not {"LC_CTYPE", "PWD", "_"} & set(env)
        assert (await sandbox.exec(["id", "-un"])).stdout == "agent\n"
        assert (await sandbox.exec(["id", "-u"], user="root")).stdout == "0\n"
        assert (await sandbox.exec(["id", "-u"], user="12345")).stdout == "12345\n"
        assert (await sandbox.exec(["pwd"])).stdout == "/home/agent\n"
        assert (await sandbox.exec(["pwd"], cwd="..")).stdout == "/home\n"
        await sandbox.exec(
            ["sh", "-c", "mkdir -m 700 private; mkdir bin; echo 'echo mine' > bin/tool; chmod +x bin/tool"]
        )
        # The engine enters a folder as root before it changes the user.
        assert (await sandbox.exec(["pwd"], cwd="private", user="nobody")).stdout == "/home/agent/private\n"
        tool = await sandbox.exec(["tool"], env={"PATH": "/home/agent/bin:/usr/bin:/bin"})
        assert tool.returncode == 126  # a script without an interpreter line is no program
        assert "format" in tool.stderr

    with_sandbox(check, env={"FROM": "config"})


@pytest.mark.docker_only
def test_the_container_is_hardened_and_relaxed_by_name() -> None:
    async def hardened(sandbox: AgentevalSandbox) -> None:
        host = inspected("container", sandbox.container.id)["HostConfig"]
        assert (host["NetworkMode"], host["PidsLimit"], host["Memory"]) == ("none", 1024, 4 << 30)
        assert (host["MemorySwap"], host["CapDrop"], host["AutoRemove"]) == (4 << 30, ["ALL"], True)
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert not {"NET_RAW", "MKNOD", "SYS_ADMIN", "SYS_PTRACE"} & {
            cap.removeprefix("CAP_") for cap in host["CapAdd"]
        }
        assert not host["Binds"]
        assert not host["Privileged"]
        status = (await sandbox.exec(["cat", "/proc/self/status"], user="root")).stdout
        assert "NoNewPrivs:\t1" in status

    async def relaxed(sandbox: AgentevalSandbox) -> None:
        host = inspected("container", sandbox.container.id)["HostConfig"]
        assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (256 << 20, 1_500_000_000, 50)
        assert (await sandbox.exec(["hostname"])).stdout == "box\n"
        assert (await sandbox.exec(["id", "-u"])).stdout == "0\n"
        assert "128M" in (await sandbox.exec(["df", "-h", "/dev/shm"])).stdout
        assert "rw" in (await sandbox.exec(["grep", " /scratch ", "/proc/mounts"])).stdout
        assert not (await sandbox.exec(["touch", "/root/x"])).success
        assert (await sandbox.exec(["pwd"])).stdout == "/scratch\n"

    with_sandbox(hardened)
    with_sandbox(
        relaxed, user="root", memory="256m", cpus=1.5, pids=50, hostname="box", shm_size="128m",
        read_only=True, tmpfs={"/scratch": "rw,size=1m"}, working_dir="/scratch", new_privileges=True,
    )  # fmt: skip


@pytest.mark.docker_only
def test_an_entrypoint_and_a_health_check_of_the_image_are_not_run() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        assert sandbox.container.has_exec_server
        state = inspected("container", sandbox.container.id)
        assert "Health" not in state["State"]
        assert (await sandbox.exec(["echo", "here"])).stdout == "here\n"

    with derived_image("true", 'ENTRYPOINT ["/bin/false"]', "HEALTHCHECK CMD false") as image:
        with_sandbox(check, image=image)


@pytest.mark.docker_only
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_image_without_python_takes_the_engines_own_exec(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        assert not sandbox.container.has_exec_server
        result = await sandbox.exec(["sh", "-c", "cat; id -un; pwd; echo err >&2; exit 3"], input="in\n", cwd="/tmp")
        assert (result.stdout, result.stderr, result.returncode) == ("in\nagent\n/tmp\n", "err\n", 3)
        assert (await sandbox.exec(["id", "-u"], user="root")).stdout == "0\n"
        with pytest.raises(TimeoutError):
            await sandbox.exec(["sleep", "30"], timeout=1)
        data = b"\0\xff" * 700_000
        await sandbox.write_file("new/file", data)
        assert await sandbox.read_file("new/file", text=False) == data
        with pytest.raises(FileNotFoundError):
            await sandbox.read_file("absent")
        with pytest.raises(IsADirectoryError):
            await sandbox.read_file("new")
        with pytest.raises(IsADirectoryError):
            await sandbox.write_file("new", "x")
        with pytest.raises(PermissionError):
            await sandbox.write_file("/etc/passwd", "x")
        with override_sandbox_output_limit(10, "read_file"), pytest.raises(OutputLimitExceededError):
            await sandbox.read_file("new/file")
        stranger = await sandbox.exec(["true"], user="stranger")
        assert (stranger.returncode, "stranger" in stranger.stdout) == (126, True)

    async def twice(image: str) -> None:
        for _ in range(2):
            async with opened(image=image) as sandbox:
                await check(sandbox)

    with derived_image("rm -rf /usr/bin/python3*") as image:
        before = containers()
        on(backend, twice, image=image)
        assert containers() <= before
    assert len([record for record in caplog.records if "no python3" in record.getMessage()]) == 1


@pytest.mark.docker_only
def test_a_dead_container_makes_the_sandbox_unavailable() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        assert sandbox.container.last_words == ""
        await anyio.run_process(("docker", "kill", sandbox.container.id))
        with pytest.raises(SandboxUnavailableError, match="not running"):
            await sandbox.exec(["true"])
        with pytest.raises(SandboxUnavailableError):
            await sandbox.exec(["true"], user="root")
        with pytest.raises(SandboxUnavailableError):
            await sandbox.read_file("x")
        with pytest.raises(SandboxUnavailableError):
            await sandbox.write_file("x", "y")
        with pytest.raises(ConnectionError):
            await sandbox.connection()
        assert "ended" in sandbox.container.last_words
        assert not await sandbox.container.is_running()

    with_sandbox(check)


@pytest.mark.docker_only
def test_what_the_record_of_an_attempt_needs_is_there() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        assert inspected("container", sandbox.container.name)["Id"] == sandbox.container.id
        assert sandbox.container.image.digest == inspected("image", DEFAULT_IMAGE)["Id"]
        assert 0 <= sandbox.waited < 60
        assert sandbox.default_polling_interval() == 0.05
        assert sandbox.default_concurrency() is None
        connection = await sandbox.connection()
        assert (connection.type, connection.container) == ("docker", sandbox.container.name)
        assert connection.command == f"docker exec -it {sandbox.container.name} bash -l"
        assert (await sandbox.connection(user="root")).vscode_command is None

    with_sandbox(check)


@pytest.mark.docker_only
def test_a_kept_sandbox_lives_on_and_can_be_entered() -> None:
    async def keep() -> str:
        async with opened() as sandbox:
            await sandbox.exec(["sh", "-c", "echo evidence > file; sleep 600 &"])
            command = await sandbox.container.keep()
            assert (await sandbox.exec(["true"])).success
            return command.replace("-it ", "").replace("bash -l", "cat file")

    commands: list[str] = []

    async def run() -> None:
        commands.append(await keep())

    before = containers()
    on("asyncio", run)
    try:
        found = subprocess.run(commands[0], shell=True, check=True, capture_output=True, text=True)
        assert found.stdout == "evidence\n"
        assert "agenteval-kept-" in commands[0]
    finally:
        for container in containers() - before:
            subprocess.run(("docker", "rm", "--force", container), check=True, capture_output=True)
    assert containers() <= before


@pytest.mark.docker_only
def test_a_missing_image_is_a_setup_error_that_says_what_to_do() -> None:
    async def check() -> None:
        async with opened(image="agenteval-test/no-such-image:1"):
            pass

    with pytest.raises(SandboxSetupError, match=r"image agenteval-test/no-such-image:1 is not .* `docker pull"):
        on("asyncio", check)


@pytest.mark.docker_only
def test_an_image_removed_in_mid_run_is_a_setup_error_and_leaves_nothing() -> None:
    async def check(image: str) -> None:
        config = ContainerConfig(image=image)
        await AgentevalSandbox.task_init("test", config)
        await anyio.run_process(("docker", "rmi", "--force", image))
        with pytest.raises(SandboxSetupError, match="No such image"):
            await AgentevalSandbox.sample_init("test", config, {})

    before = containers()
    with derived_image("true") as image:
        on("asyncio", check, image=image)
    assert containers() <= before


@pytest.mark.docker_only
def test_a_daemon_that_does_not_answer_is_a_setup_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        with pytest.raises(SandboxSetupError, match=r"/no/such\.sock"):
            await AgentevalSandbox.task_init("test", ContainerConfig())

    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such.sock")
    on("asyncio", check)
    monkeypatch.setenv("DOCKER_HOST", "npipe:////./pipe/docker")

    async def unsupported() -> None:
        with pytest.raises(SandboxSetupError, match="unix:// or tcp://"):
            await AgentevalSandbox.task_init("test", ContainerConfig())

    on("asyncio", unsupported)


@pytest.mark.docker_only
def test_a_configuration_survives_inspects_logs() -> None:
    config = ContainerConfig(image="x", memory="2g", env={"A": "b"}, tmpfs={"/t": ""}, cpus=2)
    spec = SandboxEnvironmentSpec("agenteval", config)
    again = SandboxEnvironmentSpec.model_validate_json(spec.model_dump_json())
    assert again.config == config
    assert len({spec, again}) == 1
    assert config.memory == 2 << 30
