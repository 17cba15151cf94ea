"""What a Debian or Ubuntu says about its packages, read from the texts that dpkg keeps. Pure: text in, data out.

The formats are those of deb-control(5), dpkg's status file, and update-alternatives(1).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Alternative", "MissingPackages", "Package", "closure", "installed", "package", "read_alternative"]


class MissingPackages(LookupError):
    """Packages that are wanted, directly or as a dependency, and not there; `names` has them, sorted."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(sorted(names))
        super().__init__(", ".join(self.names))


@dataclass(frozen=True, slots=True)
class Package:
    """One package: what it is called, needs and offers."""

    name: str
    architecture: str
    depends: tuple[tuple[str, ...], ...] = ()
    """What it cannot work without: of every group, any one package will do."""
    provides: tuple[str, ...] = ()
    conffiles: tuple[tuple[str, str], ...] = ()
    """Its configuration files, each with the MD5 it was shipped with."""


def package(control: str) -> Package:
    """The package that a paragraph of control fields describes."""
    fields = _fields(control)
    needs = ",".join(fields[key] for key in ("Pre-Depends", "Depends") if key in fields)
    groups = (tuple(filter(None, (_name(each) for each in group.split("|")))) for group in needs.split(","))
    shipped = (line.split() for line in fields.get("Conffiles", "").splitlines())
    return Package(
        name=fields["Package"],
        architecture=fields["Architecture"],
        depends=tuple(group for group in groups if group),
        provides=tuple(filter(None, (_name(each) for each in fields.get("Provides", "").split(",")))),
        conffiles=tuple((words[0], words[1]) for words in shipped if len(words) >= 2),
    )


def installed(status: str) -> dict[str, Package]:
    """The installed packages of dpkg's own architecture, by name, from the text of dpkg's status file."""
    everything = [package(text) for text in re.split(r"\n\s*\n", status.strip()) if _is_installed(text)]
    native = {each.architecture for each in everything if each.name == "dpkg"} | {"all"}
    return {each.name: each for each in everything if each.architecture in native}


def closure(packages: Mapping[str, Package], wanted: Iterable[str]) -> tuple[str, ...]:
    """The names, sorted, of the wanted packages and all that they depend on.

    Raises `MissingPackages` when a wanted package, or every choice for a dependency, is not among `packages`.
    """
    providers: dict[str, str] = {}
    for name in sorted(packages):
        for virtual in packages[name].provides:
            providers.setdefault(virtual, name)
    found: set[str] = set()
    missing: set[str] = set()
    groups: list[tuple[str, ...]] = [(name,) for name in wanted]
    while groups:
        group = groups.pop()
        choice = next((name for name in group if name in packages), None)
        choice = choice or next((providers[name] for name in group if name in providers), None)
        if choice is None:
            missing.add(group[0])
        elif choice not in found:
            found.add(choice)
            groups.extend(packages[choice].depends)
    if missing:
        raise MissingPackages(missing)
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Alternative:
    """A command that several packages offer, such as `awk`: `links` by name, the first of them its own."""

    links: tuple[tuple[str, str], ...]
    """Name under /etc/alternatives, and the path of the link that leads there."""
    choices: tuple[tuple[int, tuple[str, ...]], ...]
    """Priority, and one path for each of `links` (empty where this choice has none)."""

    def targets(self, present: Collection[str]) -> tuple[tuple[str, str, str], ...]:
        """(name, link, target) for each link, by the choice of highest priority among those whose file is present."""
        possible = [choice for choice in self.choices if choice[1][0] in present]
        if not possible:
            return ()
        _, paths = max(possible, key=lambda choice: choice[0])
        return tuple(
            (name, link, path) for (name, link), path in zip(self.links, paths, strict=True) if path in present
        )


def read_alternative(name: str, text: str) -> Alternative | None:
    """The alternative of that name from the text of its file in /var/lib/dpkg/alternatives; None if malformed."""
    lines = iter(text.split("\n"))
    try:
        next(lines)  # "auto" or "manual": the host's own choice may not be in the image
        links = [(name, next(lines))]
        while slave := next(lines):
            links.append((slave, next(lines)))
        choices = []
        while path := next(lines):
            priority = int(next(lines))
            choices.append((priority, (path, *(next(lines) for _ in links[1:]))))
    except (StopIteration, ValueError):
        return None
    return Alternative(tuple(links), tuple(choices))


def _fields(paragraph: str) -> dict[str, str]:
    """Field name -> value; the lines of a longer value are kept apart by newlines."""
    fields: dict[str, str] = {}
    key = ""
    for line in paragraph.splitlines():
        if line[:1].isspace():
            fields[key] = f"{fields.get(key, '')}\n{line.strip()}"
        else:
            key, _, value = line.partition(":")
            fields[key] = value.strip()
    return fields


def _is_installed(paragraph: str) -> bool:
    return re.search(r"^Status: \S+ ok installed$", paragraph, re.MULTILINE) is not None


def _name(relation: str) -> str:
    """`python3` of `python3:any (>= 3.8)`."""
    return re.split(r"[:(\s\[<]", relation.strip(), maxsplit=1)[0]
