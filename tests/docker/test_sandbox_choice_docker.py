from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.traps import Trap, left_behind, spring

from pytest_agenteval.sandbox.docker.reaper import KEPT_PREFIX
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, IMAGES, ensure_default_image, ensure_image
from pytest_agenteval.sandbox.images.task_image import task_image_name

RECORDS = """
import json
from pathlib import Path

def pytest_runtest_logreport(report):
    data = getattr(report, "agenteval", None)
    if data:
        from pytest_agenteval.record.records import to_json

        with open(Path(__file__).with_name("records.jsonl"), "a") as file:
            print(json.dumps(to_json(data)), file=file)
"""


def records(folder: Path) -> dict[str, Any]:
    """The records of a run, as JSON, by the task's name."""
    lines = (folder / "records.jsonl").read_text("utf-8").splitlines()
    return {record["task"].split("::")[-1]: record for record in map(json.loads, lines)}


def put(folder: Path, **files: str) -> None:
    """Write files below the folder; in their names `__` stands for `/`, and the last `_` for a dot."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_name(".".join(path.name.rsplit("_", 1)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def docker(*words: str) -> str:
    return subprocess.run(("docker", *words), check=True, capture_output=True, text=True).stdout.strip()


def remove_images(*names: str) -> None:
    subprocess.run(("docker", "image", "rm", "--force", *names), check=True, capture_output=True)


SEVERAL = """
async def said(sandbox, script):
    await noted(sandbox)
    return (await sandbox.exec(["bash", "-c", script])).stdout.split()

async def test_default(sandbox):
    assert await said(sandbox, "id -un; ls /proc/sys/net/ipv4/conf") == ["agent", "all", "default", "lo"]

@agent_task(network="bridge", user="root", memory="100m", cpus=0.5)
async def test_relaxed(sandbox):
    words = await said(sandbox, "id -un; ls /proc/sys/net/ipv4/conf; " + LIMITS)
    assert words == ["root", "all", "default", "eth0", "lo", "104857600", "50000"]

@agent_task(sandbox="box")
async def test_named(sandbox):
    assert await said(sandbox, "cat /made; id -un; pwd; echo $START; ls /proc/sys/net/ipv4/conf; " + LIMITS) == [
        "built", "nobody", "/srv", "12:30", "all", "default", "lo", "268435456", "-1"
    ]

@agent_task(sandbox="box", user="agent", cpus=1)
async def test_named_and_changed(sandbox):
    assert await said(sandbox, "cat /made; id -un; " + LIMITS) == ["built", "agent", "268435456", "100000"]

@agent_task(sandbox="envs/Dockerfile.tool")
async def test_path(sandbox):
    assert await said(sandbox, "cat /tool; id -un") == ["tool", "agent"]

@agent_task(sandbox="image:IMAGE")
async def test_image(sandbox):
    assert await said(sandbox, "id -un") == ["agent"]

@agent_task(sandbox="python")
async def test_python(sandbox):
    assert await said(sandbox, "python3 -c 'import numpy; print(int(numpy.ones(3).sum()))'") == ["3"]

@agent_task(sandbox="stock")
async def test_stock(sandbox):
    assert await said(sandbox, "touch /data/x && echo ok") == ["ok"]

@agent_task(sandbox="entry")
async def test_entrypoint(sandbox):
    assert await said(sandbox, "cat /tmp/entered") == ["entered"]
"""
LIMITS = """
import asyncio, functools, os
LIMITS = (
    "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2> /dev/null"
    " || { cat /sys/fs/cgroup/memory.max; cut -d' ' -f1 /sys/fs/cgroup/cpu.max | sed s/max/-1/; }"
)
"""


def test_the_tasks_of_one_suite_may_have_different_sandboxes(tmp_path: Path) -> None:
    ensure_default_image(print)
    python = ensure_image("python", print)
    put(
        tmp_path,
        conftest_py=RECORDS,
        sandboxes__box__compose_yaml="""
