"""A sandbox's pod: what its exec servers ask of the cluster.

The pod's first process is held by one stream and does nothing. Exec servers are started beside it by `exec`, each with
a stream of its own: whatever the first process writes goes into the node's log, and what an exec writes does not.
"""

from __future__ import annotations

import errno
import math
import shlex
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import anyio

from pytest_agenteval.sandbox.cluster.api import Api
from pytest_agenteval.sandbox.cluster.leases import KEPT, delete
from pytest_agenteval.sandbox.cluster.pods import CONTAINER, inside
from pytest_agenteval.sandbox.cluster.states import PodState, cause_of_death
from pytest_agenteval.sandbox.cluster.stream import PodStream
from pytest_agenteval.sandbox.death import Death, EndedBy
from pytest_agenteval.sandbox.exec import exec_server
from pytest_agenteval.sandbox.exec.backend import EngineError, EngineGone, Stream
from pytest_agenteval.sandbox.exec.calls import Command, Output, ServerError
from pytest_agenteval.sandbox.exec.fallback import GRACE_SECONDS, TIMEOUT, collect, ran_out
from pytest_agenteval.sandbox.exec.frames import STAGE_FILE, Done, Failure

__all__ = ["RunningPod"]

_HOLDER_SECONDS = 1.0
"""How long the end of a pod may come after the end of an exec in it."""
_TOLD_SECONDS = 6.0
"""How long a node may take to tell the cluster that a pod has ended."""
_PIPE = 'cd "$1" || exit 126; bytes=$2; shift 2; head -c "$bytes" | "$@"'
_PLAIN = 'cd "$1" || exit 126; shift; exec "$@"'


