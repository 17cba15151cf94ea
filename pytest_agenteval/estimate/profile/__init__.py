"""The reliability profile of a cell: consistency, predictability and safety, each figure with what it lacks."""

from __future__ import annotations

from pytest_agenteval.estimate.profile.figure import Figure
from pytest_agenteval.estimate.profile.profile import Profile, profile_of, side_by_side

__all__ = ["Figure", "Profile", "profile_of", "side_by_side"]
