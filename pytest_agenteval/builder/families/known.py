"""The families that there are: ours, and those of other packages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points

from pytest_agenteval.builder.families.configuration import CONFIGURATION
from pytest_agenteval.builder.families.family import Family
from pytest_agenteval.builder.families.files import FILES
from pytest_agenteval.builder.families.git import GIT
from pytest_agenteval.builder.families.logs import LOGS
from pytest_agenteval.builder.families.repair import REPAIR
from pytest_agenteval.builder.families.service import SERVICE
from pytest_agenteval.builder.families.sql import SQL
from pytest_agenteval.builder.families.tables import TABLES
from pytest_agenteval.errors import NotReady

__all__ = ["GROUP", "fitting", "known_families"]

GROUP = "agenteval.families"
"""The group of entry points that names families."""
_OURS: tuple[Family, ...] = (FILES, TABLES, LOGS, GIT, SQL, CONFIGURATION, REPAIR, SERVICE)
FEWEST = 4
"""Families of a suite, so that none is more than a quarter of it."""


def known_families() -> Mapping[str, Family]:
    """All families by name, ours first.

    Raises:
        NotReady: an entry point cannot be loaded, or two families have one name.
    """
    families = {family.name: family for family in _OURS}
    for point in entry_points(group=GROUP):
        try:
            family = point.load()
            name, _ = str(family.name), family.draft
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            raise NotReady(f"the family {point.name} ({point.value}) cannot be loaded: {said}") from None
        if name in families:
            raise NotReady(
                f"there are two families {name}: uninstall the package that names {point.value}, or rename it"
            )
        families[name] = family
    return families


def fitting(query: str, families: Mapping[str, Family]) -> Sequence[Family]:
    """The families that a query means, best first, at least :data:`FEWEST`; all of them if it means none."""
    words = set(re.findall(r"[a-z]+", query.casefold()))
    points = {name: len(words & {*family.topics, name}) for name, family in families.items()}
    order = sorted(families, key=lambda name: -points[name])  # sorted is stable: equals stay in their order
    if not any(points.values()):
        return [families[name] for name in order]
    meant = sum(score > 0 for score in points.values())
    return [families[name] for name in order[: max(meant, FEWEST)]]
