"""An inbox of files that is put in order. Where each file belongs is known before the inbox is written."""

from __future__ import annotations

import random

from pytest_agenteval.builder.families.family import Deck, Part, PartsFamily

__all__ = ["FILES"]

_KINDS = {"log": "logs", "csv": "tables", "txt": "notes", "json": "records", "md": "pages", "ini": "settings"}
_WORDS = ("ash", "birch", "cedar", "elm", "fir", "larch", "maple", "oak", "pine", "rowan", "willow", "yew")


def _deal(rng: random.Random, steps: int) -> Deck:
    kinds = rng.sample(sorted(_KINDS), 6)
    words = rng.sample(_WORDS, 12)
    files: dict[str, str] = {}
    for at, kind in enumerate(kinds):
        for word in words[2 * at : 2 * at + 2]:
            files[f"inbox/{word}.{kind}"] = f"{rng.randint(1000, 9999)}\n"
    doomed = [f"inbox/{word}.tmp" for word in rng.sample(words, 2)]
    files |= dict.fromkeys(doomed, "0\n")
    parts = [_moves(kind, files) for kind in kinds[:2]]
    parts += [_deletes(doomed), _renames(rng, kinds[2], files), _lists(kinds[3], files), _joins(kinds[4], files)]
    parts += [_counts(kinds[5], files)]
    chosen = rng.sample(parts, len(parts))[:steps]
    return Deck(
        title="An inbox put in order",
        intro="The folder inbox has files of several kinds. What is not named below stays where it is, as it is.",
        parts=chosen,
        files=files,
        checks=[{"kind": "only-changed", "paths": sorted(_touched(chosen))}] if _left(files, chosen) else [],
    )


def _touched(parts: list[Part]) -> set[str]:
    return {check["path"] for part in parts for check in part.checks if check["kind"] == "absent"}


def _left(files: dict[str, str], parts: list[Part]) -> bool:
    return bool(files.keys() - _touched(parts))


def _of(kind: str, files: dict[str, str]) -> list[str]:
    return sorted(path for path in files if path.endswith(f".{kind}"))


def _moves(kind: str, files: dict[str, str]) -> Part:
    folder, found = _KINDS[kind], _of(kind, files)
    checks = [check for path in found for check in (
        {"kind": "file-equals", "path": path.replace("inbox", folder), "text": files[path]},
        {"kind": "absent", "path": path},
    )]  # fmt: skip
    return Part(
        f"Move the files that end in .{kind} from inbox to a new folder {folder}.",
        f"mkdir {folder} && mv inbox/*.{kind} {folder}/",
        checks,
        [("copies them", f"mkdir {folder} && cp inbox/*.{kind} {folder}/"),
         ("moves one of them", f"mkdir {folder} && mv {found[0]} {folder}/")],
        f"mkdir -p {folder}; for f in inbox/*.{kind}; do mv \"$f\" \"{folder}/$(basename \"$f\")\"; done",
    )  # fmt: skip


def _deletes(doomed: list[str]) -> Part:
    return Part(
        "Delete the files in inbox that end in .tmp.",
        "rm inbox/*.tmp",
        [{"kind": "absent", "path": path} for path in doomed],
        [("one of them", f"rm {doomed[0]}"), ("empties them", "for f in inbox/*.tmp; do : > $f; done")],
        "find inbox -name '*.tmp' -delete",
    )


def _renames(rng: random.Random, kind: str, files: dict[str, str]) -> Part:
    old, _ = _of(kind, files)
    new = f"inbox/{rng.choice(['first', 'main', 'final'])}-{rng.randint(2, 9)}.{kind}"
    return Part(
        f"Rename {old} to {new}.",
        f"mv {old} {new}",
        [{"kind": "file-equals", "path": new, "text": files[old]}, {"kind": "absent", "path": old}],
        [("copies it", f"cp {old} {new}"), ("makes an empty one", f"rm {old}; touch {new}")],
        f"cp {old} {new} && rm {old}",
    )


def _lists(kind: str, files: dict[str, str]) -> Part:
    names = [path.removeprefix("inbox/") for path in _of(kind, files)]
    return Part(
        f"Write index.txt: the names of the files in inbox that end in .{kind}, a line each, in alphabetical order.",
        f"ls inbox | grep '[.]{kind}$' > index.txt",
        [{"kind": "file-equals", "path": "index.txt", "text": "".join(f"{name}\n" for name in names)}],
        [("with the folder", f"ls inbox/*.{kind} > index.txt"), ("every file", "ls inbox > index.txt")],
        f"cd inbox && printf '%s\\n' *.{kind} > ../index.txt; cd ..",
    )


def _joins(kind: str, files: dict[str, str]) -> Part:
    total = sum(int(files[path]) for path in _of(kind, files))
    return Part(
        f"Each file in inbox that ends in .{kind} holds one number. Write the sum of these numbers to sum.txt.",
        f"awk '{{ s += $1 }} END {{ print s }}' inbox/*.{kind} > sum.txt",
        [{"kind": "rows", "path": "sum.txt", "rows": [[str(total)]]}],
        [("counts them", f"cat inbox/*.{kind} | wc -l > sum.txt"), ("joins them", f"cat inbox/*.{kind} > sum.txt")],
        f"python3 -c \"import glob; print(sum(int(open(f).read()) for f in glob.glob('inbox/*.{kind}')))\" > sum.txt",
    )


def _counts(kind: str, files: dict[str, str]) -> Part:
    best = max(_of(kind, files), key=lambda path: int(files[path]))
    return Part(
        f"Each file in inbox that ends in .{kind} holds one number. Copy the one with the highest number to "
        "highest.txt.",
        f"cp \"$(grep -H '' inbox/*.{kind} | sort -t: -k2,2nr | head -n 1 | cut -d: -f1)\" highest.txt",
        [{"kind": "file-equals", "path": "highest.txt", "text": files[best]}],
        [("the lowest", f"cat inbox/*.{kind} | sort -n | head -n 1 > highest.txt"),
         ("its name", f"echo {best} > highest.txt")],
        f"cat inbox/*.{kind} | sort -nr | head -n 1 > highest.txt",
    )  # fmt: skip


FILES = PartsFamily(
    name="files",
    about="Put a folder of files in order: move, rename, delete, list.",
    topics=("file", "files", "folder", "folders", "rename", "move", "tidy", "shell", "disk", "organise", "organize"),
    deal=_deal,
)
"""The family."""
