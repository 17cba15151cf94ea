"""The shop: a database, new in every attempt, and the tools through which alone the agent comes near it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from inspect_ai.tool import Tool, ToolError, tool

TABLES = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, email TEXT, zip_code TEXT);
CREATE TABLE product (sku TEXT PRIMARY KEY, name TEXT, size TEXT, cents INTEGER, stock INTEGER, final_sale TEXT);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer, placed TEXT, delivered TEXT,
    status TEXT, street TEXT, zip_code TEXT);
CREATE TABLE item (purchase INTEGER REFERENCES purchase, sku TEXT REFERENCES product, state TEXT,
    PRIMARY KEY (purchase, sku));
CREATE TABLE credit (purchase INTEGER PRIMARY KEY REFERENCES purchase, cents INTEGER);
CREATE TABLE refusal (purchase INTEGER REFERENCES purchase, rule INTEGER, PRIMARY KEY (purchase, rule));
CREATE TABLE handover (purchase INTEGER PRIMARY KEY REFERENCES purchase);

INSERT INTO customer VALUES (1, 'Ann Berg', 'ann@example.org', '10115'), (2, 'Bo Lind', 'bo@example.org', '20095'),
    (3, 'Eva Roth', 'eva@example.org', '80331');
INSERT INTO product VALUES ('JACKET-S', 'storm jacket', 'S', 8900, 2, 'no'),
    ('JACKET-M', 'storm jacket', 'M', 8900, 0, 'no'), ('JACKET-L', 'storm jacket', 'L', 8900, 4, 'no'),
    ('BOOTS-42', 'trail boots', '42', 12900, 1, 'no'), ('BOOTS-43', 'trail boots', '43', 12900, 3, 'no'),
    ('MUG', 'enamel mug', '-', 900, 40, 'no'), ('TENT', 'ridge tent', '-', 24900, 2, 'no'),
    ('LAMP', 'head lamp', '-', 3500, 0, 'yes');
INSERT INTO purchase VALUES
    (1001, 1, '2026-02-20', '2026-02-24', 'delivered', 'Oak Lane 3', '10115'),
    (1002, 1, '2026-03-13', NULL, 'pending', 'Oak Lane 3', '10115'),
    (1003, 1, '2026-01-20', '2026-01-25', 'delivered', 'Oak Lane 3', '10115'),
    (1004, 2, '2026-02-20', '2026-03-04', 'delivered', 'Quay 8', '20095'),
    (1005, 2, '2026-03-12', NULL, 'shipped', 'Quay 8', '20095'),
    (1006, 3, '2026-03-14', NULL, 'pending', 'Hill Road 1', '80331'),
    (1007, 3, '2026-03-02', '2026-03-06', 'delivered', 'Hill Road 1', '80331');
INSERT INTO item VALUES (1001, 'JACKET-S', 'bought'), (1001, 'MUG', 'bought'), (1002, 'BOOTS-42', 'bought'),
    (1003, 'TENT', 'bought'), (1004, 'LAMP', 'bought'), (1004, 'BOOTS-43', 'bought'), (1005, 'TENT', 'bought'),
    (1006, 'MUG', 'bought'), (1006, 'JACKET-L', 'bought'), (1007, 'BOOTS-42', 'bought');
"""


@dataclass
class Shop:
    """The database of one attempt."""

    database: sqlite3.Connection
    identified: set[int] = field(default_factory=set)
    """Customers who were found by e-mail and postcode."""
    unasked: list[str] = field(default_factory=list)
    """What was changed before anybody was identified."""
    _start: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.database.executescript(TABLES)
        self._start = self._values()

    def changes(self) -> dict[str, Any]:
        """What is different now: `{"purchase 1002 status": "cancelled", "refusal 1005/2": "added"}`."""
        now = self._values()
        return {key: now.get(key) for key in {*now, *self._start} if now.get(key) != self._start.get(key)}

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """The rows of a query."""
        return [dict(row) for row in self.database.execute(query, values)]

    def write(self, query: str, *values: object) -> None:
        """Change rows, for an agent that should have identified the customer before."""
        if not self.identified:
            self.unasked.append(query)
        try:
            found = self.database.execute(query, values).rowcount
        except sqlite3.IntegrityError as error:
            raise ToolError(f"The database refuses it: {error}.") from None
        if not found:
            raise ToolError("There is no such order or item.")

    def _values(self) -> dict[str, Any]:
        """Every value in the database, by table, key and column."""
        found: dict[str, Any] = {}
        for table in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'"):
            name = table["name"]
            keys = [row["name"] for row in self.rows(f"PRAGMA table_info({name})") if row["pk"]]
            for row in self.rows(f"SELECT * FROM {name}"):
                key = "/".join(str(row[column]) for column in keys)
                found[f"{name} {key}"] = "added"
                found |= {f"{name} {key} {column}": row[column] for column in row if column not in keys}
        return found


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """A fresh database: attempts never meet each other's changes."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA foreign_keys = ON")
    yield Shop(database)
    database.close()


@pytest.fixture(autouse=True)
def end_state(shop: Shop) -> Callable[[], dict[str, Any]]:
    """What `pytest-agenteval check` compares: two variants of a solution that leave the same are no different."""
    return lambda: {"changes": shop.changes(), "unasked": shop.unasked, "identified": sorted(shop.identified)}


@pytest.fixture
async def tools(shop: Shop) -> list[Tool]:
    """What the agent can do. The tools know no policy: to keep to it is the agent's work."""
    return [make(shop) for make in (
        find_customer, show_order, show_product, cancel, change_address, return_item, exchange_item, give_credit,
        refuse, hand_over,
    )]  # fmt: skip


