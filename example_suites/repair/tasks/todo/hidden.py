import contextlib
import io
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import todo
from todo.cli import main
from todo.store import Store


class Hidden(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "todo.json"

    def run_all(self, *commands):
        return [main(command.split(), self.path) for command in commands]

    def numbers(self):
        return [task["number"] for task in Store.read(self.path).tasks]

    def test_a_number_in_the_middle_is_not_given_again(self):
        self.run_all("add a", "add b", "rm 1", "add c")
        self.assertEqual(self.numbers(), [2, 3])

    def test_the_last_number_is_not_given_again(self):
        self.run_all("add a", "add b", "rm 2", "add c")
        self.assertEqual(self.numbers(), [1, 3])

    def test_not_even_when_all_are_gone(self):
        self.run_all("add a", "rm 1", "add b")
        self.assertEqual(self.numbers(), [2])

    def test_done_is_about_one_task(self):
        self.run_all("add a", "add b", "rm 1", "add c", "done 2")
        self.assertEqual([task["done"] for task in Store.read(self.path).tasks], [True, False])

    def test_an_old_file_is_read(self):
        tasks = [{"number": 4, "text": "a", "done": False}, {"number": 2, "text": "b", "done": True}]
        self.path.write_text(json.dumps({"tasks": tasks}))
        self.run_all("add c")
        self.assertEqual(self.numbers(), [4, 2, 5])

    def test_an_unknown_number_is_still_an_error(self):
        self.assertEqual(self.run_all("add a", "rm 7", "done 7", "done x"), [0, 1, 1, 1])

    def test_add_prints_the_number(self):
        with contextlib.redirect_stdout(io.StringIO()) as told:
            self.run_all("add a", "rm 1", "add b")
        self.assertEqual(told.getvalue().split(), ["1", "2"])

    def test_it_runs_as_a_module(self):
        home = Path(todo.__file__).resolve().parents[1]
        command = [sys.executable, "-B", "-m", "todo", "add", "a"]
        done = subprocess.run(
            command, cwd=self.path.parent, env={"PYTHONPATH": str(home)}, capture_output=True, text=True
        )
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "1"))
