import json

import pytest

from pytest_agenteval import Agent, Sandbox, agent_task

SCHEMA = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE purchase (customer_id INTEGER REFERENCES customer, cents INTEGER NOT NULL, status TEXT NOT NULL);
"""
SHOP = """
INSERT INTO customer VALUES (1, 'Ann'), (2, 'Bo'), (3, 'Eva');
INSERT INTO purchase VALUES (1, 900, 'paid'), (2, 700, 'paid'), (2, 500, 'paid'), (3, 9900, 'refunded');
"""
HIDDEN_SHOP = """
INSERT INTO customer VALUES (1, 'Kim'), (2, 'Lou'), (3, 'Kim'), (4, 'Max'), (5, 'Zoe');
INSERT INTO purchase VALUES (1, 250, 'paid'), (3, 400, 'paid'), (3, 100, 'paid'), (3, 800, 'open'),
    (4, 700, 'refunded'), (5, 500, 'paid');
"""
HIDDEN_RESULT = [[3, "Kim", 2, 500], [5, "Zoe", 1, 500], [1, "Kim", 1, 250], [2, "Lou", 0, 0], [4, "Max", 0, 0]]

QUERY = """cat > query.sql <<'END'
SELECT customer.id, name, COUNT(cents), COALESCE(SUM(cents), 0) AS total
FROM customer LEFT JOIN purchase ON customer_id = customer.id AND status = 'paid'
GROUP BY customer.id ORDER BY total DESC, customer.id
END"""

# Both run in the sandbox: a query that a model wrote has no business on the host.
CREATE = "import sqlite3, sys; sqlite3.connect('shop.db').executescript(sys.stdin.read())"
RUN_QUERY = """
import json, pathlib, sqlite3, sys
database = sqlite3.connect(":memory:")
database.executescript(sys.stdin.read())
print(json.dumps(database.execute(pathlib.Path("query.sql").read_text()).fetchall()))
"""


@pytest.fixture
async def shop(sandbox: Sandbox) -> None:
    """The database shop.db in the sandbox. A fixture that asks for `sandbox` is made anew for every attempt."""
    created = await sandbox.exec(["python3", "-c", CREATE], input=SCHEMA + SHOP, timeout=10)
    assert created.success, created.stderr


@agent_task(solution=QUERY, answer="Bo")
async def test_writes_a_query(agent: Agent, sandbox: Sandbox, shop: None) -> None:
    """Write a query, which is then put to another shop: an agent that writes down the result of this one fails."""
    result = await agent.run(
        "shop.db is an SQLite database (there is no sqlite3 command; use Python's sqlite3 module). Write query.sql with"
        " one SELECT that works for any data in these tables and returns a row for every customer: id, name, number of"
        " purchases with status 'paid', and their sum in cents; 0 and 0 where there are none. The highest sum comes"
        " first, equal sums by id. Answer with the name in the first row for shop.db, and nothing else."
    )

    query = await sandbox.exec(["python3", "-c", RUN_QUERY], input=SCHEMA + HIDDEN_SHOP, timeout=10)
    assert query.success, query.stderr
    assert json.loads(query.stdout) == HIDDEN_RESULT
    assert result.answer.strip() == "Bo"