@tool
def find_customer(shop: Shop) -> Tool:
    async def execute(email: str, zip_code: str) -> str:
        """Find a customer.

        Args:
            email: the customer's e-mail address
            zip_code: the customer's postcode
        """
        found = shop.rows("SELECT * FROM customer WHERE email = lower(?) AND zip_code = ?", email.strip(), zip_code)
        if not found:
            raise ToolError("There is no customer with this e-mail and postcode.")
        shop.identified.add(found[0]["id"])
        orders = shop.rows("SELECT id, placed, status FROM purchase WHERE customer = ?", found[0]["id"])
        return json.dumps({**found[0], "orders": orders})

    return execute


@tool
def show_order(shop: Shop) -> Tool:
    async def execute(order: int) -> str:
        """Show an order with its items.

        Args:
            order: the number of the order
        """
        found = shop.rows("SELECT * FROM purchase WHERE id = ?", order)
        if not found:
            raise ToolError(f"There is no order {order}.")
        items = "SELECT sku, name, size, cents, final_sale, state FROM item JOIN product USING (sku) WHERE purchase = ?"
        return json.dumps({**found[0], "items": shop.rows(items, order)})

    return execute


@tool
def show_product(shop: Shop) -> Tool:
    async def execute(name: str) -> str:
        """Show a product in all its sizes, with price and stock.

        Args:
            name: of the product, or a part of it
        """
        return json.dumps(shop.rows("SELECT * FROM product WHERE name LIKE ?", f"%{name.strip()}%"))

    return execute


@tool
def cancel(shop: Shop) -> Tool:
    async def execute(order: int) -> str:
        """Cancel a whole order; what was paid goes back to the customer.

        Args:
            order: the number of the order
        """
        shop.write("UPDATE purchase SET status = 'cancelled' WHERE id = ?", order)
        return "Cancelled."

    return execute


@tool
def change_address(shop: Shop) -> Tool:
    async def execute(order: int, street: str, zip_code: str) -> str:
        """Change where an order goes.

        Args:
            order: the number of the order
            street: street and number
            zip_code: the postcode
        """
        shop.write("UPDATE purchase SET street = ?, zip_code = ? WHERE id = ?", street.strip(), zip_code.strip(), order)
        return "Changed."

    return execute


@tool
def return_item(shop: Shop) -> Tool:
    async def execute(order: int, sku: str) -> str:
        """Take an item of an order back; its price goes back to the customer.

        Args:
            order: the number of the order
            sku: the item
        """
        shop.write("UPDATE item SET state = 'returned' WHERE purchase = ? AND sku = ?", order, sku)
        return "Returned."

    return execute


@tool
def exchange_item(shop: Shop) -> Tool:
    async def execute(order: int, sku: str, new_sku: str) -> str:
        """Exchange an item of an order for another one, which is sent to the customer.

        Args:
            order: the number of the order
            sku: the item that comes back
            new_sku: the item that is sent
        """
        if not shop.rows("SELECT * FROM item WHERE purchase = ? AND sku = ?", order, sku):
            raise ToolError("There is no such order or item.")
        shop.write("INSERT INTO item VALUES (?, ?, 'to be sent')", order, new_sku)
        shop.write("UPDATE item SET state = 'exchanged' WHERE purchase = ? AND sku = ?", order, sku)
        shop.write("UPDATE product SET stock = stock - 1 WHERE sku = ?", new_sku)
        return "Exchanged."

    return execute


@tool
def give_credit(shop: Shop) -> Tool:
    async def execute(order: int, cents: int) -> str:
        """Give the customer credit for an order.

        Args:
            order: the number of the order
            cents: how much, in cents
        """
        shop.write("INSERT INTO credit VALUES (?, ?)", order, cents)
        return "Given."

    return execute


@tool
def refuse(shop: Shop) -> Tool:
    async def execute(order: int, rule: int) -> str:
        """Record that a request is refused.

        Args:
            order: the number of the order that it is about
            rule: the number of the rule that forbids it
        """
        shop.write("INSERT INTO refusal VALUES (?, ?)", order, rule)
        return "Recorded."

    return execute


@tool
def hand_over(shop: Shop) -> Tool:
    async def execute(order: int) -> str:
        """Hand an order over to a colleague, who will call the customer.

        Args:
            order: the number of the order
        """
        shop.write("INSERT INTO handover VALUES (?)", order)
        return "Handed over."

    return execute
