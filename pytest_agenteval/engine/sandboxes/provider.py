"""Inspect's sandbox provider `agenteval`: one hardened container per sandbox, commands through its exec server.

The errors are those of Inspect's contract (`SandboxEnvironment.exec`) and, where that is silent, of its provider
`docker`. Two differences are meant: a command that is not found exits with 127, as in a shell, and a child left in the
background that holds the output open delays the answer by 50 ms and is not cut off.

A dead container has been removed, with its state: who ended it is in the daemon's events for `container_id` (`die`,
`kill`, `oom`), and `last_words` has what its exec server or the runtime said.
"""

from __future__ import annotations

import errno
import os
import posixpath
import shlex
from collections.abc import Iterable
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
from pytest_agenteval.sandbox.asked.compose_plan import container_config
from pytest_agenteval.sandbox.docker.address import SandboxSetupError
from pytest_agenteval.sandbox.docker.containers import ContainerConfig
from pytest_agenteval.sandbox.exec.calls import Output, ServerError
from pytest_agenteval.sandbox.exec.frames import STAGE_CWD, STAGE_SPAWN, STDERR, STDOUT
from pytest_agenteval.sandbox.exec.running import RunningContainer, SandboxLost, UnknownUser
from pytest_agenteval.sandbox.session import Session

__all__ = ["AgentevalSandbox", "NotReadyForInspect"]

_FILE_SECONDS = 600.0
"""How long a file may take to be read or written."""


class NotReadyForInspect(PrerequisiteError, SandboxSetupError):
    """No sandbox is available, and Inspect's command line says so without a traceback."""


@sandboxenv(name="agenteval")
class AgentevalSandbox(SandboxEnvironment):
    """A sandbox: one container."""

    def __init__(self, container: RunningContainer, waited: float) -> None:
        super().__init__()
        self.waited = waited
        """Seconds for which the start waited for a place."""
        self._container = container

    @property
    def container_id(self) -> str:
        """The daemon's id of the container, also when it is gone."""
        return self._container.id

    @property
    def container_name(self) -> str:
        """The name of the container."""
        return self._container.name

    @property
    def image_digest(self) -> str:
        """Which image it was started from: the registry's digest, else the daemon's id (`sha256:...`)."""
        return self._container.image.digest

    @property
    def has_exec_server(self) -> bool:
        """Whether commands go through an exec server; else each is an exec of the engine, and slow."""
        return self._container.has_exec_server

    @property
    def last_words(self) -> str:
        """Why the connection to the container ended; empty while it works."""
        return self._container.last_words

    async def is_running(self) -> bool:
        """Whether the daemon says that the container runs."""
        return await self._container.is_running()

    async def processes(self, *, as_root: bool = False) -> str:
        """What runs in the container; see `RunningContainer.processes`. Raises `SandboxUnavailableError`."""
        try:
            return await self._container.processes(as_root=as_root)
        except SandboxLost as error:
            raise _unavailable(error) from error

    async def kill_processes(self, pids: Iterable[str], *, as_root: bool) -> None:
        """Kill some of it, as the container's own user or as root. Raises `SandboxUnavailableError`."""
        try:
            await self._container.kill_processes(pids, as_root=as_root)
        except SandboxLost as error:
            raise _unavailable(error) from error

    async def keep(self) -> str:
        """Leave the container running when the sample ends, and return the shell command that enters it.

        Raises:
            SandboxUnavailableError: it is not running any more.
        """
        try:
            return await self._container.keep()
        except SandboxLost as error:
            raise _unavailable(error) from error

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
        folder = self._path(cwd or "")
        try:
            output = await self._container.exec(
                cmd,
                stdin=input.encode() if isinstance(input, str) else input,
                cwd=folder,
                env=env or {},
                user=user,
                timeout=timeout,
                limit=SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE,
            )
        except SandboxLost as error:
            raise _unavailable(error) from error
        except UnknownUser as error:
            return ExecResult(False, 126, "", str(error))
        except ServerError as error:
            return _not_started(error, cmd, folder)
        return _result(output, timeout)

    # Files -------------------------------------------------------------------------------------------------------

    @override
    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file, with its directories. See `SandboxEnvironment.write_file`."""
        data = contents.encode() if isinstance(contents, str) else contents
        try:
            with anyio.fail_after(_FILE_SECONDS):
                await self._container.write(self._path(file), data)
        except SandboxLost as error:
            raise _unavailable(error) from error
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
            with anyio.fail_after(_FILE_SECONDS):
                data = await self._container.read(self._path(file), limit)
        except SandboxLost as error:
            raise _unavailable(error) from error
        except ServerError as error:
            if error.errno == errno.EFBIG:
                raise OutputLimitExceededError(in_words, None) from error
            raise _os_error(error.errno, file) from None
        return data.decode("utf-8") if text else bytes(data)

    def _path(self, path: str) -> str:
        return posixpath.join(self._container.working_dir, path)

    # The rest of the contract ------------------------------------------------------------------------------------

    @override
    async def connection(self, *, user: str | None = None) -> SandboxConnection:
        """How to open a shell in the container. Raises `ConnectionError` when it does not run."""
        if not await self.is_running():
            raise ConnectionError(f"The sandbox {self.container_name} is not running.")
        attach: list[Any] = ["remote-containers.attachToRunningContainer", self.container_name]
        return SandboxConnection(
            type="docker",
            command=self._container.enter_command(user),
            vscode_command=attach if user is None else None,
            container=self.container_name,
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
        return ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml", "Dockerfile"]

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
            await Session.current().end(environment.as_type(cls)._container)

    @override
    @classmethod
    async def cli_cleanup(cls, id: str | None) -> None:
        """Remove the sandbox of that id or name, or all there are."""
        await Session.current().remove_all(id)


def _unavailable(error: Exception) -> SandboxUnavailableError:
    return SandboxUnavailableError(f"The sandbox is not running and cannot execute: {error}")


def _os_error(number: int, file: str) -> OSError:
    return OSError(number, os.strerror(number), file)


def _not_started(error: ServerError, cmd: list[str], folder: str) -> ExecResult[str]:
    """What a shell would have said. Raises `PermissionError` for a file that may not be executed."""
    reason = os.strerror(error.errno).lower()
    if error.stage == STAGE_CWD:
        return ExecResult(False, 126, "", f"chdir to cwd {folder!r} failed: {reason}")
    if error.stage == STAGE_SPAWN and error.errno == errno.EACCES:
        raise PermissionError(error.errno, "Permission denied executing command", cmd[0])
    if error.stage == STAGE_SPAWN and error.errno in (errno.ENOENT, errno.ENOTDIR):
        where = reason if "/" in cmd[0] else "executable file not found in $PATH"
        return ExecResult(False, 127, "", f"exec {shlex.quote(cmd[0])}: {where}")
    return ExecResult(False, 126, "", f"exec {shlex.quote(cmd[0])}: {reason}")


def _result(output: Output, timeout: float | None) -> ExecResult[str]:
    """Raises `TimeoutError`, with what the command wrote until then as `truncated_output`."""
    stdout, stderr = output.text(STDOUT), output.text(STDERR)
    if output.done.timed_out:
        error = TimeoutError(f"Command timed out after {timeout} seconds")
        error.truncated_output = stdout + stderr or None  # type: ignore[attr-defined]
        raise error
    code = output.done.code if output.done.code >= 0 else 128 - output.done.code
    return ExecResult(code == 0, code, stdout, stderr)
