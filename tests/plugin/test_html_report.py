from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chromium import Chromium
from support.forked_pytest import forked_pytest

SUITE = '''
import pytest
from pytest_agenteval import agent_task

PROMPT = """Make `done`. <script>document.title = 'owned'</script> </script><!-- ]]> \\x1b[31mred
<img src=x onerror="document.title='owned'">""" + "long " * 20_000

@agent_task(solution="echo '</script><script>document.title=1</script>'; touch done")
@pytest.mark.parametrize("name", ["done", "never </td><script>document.title='owned'</script>"])
async def test_makes(agent, sandbox, name):
    await agent.run(PROMPT)
    found = (await sandbox.exec(["ls"])).stdout.split()
    assert name in found, "<script>document.title = 'owned'</script>"
'''
K = 2


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a real run of two cells."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_suite.py").write_text(SUITE, "utf-8")
    asked = ("--agent-model=agenteval/oracle", "--agent-model=agenteval/null", f"--k={K}", "--agent-sandbox=local",
             "--agent-profile", "--agent-ask-confidence")  # fmt: skip
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = forked_pytest(folder, ("-p", "pytest_agenteval.plugin", *asked, "--agent-html=out/report.html"), environment)
    assert done.ret == 1
    return folder / "out" / "report.html"


@pytest.fixture
def browser(chromium: Chromium, report: Path) -> Iterator[Chromium]:
    """Whatever a test does: nothing is complained about, and nothing but the file is asked for."""
    chromium.complaints.clear()
    chromium.asked.clear()
    yield chromium
    assert chromium.complaints == []
    assert set(chromium.asked) == {report.as_uri()}
    assert "owned" not in chromium.evaluate("document.title")


FOCUSED = "(e => e.matches('.grid a.o') ? e.hash.slice(1) : '')(document.activeElement)"


def test_the_keyboard_reaches_every_attempt_and_comes_back(browser: Chromium, report: Path) -> None:
    browser.open(report)
    everything = browser.evaluate("[...document.querySelectorAll('.attempt')].map(e => e.id)")
    assert len(everything) == 4 * K
    for _ in range(60):
        browser.press("Tab")
        if browser.evaluate(FOCUSED):
            break
    reached = []
    for row in range(2):
        browser.press("Home")
        for _ in range(2 * K):
            at = browser.evaluate(FOCUSED)
            reached.append(at)
            assert f"attempt {1 if at.endswith('a1') else 2}" in browser.evaluate("readout.textContent")
            browser.press("Enter")
            opened = "(e => [e.closest('.attempt').id, e.closest('.attempt').open])(document.activeElement)"
            assert browser.evaluate(opened) == [at, True]
            assert browser.evaluate("document.activeElement.getBoundingClientRect().top") < 900
            browser.press("Escape")
            assert browser.evaluate(FOCUSED) == at
            browser.press("ArrowRight")
        if row == 0:
            browser.press("ArrowDown")
    assert sorted(reached) == sorted(everything)


def test_a_transcript_stays_text(browser: Chromium, report: Path) -> None:
    browser.open(report)
    browser.evaluate("document.querySelectorAll('.attempt').forEach(e => { e.open = true })")
    browser.press("Home")
    talks = browser.evaluate("[...document.querySelectorAll('.talk')].map(e => e.textContent)")
    assert len(talks) == 4 * K
    for talk in talks:
        assert "<script>document.title = 'owned'</script> </script><!-- ]]> red" in talk
        assert "characters cut" in talk
    assert sum("</script><script>document.title=1</script>" in talk for talk in talks) == 2 * K
    assert browser.evaluate("document.querySelectorAll('.talk script, .talk img, img').length") == 0
    assert browser.evaluate("document.querySelectorAll('script:not([type])').length") == 1
    failing = browser.evaluate("document.querySelector('.failing pre').textContent")
    assert failing.startswith("AssertionError: <script>document.title = 'owned'</script>")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [320, 375, 1280])
def test_the_page_never_scrolls_sideways(browser: Chromium, report: Path, width: int, dark: bool) -> None:
    browser.open(report, width=width, height=800, dark=dark)
    browser.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    browser.press("Home")
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(21, 23, 26)" if dark else "rgb(252, 252, 251)")
    stroke = browser.evaluate(
        "getComputedStyle(document.querySelector('figure svg [stroke^=\"var(--accent\"]')).stroke"
    )
    assert stroke == ("rgb(127, 178, 224)" if dark else "rgb(43, 92, 138)")


def test_without_script_everything_but_conversations_is_there(browser: Chromium, report: Path) -> None:
    browser.open(report, script=False)
    seen = "[...document.querySelectorAll('figure svg, .grid a.o')].filter(e => e.getClientRects().length).length"
    assert browser.evaluate(seen) == 2 + 4 + 4 * K  # curves, panels of the profile, attempts
    assert "document.title" in browser.evaluate("document.querySelector('.failing').textContent")
    assert browser.evaluate("document.querySelectorAll('.grid a.o[title]').length") == 4 * K


def test_it_prints(browser: Chromium, report: Path) -> None:
    browser.open(report)
    assert browser.pdf().startswith(b"%PDF-")


def test_the_profile_has_a_panel_for_each_dimension(browser: Chromium, report: Path) -> None:
    for width in (1200, 390):
        browser.open(report, width=width)
        panels = browser.evaluate("[...document.querySelectorAll('#profile figure h3')].map(e => e.textContent)")
        assert panels == 2 * ["consistency", "predictability", "robustness", "safety"]
        assert browser.evaluate("document.querySelectorAll('#profile figure svg').length") == 4
        wide = "[...document.querySelectorAll('#profile figure svg')].every(e => e.getBoundingClientRect().right <= "
        assert browser.evaluate(f"{wide}{width})")
    labels = browser.evaluate("[...document.querySelectorAll('#profile svg')].map(e => e.getAttribute('aria-label'))")
    assert labels[0].startswith("consistency: outcome 1.000")
    assert "over-confident by 0.500" in labels[1]
