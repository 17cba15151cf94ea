"""Requests of customers at a desk with a policy. What may be done is decided from the drawn orders by the policy."""

from __future__ import annotations

import random
from typing import Any

from pytest_agenteval.builder.families.family import Deck, Part, PartsFamily
from pytest_agenteval.builder.proposal import Step

__all__ = ["SERVICE"]

_NAMES = ("Ann Berg", "Bo Lind", "Eva Roth", "Kim Oh", "Lou Day", "Max Orr", "Zoe Ray", "Dan Poe")
_STREETS = ("Oak Lane", "Quay", "Hill Road", "Mill Street", "Park Row")
_POLICY = """\
You work at the desk of a shop; its records are the tables orders and customers. The policy:
- An order with the status `pending` may be cancelled: set its status to `cancelled`.
- An order with the status `shipped` cannot be cancelled: set its note to `refused` instead, and nothing else.
- An order with the status `delivered` may be returned within 30 days: set its status to `returned`. After more than \
30 days (the field days says how many have gone by), set its note to `refused` instead, and nothing else.
- A customer's street may always be changed.
Do what the customers ask for as far as the policy allows it, and nothing more."""


def _deal(rng: random.Random, steps: int) -> Deck:
    count = 8
    names = rng.sample(_NAMES, count)
    ids = rng.sample(range(1001, 1099), count)
    customers = {f"c{at}": {"name": name, "street": f"{rng.choice(_STREETS)} {rng.randint(1, 40)}"}
                 for at, name in enumerate(names, 1)}  # fmt: skip
    statuses = ["pending", "shipped", "delivered", "delivered", rng.choice(["pending", "shipped"]), "delivered"]
    days = [0, 0, rng.randint(3, 29), rng.randint(32, 60), 0, 30]
    orders: dict[str, dict[str, Any]] = {
        str(ids[at]): {"customer": f"c{at + 1}", "status": statuses[at], "days": days[at], "note": ""}
        for at in range(6)
    }
    changes: dict[str, Any] = {}
    parts = []
    for at in rng.sample(range(7), min(steps, 7)):
        field, value, part = (
            _street(rng, f"c{at + 1}", names[at], customers[f"c{at + 1}"]["street"])
            if at == 6
            else _order(str(ids[at]), names[at], orders[str(ids[at])])
        )
        changes[field] = value
        parts.append(part)
    return Deck(
        title="Customers' requests at a desk",
        intro=_POLICY,
        parts=parts,
        desk={"orders": orders, "customers": customers},
        checks=[{"kind": "desk", "changes": changes}],
    )


def _change(table: str, id: str, field: str, value: str) -> Step:
    return "change", {"table": table, "id": id, "field": field, "value": value}


def _order(id: str, name: str, order: dict[str, Any]) -> tuple[str, str, Part]:
    back = order["status"] == "delivered"
    allowed = {"pending": True, "shipped": False, "delivered": order["days"] <= 30}[order["status"]]
    done = "returned" if back else "cancelled"
    field, value = ("status", done) if allowed else ("note", "refused")
    against = ("note", "refused") if allowed else ("status", done)
    wish = f"I want to return my order {id}." if back else f"Please cancel my order {id}."
    step = _change("orders", id, field, value)
    return f"orders/{id}/{field}", value, Part(
        f'{name} writes: "{wish}"',
        step,
        [],
        [("against the policy", _change("orders", id, *against)),
         ("only looks", ("show", {"table": "orders", "id": id}))],
        step,
    )  # fmt: skip


def _street(rng: random.Random, id: str, name: str, old: str) -> tuple[str, str, Part]:
    new = f"{rng.choice([street for street in _STREETS if not old.startswith(street)])} {rng.randint(41, 90)}"
    step = _change("customers", id, "street", new)
    return f"customers/{id}/street", new, Part(
        f'{name} writes: "I have moved. My street is now {new}."',
        step,
        [],
        [("the number is lost", _change("customers", id, "street", new.rpartition(" ")[0])),
         ("finds the customer only", ("find", {"table": "customers", "field": "name", "value": name}))],
        step,
    )  # fmt: skip


SERVICE = PartsFamily(
    name="service",
    about="Do what customers ask for, with a desk's tools and by its policy.",
    topics=("customer", "customers", "service", "support", "desk", "orders", "policy", "shop", "tools", "tool"),
    deal=_deal,
)
"""The family."""
