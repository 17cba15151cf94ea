"""Requests in a log of a web server. What is right is counted from what was drawn, before it was written as a log."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_agenteval.builder.families.family import Deck, Part, PartsFamily

__all__ = ["LOGS"]


@dataclass(frozen=True, slots=True)
class _Request:
    hour: int
    path: str
    status: int
    ms: int


_Requests = Sequence[_Request]


def _deal(rng: random.Random, steps: int) -> Deck:
    bad = rng.sample([400, 401, 403, 404, 409, 410, 429, 500, 502, 503], 3)
    counts = dict(zip([*bad, 200], [*rng.sample(range(2, 9), 3), rng.randint(9, 12)], strict=True))
    times = rng.sample(range(13, 980), sum(counts.values()))
    paths = rng.sample(["/cart", "/login", "/search", "/items", "/help", "/pay"], 4)
    hours = rng.sample(range(10, 24), 3)
    drawn = [
        (status, time) for status, time in zip((s for s, n in counts.items() for _ in range(n)), times, strict=True)
    ]
    rng.shuffle(drawn)
    requests = sorted(
        (_Request(rng.choice(hours), rng.choice(paths), status, ms) for status, ms in drawn), key=lambda r: r.hour
    )
    lines = [f"{r.hour}:{at:02} GET {r.path} {r.status} {r.ms}" for at, r in enumerate(requests)]
    makers: list[Callable[[random.Random, _Requests], Part]] = [_statuses, *rng.sample(_MORE, 6)]
    return Deck(
        title="Questions to a log of requests",
        intro="access.log has a line for each request: time (HH:MM), method, path, status, and milliseconds. Leave it "
        "as it is.",
        parts=[make(rng, requests) for make in makers[:steps]],
        files={"access.log": "\n".join(lines) + "\n"},
        checks=[{"kind": "unchanged", "path": "access.log"}],
    )


def _python(name: str, body: str) -> str:
    head = "import collections\nrows = [line.split() for line in open('access.log')]"
    return f"python3 - > {name} <<'END'\n{head}\n{body}\nEND"


def _statuses(rng: random.Random, requests: _Requests) -> Part:
    counts = {status: sum(r.status == status for r in requests) for status in {r.status for r in requests} - {200}}
    right = [[str(status), str(counts[status])] for status in sorted(counts, key=lambda status: -counts[status])]
    awk = "awk '$4 != 200 { n[$4]++ } END { for (s in n) print s, n[s] }' access.log | sort -k2,2nr > errors.txt"
    return Part(
        "Write errors.txt: a line `STATUS COUNT` for every status other than 200, the highest count first.",
        awk,
        [{"kind": "rows", "path": "errors.txt", "rows": right}],
        [("counts 200, too", awk.replace("$4 != 200 ", "")), ("the lowest count first", awk.replace("2nr", "2n"))],
        _python("errors.txt", "for s, n in collections.Counter(r[3] for r in rows if r[3] != '200').most_common():\n"
                "    print(s, n)"),
    )  # fmt: skip


def _slowest(rng: random.Random, requests: _Requests) -> Part:
    slow = max(requests, key=lambda r: r.ms)
    awk = "sort -k5,5nr access.log | head -n 1 | awk '{ print $3, $5 }' > slowest.txt"
    return Part(
        "Write slowest.txt with one line `PATH MILLISECONDS`: the request that took longest.",
        awk,
        [{"kind": "rows", "path": "slowest.txt", "rows": [[slow.path, str(slow.ms)]]}],
        [("the fastest", awk.replace("5nr", "5n")), ("compares as text", "sort -k5,5r access.log | head -n 1 | "
          "awk '{ print $4, $5 }' > slowest.txt")],
        _python("slowest.txt", "r = max(rows, key=lambda r: int(r[4]))\nprint(r[2], r[4])"),
    )  # fmt: skip


def _hours(rng: random.Random, requests: _Requests) -> Part:
    hours = sorted({r.hour for r in requests})
    right = [[str(hour), str(sum(r.hour == hour for r in requests))] for hour in hours]
    awk = "awk '{ n[substr($1, 1, 2)]++ } END { for (h in n) print h, n[h] }' access.log | sort > hours.txt"
    return Part(
        "Write hours.txt: a line `HOUR COUNT` for each hour in which there was a request, in the order of the hours.",
        awk,
        [{"kind": "rows", "path": "hours.txt", "rows": right}],
        [("by minutes", awk.replace("1, 2)", "4, 2)")), ("the last hour first", awk.replace("| sort", "| sort -r"))],
        _python("hours.txt", "n = collections.Counter(r[0][:2] for r in rows)\n"
                "for h in sorted(n):\n    print(h, n[h])"),
    )  # fmt: skip


def _time_of_good(rng: random.Random, requests: _Requests) -> Part:
    total = sum(r.ms for r in requests if r.status == 200)
    awk = "awk '$4 == 200 { s += $5 } END { print s }' access.log > good.txt"
    return Part(
        "Write to good.txt how many milliseconds all requests with the status 200 took together.",
        awk,
        [{"kind": "rows", "path": "good.txt", "rows": [[str(total)]]}],
        [("all requests", awk.replace("$4 == 200 ", "")), ("counts them", awk.replace("s += $5", "s += 1"))],
        _python("good.txt", "print(sum(int(r[4]) for r in rows if r[3] == '200'))"),
    )  # fmt: skip


def _paths(rng: random.Random, requests: _Requests) -> Part:
    right = sorted({r.path for r in requests if r.status != 200})
    awk = "awk '$4 != 200 { print $3 }' access.log | LC_ALL=C sort -u > failing.txt"
    return Part(
        "Write failing.txt: every path that had a status other than 200, each once, in alphabetical order.",
        awk,
        [{"kind": "rows", "path": "failing.txt", "rows": [[path] for path in right]}],
        [("more than once", awk.replace("sort -u", "sort")),
         ("with the status", awk.replace("print $3", "print $3, $4"))],
        _python("failing.txt", "print('\\n'.join(sorted({r[2] for r in rows if r[3] != '200'})))"),
    )  # fmt: skip


def _over(rng: random.Random, requests: _Requests) -> Part:
    bound = sorted(r.ms for r in requests)[len(requests) * 2 // 3]
    awk = f"awk '$5 >= {bound} {{ n++ }} END {{ print n + 0 }}' access.log > slow.txt"
    return Part(
        f"Write to slow.txt how many requests took {bound} milliseconds or longer.",
        awk,
        [{"kind": "rows", "path": "slow.txt", "rows": [[str(sum(r.ms >= bound for r in requests))]]}],
        [("without the bound", awk.replace(">= ", "> ")), ("the faster ones", awk.replace(">= ", "< "))],
        _python("slow.txt", f"print(sum(int(r[4]) >= {bound} for r in rows))"),
    )  # fmt: skip


def _first(rng: random.Random, requests: _Requests) -> Part:
    at, first = next((at, r) for at, r in enumerate(requests) if r.status != 200)
    awk = "awk '$4 != 200 { print $1, $4; exit }' access.log > first.txt"
    return Part(
        "Write first.txt with one line `TIME STATUS`: the first request whose status is not 200.",
        awk,
        [{"kind": "rows", "path": "first.txt", "rows": [[f"{first.hour}:{at:02}", str(first.status)]]}],
        [("all of them", awk.replace("; exit", "")), ("the status alone", awk.replace("$1, $4", "$4"))],
        _python("first.txt", "r = [r for r in rows if r[3] != '200'][0]\nprint(r[0], r[3])"),
    )  # fmt: skip


_MORE = (_slowest, _hours, _time_of_good, _paths, _over, _first)
LOGS = PartsFamily(
    name="logs",
    about="Answer questions to the log of a web server.",
    topics=("log", "logs", "server", "requests", "errors", "monitoring", "operations", "ops", "incident", "shell"),
    deal=_deal,
)
"""The family."""
