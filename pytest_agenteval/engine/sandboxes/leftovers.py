"""The processes that an agent leaves running when it has ended, and stopping them if the task asks for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from inspect_ai.util import SandboxEnvironment

from pytest_agenteval.engine.sandboxes.provider import lost_is_unavailable
from pytest_agenteval.sandbox.exec.running import RunningContainer

__all__ = ["Leftovers", "LeftoversRemain", "Processes", "since"]

_ROUNDS = 50
_PAUSE = 0.02  # seconds that the kernel has to end what was killed, and a fork to be seen
_INIT = "1"
_TELL = """
echo "self $$"
for each in /proc/[0-9]*; do
    { read -r line < "$each/stat"; } 2> /dev/null || { echo "dead ${each#/proc/}"; continue; }
    set -- ${line##*) }
    case "$1" in Z | X) echo "dead ${each#/proc/}:${20}" ;; *) echo "${each#/proc/}:${20} $2" ;; esac
done
"""
"""The same as `sandbox/inside/processes.py` tells, for sandboxes without an exec server."""
_KILL = """
keep=" $* $$ 1 "
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    for each in /proc/[0-9]*; do
        pid=${each#/proc/}
        case "$keep" in *" $pid "*) continue ;; esac
        { read -r line < "$each/stat"; } 2> /dev/null || continue
        set -- ${line##*) }
        [ "$2" = 1 ] || case "$keep" in *" $2 "*) continue ;; esac
        kill -KILL "$pid" 2> /dev/null
    done
done
true
"""
"""All but those named and their children, round after round: an exec takes longer than a process takes to fork."""


class LeftoversRemain(Exception):
    """What the agent left running could not be stopped: what its end state is can change while it is graded."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a sandbox at one moment, without those that asked."""

    parents: Mapping[str, str]
    """By a process that no other can be taken for (`PID:START`), the id of its parent."""
    dead: frozenset[str] = frozenset()
    """Those that ended about then."""

    @classmethod
    def read(cls, told: str) -> Processes:
        """From the lines that a sandbox tells."""
        words = [line.split() for line in told.splitlines()]
        asking = {word[1] for word in words if word[:1] == ["self"]}
        dead = frozenset(word[1] for word in words if word[:1] == ["dead"])
        found = {word[0]: word[1] for word in words if len(word) == 2 and word[0] not in ("self", "dead")}
        asking.add(_INIT)  # orphans become its children, whoever started them
        return cls(
            {one: at for one, at in found.items() if _pid(one) not in asking and at not in asking - {_INIT}}, dead
        )


def since(now: Processes, before: Processes) -> list[str]:
    """The ids of the processes that were not there before, without those that belong to one that was.

    A service of the test's own may start a process for each request; what an agent has started never descends from it.
    """
    ids = {_pid(one): one for one in now.parents}

    def belongs(one: str) -> bool:
        seen: set[str] = set()
        at: str | None = one
        while at is not None and at not in seen:
            if at in before.parents:
                return True
            seen.add(at)
            at = ids.get(now.parents[at])
        return False

    return [_pid(one) for one in now.parents if not belongs(one)]


def _pid(process: str) -> str:
    return process.partition(":")[0]


class Leftovers:
    """What one attempt's agent leaves running."""

    def __init__(
        self, environment: SandboxEnvironment | None, ours: RunningContainer | None = None, *, stop: bool
    ) -> None:
        self.stop = stop
        """Whether the task asks for its end."""
        self.stopped = False
        """Whether that has been done since the agent began last."""
        self._environment: Any = getattr(environment, "_sandbox", environment)
        self._server = ours if ours is not None and ours.has_exec_server else None
        self._before = Processes({})

    async def agent_begins(self) -> None:
        """Note what runs already: it is the test's own, and stays. Raises `SandboxUnavailableError`."""
        if self.stop and self._environment is not None:
            self._before, self.stopped = await self._told(), False

    async def agent_ends(self) -> None:
        """Stop whatever else runs now. Raises `LeftoversRemain`, or `SandboxUnavailableError`."""
        if not self.stop or self._environment is None:
            return
        left: list[str] = []
        dead: frozenset[str] = frozenset()
        for turn in range(_ROUNDS):
            as_root = turn >= _ROUNDS // 10  # what the container's own user may not kill
            now = await self._told(as_root=as_root)
            left, known, dead = since(now, self._before), dead, now.dead
            if not left and dead <= known:  # else a process may have forked and ended meanwhile
                self.stopped = True
                return
            await self._kill(left, now, as_root=as_root)
            await anyio.sleep(_PAUSE)
        raise LeftoversRemain(
            f"{len(left)} of the processes that the agent left running could not be stopped (leftovers='stop')"
        )

    async def _told(self, *, as_root: bool = False) -> Processes:
        if self._server is not None:
            with lost_is_unavailable():
                return Processes.read(await self._server.processes(as_root=as_root))
        done = await self._environment.exec(["sh", "-c", _TELL], user="root")
        if not done.success:
            raise LeftoversRemain(f"what the agent left running cannot be told ({done.stderr.strip()[-200:]})")
        return Processes.read(done.stdout)

    async def _kill(self, pids: list[str], now: Processes, *, as_root: bool) -> None:
        if self._server is not None:
            with lost_is_unavailable():
                await self._server.kill_processes(pids, as_root=as_root)
        else:
            stay = {_pid(one) for one in (*now.parents, *self._before.parents)}.difference(pids)
            await self._environment.exec(["sh", "-c", _KILL, "sh", *stay], user="root")
