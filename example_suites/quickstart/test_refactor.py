import json

from pytest_agenteval import Agent, Sandbox, agent_task

SHOP = {
    "shop/__init__.py": "",
    "shop/item.py": """\
class Item:
    def __init__(self, name, cost):
        self.name = name
        self.cost = cost
""",
    "shop/parcel.py": """\
class Parcel:
    def __init__(self, grams):
        self.cost = 490 if grams <= 2000 else 890
""",
    "shop/cart.py": """\
def total(items, parcel):
    return sum(item.cost for item in items) + parcel.cost
""",
    "shop/report.py": """\
from operator import attrgetter

def dearest_first(items):
    return [item.name for item in sorted(items, key=attrgetter("cost"), reverse=True)]
""",
}
TESTS = """\
import unittest
from shop import cart, item, parcel

class CartTest(unittest.TestCase):
    def test_total(self):
        self.assertEqual(cart.total([item.Item("tea", 300), item.Item("cup", 900)], parcel.Parcel(500)), 1690)
"""
USE = """
import json
from shop import cart, item, parcel, report
items = [item.Item("tea", price=300), item.Item(price=900, name="cup"), item.Item("pot", 2400)]
heavy = parcel.Parcel(2500)
old = [hasattr(each, "cost") for each in items]
print(json.dumps([items[0].price, old, heavy.cost, cart.total(items, heavy), report.dearest_first(items)]))
"""


@agent_task(
    solution=[
        "sed -i 's/cost/price/g' shop/item.py",
        "sed -i 's/item\\.cost/item.price/' shop/cart.py",
        "sed -i 's/cost/price/' shop/report.py",
    ],
)
async def test_renames_across_modules(agent: Agent, sandbox: Sandbox) -> None:
    """Rename an attribute in a package where another class has one of the same name, and a string spells it."""
    for path, text in {**SHOP, "test_cart.py": TESTS}.items():
        await sandbox.write_file(path, text)

    await agent.run(
        "In the package shop/, rename the attribute `cost` of the class `Item`, and the parameter of its constructor,"
        " to `price`, with all their uses. The old name must be gone from `Item`. `Parcel.cost` keeps its name."
        " Nothing else changes, and test_cart.py must pass as it is: `python3 -m unittest test_cart`."
    )

    files = await sandbox.exec(["bash", "-c", "shopt -s globstar; ls -d **/*.* | grep -v pycache"], timeout=10)
    assert sorted(files.stdout.split()) == sorted([*SHOP, "test_cart.py"]), "files were added or removed"
    for path in ("shop/__init__.py", "shop/parcel.py"):
        assert await sandbox.read_file(path) == SHOP[path], f"{path} was changed"
    assert await sandbox.read_file("test_cart.py") == TESTS, "test_cart.py was changed"

    use = await sandbox.exec(["python3", "-c", USE], timeout=10)
    assert use.success, use.stderr
    assert json.loads(use.stdout) == [300, [False] * 3, 890, 4490, ["pot", "cup", "tea"]]

    tests = await sandbox.exec(["python3", "-m", "unittest", "test_cart"], timeout=10)
    assert tests.success, tests.stderr
