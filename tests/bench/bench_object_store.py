"""A report over 200 logs in a bucket: its time as a ratio to that of the same logs in a directory.

    PYTHONPATH=tests python tests/bench/bench_object_store.py [--rounds 3] [--delay 0]

Each log has 20 attempts. `pytest-agenteval report` runs in turns on a directory and over S3's protocol, against a
server on loopback in a process of its own, which may answer each request after a delay in milliseconds, as a distant
one does; once without a baseline, and once with the store as its own baseline. Aim: at most 3 times.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from support.written_logs import write_logs

LOGS, TASKS, K = 200, 5, 4
BUCKET = "s3://evals/logs"


def serve(delay: float) -> None:
    """Serve until standard input ends; the port is the only line of output."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)

    def distant(environ: dict[str, Any], start_response: Any) -> Any:
        time.sleep(delay)
        return application(environ, start_response)

    server = make_server("127.0.0.1", 0, distant, threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def bucket(folder: Path, delay: float) -> Iterator[None]:
    """The logs of a folder in a bucket, which S3's clients find by the environment."""
    command = (sys.executable, __file__, "--serve", str(delay))
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.stdout.readline().strip()}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        client = boto3.client("s3")
        client.create_bucket(Bucket="evals")
        for log in folder.iterdir():
            client.put_object(Bucket="evals", Key=f"logs/{log.name}", Body=log.read_bytes())
        yield
    finally:
        server.kill()
        server.wait()


def seconds(place: str, *arguments: str) -> float:
    """Of one report."""
    command = (str(Path(sys.executable).with_name("pytest-agenteval")), "report", place, *arguments)
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    assert f"{LOGS * TASKS * K} tries" in done.stdout, done.stdout + done.stderr
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve is not None:
        serve(asked.serve / 1000)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_logs(Path(folder), suites=LOGS, tasks=TASKS, k=K, model_calls=4, tool_calls=6)
        with bucket(Path(folder), asked.delay):
            for name, options in {"report": [], "report against itself": ["--agent-baseline={}"]}.items():
                figures: dict[str, list[float]] = {folder: [], BUCKET: []}
                for _ in range(asked.rounds):
                    for place, found in figures.items():
                        found.append(seconds(place, *(option.format(place) for option in options)))
                here, there = (statistics.median(found) for found in figures.values())
                print(
                    f"{name:<22} directory {here:5.2f} s   bucket {there:5.2f} s   ratio {there / here:4.2f} (aim <= 3)"
                )


if __name__ == "__main__":
    main()
