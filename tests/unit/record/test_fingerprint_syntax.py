from __future__ import annotations

import ast
import sysconfig
import tokenize
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_agenteval.record.fingerprint.source import read_source

RELAXED = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
STDLIB = Path(sysconfig.get_path("stdlib"))
names = st.sampled_from(["a", "b", "test_x", "TestY", "self", "données"])
constants = st.one_of(
    st.text(max_size=8).map(repr), st.binary(max_size=4).map(repr), st.integers(0, 2**70).map(str),
    st.floats(min_value=0, allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["None", "True", "False", "...", "1j", "0x1F", "1_000", "'a' 'b'", 'u"x"', "r'\\d'",
    "'''a\n b'''"]),
)  # fmt: skip
expressions = st.recursive(
    names | constants,
    lambda inner: st.one_of(
        st.tuples(
            inner, st.sampled_from([" + ", "   -  ", "**", " if x else ", " and ", " < ", " is not "]), inner
        ).map(lambda parts: f"({''.join(parts)})"),
        inner.map("( (  {}))".format),
        inner.map("-{}".format),
        inner.map("f(\n  {} ,# comment\n  *a, key =b,)".format),
        inner.map("({}).attribute".format),
        inner.map("({})[1:, ::2]".format),
        inner.map("[{} for a in b if a]".format),
        inner.map("{{ {}: 1, **b }}".format),
        inner.map("(lambda a, /, b=1, *, c: {})".format),
        inner.map("({},)".format),
        names.map("f'{{x!r:>{{{}}}}} and {{{{'".format),
    ),
    max_leaves=6,
)
statements = st.recursive(
    st.one_of(
        expressions.map("{}\n".format), expressions.map("a  =  b = {};  c = 1\n".format),
        expressions.map("a : int = {} # comment\n".format), expressions.map("(a) : int = {}\n".format),
        expressions.map("assert {}, \\\n   'no'\n".format), st.just("import a . b,  c as d\n"),
        st.just("from .. import (a,\n  b as c,\n)\n"), st.just("# only a comment\n\n"), st.just('"""A\n  text."""\n'),
        st.just("global a, b\n"), st.just("del a, (b)\n"), expressions.map("raise {} from  None\n".format),
    ),
    lambda inner: st.builds(
        lambda head, body: head + "\n" + "".join(f"\t{line}" for line in body.splitlines(keepends=True)) + "\tpass\n",
        st.sampled_from([
            "if a :", "for a in  b:  # comment", "while (a):", "with a as b , c:", "try:\n\tpass\nexcept* (A):",
            "def test_x ( a, b = 1 ) :", "@a . fixture\ndef test_x(*a, **b) -> int:",
            "class TestY ( a, metaclass=b ) :",
            "async def f():", "match a:\n\tcase [1, None, *_] | {'a': b}: pass\nif 1:", "class TestZ:",
        ]),
        inner.filter(lambda text: "\n  " not in text and "\\\n" not in text),
    ),
    max_leaves=4,
)  # fmt: skip
modules = st.lists(statements, max_size=4).map("".join)


def digest(text: str | bytes, tmp_path: Path) -> str:
    path = tmp_path / "read.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    code = read_source(str(path)).code
    assert not any("cannot be read as Python" in what for _, what in code.doubts), text
    return code.digest


def parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text.encode("utf-8", "surrogatepass"))
    except (SyntaxError, ValueError):
        return None


@RELAXED
@given(text=modules.filter(lambda text: parsed(text) is not None))
def test_reformatting_a_module_never_changes_its_digest(text: str, tmp_path: Path) -> None:
    assert digest(ast.unparse(ast.parse(text)), tmp_path) == digest(text, tmp_path)


@RELAXED
@given(pair=st.lists(expressions, min_size=2, max_size=2).filter(lambda pair: all(map(parsed, pair))))
def test_two_expressions_have_one_digest_exactly_where_they_have_one_tree(pair: list[str], tmp_path: Path) -> None:
    first, second = (ast.dump(ast.parse(text)).replace(", kind='u'", "") for text in pair)
    assert (digest(pair[0], tmp_path) == digest(pair[1], tmp_path)) == (first == second)


