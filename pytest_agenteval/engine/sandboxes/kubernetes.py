"""Inspect's sandbox provider `agenteval-k8s`: one pod of a cluster per sandbox, commands through its exec server.

The errors are those of the provider `agenteval`.
"""

from __future__ import annotations

from typing import Any

from inspect_ai.util import SandboxConnection, SandboxEnvironment, SandboxEnvironmentConfigType
from pydantic import BaseModel
from typing_extensions import override

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox, NotReadyForInspect
from pytest_agenteval.sandbox.cluster.pods import PodConfig
from pytest_agenteval.sandbox.cluster.session import ClusterSession
from pytest_agenteval.sandbox.docker.address import SandboxSetupError

__all__ = ["KubernetesSandbox"]


class KubernetesSandbox(AgentevalSandbox):
    """A sandbox: one pod."""

    @override
    async def connection(self, *, user: str | None = None) -> SandboxConnection:
        """How to open a shell in the pod. Raises `ConnectionError` when it does not run."""
        if not await self.container.is_running():
            raise ConnectionError(f"The sandbox {self.container.name} is not running.")
        return SandboxConnection(type="k8s", command=self.container.enter_command(user), container=self.container.name)

    @override
    @classmethod
    def config_files(cls) -> list[str]:
        """None: images are named, not built."""
        return []

    @override
    @classmethod
    def config_deserialize(cls, config: dict[str, Any]) -> BaseModel:
        """The configuration from Inspect's log."""
        return PodConfig.model_validate(config)

    @override
    @classmethod
    async def task_init(cls, task_name: str, config: SandboxEnvironmentConfigType | None) -> None:
        """Ask for the rights, look at the image and the network, remove what dead drivers have left.

        What the driver then has in the cluster, `task_cleanup` removes. Raises `SandboxSetupError`.
        """
        try:
            wanted = _pod_config(config)
            session = await ClusterSession.current(wanted)
            await session.prepare(wanted)
        except SandboxSetupError as error:
            raise NotReadyForInspect(str(error)) from error

    @override
    @classmethod
    async def task_cleanup(cls, task_name: str, config: SandboxEnvironmentConfigType | None, cleanup: bool) -> None:
        """Leave the cluster as it was found, but for pods that were kept."""
        await (await ClusterSession.current(_pod_config(config))).close()

    @override
    @classmethod
    async def sample_init(
        cls, task_name: str, config: SandboxEnvironmentConfigType | None, metadata: dict[str, str]
    ) -> dict[str, SandboxEnvironment]:
        """Start the pod. Raises `SandboxSetupError`."""
        wanted = _pod_config(config)
        labels = {"agenteval.task": task_name, "agenteval.sample": str(metadata.get("__sample_id__", ""))}
        container, waited = await (await ClusterSession.current(wanted)).start(wanted, labels)
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
        """Remove the pods, at once also when interrupted."""
        session = await ClusterSession.current(_pod_config(config))
        for environment in environments.values():
            await session.end(environment.as_type(cls).container)

    @override
    @classmethod
    async def cli_cleanup(cls, id: str | None) -> None:
        """Remove the sandbox of that name, or all there are in the kubeconfig's current namespace."""
        await (await ClusterSession.current(PodConfig())).remove(id)


def _pod_config(given: SandboxEnvironmentConfigType | None) -> PodConfig:
    if isinstance(given, PodConfig):
        return given
    raise SandboxSetupError(
        "The sandbox provider `agenteval-k8s` takes a PodConfig that names an image, no file: build and push the image."
    )