services:
  box:
    build: .
    command: tail -f /dev/null
    network_mode: none
    environment: {START: 12:30}
    mem_limit: 256m
""",
        sandboxes__stock__compose_yaml=f"""
services:
  default:
    image: {DEFAULT_IMAGE}
    x-local: true
    command: tail -f /dev/null
    init: true
    network_mode: none
    tmpfs: [/data]
    stop_grace_period: 1s
    labels: {{a: b}}
""",
    )
    for name, text in {
        "sandboxes/box/Dockerfile": "USER root\nRUN echo built > /made\nUSER nobody\nWORKDIR /srv\n",
        "envs/Dockerfile.tool": "USER root\nCOPY tool /tool\nUSER agent\n",
        "sandboxes/entry/Dockerfile": 'ENTRYPOINT ["sh", "-c", "echo entered > /tmp/entered; sleep 600"]\n',
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"FROM {DEFAULT_IMAGE}\n{text}", "utf-8")
    (tmp_path / "envs" / "tool").write_text("tool\n", "utf-8")
    box, tool = tmp_path / "sandboxes/box/compose.yaml", tmp_path / "envs/Dockerfile.tool"
    entry = tmp_path / "sandboxes/entry/Dockerfile"
    try:
        suite = LIMITS + SEVERAL.replace("IMAGE", DEFAULT_IMAGE)
        trap = spring(tmp_path, suite, model="agenteval/null", sandbox="docker", k=1, timeout=240)
        ids = {name: docker("image", "inspect", "--format", "{{.Id}}", task_image_name(name)) for name in (box, tool)}
    finally:
        remove_images(*map(task_image_name, (box, tool, entry)))
    found = records(tmp_path)
    assert {name: record["attempts"][0]["outcome"] for name, record in found.items()} == dict.fromkeys(
        ("test_default", "test_relaxed", "test_named", "test_named_and_changed", "test_path", "test_image",
         "test_python", "test_stock", "test_entrypoint"), "passed",
    )  # fmt: skip
    default = docker("image", "inspect", "--format", "{{.Id}}", DEFAULT_IMAGE)
    images = {name: record["attempts"][0]["image"] for name, record in found.items()}
    entered = images.pop("test_entrypoint")
    assert re.fullmatch("sha256:[0-9a-f]{64}", entered)
    assert images == {
        **dict.fromkeys(("test_default", "test_relaxed", "test_image", "test_stock"), default),
        "test_named": ids[box], "test_named_and_changed": ids[box], "test_path": ids[tool], "test_python": python.id,
    }  # fmt: skip
    assert {name: record["notes"] for name, record in found.items() if record["notes"]} == {
        "test_stock": ["sandbox: docker compose, because `labels`"],
        "test_entrypoint": ["sandbox: docker compose, because its image has an ENTRYPOINT"],
    }
    assert "sandbox: docker compose, because `labels`" in trap.text
    waits = {name: record["attempts"][0]["sandbox_wait_seconds"] for name, record in found.items()}
    assert {name for name, wait in waits.items() if wait is None} == {"test_stock", "test_entrypoint"}
    assert left_behind(tmp_path) == []


def test_a_dockerfile_beside_the_suite_and_a_default_of_the_run(tmp_path: Path) -> None:
    ensure_default_image(print)
    (tmp_path / "Dockerfile").write_text(f"FROM {DEFAULT_IMAGE}\nENV MARK=beside\n", "utf-8")
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "Dockerfile").write_text(f"FROM {DEFAULT_IMAGE}\nENV MARK=ini\n", "utf-8")
    task = 'async def test_{0}(sandbox):\n    assert (await sandbox.exec(["printenv", "MARK"])).stdout == "{0}\\n"\n'
    put(tmp_path, far__test_far_py=task.format("ini"))
    try:
        trap = spring(
            tmp_path, task.format("beside"), "--agent-sandbox-default=envs/Dockerfile", model="agenteval/null",
            sandbox="docker", k=1, timeout=120,
        )  # fmt: skip
    finally:
        remove_images(*(task_image_name(tmp_path / name) for name in ("Dockerfile", "envs/Dockerfile")))
    assert (trap.blames("test_beside"), trap.blames("test_ini")) == (["passed"], ["passed"])


def test_access_to_the_host_that_is_allowed_is_told(tmp_path: Path) -> None:
    ensure_default_image(print)
    put(
        tmp_path,
        compose_yaml=f"""
