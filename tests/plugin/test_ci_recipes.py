"""The recipes run as they are printed: their commands in order, in clean environments, with simulated variables.

The rehearsal model stands for the paid one, directories on this host for containers, and small programs for `gh`,
`curl` and the steps of others that move files. Everything else is the recipe.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer
from support.ci_machine import PAID, Machine, built_wheel, clean_python
from support.pages import DOCS, ROOT, blocks

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHARDS = ("1", "2", "3")
LOCAL = "--agent-sandbox=local -p no:cacheprovider"
PASSES, FAILS = (f"{LOCAL} --agent-model-arg=p_success={p} --agent-model-arg=seed=1" for p in (1, 0))
FORGE = """
case "$*" in
  "run list"*) [ -d "$STORE" ] && echo 7 || true;;
  "run download 7"*) mkdir baseline && cp -r "$STORE"/agents-* baseline/;;
  "api repos/o/r/issues/5/comments --paginate"*) [ -f "$COMMENTS/1" ] && echo 1 || true;;
  "api --method POST repos/o/r/issues/5/comments --field body=@"*) last="${@: -1}"; cp "${last#body=@}" "$COMMENTS/1";;
  "api --method PATCH repos/o/r/issues/comments/1 --field body=@"*) last="${@: -1}"; cp "${last#body=@}" "$COMMENTS/1";;
  *) echo "unexpected: $*" >&2; exit 1;;
esac
"""
"""GitHub's program `gh`: a passing run of main is in $STORE, comments are in $COMMENTS."""
GITLAB = """
case "$*" in
  *"/projects/3/jobs/artifacts/main/download?job=verdict"*) cp "$STORE/verdict.zip" baseline.zip;;
  *"notes?per_page=100"*) echo '[{"id": 9, "body": "<!-- pytest-agenteval -->"}]';;
  *"--request PUT"*"--data-urlencode body@comment.md"*"/notes/9") cp comment.md "$COMMENTS/1";;
  *) echo "unexpected: $*" >&2; exit 1;;
esac
"""
"""`curl` that talks to GitLab."""


@dataclass(frozen=True, slots=True)
class Runners:
    """Where machines come from. They share an environment, which is clean at first.

    That each recipe installs all that it uses is a test of `tests/unit/house/test_ci_docs.py`.
    """

    folder: Path
    wheels: Path
    python: Path

    def machine(self, name: str, variables: Mapping[str, str]) -> Machine:
        return Machine.new(self.folder / name, self.python, self.wheels, variables)


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> Runners:
    folder = tmp_path_factory.mktemp("runners")
    return Runners(folder, built_wheel(folder / "wheels"), clean_python(folder / "python"))


def printed(page: str, language: str) -> list[str]:
    return [block.text for block in blocks(DOCS / "how-to" / page) if block.language == language]


# -- Jenkins --------------------------------------------------------------------------------------------------------

(PIPELINE,) = printed("ci-jenkins.md", "groovy")
BUILD = {
    "JENKINS_URL": "https://jenkins.example/", "BUILD_URL": "https://jenkins.example/job/agents/9/",
    "BUILD_TAG": "jenkins-agents-9", "GIT_COMMIT": COMMIT, "CHANGE_BRANCH": "fix", "CHANGE_TARGET": "main",
}  # fmt: skip
JENKINS_ATTEMPTS, JENKINS_VERDICT = (
    text.replace("\\\\", "\\") for text in re.findall(r"'''\n(.*?)'''", PIPELINE, re.DOTALL)
)


@pytest.fixture(scope="module")
def passing(runners: Runners) -> Path:
    """The logs of a run that passes, in a folder for each shard."""
    (values,) = re.findall(r"name 'SHARD'; values (.*?) \}", PIPELINE)
    assert tuple(value.strip("' ") for value in values.split(",")) == SHARDS
    kept = runners.folder / "passing"
    for shard in SHARDS:
        machine = runners.machine(f"jenkins-{shard}", {**BUILD, "SHARD": shard, "OPENAI_API_KEY": "simulated"})
        status, said = machine.run(JENKINS_ATTEMPTS, {}, PASSES)
        assert status == 0, said
        shutil.copytree(machine.checkout / "logs", kept, dirs_exist_ok=True)
    assert [each.name for each in sorted(kept.iterdir())] == ["shard-1", "shard-2", "shard-3"]
    return kept


