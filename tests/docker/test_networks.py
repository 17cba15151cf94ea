"""The network of a sandbox, if it is given one."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.sandboxes import on, opened

GET = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode())
"""


@contextmanager
def server_on_the_bridge() -> Iterator[str]:
    """The address of a server of this machine, on its side of the daemon's bridge."""
    question = ("docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    gateway = subprocess.run(question, check=True, capture_output=True, text=True).stdout.strip()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"hello {self.client_address[0].rpartition('.')[0]}".encode())

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer((gateway, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{gateway}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_only_a_sandbox_that_asks_for_a_network_reaches_this_machine() -> None:
    async def work() -> None:
        with server_on_the_bridge() as url:
            async with opened(network="bridge") as sandbox:
                assert (await sandbox.exec(["ls", "/sys/class/net"])).stdout.split() == ["eth0", "lo"]
                got = await sandbox.exec(["python3", "-c", GET, url])
                assert got.stdout == f"hello {url.removeprefix('http://').rpartition('.')[0]}\n", got.stderr
            async with opened() as sandbox:
                assert (await sandbox.exec(["ls", "/sys/class/net"])).stdout.split() == ["lo"]
                got = await sandbox.exec(["python3", "-c", GET, url])
                assert "Network is unreachable" in got.stderr

    on("asyncio", work)
