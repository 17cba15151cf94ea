"""Inspect's sandbox provider `agenteval`: one hardened container per sandbox, commands through its exec server.

The errors are those of Inspect's contract (`SandboxEnvironment.exec`) and, where that is silent, of its provider
`docker`. Two differences are meant: a command that is not found exits with 127, as in a shell, and a child left in the
background that holds the output open delays the answer by 50 ms and is not cut off.

A dead container has been removed, with its state: who ended it is in the daemon's events for `container.id` (`die`,
`kill`, `oom`), and `container.last_words` has what its exec server or the runtime said.
"""

from __future__ import annotations

import errno
import os
import posixpath
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, overload

import anyio
from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxConnection,
    SandboxEnvironment,
    SandboxEnvironmentConfigType,
    SandboxEnvironmentLimits,
    SandboxUnavailableError,
    sandboxenv,
)
from pydantic import BaseModel
from typing_extensions import override

from pytest_agenteval.engine.inspect_private import PrerequisiteError
from pytest_agenteval.sandbox.asked.choice import CONFIG_FILES
from pytest_agenteval.sandbox.asked.compose_plan import container_config
from pytest_agenteval.sandbox.docker.address import SandboxSetupError
from pytest_agenteval.sandbox.docker.containers import ContainerConfig
from pytest_agenteval.sandbox.exec.calls import Command, Output, ServerError
from pytest_agenteval.sandbox.exec.frames import STAGE_CWD, STAGE_SPAWN, STDERR, STDOUT
from pytest_agenteval.sandbox.exec.running import RunningContainer, SandboxLost, UnknownUser
from pytest_agenteval.sandbox.session import Session

__all__ = ["AgentevalSandbox", "NotReadyForInspect", "lost_is_unavailable"]

_FILE_SECONDS = 600.0
"""How long a file may take to be read or written."""


class NotReadyForInspect(PrerequisiteError, SandboxSetupError):
    """No sandbox is available, and Inspect's command line says so without a traceback."""