def test_jenkins(runners: Runners, passing: Path) -> None:
    judge = runners.machine("jenkins-verdict", BUILD)
    shutil.copytree(passing, judge.checkout / "logs")
    shutil.copytree(passing, judge.checkout / "baseline" / "logs")
    status, said = judge.run(JENKINS_VERDICT, {}, "")
    assert status == 0, said
    assert "--agent-baseline" in said
    assert all((judge.checkout / name).exists() for name in ("agents.json", "agents.html", "junit.xml"))
    cases = list(ElementTree.parse(judge.checkout / "junit.xml").iter("testcase"))
    assert len(cases) == 3 + 5
    assert not any(case.find(tag) is not None for case in cases for tag in ("failure", "error"))


# -- GitHub ---------------------------------------------------------------------------------------------------------


def steps(job: Mapping[str, Any], machine: Machine, known: Mapping[str, str], options: str, **others: Any) -> int:
    """Run a job's steps. Its status is that of the first one that failed; the steps after it run if they say so."""
    status = 0
    for step in job["steps"]:
        asked = known.get(str(step.get("if", "")), "" if "if" not in step else None)
        assert asked is not None, f"no answer to {step['if']}"
        if asked == "no" or (status and "if" not in step):
            continue

        def value(text: Any) -> str:
            return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], str(text))

        given = {name: value(text) for name, text in {**step.get("env", {}), **step.get("with", {})}.items()}
        if "run" in step:
            done, said = machine.run(value(step["run"]), given, options)
            print(said)
            status = status or done
        else:
            others[step["uses"].partition("@")[0].rpartition("/")[2]](machine, given)
    return status


def upload(store: Path) -> Callable[[Machine, Mapping[str, str]], None]:
    def step(machine: Machine, given: Mapping[str, str]) -> None:
        source, target = machine.checkout / given["path"], store / given["name"]
        if not source.exists():
            assert given["if-no-files-found"] == "ignore", f"{source} is not there"
            return
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)

    return step


def download(store: Path) -> Callable[[Machine, Mapping[str, str]], None]:
    def step(machine: Machine, given: Mapping[str, str]) -> None:
        for artifact in store.glob(given["pattern"]):
            shutil.copytree(artifact, machine.checkout / given["path"] / artifact.name)

    return step


def nothing(machine: Machine, given: Mapping[str, str]) -> None:
    """The checkout and a clean Python are there."""


WORKFLOW: dict[Any, Any] = yaml.safe_load(printed("ci-github.md", "yaml")[0])
ACTION: dict[str, Any] = yaml.safe_load((ROOT / ".github/actions/verdict/action.yml").read_text("utf-8"))


def github(run: str, event: str) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": run, "GITHUB_RUN_ATTEMPT": "1", "GITHUB_SHA": COMMIT, "GITHUB_WORKFLOW": "agents",
        "GITHUB_REF_NAME": "main" if event == "push" else "5/merge", "GITHUB_EVENT_NAME": event,
        "GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_OUTPUT": "output",
    }  # fmt: skip


def github_shard(runners: Runners, name: str, event: str, shard: str, options: str, store: Path) -> int:
    again = {"GITHUB_RUN_ATTEMPT": "2"} if shard == "3" else {}  # only the job that failed was started again
    machine = runners.machine(f"github-{name}-{shard}", {**github(name, event), **again})
    known = {
        "secrets.OPENAI_API_KEY": "simulated", "matrix.shard": shard, "strategy.job-total": str(len(SHARDS)),
        "${{ always() }}": "yes",
    }  # fmt: skip
    if (
        name == "1" and shard == "1"
    ):  # with the paid model everything is there that the run needs but the model's answers
        install, attempts = (step["run"] for step in WORKFLOW["jobs"]["attempts"]["steps"] if "run" in step)
        assert machine.run(install, {}, "")[0] == 0
        variables = {"OPENAI_API_KEY": "simulated", "SHARD": "1/3"}
        done, said = machine.run(attempts, variables, "--agent-plan -p no:cacheprovider", model=PAID)
        assert done == 0, said
        assert "worst case" in said
    others = {"checkout": nothing, "setup-python": nothing, "upload-artifact": upload(store)}
    return steps(WORKFLOW["jobs"]["attempts"], machine, known, options, **others)


