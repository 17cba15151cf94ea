from __future__ import annotations

import base64
import hashlib
import json
import random
import signal
import string
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_agenteval.redaction import REDACTED, redact, secret_values

LETTERS = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzAbCdEfGh"
DIGITS_AND_CAPITALS = "Q3J7K2M5N8P4R6T9"
KEYS = [
    f"sk-{LETTERS}",
    f"sk-ant-api03-{LETTERS}-{LETTERS}_AA",
    f"sk-proj-{LETTERS}_{LETTERS}",
    f"sk-svcacct-{LETTERS}",
    f"sk-or-v1-{'0f' * 32}",
    "sk-abcdefghijklmnopqrstuvwxyz",
    f"AIza{LETTERS[:35]}",
    f"ya29.{LETTERS}",
    f"AKIA{DIGITS_AND_CAPITALS}",
    f"ASIA{DIGITS_AND_CAPITALS}",
    *(f"gh{kind}_{LETTERS[:36]}" for kind in "pousr"),
    f"github_pat_{LETTERS[:22]}_{LETTERS}",
    f"glpat-{LETTERS[:20]}",
    *(f"xox{kind}-1234567890-{LETTERS[:24]}" for kind in "abpr"),
    f"hf_{LETTERS[:34]}",
    f"gsk_{LETTERS}",
    f"r8_{LETTERS[:37]}",
    f"xai-{LETTERS}",
    f"npm_{LETTERS[:36]}",
    f"SG.{LETTERS[:22]}.{LETTERS}",
    f"sk_live_{LETTERS[:24]}",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
]
PEM = f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{LETTERS}\n{LETTERS}\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "around",
    ["{}", "see {}, please", "'{}'", '"{}"', "a={}&b=1", "({})", "<b>{}</b>", r"one\n{}\ntwo", "\x1b[31m{}\x1b[0m",
     "x%3D{}%26", r"\u0022{}\u0022", "`{}`", "line\n{}\nline", "https://host/path/{}"],
)  # fmt: skip
def test_a_key_goes_wherever_it_stands(key: str, around: str) -> None:
    assert redact(around.format(key)) == around.format(REDACTED)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (PEM, REDACTED),
        (f"a {PEM} b {PEM} c", f"a {REDACTED} b {REDACTED} c"),
        (json.dumps({"private_key": PEM}), f'{{"private_key": "{REDACTED}"}}'),
        ("\n".join(f"E       {line}" for line in PEM.splitlines()), f"E       {REDACTED}"),
        (PEM.partition("-----END")[0], REDACTED),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{LETTERS} ...", f"{REDACTED}..."),
        ("Authorization: Bearer abcd", f"Authorization: Bearer {REDACTED}"),
        ("-H 'authorization: bearer a.b-c~d+e/f='", f"-H 'authorization: bearer {REDACTED}'"),
        ('{"Authorization": "Basic dXNlcjpwYXNz"}', f'{{"Authorization": "Basic {REDACTED}"}}'),
        (r'{\"Authorization\": \"Bearer abcd\"}', rf'{{\"Authorization\": \"Bearer {REDACTED}\"}}'),
        ("authorization: a1b2c3d4e5f6a7b8c9", f"authorization: {REDACTED}"),
        ("a Bearer 0123456789abcdefgh b", f"a Bearer {REDACTED} b"),
        ("api_key='hunter2'", f"api_key='{REDACTED}'"),
        ("api_key=a1b2c3d4", f"api_key={REDACTED}"),
        ("OPENAI_API_KEY=correcthorse", f"OPENAI_API_KEY={REDACTED}"),
        ("export DB_PASSWORD=swordfish", f"export DB_PASSWORD={REDACTED}"),
        ('"password": "..?.", "user": "me"', f'"password": "{REDACTED}", "user": "me"'),
        ('"password": "a \\" quote"', f'"password": "{REDACTED}"'),
        (r'{\"password\": \"open sesame\", \"a\": 1}', rf'{{\"password\": \"{REDACTED}\", \"a\": 1}}'),
        ('os.environ["X_SECRET"] = "open sesame"', f'os.environ["X_SECRET"] = "{REDACTED}"'),
        ('api_key: str = "open sesame"', f'api_key: str = "{REDACTED}"'),
        ("clientSecret: a1b2c3", f"clientSecret: {REDACTED}"),
        ("x-api-key: 12ab34cd", f"x-api-key: {REDACTED}"),
        ("https://h/p?access_token=a1b2c3d4e5f6&x=1", f"https://h/p?access_token={REDACTED}&x=1"),
        ("AccountKey=ab12cd34==;EndpointSuffix=x", f"AccountKey={REDACTED};EndpointSuffix=x"),
        ("Server=x;Uid=sa;Pwd=Passw0rd!;", f"Server=x;Uid=sa;Pwd={REDACTED};"),
        ("tool --password hunter22 --verbose", f"tool --password {REDACTED} --verbose"),
        ("postgres://me:hunter2@db:5432/x", f"postgres://{REDACTED}@db:5432/x"),
        ("https://x-access-token:abc@github.com/o/r", f"https://{REDACTED}@github.com/o/r"),
        ("redis://:pa:ss@h", f"redis://{REDACTED}@h"),
        ('password="never closed', f'password="{REDACTED}'),
    ],
)  # fmt: skip
def test_what_is_named_a_secret_goes_and_its_name_stays(text: str, redacted: str) -> None:
    assert redact(text) == redacted


