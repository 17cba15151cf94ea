"""Suites of agent tasks beside other plugins: what stands in the way of attempts is left out, or refused by name.

Plugins that are not installed here are stood in for by small ones that do the same.
"""

from __future__ import annotations

import importlib.util

import pytest
from support.suite_runs import Run

SUITE = """
    import asyncio
    import pytest
    from pytest_agenteval import agent_task

    @pytest.fixture(scope="module")
    async def shared(): yield asyncio.get_running_loop()
    @pytest.fixture
    async def local(tmp_path): yield tmp_path

    @agent_task(solution="echo hi > out.txt")
    async def test_task(agent, sandbox, local, shared):
        assert shared is asyncio.get_running_loop()
        await agent.run("Write hi to out.txt.")
        assert (await sandbox.read_file("out.txt")).strip() == "hi"
    @agent_task(solution="echo no > out.txt")
    def test_sync_task_that_fails(agent, sandbox, attempt):
        attempt.wait(agent.run("Write hi to out.txt."))
        assert attempt.wait(sandbox.read_file("out.txt")).strip() == "hi"
    def test_ordinary(monkeypatch): monkeypatch.setenv("A", "b")
"""
INSTALLED = {
    "allure_pytest.plugin": ("--alluredir=allure",),
    "anyio.pytest_plugin": (),
    "pytest_bdd.plugin": (),
    "pytest_benchmark.plugin": (),
    "pytest_check.plugin": (),
    "pytest_cov.plugin": ("--cov=.",),
    "pytest_django.plugin": (),
    "pytest_dotenv.plugin": (),
    "pytest_env.plugin": (),
    "pytest_flask.plugin": (),
    "pytest_freezer": (),
    "pytest_html.plugin": ("--html=page.html",),
    "pytest_httpx": (),
    "pytest_instafail": ("--instafail",),
    "pytest_jsonreport.plugin": ("--json-report",),
    "pytest_metadata.plugin": (),
    "pytest_mock": (),
    "pytest_order": (),
    "pytest_picked.plugin": (),
    "pytest_playwright.pytest_playwright": (),
    "pytest_randomly": (),
    "pytest_repeat": (),
    "pytest_reportlog.plugin": ("--report-log=log.json",),
    "pytest_rerunfailures": (),
    "pytest_rich.plugin": ("--rich",),
    "pytest_socket": (),
    "pytest_sugar": (),
    "pytest_timeout": ("--timeout=60",),
    "pytest_trio.plugin": ("-o", "trio_mode=true"),
    "respx.plugin": (),
    "syrupy": (),
    "testmon.pytest_testmon": ("--testmon",),
}
"""Modules of plugins, and options that switch them on."""


def installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("plugin", [name for name in INSTALLED if installed(name)])
def test_tasks_run_beside_it(run: Run, pytester: pytest.Pytester, plugin: str) -> None:
    result = run(
        SUITE, "--k=2", "--agent-json=report.json", *INSTALLED[plugin], model="agenteval/oracle", plugins=(plugin,)
    )
    said = result.stdout.str()
    assert result.ret == 1, said
    assert "exit 1: FAILED: test_suite.py::test_sync_task_that_fails (min_pass_rate)" in said
    assert "broken" not in said
    assert "tool-call failures 0 of 8 calls" in said


FOREIGN = """
    import pytest

    SEEN = []
    @pytest.fixture(autouse=True)
    def reset_templates(monkeypatch): SEEN.append("left out")
    @pytest.fixture(autouse=True)
    def harmless(): SEEN.append("harmless")
    @pytest.fixture
    def frozen(monkeypatch): ...
"""


@pytest.fixture
def foreign(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> str:
    """A plugin that is installed, and no part of the suite."""
    folder = pytester.mkdir("site-packages")
    (folder / "other_plugin.py").write_text("\n".join(line[4:] for line in FOREIGN.splitlines()), "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(folder)
    return "other_plugin"


def test_what_another_plugin_sets_up_for_every_test_and_attempts_cannot_share_is_left_out(
    run: Run, foreign: str
) -> None:
    source = """
        import other_plugin
        async def test_a(attempt): attempt.agent_begins(); assert other_plugin.SEEN[0] == "harmless"
        async def test_b(attempt): attempt.agent_begins(); assert "left out" not in other_plugin.SEEN
        def test_ordinary(): assert "left out" in other_plugin.SEEN
    """
    result = run(source, "--k=2", plugins=(foreign,))
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["note: left out of attempts*: reset_templates (autouse, of other_plugin)"])


def test_what_a_task_asks_for_or_the_suite_itself_sets_up_is_refused(
    run: Run, foreign: str, pytester: pytest.Pytester
) -> None:
    source = """
        import pytest
        async def test_by_name(attempt, frozen): open("ran", "w")
        @pytest.mark.usefixtures("reset_templates")
        async def test_by_mark(attempt): open("ran", "w")
        class TestOwn:
            @pytest.fixture(autouse=True)
            def mine(self, monkeypatch): ...
            async def test_own(self, attempt): open("ran", "w")
    """
    result = run(source, plugins=(foreign,))
    result.assert_outcomes(errors=3)
    for through in ("frozen", "reset_templates", "mine"):
        result.stdout.fnmatch_lines_random(
            [f"*fixture 'monkeypatch' changes process-wide state (fixture '{through}' asks*"]
        )
    assert not (pytester.path / "ran").exists()


def test_it_can_be_refused_instead(run: Run, foreign: str) -> None:
    result = run("async def test_a(attempt): ...", "--agent-unsafe-fixture=reset_templates", plugins=(foreign,))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'reset_templates' changes process-wide state*"])


def test_the_module_of_a_fixture_decides_and_not_its_name(run: Run) -> None:
    """`settings` and `db` are pytest-django's; a suite that has its own uses them as any other fixture."""
    source = """
        import pytest
        @pytest.fixture
        def settings(): return 1
        @pytest.fixture
        def db(settings): return settings + 1
        async def test_a(attempt, db, settings): attempt.agent_begins(); assert (settings, db) == (1, 2)
    """
    run(source, "--k=2").assert_outcomes(passed=1)


def test_the_refusal_of_subtests_gives_the_true_reason(run: Run) -> None:
    result = run("async def test_a(attempt, subtests): ...")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'subtests' reports to pytest past the k attempts*parametrize*"])


TRIO_MODE = """
    import inspect, pytest

    def pytest_configure(config): config.addinivalue_line("markers", "trio: as of pytest-trio")
    def pytest_collection_modifyitems(items):
        for item in items:
            if inspect.iscoroutinefunction(item.obj):
                item.add_marker("trio")
    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(item):
        if item.get_closest_marker("trio"):
            body = item.obj
            def on_trio(**arguments): import trio; trio.run(lambda: body(**arguments))
            item.obj = on_trio
        return (yield)
"""


def test_trio_mode_marks_every_async_test_and_tasks_run_on_asyncio(run: Run) -> None:
    source = """
        import asyncio, pytest
        @pytest.mark.parametrize("n", range(3))
        async def test_a(attempt, n): attempt.agent_begins(); assert asyncio.get_running_loop()
        async def test_ordinary():
            with pytest.raises(RuntimeError): asyncio.get_running_loop()
    """
    run(source, "--k=2", conftest=TRIO_MODE).assert_outcomes(passed=4)


def test_a_task_that_asks_for_trio_itself_is_refused(run: Run) -> None:
    result = run("import pytest\n@pytest.mark.trio\nasync def test_a(attempt): ...", conftest=TRIO_MODE)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*agent tasks run on asyncio, not on trio: leave out the mark trio*"])