def github_verdict(
    runners: Runners, name: str, event: str, store: Path, variables: Mapping[str, str]
) -> tuple[int, Path]:
    machine = runners.machine(f"github-{name}-verdict", {**github(name, event), **variables})
    machine.program("gh", FORGE)
    (asked,) = WORKFLOW["jobs"]["verdict"]["steps"]
    inputs = {f"inputs.{key}": str(each.get("default", "")) for key, each in ACTION["inputs"].items()}
    inputs |= {f"inputs.{key}": text for key, text in asked["with"].items()}
    of_pull_request = "yes" if event == "pull_request" else "no"
    known = {
        **inputs, "github.token": "simulated", "github.event.pull_request.number": "5", "${{ !cancelled() }}": "yes",
        "${{ github.event_name == 'pull_request' && inputs.baseline-branch != '' }}": of_pull_request,
        "${{ !cancelled() && github.event_name == 'pull_request' }}": of_pull_request,
    }  # fmt: skip
    others = {"setup-python": nothing, "download-artifact": download(store), "upload-artifact": upload(store)}
    return steps(ACTION["runs"], machine, known, "", **others), machine.checkout


def artifacts(store: Path, passing: Path, *shards: str) -> Path:
    for shard in shards:
        shutil.copytree(passing / f"shard-{shard}", store / f"agents-{shard}")
    return store


def test_github(runners: Runners, passing: Path) -> None:
    store, comments = runners.folder / "artifacts-pull-request", runners.folder / "comments"
    comments.mkdir()
    for shard in SHARDS:
        assert github_shard(runners, "2", "pull_request", shard, FAILS, store) == 0  # a shard does not judge
    main = artifacts(runners.folder / "artifacts-main", passing, *SHARDS)
    there = {"STORE": str(main), "COMMENTS": str(comments)}
    status, checkout = github_verdict(runners, "2", "pull_request", store, there)
    assert status == 1
    made = {each.name for each in (store / "verdict").iterdir()}
    assert made == {"agents.json", "agents.html", "comment.md", "junit.xml"}
    comment = (comments / "1").read_text("utf-8")
    assert comment.startswith("<!-- pytest-agenteval -->\n## FAIL")
    assert "**3 tasks regressed**" in comment and "8/8 → 0/8" in comment
    assert "[the run](<https://github.com/o/r/actions/runs/2/attempts/2>)" in comment
    assert f"commit {COMMIT[:12]}" in comment
    assert "## FAIL" in (checkout / "summary.md").read_text("utf-8")
    assert "verdict<<" in (checkout / "output").read_text("utf-8")

    # the runner of shard 3 died: what it would have shown could turn every gate
    lost = artifacts(runners.folder / "artifacts-lost", passing, "1", "2")
    status, _ = github_verdict(runners, "3", "pull_request", lost, there)
    assert status == 10
    replaced = (comments / "1").read_text("utf-8")
    assert "## INCOMPLETE" in replaced and "shard 3 of 3" in replaced