RANDOM = random.Random(5)
IMAGE = "data:image/png;base64," + base64.b64encode(RANDOM.randbytes(300_000)).decode()


@pytest.mark.parametrize(
    "text",
    [
        hashlib.sha1(b"x").hexdigest(),
        f"commit {hashlib.sha1(b'y').hexdigest()}",
        f"python@sha256:{hashlib.sha256(b'x').hexdigest()}",
        str(uuid.UUID(int=2**127 + 12345)),
        IMAGE,
        "tests/test_token.py::TestPassword::test_login_2fa_works[openai/gpt-5-mini]",
        "tests/test_secret.py::test_api_key::test_secret",
        "task-repairs-a-broken-parser-in-12-steps",
        "risk-management-for-2024-and-beyond",
        ".sk-fading-circle .sk-circle12",
        "from hf_transfer import x; hf_hub_download('a')",
        "max_tokens=4096, token_limit=10000000, tokens: 123456789",
        '{"input_tokens": 1234567890, "output_tokens": 12}',
        "limit (tokens)",
        '{"type": "keyword", "token": "return"}',
        "token: 12345",
        "password = getpass()",
        "api_key=os.environ['OPENAI_API_KEY']",
        'api_key="OPENAI_API_KEY"',
        "def f(api_key: str, password=None): ...",
        "password=password, api_key=self.key_1",
        "PASSWORD=$DB_PASSWORD",
        '"password": ""',
        '"password": "${DB_PASSWORD}"',
        "Authorization: required for this page",
        "a bearer of good news-and-nothing-else-at-all",
        "PWD=/home/me/project1",
        "https://user@host/a:b@c",
        "http://localhost:8080/a@b",
        "ssh://git@github.com/o/r.git",
        "the monkey: 123456789",
        "pass@1 0.812 | pass^8 0.375",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "AKIAS is no key, nor is AIzaShort",
        "docker run --env-file=secrets.env image:1.2.3",
        "set OPENAI_API_KEY, or use another model",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_given_secrets_go_in_every_form_they_are_written_in() -> None:
    secret = 'pa"ss\\w/örd\n1'
    for text in (secret, json.dumps(secret), json.dumps(json.dumps(secret)), json.dumps(secret, ensure_ascii=False),
                 quote(secret), quote(secret, safe=""), repr(secret)):  # fmt: skip
        assert "ss" not in redact(f"<{text}>", (secret,)), text
        assert REDACTED in redact(f"<{text}>", (secret,))


def test_the_longest_of_given_secrets_goes_first() -> None:
    assert redact("abcdefgh-12345", ("abcdefgh", "abcdefgh-12345")) == REDACTED


def test_a_given_secret_that_is_a_word_goes_only_where_it_stands_alone() -> None:
    known = ("postgres",)
    assert redact("postgres: test_postgres, postgresql", known) == f"{REDACTED}: test_postgres, postgresql"


def test_secret_values_are_found_by_the_names_of_variables() -> None:
    environment = {
        "OPENAI_API_KEY": "value-of-openai",
        "lower_token": "value-of-lower",
        "DB_PASSWORD_2": "value-of-second",
        "MY_SECRETS": " value-with-space ",
        "SHORT_KEY": "seven77",
        "MAX_TOKENS": "100000000",
        "KEYBOARD": "some-keyboard",
        "TOKENIZERS_PARALLELISM": "falsefalse",
        "SSH_KEY_PATH": "not-a-secret",
        "TLS_KEY": "/etc/ssl/private.pem",
        "HOME": "/home/someone",
    }
    assert secret_values(environment) == ("value-with-space", "value-of-openai", "value-of-second", "value-of-lower")


FRAGMENTS = [
    "sk-", "sk-a", "eyJ", "eyJ.", "-eyJ", "_eyJaaaaaa", "AKIA", "AIza", "ghp_", "xoxb-", "xoxb.",
    "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "-----", "-", "://", "://a:", "a:b@", "@",
    "Authorization: ", "bearer ", "Bearer a", "token", "token=", 'token="', "token='", r"token=\"", r"token=\\'",
    "password: ", "password:a", "api_key: a ", "a=", "--", "--token ", "secret", "secret]", "\\", '"', "'", "\n", " ",
    "\t", "A", "a1", "SG.", "SG.aaaaaaaaaaaaaaaaa", ".", "\\n", "E   ", "[", "=",
]  # fmt: skip


@contextmanager
def not_for_ever() -> Iterator[None]:
    """Fails what takes 20 s of processor time: linear time takes milliseconds here, quadratic time minutes."""

    def fail(*_: object) -> None:
        pytest.fail("it takes more than linear time")

    before = signal.signal(signal.SIGVTALRM, fail)
    signal.setitimer(signal.ITIMER_VIRTUAL, 20)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("filler", ["", "a", " ", '"'])
@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_what_repeats_takes_linear_time(fragment: str, filler: str) -> None:
    text = (fragment + filler) * (60_000 // len(fragment + filler))
    with not_for_ever():
        assert len(redact(text)) > 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=5), st.sampled_from(FRAGMENTS))
def test_what_repeats_in_any_order_takes_linear_time(fragments: list[str], head: str) -> None:
    unit = "".join(fragments)
    with not_for_ever():
        assert len(redact(head + unit * (30_000 // len(unit)))) > 0


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.sampled_from([*FRAGMENTS, *KEYS, PEM]), st.text(max_size=8)), max_size=12))
def test_redacting_twice_is_redacting_once(parts: list[str]) -> None:
    once = redact("".join(parts), ("a-known-secret",))
    assert redact(once, ("a-known-secret",)) == once


@settings(max_examples=200, deadline=None)
@given(
    st.text(string.ascii_letters + string.digits + "-_.$/+\"'\\ ", min_size=8, max_size=40),
    st.text(max_size=40),
    st.text(max_size=40),
)
def test_no_given_secret_survives(secret: str, before: str, after: str) -> None:
    secret = f"{secret}7"
    assert secret not in redact(f"{before}{secret}{after}", (secret,))


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=16, max_size=200))
def test_digests_and_base64_stay(data: bytes) -> None:
    for text in (data.hex(), base64.b64encode(data).decode(), hashlib.sha256(data).hexdigest()):
        assert redact(text) == text
