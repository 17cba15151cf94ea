#!/usr/bin/env python3
"""A small command line agent: it works on a task with a shell, and asks any server that speaks OpenAI's chat API.

It knows nothing of pytest-agenteval. Address and key are where OpenAI's own client looks for them: in OPENAI_BASE_URL
and OPENAI_API_KEY. The answer goes to stdout, what it does meanwhile to stderr. Exit status: 0 where the model ended
its work, 1 where it did not within --max-turns, 2 where the server refused.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any

SYSTEM = "You work on a computer with the tool bash. When the work is done, say so in one sentence, without a tool."
BASH = {
    "type": "function",
    "function": {
        "name": "bash",
        "description": "Run a command with bash and get what it wrote, and its exit status where that is not 0.",
        "parameters": {
            "type": "object",
            "properties": {"command": {"type": "string"}},
            "required": ["command"],
        },
    },
}
LONGEST_OUTPUT = 8_000
"""How many characters of a command's output the model gets."""
COMMAND_SECONDS = 120
PATIENCE = (1, 4)
"""Seconds before a request is made again after the server failed."""


class Refused(Exception):
    """The server did not answer."""


def main() -> int:
    """Run the agent and return its exit status."""
    parser = argparse.ArgumentParser(prog="shell-agent", description=__doc__.splitlines()[0])
    parser.add_argument("task", help="what to do; - reads it from stdin")
    parser.add_argument("--model", default="gpt-5-mini")
    parser.add_argument("--max-turns", type=int, default=1000)
    options = parser.parse_args()
    task = sys.stdin.read() if options.task == "-" else options.task
    messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task}]
    try:
        for _ in range(options.max_turns):
            said = ask(options.model, messages)
            messages.append(said)
            calls = said.get("tool_calls") or []
            if not calls:
                print(said.get("content") or "")
                return 0
            for call in calls:
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result_of(call["function"])})
    except Refused as error:
        print(f"shell-agent: {error}", file=sys.stderr)
        return 2
    print(f"shell-agent: the work was not done after {options.max_turns} turns", file=sys.stderr)
    return 1


def ask(model: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The model's next message. Raises `Refused`."""
    base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1").rstrip("/")
    body = json.dumps({"model": model, "messages": messages, "tools": [BASH]}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"}
    problem = ""
    for wait in (0, *PATIENCE):
        time.sleep(wait)
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{base}/chat/completions", body, headers)) as response:
                message: dict[str, Any] = json.load(response)["choices"][0]["message"]
                return message
        except urllib.error.HTTPError as error:
            problem = f"{base} answered {error.code}: {error.read().decode(errors='replace')[:500]}"
            if error.code < 500 and error.code != 429:
                break
        except OSError as error:
            problem = f"{base} cannot be reached: {error}"
    raise Refused(problem)


def result_of(function: dict[str, str]) -> str:
    """What a call of a tool gives, as the model is told it."""
    if function["name"] != "bash":
        return f"There is no tool {function['name']}, only bash."
    try:
        command = json.loads(function["arguments"])["command"]
    except (ValueError, KeyError, TypeError) as error:
        return f"The arguments must be JSON with a command: {error}"
    print(f"$ {command}", file=sys.stderr)
    return run(str(command))


def run(command: str) -> str:
    """Run a command, and return its output as the model gets it."""
    with tempfile.TemporaryFile() as file:  # no pipe: what is left running in the background would hold it open
        try:
            done = subprocess.run(
                ["bash", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return f"The command took longer than {COMMAND_SECONDS} seconds and was ended."
        file.seek(0)
        output = file.read().decode(errors="replace")
    if len(output) > LONGEST_OUTPUT:
        half = LONGEST_OUTPUT // 2
        output = f"{output[:half]}\n... {len(output) - 2 * half} characters left out ...\n{output[-half:]}"
    return output + (f"\n[exit status {done.returncode}]" if done.returncode else "") or "[no output]"


if __name__ == "__main__":
    sys.exit(main())