class RunningPod:
    """A pod that runs, or has run. Its owner calls `stay` from time to time."""

    first_is_init = False

    def __init__(
        self,
        api: Api,
        state: PodState,
        holder: PodStream,
        user: str | None,
        streams: list[PodStream],
        beside: Callable[[Callable[[], Coroutine[Any, Any, None]]], None],
        suspect: Callable[[str], None],
    ) -> None:
        """`user` is that of commands where the pod can start them as anybody; None where it cannot be root.

        `streams` are those to it, with the holder's. `beside` runs what writes to a stream; `suspect` is told the node
        where that seems to be lost.
        """
        self.id = self.name = state.name
        self.node = state.node
        self.image = state.image
        self._api, self._holder, self._user = api, holder, user
        self._streams, self._beside, self._suspect = streams, beside, suspect
        self._looking = anyio.Lock()
        self._path = f"/api/v1/namespaces/{api.login.namespace}/pods/{state.name}"

    async def open_server(self, user: str | None, python: str) -> Stream:
        """See `Backend`, here and below."""
        words = exec_server.command(python)
        if self._user is not None:
            words = [python, "-I", "-S", "-c", inside("user"), user or self._user, *words]
        elif user is not None:
            raise EngineError(
                400, f"unable to find user {user}: the namespace allows no root, so there is one user only"
            )
        return await self._exec(words)

    async def exec(self, command: Command) -> Output:
        """An exec of the cluster for this one command: for what an agent has left of its machine."""
        timeout, started = command.timeout, anyio.current_time()
        with anyio.move_on_after(math.inf if timeout is None else timeout + GRACE_SECONDS):
            words = [*TIMEOUT, f"{timeout:g}s", *command.words] if timeout is not None else list(command.words)
            words = ["env", *(f"{name}={value}" for name, value in command.env.items()), *words]
            user = command.user or self._user
            if self._user is not None and user not in (None, "root", "0"):
                words = ["chroot", "--skip-chdir", f"--userspec={user}", "/", *words]
            data = command.stdin
            counted = [] if data is None else [str(len(data))]
            script = _PLAIN if data is None else _PIPE
            stream = await self._exec(["/bin/sh", "-c", script, "sh", command.cwd or "/", *counted, *words])
            output = Output(command.limit)
            try:
                async with anyio.create_task_group() as group:
                    if data is not None:
                        group.start_soon(_feed, stream, data)
                    await collect(stream, output)
                    group.cancel_scope.cancel()
            finally:
                await stream.close()
            code = _exit_code(stream)
            if code is None:
                raise EngineGone("the connection to the pod broke")
            output.done = Done(code, ran_out(code, timeout, started))
            return output
        return Output(command.limit, Done(-signal.SIGKILL, timed_out=True))

    async def read(self, path: str, limit: int) -> bytes:
        """An exec server that cannot be started any more is the agent's doing, and so is what cannot be read then."""
        raise ServerError(Failure(errno.EIO, STAGE_FILE))

    async def write(self, path: str, data: bytes) -> None:
        """As `read`."""
        raise ServerError(Failure(errno.EIO, STAGE_FILE))

    async def is_running(self) -> bool:
        """Whether its first process is still held, and the cluster says that it runs."""
        if await self._let_go():
            return False
        state = await self._state()
        return state is not None and state.running and not state.over

    async def agent_at_fault(self, error: EngineError) -> bool:
        """An exec that the cluster refused says nothing of the agent; one that failed in the pod ends its stream."""
        return error.status == 400

    async def examine(self) -> Death:
        """The node tells the cluster a moment after a pod has ended; a dead node does not, and then it is that."""
        if not await self._let_go() and (state := await self._state()) is not None and not state.over:
            return Death(EndedBy.RUNNING, "the pod runs")
        with anyio.move_on_after(_TOLD_SECONDS):
            while (state := await self._state()) is not None and not state.over:  # noqa: ASYNC110 (it is asked)
                await anyio.sleep(0.3)
        if state is not None and not state.over and self.node is not None:
            self._suspect(self.node)
        return cause_of_death(state)

    def enter_command(self, user: str | None) -> str:
        """Without a user as the pod's own, which is root where the namespace allows that."""
        login = self._api.login
        where = [*(["--context", login.context] if login.context else []), "--namespace", login.namespace]
        shell = ["su", "-s", "/bin/bash", "-", user] if user and self._user is not None else ["bash", "-l"]
        return shlex.join(["kubectl", *where, "exec", "-it", self.name, "--", *shell])

    async def keep(self, linger: Callable[[], Awaitable[None]] | None) -> None:
        """It then belongs to nobody, until its deadline."""
        body = {"metadata": {"ownerReferences": None, "labels": {KEPT: "1"}}}
        await self._api.call("PATCH", self._path, body)
        if linger is not None:
            await linger()
        await self._holder.send(b"keep\n")
        for stream in self._streams:
            await stream.flush()

    async def remove(self) -> None:
        """Gone at once for the cluster; its processes end with the stream that holds the first of them."""
        await delete(self._api, self._path)

    async def disconnect(self) -> None:
        """The first process ends."""
        for stream in self._streams:
            await stream.close()

    def stay(self) -> None:
        """Keep idle streams from being cut."""
        for stream in self._streams:
            stream.stay()

    async def _exec(self, words: Sequence[str]) -> PodStream:
        params = [("container", CONTAINER), ("stdin", "true"), ("stdout", "true"), ("stderr", "true"), ("tty", "false")]
        stream = await self._api.stream(f"{self._path}/exec", [*params, *(("command", word) for word in words)])
        self._streams[:] = [*(each for each in self._streams if not each.ended), stream]
        self._beside(stream.write)
        return stream

    async def _let_go(self) -> bool:
        """Whether the stream that holds the first process has ended. Nothing ever comes on it but its end."""
        async with self._looking:
            with anyio.move_on_after(_HOLDER_SECONDS):
                while not self._holder.ended:
                    await self._holder.receive()
        return self._holder.ended

    async def _state(self) -> PodState | None:
        """What the cluster says now; None if it does not answer."""
        try:
            return PodState.of(await self._api.get(self._path))
        except EngineError as error:
            return PodState(self.name, deleted=True) if error.status == 404 else None


def _exit_code(stream: PodStream) -> int | None:
    """The exit status of a command whose stream has ended; None if the API server never told it."""
    if stream.status is None:
        return None
    if stream.status.get("status") == "Success":
        return 0
    causes = (stream.status.get("details") or {}).get("causes") or ()
    told = next((each["message"] for each in causes if each.get("reason") == "ExitCode"), None)
    return int(told) if told is not None else 126  # the runtime could not start it


async def _feed(stream: PodStream, data: bytes) -> None:
    with suppress(EngineGone):  # the command does not want its input
        await stream.send(data)
