"""The faults of Inspect's that engine/content_guard.py stands before. When one of these fails, it is mended there.

Then its guard can go, once the floor of the dependency is at that version.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from inspect_ai.event._pool import _msg_hash
from inspect_ai.model import ChatMessageUser, _call_tools
from inspect_ai.tool import ToolInfo, ToolParam, ToolParams
from pydantic_core import PydanticSerializationError

TOOLS = [ToolInfo(name="bash", description="", parameters=ToolParams(properties={"command": ToolParam(type="string")}))]


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    monkeypatch.setattr(_call_tools, "yaml", yaml)
    monkeypatch.setattr(_call_tools, "json", json)


def parsed(arguments: str) -> Any:
    return _call_tools.parse_tool_call("id", "bash", arguments, TOOLS)


def test_a_lone_surrogate_has_no_hash() -> None:
    with pytest.raises(PydanticSerializationError, match="surrogates not allowed"):
        _msg_hash(ChatMessageUser(content="\ud800"))


@pytest.mark.usefixtures("unguarded")
def test_aliases_are_taken_at_their_word() -> None:
    call = parsed("- &a [x, x]\n- [*a, *a]\n")
    assert call.parse_error is None
    assert call.arguments["command"][1][0] is call.arguments["command"][0]


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("arguments", ["2024-13-45", "1" * 5_000, '{"command": ' + "1" * 5_000 + "}"])
def test_what_python_cannot_read_is_an_error_of_the_provider(arguments: str) -> None:
    with pytest.raises(ValueError, match=r"month must be in|Exceeds the limit"):
        parsed(arguments)
