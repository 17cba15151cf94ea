"""The tutorial of new-suite, command by command: quick plays, in directories of this machine."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from support.pages import DOCS

PAGE = (DOCS / "tutorial-new-suite.md").read_text("utf-8")
COMMANDS = re.findall(r"<!-- run(?:: (\d+))? -->\n```bash\n(.*?)\n```", PAGE, re.DOTALL)
QUICK = {"new-suite": ["--level=quick"]}


def test_a_suite_of_twelve_is_built_checked_rehearsed_and_gates(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "140"}
    said = []
    for status, text in COMMANDS:
        words = [*shlex.split(text), "--agent-sandbox=local"]
        words += QUICK.get(words[1], [])
        words += ["-p", "no:cacheprovider"] if words[0] == "pytest" else []
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == int(status or 0), done.stdout + done.stderr
        said.append(done.stdout)
    built, checked, right, nothing, gated = said
    assert "12 of 12 tasks" in built
    assert "12" in checked
    assert re.search(r"\b12 passed", right)
    assert re.search(r"\b9 failed", nothing)
    assert re.search(r"PASS +--min-pass-at-1", gated)
