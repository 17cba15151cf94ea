"""The package's folders and modules as a graph of imports: `python tests/support/import_graph.py [--at REVISION]`.

Prints how many rooms there are, on how many floors, the arrows between them, those that point against the order of the
walls' test, and circles. A room is a folder of the package or a module beside the folders; a floor is one more than the
highest floor that a room imports from. Names that only type checkers read make no arrows but do make circles of
modules, for a reader follows them as well.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))

from support.imports import Module, modules  # noqa: E402

__all__ = ["circles", "floors", "module_graph", "room", "room_graph"]

PACKAGE = "pytest_agenteval"
Graph = Mapping[str, Collection[str]]


def room(module: str) -> str:
    """The room of a module of the package, `""` for the package itself."""
    return module.removeprefix(PACKAGE).lstrip(".").partition(".")[0]


def _arrows(found: Mapping[str, Module], *, typing: bool) -> Iterator[tuple[str, str]]:
    for name, module in found.items():
        for made in module.imports:
            if made.target.partition(".")[0] != PACKAGE or (made.typing_only and not typing):
                continue
            target = made.target
            while target not in found:
                target = target.rpartition(".")[0]
            if target != name:
                yield name, target


def module_graph(found: Mapping[str, Module]) -> dict[str, set[str]]:
    """Per module the modules of the package that it imports, also for type checkers only."""
    graph: dict[str, set[str]] = {name: set() for name in found}
    for start, end in _arrows(found, typing=True):
        graph[start].add(end)
    return graph


def room_graph(found: Mapping[str, Module]) -> dict[str, set[str]]:
    """Per room the other rooms that it imports from. The package itself hands out names lazily and is no room."""
    graph: dict[str, set[str]] = {room(name): set() for name in found if room(name)}
    for start, end in _arrows(found, typing=False):
        if room(start) and room(end) and room(start) != room(end):
            graph[room(start)].add(room(end))
    return graph


def circles(graph: Graph) -> list[list[str]]:
    """The sets of nodes that reach one another (Tarjan's strongly connected components of two or more)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for following in graph.get(node, ()):
            if following not in number:
                visit(following)
                low[node] = min(low[node], low[following])
            elif following in stack:
                low[node] = min(low[node], number[following])
        if low[node] == number[node]:
            members = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(members) > 1:
                found.append(sorted(members))

    for node in graph:
        if node not in number:
            visit(node)
    return found


def floors(graph: Graph) -> dict[str, int]:
    """The floor of each room of a graph without circles: rooms that import from no other are on floor 1."""
    known: dict[str, int] = {}

    def floor(node: str) -> int:
        if node not in known:
            known[node] = 0  # whoever comes back here runs in a circle
            known[node] = 1 + max((floor(below) for below in graph[node]), default=0)
        return known[node]

    return {node: floor(node) for node in graph}


def main() -> None:
    parser = argparse.ArgumentParser(description="The graph of the package's imports.")
    parser.add_argument("--at", metavar="REVISION", help="of this revision instead of the working tree")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = HERE.parents[2]
        if asked.at is not None:
            packed = subprocess.run(["git", "archive", asked.at, PACKAGE], cwd=root, capture_output=True, check=True)
            with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
                archive.extractall(folder, filter="data")
            root = Path(folder)
        found = modules(root / PACKAGE)
    rooms = room_graph(found)
    height = floors(rooms)
    for name in sorted(rooms, key=lambda each: (height[each], each)):
        print(f"{height[name]:2}  {name:<12} <- {', '.join(sorted(rooms[name])) or 'nothing'}")
    apart = circles(rooms)
    inside = circles(module_graph(found))
    print(
        f"{len(rooms)} rooms on {max(height.values())} floors, {sum(map(len, rooms.values()))} arrows; "
        f"circles of rooms: {len(apart)}, circles of modules: {len(inside)}"
    )
    for circle in (*apart, *inside):
        print("circle:", " <-> ".join(circle))


if __name__ == "__main__":
    main()