def test_github_says_that_there_is_no_baseline_yet(
    runners: Runners, passing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comments = runners.folder / "first-comments"
    comments.mkdir()
    there = {"STORE": str(runners.folder / "none"), "COMMENTS": str(comments)}
    store = artifacts(runners.folder / "artifacts-first", passing, *SHARDS)
    status, _ = github_verdict(runners, "4", "pull_request", store, there)
    assert status == 0
    assert "::notice::main has no passing run of this workflow yet" in capsys.readouterr().out


def test_github_with_a_bucket(runners: Runners) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        variables = {**github("5", "push"), "AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "us-east-1"}
        machine = runners.machine("github-bucket", variables)
        keys = {"aws_access_key_id": "simulated", "aws_secret_access_key": "simulated"}
        boto3.client("s3", endpoint_url=address, region_name="us-east-1", **keys).create_bucket(Bucket="agents")
        known = {f"secrets.{name}": "simulated" for name in ("OPENAI_API_KEY", *(key.upper() for key in keys))}
        known |= {"matrix.shard": "1", "strategy.job-total": "1"}
        assert steps({"steps": yaml.safe_load(printed("ci-github.md", "yaml")[1])}, machine, known, PASSES) == 0
        assert "## PASS" in (machine.checkout / "comment.md").read_text("utf-8")
    finally:
        server.stop()


# -- GitLab ---------------------------------------------------------------------------------------------------------


def test_gitlab(runners: Runners, passing: Path) -> None:
    pipeline = yaml.safe_load(printed("ci-gitlab.md", "yaml")[0])
    template = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text("utf-8"))
    attempts, verdict = ({**template[pipeline[job]["extends"]], **pipeline[job]} for job in ("attempts", "verdict"))
    assert attempts["parallel"] == len(SHARDS)
    store, comments = runners.folder / "gitlab-store", runners.folder / "gitlab-comments"
    comments.mkdir()
    logs = runners.folder / "gitlab-main" / "logs"
    shutil.copytree(passing, logs)
    shutil.make_archive(str(store / "verdict"), "zip", logs.parent, "logs")
    common = {
        "CI_PIPELINE_ID": "77", "CI_COMMIT_SHA": COMMIT, "CI_COMMIT_REF_NAME": "fix", "CI_MERGE_REQUEST_IID": "5",
        "CI_PIPELINE_URL": "https://gitlab.example/o/r/-/pipelines/77", "CI_PROJECT_ID": "3",
        "CI_JOB_TOKEN": "simulated", "CI_DEFAULT_BRANCH": "main", "CI_API_V4_URL": "https://gitlab.example/api/v4",
        "AGENTS_TOKEN": "simulated", "CI_JOB_URL": "https://gitlab.example/o/r/-/jobs/8",
        "STORE": str(store), "COMMENTS": str(comments),
    }  # fmt: skip
    machine = runners.machine("gitlab-attempts", {**common, "OPENAI_API_KEY": "simulated"})
    assert "openai" in attempts["variables"]["AGENTS_PACKAGES"].split()
    variables = template[".agents-attempts"]["variables"] | attempts["variables"]
    status, said = gitlab_script(machine, attempts["script"], variables, FAILS)  # not parallel: without CI_NODE_INDEX
    assert status == 0, said
    judge = runners.machine("gitlab-verdict", common)
    shutil.copytree(machine.checkout / "logs", judge.checkout / "logs")
    judge.program("curl", GITLAB)
    variables = template[".agents-verdict"]["variables"] | verdict["variables"]
    status, said = gitlab_script(judge, verdict["script"], variables, "")
    assert status == 1, said
    assert "3 regressed" in said
    done, said = gitlab_script(judge, verdict["after_script"], variables, "")
    assert done == 0, said
    assert "**3 tasks regressed**" in (comments / "1").read_text("utf-8")
    kept = verdict["artifacts"]["paths"] + list(verdict["artifacts"]["reports"].values())
    assert [name for name in kept if not (judge.checkout / name).exists()] == []
    failing = [case.get("name") for case in ElementTree.parse(judge.checkout / "junit.xml").iter("testcase")
               if case.find("failure") is not None]  # fmt: skip
    assert failing == ["--min-pass-at-1", "--min-pass-k", "--agent-baseline", "the run"]
    assert re.search(r"^agent_pass_hat_k\{.*\} 0$", (judge.checkout / "metrics.txt").read_text("utf-8"), re.MULTILINE)


def gitlab_script(machine: Machine, lines: list[str], variables: Mapping[str, Any], options: str) -> tuple[int, str]:
    return machine.run("\n".join(lines), {name: str(value) for name, value in variables.items()}, options)