@pytest.mark.parametrize("name", ["dataclasses.py", "typing.py", "asyncio/tasks.py", "test/test_grammar.py"])
def test_reformatting_real_source_does_not_change_its_digest(name: str, tmp_path: Path) -> None:
    with tokenize.open(STDLIB / name) as file:
        text = file.read()
    assert digest(ast.unparse(ast.parse(text)), tmp_path) == digest(text, tmp_path)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = True"), ("x = 1", "x = 1.0"), ("x = 0.0", "x = -0.0"), ("x = 'a'", "x = b'a'"),
        ("x = None", "x = 'None'"), ("x = 1", "x = '1'"), ("def f(): return", "def f(): return None"),
        ("f(a, b)", "f(a)(b)"), ("f([a], b)", "f([a, b])"), ("x: int", "x: int = None"), ("(x): int", "x: int"),
        ("{None: 1}", "{**1}"), ("from . import a", "from .. import a"), ("import a", "import a as b"),
        ("a = b", "b = a"), ("f(a)", "f(*a)"), ("f(a=1)", "f(**a)"), ("f'{a}'", "f'{a!r}'"), ("x = '}'", "x = f'}}'"),
        ("def f(a, /): ...", "def f(a): ..."), ("def f(a, *, b): ...", "def f(a, b): ..."), ("'a'", "'a'; 'a'"),
        ("match a:\n case None: pass", "match a:\n case True: pass"), ("x = 'ab'", "x = 'a', 'b'"),
        ("def f(): ...", "async def f(): ..."), ("global_a = 1", "globalA = 1"), ("x = '\\ud800'", "x = '\\ud801'"),
        ("def f(*, a, b=1): ...", "def f(*, a=1, b): ..."), ("a[1:]", "a[:1]"), ("class TestA:\n def test_a(): ...",
        "class TestA: ...\ndef test_a(): ..."),
        (f"x = 0x1{'0' * 5000}", f"x = 0x2{'0' * 5000}"),
    ],
)  # fmt: skip
def test_these_are_not_the_same_code(one: str, other: str, tmp_path: Path) -> None:
    assert digest(one, tmp_path) != digest(other, tmp_path)


def test_encodings_and_line_ends_are_no_difference(tmp_path: Path) -> None:
    text = "x = 'é'\ny = '''a\nb'''\n"
    latin = b"# -*- coding: latin-1 -*-\r\n" + text.replace("\n", "\r\n").encode("latin-1")
    assert digest(latin, tmp_path) == digest(text, tmp_path) == digest(b"\xef\xbb\xbf" + text.encode(), tmp_path)


def test_a_very_long_expression_is_read(tmp_path: Path) -> None:
    assert digest("x = " + " + ".join("a" * 2_000), tmp_path) != digest("x = " + " + ".join("a" * 2_001), tmp_path)


def doubts(text: str, tmp_path: Path) -> Any:
    (tmp_path / "doubtful.py").write_text(text)
    return read_source(str(tmp_path / "doubtful.py")).code.doubts


COMPUTED = "imports a module by a computed name"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import importlib\nimportlib.import_module(name)", ((2, COMPUTED),)),
        ("import importlib\nimportlib.import_module(f'a.{name}')", ((2, COMPUTED),)),
        ("import importlib\nimportlib.import_module('.a', package=here())", ((2, COMPUTED),)),
        ("from importlib import import_module\ndef f(n):\n    import_module(n)", ((3, COMPUTED),)),
        ("from importlib import import_module as load\nload(name)", ((2, COMPUTED),)),
        ("__import__(name)", ((1, COMPUTED),)),
        ("import pytest\npytest.importorskip(name)", ((2, COMPUTED),)),
        ("exec(text)", ((1, "runs code that cannot be read beforehand (exec)"),)),
        ("import builtins\nbuiltins.exec(text)", ((2, "runs code that cannot be read beforehand (exec)"),)),
        ("import runpy\nrunpy.run_path('x')", ((2, "runs code that cannot be read beforehand (run_path)"),)),
        ("pytest_plugins = ['a', *more]", ((1, "names pytest plugins that cannot be read beforehand"),)),
        ("sandbox.exec(['ls'])", ()),
        ("await_ = agent.run_module(x)", ()),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    __import__(name)", ()),
        ("'exec(text)'  # exec(text)", ()),
    ],
)  # fmt: skip
def test_imports_that_cannot_be_read_beforehand_are_doubts(text: str, found: Any, tmp_path: Path) -> None:
    assert doubts(text, tmp_path) == found
