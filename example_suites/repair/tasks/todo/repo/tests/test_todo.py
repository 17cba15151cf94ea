import tempfile
import unittest
from pathlib import Path

from todo.cli import main
from todo.store import Store


class TestTodo(unittest.TestCase):
    def test_a_task_is_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "todo.json"
            self.assertEqual(main(["add", "buy", "milk"], path), 0)
            self.assertEqual(main(["done", "1"], path), 0)
            self.assertEqual(Store.read(path).tasks, [{"number": 1, "text": "buy milk", "done": True}])

    def test_an_unknown_number(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(main(["rm", "7"], Path(folder) / "todo.json"), 1)