@sandboxenv(name="agenteval")
class AgentevalSandbox(SandboxEnvironment):
    """A sandbox: one container."""

    def __init__(self, container: RunningContainer, waited: float) -> None:
        super().__init__()
        self.container = container
        """The container, also when it is gone."""
        self.waited = waited
        """Seconds for which the start waited for a place."""

    # Commands ----------------------------------------------------------------------------------------------------

    @override
    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """Run a command; never twice, whatever `timeout_retry` allows. See `SandboxEnvironment.exec`."""
        command = Command(
            words=cmd,
            stdin=input.encode() if isinstance(input, str) else input,
            cwd=self._path(cwd or ""),
            env=env or {},
            user=user,
            timeout=timeout,
            limit=SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE,
        )
        try:
            with lost_is_unavailable():
                output = await self.container.exec(command)
        except UnknownUser as error:
            return ExecResult(False, 126, "", str(error))
        except ServerError as error:
            return _not_started(error, command)
        return _result(output, timeout)

    # Files -------------------------------------------------------------------------------------------------------

    @override
    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file, with its directories. See `SandboxEnvironment.write_file`."""
        data = contents.encode() if isinstance(contents, str) else contents
        try:
            with anyio.fail_after(_FILE_SECONDS), lost_is_unavailable():
                await self.container.write(self._path(file), data)
        except ServerError as error:
            raise _os_error(error.errno, file) from None

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    @override
    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        """Read a regular file. See `SandboxEnvironment.read_file`."""
        limit, in_words = SandboxEnvironmentLimits.MAX_READ_FILE_SIZE, SandboxEnvironmentLimits.MAX_READ_FILE_SIZE_STR
        try:
            with anyio.fail_after(_FILE_SECONDS), lost_is_unavailable():
                data = await self.container.read(self._path(file), limit)
        except ServerError as error:
            if error.errno == errno.EFBIG:
                raise OutputLimitExceededError(in_words, None) from error
            raise _os_error(error.errno, file) from None
        return data.decode("utf-8") if text else bytes(data)

    def _path(self, path: str) -> str:
        return posixpath.join(self.container.working_dir, path)

    # The rest of the contract ------------------------------------------------------------------------------------

    @override
    async def connection(self, *, user: str | None = None) -> SandboxConnection:
        """How to open a shell in the container. Raises `ConnectionError` when it does not run."""
        name = self.container.name
        if not await self.container.is_running():
            raise ConnectionError(f"The sandbox {name} is not running.")
        return SandboxConnection(
            type="docker",
            command=self.container.enter_command(user),
            vscode_command=["remote-containers.attachToRunningContainer", name] if user is None else None,
            container=name,
        )

    @override
    def default_polling_interval(self) -> float:
        """Seconds between two looks for a request of a sandbox service: execs are cheap here."""
        return 0.05

    @override
    @classmethod
    def default_concurrency(cls) -> int | None:
        """None: with a number Inspect lets every sample sleep at random. The session limits how many start at once."""
        return None

    @override
    @classmethod
    def config_files(cls) -> list[str]:
        """What Inspect looks for beside a task; a file that takes Docker Compose is then refused, not overlooked."""
        return list(CONFIG_FILES)

    @override
    @classmethod
    def config_deserialize(cls, config: dict[str, Any]) -> BaseModel:
        """The configuration from Inspect's log."""
        return ContainerConfig.model_validate(config)

    @override
    @classmethod
    async def task_init(cls, task_name: str, config: SandboxEnvironmentConfigType | None) -> None:
        """Find the image and the network, and remove what dead processes have left. Raises `SandboxSetupError`."""
        try:
            session, wanted = Session.current(), container_config(config)
            await session.check(wanted)
            await session.image(wanted, fresh=True)
        except SandboxSetupError as error:
            raise NotReadyForInspect(str(error)) from error
        await session.reap()

    @override
    @classmethod
    async def sample_init(
        cls, task_name: str, config: SandboxEnvironmentConfigType | None, metadata: dict[str, str]
    ) -> dict[str, SandboxEnvironment]:
        """Start the container. Raises `SandboxSetupError`."""
        wanted = container_config(config)
        labels = {"agenteval.task": task_name, "agenteval.sample": str(metadata.get("__sample_id__", ""))}
        container, waited = await Session.current().start(wanted, labels)
        return {wanted.name: cls(container, waited)}

    @override
    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: SandboxEnvironmentConfigType | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """Remove the containers, at once also when interrupted."""
        for environment in environments.values():
            await Session.current().end(environment.as_type(cls).container)

    @override
    @classmethod
    async def cli_cleanup(cls, id: str | None) -> None:
        """Remove the sandbox of that id or name, or all there are."""
        await Session.current().remove_all(id)


@contextmanager
def lost_is_unavailable() -> Iterator[None]:
    """Around calls to the container: Inspect's word for one that has ended."""
    try:
        yield
    except SandboxLost as error:
        raise SandboxUnavailableError(f"The sandbox is not running and cannot execute: {error}") from error


def _os_error(number: int, file: str) -> OSError:
    return OSError(number, os.strerror(number), file)


def _not_started(error: ServerError, command: Command) -> ExecResult[str]:
    """What a shell would have said. Raises `PermissionError` for a file that may not be executed."""
    reason, program = os.strerror(error.errno).lower(), command.words[0]
    if error.stage == STAGE_CWD:
        return ExecResult(False, 126, "", f"chdir to cwd {command.cwd!r} failed: {reason}")
    if error.stage == STAGE_SPAWN and error.errno == errno.EACCES:
        raise PermissionError(error.errno, "Permission denied executing command", program)
    if error.stage == STAGE_SPAWN and error.errno in (errno.ENOENT, errno.ENOTDIR):
        where = reason if "/" in program else "executable file not found in $PATH"
        return ExecResult(False, 127, "", f"exec {shlex.quote(program)}: {where}")
    return ExecResult(False, 126, "", f"exec {shlex.quote(program)}: {reason}")


def _result(output: Output, timeout: float | None) -> ExecResult[str]:
    """Raises `TimeoutError`, with what the command wrote until then as `truncated_output`."""
    stdout, stderr = output.text(STDOUT), output.text(STDERR)
    if output.done.timed_out:
        error = TimeoutError(f"Command timed out after {timeout} seconds")
        error.truncated_output = stdout + stderr or None  # type: ignore[attr-defined]
        raise error
    code = output.done.code if output.done.code >= 0 else 128 - output.done.code
    return ExecResult(code == 0, code, stdout, stderr)
