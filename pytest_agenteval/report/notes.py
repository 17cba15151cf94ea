"""What a reader should know about tasks: the notes of all of them, each once."""

from __future__ import annotations

from pytest_agenteval.estimate.run import RunSummary
from pytest_agenteval.record import figures

__all__ = ["task_notes"]


def task_notes(run: RunSummary) -> list[str]:
    """The notes of the tasks, each once, with the task if it is about one and their number if it is about several."""
    by_note: dict[str, list[str]] = {}
    for task in run.tasks:
        hint = [] if task.bug_hint is None or any(task.bug_hint in note for note in task.notes) else [task.bug_hint]
        same = ["identical attempts: k is effectively 1"] if task.identical else []
        for note in [*task.notes, *hint, *same]:
            by_note.setdefault(note, []).append(task.task)
    notes = []
    for note, tasks in by_note.items():
        of_all = len(tasks) == len(run.tasks) and len(tasks) > 1
        who = tasks[0] if len(tasks) == 1 else figures.plural(len(tasks), "task")
        notes.append(note if of_all else f"{who}: {note}")
    return notes
