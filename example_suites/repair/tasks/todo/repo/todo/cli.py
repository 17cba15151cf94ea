from pathlib import Path

from todo.store import Store

USAGE = "usage: todo add TEXT | done NUMBER | rm NUMBER | list"


def main(arguments, path="todo.json"):
    """Run a command and return the exit status."""
    store = Store.read(Path(path))
    command, words = (arguments[0], arguments[1:]) if arguments else ("", [])
    try:
        if command == "add" and words:
            print(store.add(" ".join(words)))
        elif command == "done" and len(words) == 1:
            store.finish(int(words[0]))
        elif command == "rm" and len(words) == 1:
            store.remove(int(words[0]))
        elif command == "list" and not words:
            for task in store.tasks:
                print(task["number"], "x" if task["done"] else "-", task["text"])
        else:
            print(USAGE)
            return 2
    except (KeyError, ValueError) as error:
        print(f"there is no task {error}")
        return 1
    store.write(Path(path))
    return 0