services:
  default:
    image: {DEFAULT_IMAGE}
    x-local: true
    command: tail -f /dev/null
    network_mode: none
    user: root
    volumes: ["{tmp_path}:/data:ro"]
    stop_grace_period: 1s
""",
    )
    suite = "async def test_it(sandbox):\n    assert (await sandbox.exec(['test', '-e', '/data/pytest.ini'])).success\n"
    trap = spring(
        tmp_path, suite, "--agent-allow-host-access", model="agenteval/null", sandbox="docker", k=1, timeout=120
    )
    assert trap.blames("test_it") == ["passed"]
    assert "not isolated: services.default.volumes" in trap.text
    assert "sandbox: docker compose, because `volumes`" in trap.text


def test_a_runtime_that_the_daemon_lacks_and_a_compose_file_that_compose_refuses(tmp_path: Path) -> None:
    for name, mark, words in (
        ("runtime", "runtime='nonesuch'", "asks for the runtime 'nonesuch', and Docker's daemon has .*runc"),
        ("file", "sandbox='bad.yaml'", r"bad\.yaml is refused by Docker Compose \(.*undefined service \"?nonesuch"),
    ):
        suite = f"@agent_task({mark})\nasync def test_it(sandbox): pass\n"
        bad = "services: {default: {image: i, depends_on: [nonesuch]}}"
        trap = spring(tmp_path / name, suite, model="agenteval/null", sandbox="docker", k=1, bad_yaml=bad)
        assert trap.status == 4
        assert re.search(words, trap.text), trap.text


@pytest.mark.parametrize("workers", [(), ("-p", "xdist.plugin", "-n1")], ids=["here", "xdist"])
def test_every_image_that_cannot_be_had_is_named_at_once_and_it_is_no_usage_error(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    marks = ("image:localhost:1/one:1", "image:localhost:1/two:1", "Dockerfile.broken", "several.yaml")
    suite = "".join(
        f"@agent_task(sandbox={mark!r})\nasync def test_{number}(sandbox): pass\n" for number, mark in enumerate(marks)
    )
    trap = spring(
        tmp_path,
        suite + "def test_ordinary(): pass\n",
        "--min-pass-k=0.5",
        *workers,
        model="agenteval/null",
        sandbox="docker",
        k=1,
        Dockerfile_broken="FROM localhost:1/three:1",
        several_yaml="services: {default: {image: 'localhost:1/four:1'}, other: {image: 'localhost:1/five:1'}}",
    )
    assert (trap.status, trap.attempts) == (10, {})
    said = " ".join(trap.text[trap.text.index("exit 10: INCOMPLETE: ") :].split())
    for image in (
        "one:1 is not on",
        "two:1 is not on",
        "broken cannot be built",
        "four:1 is not on",
        "five:1 is not on",
    ):
        assert image in said


KEPT = """
@agent_task(sandbox="stock", solution="echo stock > left")
async def test_stock(agent, sandbox):
    await agent.run("go")
    assert False

@agent_task(solution="echo ours > left")
async def test_ours(agent, sandbox):
    await agent.run("go")
    assert False

@agent_task(solution="echo passed > left")
async def test_passes(agent, sandbox):
    await noted(sandbox)
    await agent.run("go")
"""


def entered(trap: Trap) -> dict[str, list[str]]:
    """What the commands that the report names show in the sandboxes that were kept, by container."""
    commands = re.findall(
        r"^\s*its sandbox is kept; enter it by: docker exec -it (\S+) bash -l$", trap.text, re.MULTILINE
    )
    return {name: docker("exec", name, "bash", "-lc", "cat left; id -un").split() for name in commands}


def test_the_sandboxes_of_failed_attempts_are_kept_on_request(tmp_path: Path) -> None:
    ensure_default_image(print)
    put(
        tmp_path,
        sandboxes__stock__compose_yaml=f"""
