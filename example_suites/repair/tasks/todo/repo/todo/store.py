import json


class Store:
    """The tasks of a file."""

    def __init__(self, tasks=()):
        self.tasks = list(tasks)

    @classmethod
    def read(cls, path):
        """The tasks in the file; none where there is no file."""
        if not path.exists():
            return cls()
        return cls(json.loads(path.read_text())["tasks"])

    def write(self, path):
        path.write_text(json.dumps({"tasks": self.tasks}, indent=2))

    def add(self, text):
        """Add a task and return its number."""
        number = len(self.tasks) + 1
        self.tasks.append({"number": number, "text": text, "done": False})
        return number

    def finish(self, number):
        self._find(number)["done"] = True

    def remove(self, number):
        self.tasks.remove(self._find(number))

    def _find(self, number):
        for task in self.tasks:
            if task["number"] == number:
                return task
        raise KeyError(number)
