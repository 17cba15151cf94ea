"""Which cluster, as whom, in which namespace: from the kubeconfig as `kubectl` reads it, or from the pod around us.

There is no package for this that leaves the connections alone: kr8s closes its client, and with it every open stream,
whenever the cluster answers 403, which is also how a full quota is told.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pytest_agenteval.sandbox.docker.address import SandboxSetupError

__all__ = ["Login", "log_in"]

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PLUGIN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Login:
    """A cluster and who we are there."""

    server: str
    """The URL of its API."""
    namespace: str
    context: str | None
    """The kubeconfig's context; None in a pod."""
    tls: ssl.SSLContext
    token: str | None = None
    proxy: str | None = None
    server_name: str | None = None
    """Whom the server's certificate must name, if not the host of its URL."""

    @property
    def where(self) -> str:
        """The cluster in words, for messages."""
        return f"{self.server}" + (f" (context {self.context})" if self.context else "")


def log_in(context: str | None = None, namespace: str | None = None) -> Login:
    """The login of that context, by default the kubeconfig's current one; in a pod without kubeconfig the pod's own.

    Raises `SandboxSetupError`: there is no such context, or its user cannot be logged in.
    """
    files = [Path(name).expanduser() for name in (os.environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep)]
    there = [file for file in files if file.is_file()]
    if there:
        return _from_kubeconfig(there, context, namespace)
    if context is None and "KUBERNETES_SERVICE_HOST" in os.environ and (_ACCOUNT / "token").is_file():
        return _from_pod(namespace)
    raise SandboxSetupError(
        f"There is no kubeconfig at {' or '.join(map(str, files))}, and this is no pod with a service account: name "
        "the file in KUBECONFIG."
    )


def _from_pod(namespace: str | None) -> Login:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return Login(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        namespace=namespace or (_ACCOUNT / "namespace").read_text("utf-8").strip() or "default",
        context=None,
        tls=ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt")),
        token=(_ACCOUNT / "token").read_text("utf-8").strip(),
    )


def _from_kubeconfig(files: list[Path], wanted: str | None, namespace: str | None) -> Login:
    try:
        read = [(file, yaml.safe_load(file.read_text("utf-8")) or {}) for file in files]
        name = wanted or next((str(each["current-context"]) for _, each in read if each.get("current-context")), None)
        if name is None:
            raise SandboxSetupError(f"{files[0]} has no current context: name one by --agent-k8s-context.")
        context, _ = _entry(read, "contexts", name)
        cluster, of_cluster = _entry(read, "clusters", str(context["cluster"]))
        user, of_user = _entry(read, "users", str(context["user"])) if context.get("user") else ({}, files[0])
        if "exec" in user:
            user = {**user, **_from_plugin(user["exec"])}
        for old in ("auth-provider", "username"):
            if old in user:
                raise SandboxSetupError(f"The user of the context {name} logs in by `{old}`, which is not supported.")
        return Login(
            server=str(cluster["server"]).rstrip("/"),
            namespace=namespace or str(context.get("namespace") or "default"),
            context=name,
            tls=_tls(cluster, of_cluster, user, of_user),
            token=_token(user, of_user),
            proxy=cluster.get("proxy-url"),
            server_name=cluster.get("tls-server-name"),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise SandboxSetupError(
            f"The kubeconfig {files[0]} cannot be used ({error!r}): see `kubectl config view`."
        ) from error


def _entry(read: list[tuple[Path, Any]], kind: str, name: str) -> tuple[Mapping[str, Any], Path]:
    """The content of the entry of that name, and its file: the first that has it wins, as for `kubectl`."""
    for file, content in read:
        for each in content.get(kind) or ():
            if str(each.get("name")) == name:
                return dict(each.get(kind[:-1]) or {}), file
    known = sorted(str(each.get("name")) for _, content in read for each in content.get(kind) or ())
    raise SandboxSetupError(
        f"The kubeconfig {read[0][0]} has no {kind[:-1]} {name!r}: it has {', '.join(known) or 'none'}."
    )


def _from_plugin(plugin: Mapping[str, Any]) -> dict[str, Any]:
    """The credentials that a program prints (client.authentication.k8s.io)."""
    command = [str(plugin["command"]), *map(str, plugin.get("args") or ())]
    asked = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": {"interactive": False}}
    env = {**os.environ, "KUBERNETES_EXEC_INFO": json.dumps(asked)}
    env |= {str(each["name"]): str(each["value"]) for each in plugin.get("env") or ()}
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=env, timeout=_PLUGIN_SECONDS,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or "").strip().splitlines()[-1:]
        raise SandboxSetupError(
            f"`{command[0]}` gave no credentials ({' '.join(said) or error}): run it by hand."
        ) from error
    status = json.loads(done.stdout)["status"]
    return {
        "token": status.get("token"),
        "client-certificate-data": _encoded(status.get("clientCertificateData")),
        "client-key-data": _encoded(status.get("clientKeyData")),
    }


def _encoded(text: str | None) -> str | None:
    return None if text is None else base64.b64encode(text.encode()).decode()


def _token(user: Mapping[str, Any], file: Path) -> str | None:
    if user.get("tokenFile"):
        return (file.parent / str(user["tokenFile"])).read_text("utf-8").strip()
    return str(user["token"]) if user.get("token") else None


def _tls(cluster: Mapping[str, Any], of_cluster: Path, user: Mapping[str, Any], of_user: Path) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority", of_cluster)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificate, key = (_content(user, name, of_user) for name in ("client-certificate", "client-key"))
    if certificate and key:
        with tempfile.NamedTemporaryFile() as pair:  # ssl reads files only
            pair.write(certificate + b"\n" + key)
            pair.flush()
            context.load_cert_chain(pair.name)
    return context


def _content(entry: Mapping[str, Any], name: str, file: Path) -> bytes | None:
    """PEM, from the entry itself or from the file that it names."""
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"])
    return (file.parent / str(entry[name])).read_bytes() if entry.get(name) else None
