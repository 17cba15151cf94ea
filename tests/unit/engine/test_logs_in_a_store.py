"""Many logs in an object store, over S3's protocol: fetched at once, each part once, and read as if they lay here."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from s3fs import S3FileSystem
from support.written_logs import as_killed, write_logs
from werkzeug.serving import make_server

from pytest_agenteval.engine.logs import files
from pytest_agenteval.engine.logs.baseline import history, read_baseline
from pytest_agenteval.engine.logs.files import log_files, read_all, read_headers, try_headers
from pytest_agenteval.engine.logs.remote import RemoteLogs
from pytest_agenteval.engine.logs.runs import choose_runs
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.stored import StoredLog

PLACE = "s3://many-logs/logs"
LOGS, AT_ONCE = 12, 4


@dataclass
class Store:
    """A bucket on a server that counts what is read of each log."""

    application: Any
    client: Any = None
    reads: Counter[str] = field(default_factory=Counter)
    gate: Callable[[], object] = bool
    """Called by each request for a part of a log, before it is answered."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] == "GET" and path.endswith(".eval"):
            self.reads[path.rpartition("/")[2]] += 1
            self.gate()
        return self.application(environ, start_response)

    def put(self, logs: Iterable[Path]) -> None:
        for log in logs:
            self.client.put_object(Bucket="many-logs", Key=f"logs/{log.name}", Body=log.read_bytes())


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_logs(tmp_path_factory.mktemp("logs"), suites=LOGS, tasks=2, k=2)


@pytest.fixture
def store(logs: list[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    store = Store(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, store, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(files, "_REMOTE", RemoteLogs())
    S3FileSystem.clear_instance_cache()  # those of other tests know other servers
    store.client = boto3.client("s3")
    store.client.create_bucket(Bucket="many-logs")
    store.put(logs)
    try:
        yield store
    finally:
        keys = [each["Key"] for each in store.client.list_objects_v2(Bucket="many-logs").get("Contents", ())]
        for key in keys:  # moto keeps buckets for the whole process, those of other tests too
            store.client.delete_object(Bucket="many-logs", Key=key)
        store.client.delete_bucket(Bucket="many-logs")
        store.client.close()
        server.shutdown()
        thread.join()
        server.server_close()


def named(logs: Iterable[StoredLog]) -> list[StoredLog]:
    """The logs, wherever they lie."""
    return [
        replace(
            log,
            path=(name := log.path.rpartition("/")[2]),
            attempts=tuple((task, replace(record, log=name)) for task, record in log.attempts),
        )
        for log in logs
    ]


def read(place: str | Path) -> list[StoredLog]:
    return named(read_all(read_headers(log_files(place))))


def test_several_are_fetched_at_a_time_and_each_of_them_once(store: Store, logs: list[Path]) -> None:
    """The store answers nothing until so many requests are there: one after the other they would wait in vain."""
    gate = threading.Barrier(AT_ONCE)
    store.gate = lambda: gate.wait(timeout=20)
    found = read(PLACE)
    assert not gate.broken
    assert found == read(logs[0].parent)
    assert store.reads == dict.fromkeys((log.name for log in logs), 1)


def test_whatever_reads_the_store_again_in_a_session_fetches_nothing(store: Store) -> None:
    chosen = choose_runs([PLACE])
    known = history(PLACE, "")
    earlier = read_baseline(PLACE, {"test_suite_000.py::test_task_00"})
    assert sum(store.reads.values()) == LOGS
    assert sum(len(log.attempts) for log in chosen.logs) == sum(task.n for task in known.values()) == 4 * LOGS
    assert len(earlier.attempts) == 4 * LOGS


def test_a_log_of_a_killed_run_is_read_from_its_journal(store: Store, tmp_path: Path) -> None:
    """Its parts lie scattered among samples that are not read: a number of requests, in one go."""
    folder = tmp_path / "long"
    folder.mkdir()
    noise = random.Random(0).randbytes(50_000).hex()
    (whole,) = write_logs(folder, suites=1, tasks=3, k=4, prompt=noise)
    killed = as_killed(whole, tmp_path / "2026-01-02T00-00-00_killed.eval")
    assert killed.stat().st_size > 500_000
    store.put([killed])
    gate = threading.Barrier(2)
    list(try_headers(log_files(PLACE)))
    store.reads.clear()
    store.gate = lambda: gate.wait(timeout=20)
    (ours,) = [log for log in read(PLACE) if log.path == killed.name]
    assert not gate.broken
    assert ours.killed
    assert [ours] == read(killed)
    assert set(store.reads) == {killed.name}


def test_damaged_ones_are_said_and_the_others_read(store: Store, logs: list[Path], tmp_path: Path) -> None:
    whole = logs[0].read_bytes()
    damaged = {"cut.eval": whole[: len(whole) // 2], "empty.eval": b"", "other.eval": b"no zip" * 50_000}
    for name, data in damaged.items():
        (tmp_path / name).write_bytes(data)
    store.put(tmp_path / name for name in damaged)
    found = list(try_headers([*log_files(PLACE), f"{PLACE}/gone.eval"]))
    said = [str(each) for each in found if isinstance(each, NotReady)]
    assert len(found) - len(said) == LOGS
    for name in [*damaged, "gone.eval"]:
        assert [f"{PLACE}/{name} cannot be read as an Inspect log" in text for text in said].count(True) == 1
    with pytest.raises(NotReady, match=r"cut\.eval cannot be read"):
        choose_runs([PLACE])


@pytest.mark.parametrize("when", ["before it is listed again", "after it was listed"])
def test_a_log_that_was_written_again_is_read_again(store: Store, tmp_path: Path, logs: list[Path], when: str) -> None:
    (longer,) = write_logs(tmp_path, suites=1, tasks=2, k=4, prompt="Fix it, and say what was wrong." * 50)
    assert longer.name == logs[0].name
    if when == "after it was listed":
        listed = log_files(PLACE)
        store.put([longer])
    else:
        assert len(read(PLACE)[0].attempts) == 4
        store.put([longer])
        listed = log_files(PLACE)
    assert len(next(iter(read_all(read_headers(listed)))).attempts) == 8


def test_logs_that_are_named_are_read_as_those_of_a_directory(store: Store, logs: list[Path]) -> None:
    chosen = choose_runs([f"{PLACE}/{log.name}" for log in logs[:2]])
    assert named(chosen.logs) == read(logs[0].parent)[:2]
