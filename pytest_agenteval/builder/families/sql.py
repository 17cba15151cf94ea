"""Questions to an SQLite database. What is right is found in the drawn rows by Python, never by a query."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_agenteval.builder.families.family import Deck, Part, PartsFamily

__all__ = ["SQL"]

_NAMES = ("Ann", "Bo", "Eva", "Kim", "Lou", "Max", "Zoe", "Dan", "Fay", "Gus")
_TOWNS = ("Ulm", "Kiel", "Bonn", "Jena")
_ASK = """\
import csv, sqlite3, sys
rows = sqlite3.connect("file:shop.db?mode=ro", uri=True).execute(sys.argv[1])
csv.writer(sys.stdout, lineterminator="\\n").writerows(rows)
"""


@dataclass(frozen=True, slots=True)
class _Shop:
    people: Sequence[tuple[int, str, str]]
    """id, name, town."""
    orders: Sequence[tuple[int, int, int, str]]
    """id, customer, cents, status."""

    def paid(self, person: int) -> list[int]:
        return [cents for _, customer, cents, status in self.orders if customer == person and status == "paid"]


def _deal(rng: random.Random, steps: int) -> Deck:
    towns = rng.sample(_TOWNS, 3)
    people = [(at, name, towns[at % 3]) for at, name in enumerate(rng.sample(_NAMES, 6), 1)]
    # everybody but the last has paid once, all have something that is not paid, and no two sums are equal
    cents = iter(rng.sample(range(5, 90), 40))
    rows = [(person, 100 * next(cents) + person, "paid") for person in range(1, 6)]
    rows += [(rng.randint(1, 5), 100 * next(cents) + 7, "paid") for _ in range(5)]
    rows += [(rng.randint(1, 6), 100 * next(cents), status) for status in ("open", "refunded", "open", "open")]
    rng.shuffle(rows)
    shop = _Shop(people, [(1001 + at, *row) for at, row in enumerate(rows)])
    sums = [sum(shop.paid(person)) for person, *_ in people]
    if len(set(sums)) < len(sums) or len({len(shop.paid(person)) for person, *_ in people}) < 3:
        return _deal(rng, steps)
    schema = "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, town TEXT);\n"
    schema += "CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER, cents INTEGER, status TEXT);\n"
    inserts = [f"INSERT INTO customer VALUES {row!r};" for row in people]
    inserts += [f"INSERT INTO purchase VALUES {row!r};" for row in shop.orders]
    make = "import sqlite3; d = sqlite3.connect('shop.db'); d.executescript(open('shop.sql').read()); d.commit()"
    makers: list[Callable[[random.Random, _Shop], Part]] = [_sums, *rng.sample(_MORE, 6)]
    return Deck(
        title="Questions to a database",
        intro="shop.db is an SQLite database with the tables customer (id, name, town) and purchase (id, customer, "
        "cents, status). `python3 ask.py 'SELECT ...'` prints the rows of a query as CSV. Leave ask.py as it is.",
        parts=[maker(rng, shop) for maker in makers[:steps]],
        files={"ask.py": _ASK, "shop.sql": schema + "\n".join(inserts) + "\n"},
        setup=[f'python3 -c "{make}" && rm shop.sql'],
        checks=[{"kind": "unchanged", "path": "ask.py"}],
    )


def _part(ask: str, name: str, query: str, rows: Sequence[Sequence[object]], wrong: Sequence[tuple[str, str]],
          other: str) -> Part:  # fmt: skip
    def step(text: str) -> str:
        return f'python3 ask.py "{text}" > {name}'

    table = [[str(value) for value in row] for row in rows]
    return Part(
        f"{ask} Write the result as CSV without a header to {name}.",
        step(query),
        [{"kind": "csv-table", "path": name, "rows": table}],
        [(about, step(text)) for about, text in wrong],
        f"python3 - <<'END'\nimport csv, sqlite3\nd = sqlite3.connect('shop.db')\n{other}\n"
        f"csv.writer(open('{name}', 'w')).writerows(rows)\nEND",
    )


def _sums(rng: random.Random, shop: _Shop) -> Part:
    rows = sorted(((name, sum(shop.paid(person))) for person, name, _ in shop.people), key=lambda row: -row[1])
    query = (
        "SELECT name, COALESCE(SUM(cents), 0) AS s FROM customer LEFT JOIN purchase ON customer = customer.id AND "
        "status = 'paid' GROUP BY customer.id ORDER BY s DESC"
    )
    other = (
        "q = \"SELECT cents FROM purchase WHERE customer = ? AND status = 'paid'\"\n"
        "rows = [(n, sum(c for (c,) in d.execute(q, (i,)))) "
        'for i, n in d.execute("SELECT id, name FROM customer")]\nrows.sort(key=lambda r: -r[1])'
    )
    return _part(
        "For every customer, name and sum of the cents of purchases with the status paid (0 where there is none), the "
        "highest sum first.",
        "sums.csv", query, rows,
        [("every status", query.replace("AND status = 'paid' ", "")), ("without who paid nothing",
          query.replace("LEFT JOIN", "JOIN"))],
        other,
    )  # fmt: skip


def _open(rng: random.Random, shop: _Shop) -> Part:
    rows = [(order,) for order, _, _, status in shop.orders if status == "open"]
    query = "SELECT id FROM purchase WHERE status = 'open' ORDER BY id"
    return _part(
        "The ids of all purchases with the status open, the lowest first.", "open.csv", query, rows,
        [("not paid", query.replace("= 'open'", "!= 'paid'")), ("the highest first", f"{query} DESC")],
        "rows = sorted(r[:1] for r in d.execute('SELECT id, status FROM purchase') if r[1] == 'open')",
    )  # fmt: skip


def _towns(rng: random.Random, shop: _Shop) -> Part:
    towns = sorted({town for _, _, town in shop.people})
    town_of = {person: town for person, _, town in shop.people}
    rows = [(town, sum(town_of[customer] == town for _, customer, *_ in shop.orders)) for town in towns]
    query = "SELECT town, COUNT(*) FROM customer JOIN purchase ON customer = customer.id GROUP BY town ORDER BY town"
    other = (
        "t = dict(d.execute('SELECT id, town FROM customer'))\n"
        "a = [t[c] for (c,) in d.execute('SELECT customer FROM purchase')]\n"
        "rows = [(x, a.count(x)) for x in sorted(set(a))]"
    )
    return _part(
        "For every town, its name and the number of purchases of its customers, whatever their status, in alphabetical "
        "order.",
        "towns.csv", query, rows,
        [("counts customers", "SELECT town, COUNT(*) FROM customer GROUP BY town ORDER BY town"),
         ("counts paid ones", query.replace("GROUP", "WHERE status = 'paid' GROUP"))],
        other,
    )  # fmt: skip


def _largest(rng: random.Random, shop: _Shop) -> Part:
    order, customer, cents, _ = max(shop.orders, key=lambda row: row[2])
    name = next(name for person, name, _ in shop.people if person == customer)
    query = (
        "SELECT name, purchase.id, cents FROM purchase JOIN customer ON customer = customer.id ORDER BY cents DESC "
        "LIMIT 1"
    )
    return _part(
        "The customer's name, the id and the cents of the purchase with the most cents.", "largest.csv", query,
        [(name, order, cents)],
        [("the fewest cents", query.replace(" DESC", "")), ("without the name", query.replace("name, ", ""))],
        "o = max(d.execute('SELECT id, customer, cents FROM purchase'), key=lambda r: r[2])\n"
        "rows = [(d.execute('SELECT name FROM customer WHERE id = ?', o[1:2]).fetchone()[0], o[0], o[2])]",
    )  # fmt: skip


def _never(rng: random.Random, shop: _Shop) -> Part:
    rows = [(name,) for person, name, _ in shop.people if not shop.paid(person)]
    inner = "SELECT customer FROM purchase WHERE status = 'paid'"
    query = f"SELECT name FROM customer WHERE id NOT IN ({inner})"
    return _part(
        "The names of the customers without any purchase with the status paid.", "never.csv", query, rows,
        [("those with one", query.replace("NOT IN", "IN")),
         ("those without an open one", query.replace("'paid'", "'open'"))],
        f"p = {{c for (c,) in d.execute(\"{inner}\")}}\n"
        "rows = [(n,) for i, n in d.execute('SELECT id, name FROM customer') if i not in p]",
    )  # fmt: skip


def _busy(rng: random.Random, shop: _Shop) -> Part:
    rows = sorted((name, len(shop.paid(person))) for person, name, _ in shop.people if len(shop.paid(person)) >= 2)
    query = (
        "SELECT name, COUNT(*) FROM purchase JOIN customer ON customer = customer.id WHERE status = 'paid' GROUP BY "
        "customer HAVING COUNT(*) >= 2 ORDER BY name"
    )
    return _part(
        "For every customer with two or more purchases with the status paid, name and number of these, in alphabetical "
        "order.",
        "busy.csv", query, rows,
        [("more than two", query.replace(">= 2", "> 2")), ("one is enough", query.replace(">= 2", ">= 1"))],
        "n = dict(d.execute('SELECT id, name FROM customer'))\n"
        "a = [n[c] for c, s in d.execute('SELECT customer, status FROM purchase') if s == 'paid']\n"
        "rows = [(x, a.count(x)) for x in sorted(set(a)) if a.count(x) > 1]",
    )  # fmt: skip


def _middle(rng: random.Random, shop: _Shop) -> Part:
    amounts = sorted(cents for _, _, cents, _ in shop.orders)
    low, high = amounts[3], amounts[9]
    rows = [(order, cents) for order, _, cents, _ in shop.orders if low <= cents <= high]
    query = f"SELECT id, cents FROM purchase WHERE cents >= {low} AND cents <= {high} ORDER BY id"
    return _part(
        f"Id and cents of every purchase of {low} to {high} cents, both included, the lowest id first.", "middle.csv",
        query, rows,
        [("without the bounds", query.replace(">=", ">").replace("<=", "<")), ("no upper bound",
          f"SELECT id, cents FROM purchase WHERE cents >= {low} ORDER BY id")],
        f"rows = [r for r in sorted(d.execute('SELECT id, cents FROM purchase')) if {low} <= r[1] <= {high}]",
    )  # fmt: skip


_MORE = (_open, _towns, _largest, _never, _busy, _middle)
SQL = PartsFamily(
    name="sql",
    about="Answer questions to an SQLite database with queries.",
    topics=("sql", "sqlite", "database", "databases", "query", "queries", "data", "tables", "analysis"),
    deal=_deal,
)
"""The family."""