services:
  default: {{image: "{DEFAULT_IMAGE}", x-local: true, command: tail -f /dev/null, network_mode: none, labels: [a=b]}}
""",
    )
    trap = spring(tmp_path, KEPT, "--agent-keep-sandbox", sandbox="docker", k=1, timeout=120)
    names: dict[str, list[str]] = {}
    try:
        names = entered(trap)
        ours = [name for name in names if name.startswith(KEPT_PREFIX)]
        stock = [name for name in names if name.startswith("inspect-")]
        assert [names[name] for name in ours] == [["ours", "agent"]]
        assert [names[name] for name in stock] == [["stock", "agent"]]
        assert left_behind(tmp_path) == []
    finally:
        subprocess.run(("docker", "rm", "--force", *names), check=True, capture_output=True)


def test_the_python_image_has_what_its_readme_says() -> None:
    ensure_image("python", print)
    script = """
import matplotlib, numpy, pandas, scipy.stats, sqlite3, ssl
matplotlib.use("Agg")
import matplotlib.pyplot
frame = pandas.DataFrame({"a": numpy.arange(4.0)})
matplotlib.pyplot.plot(frame.a)
matplotlib.pyplot.savefig("plot.png")
print(frame.a.sum(), round(scipy.stats.norm.cdf(0), 2), numpy.linalg.det(numpy.eye(3)))
"""
    options = ("run", "--rm", "--network", "none", "--cap-drop", "ALL", IMAGES["python"])
    assert docker(*options, "python3", "-c", script).splitlines()[-1] == "6.0 0.5 1.0"
    assert docker(*options, "bash", "-c", "id -un; pwd; git --version; ps -o comm= -p $$; true").split() == [
        "agent", "/home/agent", *docker(*options, "git", "--version").split(), "bash",
    ]  # fmt: skip


def test_where_our_own_provider_cannot_reach_the_daemon_docker_compose_does_it_all(tmp_path: Path) -> None:
    """As with a daemon behind ssh."""
    ensure_default_image(print)
    out_of_reach = "from pytest_agenteval.sandbox.docker.engine_api import Endpoint\nEndpoint.current = lambda: None\n"
    put(tmp_path, conftest_py=RECORDS + out_of_reach)
    dockerfile = tmp_path / "sandboxes" / "box" / "Dockerfile"
    dockerfile.parent.mkdir(parents=True)
    dockerfile.write_text(f"FROM {DEFAULT_IMAGE}\nENV MARK=box\n", "utf-8")
    suite = """
async def said(sandbox, script):
    await noted(sandbox)
    return (await sandbox.exec(["bash", "-c", script])).stdout.split()

@agent_task(network="bridge", user="root", memory="100m")
async def test_relaxed(sandbox):
    assert await said(sandbox, "id -un; pwd; ls /proc/sys/net/ipv4/conf") == [
        "root", "/home/agent", "all", "default", "eth0", "lo"
    ]

async def test_default(sandbox):
    assert await said(sandbox, "id -un; ls /proc/sys/net/ipv4/conf") == ["agent", "all", "default", "lo"]

@agent_task(sandbox="box")
async def test_dockerfile(sandbox):
    assert await said(sandbox, "printenv MARK") == ["box"]
"""
    try:
        trap = spring(tmp_path, suite, model="agenteval/null", sandbox="docker", k=1, timeout=120)
    finally:
        remove_images(task_image_name(dockerfile))
    found = records(tmp_path)
    assert {name: record["attempts"][0]["outcome"] for name, record in found.items()} == dict.fromkeys(
        ("test_relaxed", "test_default", "test_dockerfile"), "passed"
    )
    assert all("sandbox: docker compose, because the daemon is at " in record["notes"][0] for record in found.values())
    assert trap.status == 0
    assert left_behind(tmp_path) == []
