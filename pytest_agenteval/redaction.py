"""Removes secrets from text. Every text that leaves the logs passes through here.

Two things are replaced by `[redacted]`: what has the shape of a key, and the values that the caller knows to be secret.
Every pattern takes time linear in the text: each repetition is bounded, or begins behind a literal that cannot occur
inside it. What only looks random (digests, UUIDs, base64) does not have the shape of a key, and stays.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus

__all__ = ["REDACTED", "redact", "redact_address", "redact_around", "secret_values"]

REDACTED = "[redacted]"
"""The replacement for a secret."""

_LEAST = 8
"""Shorter values of environment variables occur as words in any text."""

# A key begins where no letter or digit precedes it, except one that belongs to an escape: \n, %3D, \u0022, a colour.
_START = (
    r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf0])|(?<=%[0-9A-Fa-f]{2})|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})"
    r"|(?<=\x1b\[[0-9]m)|(?<=\x1b\[[0-9]{2}m)|(?<=\x1b\[[0-9;]{4}m))"
)
_SHAPES: tuple[tuple[str, str], ...] = (
    ("sk-", r"sk-(?:ant|proj|svcacct|admin|or|lf|user)-[A-Za-z0-9_-]{8,}"),  # Anthropic, OpenAI, OpenRouter, Langfuse
    ("sk-", r"sk-(?:[A-Za-z0-9]{20,}|(?=[a-z_-]{0,64}[A-Z0-9])[A-Za-z0-9_-]{16,})[A-Za-z0-9_-]*"),
    ("AIza", r"AIza[A-Za-z0-9_-]{30,}"),  # Google
    ("ya29.", r"ya29\.[A-Za-z0-9_-]{20,}"),
    ("GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{20,}"),
    ("AKIA", r"AKIA[A-Z0-9]{16}(?![A-Za-z0-9])"),  # AWS
    ("ASIA", r"ASIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("gh", r"gh[pousr]_[A-Za-z0-9]{20,}"),  # GitHub
    ("github_pat_", r"github_pat_[A-Za-z0-9_]{20,}"),
    ("gl", r"gl(?:pat|ptt|dt|rt|cbt|soat|imt|ft|agent|oas|ffct)-[A-Za-z0-9_-]{16,}"),  # GitLab
    ("xox", r"xox[abceoprs](?:\.[a-z0-9]{1,16})?-[A-Za-z0-9-]{10,}"),  # Slack
    ("xapp-", r"xapp-[A-Za-z0-9-]{10,}"),
    ("hooks.slack.com/", r"hooks\.slack\.com/[A-Za-z0-9/_-]{16,}"),
    ("/api/webhooks/", r"/api/webhooks/[0-9]{5,32}/[A-Za-z0-9_-]{16,}"),  # Discord
    ("hf_", r"hf_[A-Za-z0-9]{20,}"),  # Hugging Face
    ("gsk_", r"gsk_[A-Za-z0-9]{20,}"),  # Groq
    ("r8_", r"r8_[A-Za-z0-9]{20,}"),  # Replicate
    ("xai-", r"xai-[A-Za-z0-9]{20,}"),
    ("pplx-", r"pplx-[A-Za-z0-9]{20,}"),  # Perplexity
    ("nvapi-", r"nvapi-[A-Za-z0-9_-]{20,}"),
    ("csk-", r"csk-[A-Za-z0-9]{20,}"),  # Cerebras
    ("fw_", r"fw_[A-Za-z0-9]{20,}"),  # Fireworks
    ("tgp_v1_", r"tgp_v1_[A-Za-z0-9_-]{20,}"),  # Together
    ("e2b_", r"e2b_[a-f0-9]{20,}"),
    ("lsv2_", r"lsv2_[a-z]{2}_[A-Za-z0-9_]{20,}"),  # LangSmith
    ("tvly-", r"tvly-[A-Za-z0-9-]{16,}"),  # Tavily
    ("npm_", r"npm_[A-Za-z0-9]{30,}"),
    ("pypi-", r"pypi-AgE[A-Za-z0-9_-]{16,}"),
    ("dckr_pat_", r"dckr_pat_[A-Za-z0-9_-]{16,}"),
    ("dop_v1_", r"dop_v1_[a-f0-9]{32,}"),  # DigitalOcean
    ("SG.", r"SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,}"),  # SendGrid
    ("k_", r"[spr]k_(?:live|test)_[A-Za-z0-9]{10,}"),  # Stripe
    ("whsec_", r"whsec_[A-Za-z0-9+/]{20,}"),
    ("eyJ", r"(?<![_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,3}"),  # JWT
)  # fmt: skip
"""A literal that every key of the shape contains, and the shape."""

_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[^-]|-(?!----))*+-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"|(?:\s|\\[nr]|[\"'+>|]|E {1,8}|(?:Proc-Type|DEK-Info|Version|Comment):[^\r\n\\]{0,80}|[A-Za-z0-9+/=]{16,}+)*+)"
)
"""A whole private key, or one that was cut off."""
_IN_ADDRESS = re.compile(r"(?<=://)[^\s/@:?#\"'<>]*+:[^\s/@?#\"'<>]++(?=@)")
_QUOTE = r"\\{0,3}[\"']"
_HEADER = rf"authorization(?:{_QUOTE})?[ \t]{{0,4}}[:=,][ \t]{{0,4}}(?:{_QUOTE})?"
_BEARER = re.compile(
    rf"(?i:(?P<scheme>{_HEADER}(?:bearer|basic|token|apikey|key)[ \t]{{1,4}})[A-Za-z0-9._~+/=:-]{{4,}}"
    rf"|(?P<bare>{_HEADER}|\bbearer[ \t]{{1,4}})(?=[A-Za-z._~+/=:-]{{0,64}}[0-9])[A-Za-z0-9._~+/=:-]{{16,}})"
)
_ASSIGNED = re.compile(
    r"(?P<name>(?i:(?:api|access|secret|private|encryption|signing|account|service|auth)[_-]?key"
    r"|secret|password|passwd|passphrase|pwd|token))"
    rf"(?:_?[0-9]{{1,2}})?(?:{_QUOTE})?\]?[ \t]{{0,8}}(?P<sign>:=|=>|==?|:(?![:/]))[ \t]{{0,8}}"
    rf"(?:(?:[A-Za-z_][\w.| \[\]]{{0,40}}=[ \t]{{0,4}})?(?:[rbfu]{{1,2}}(?=[\"']))?"  # an annotation, a prefix
    rf"(?P<quote>{_QUOTE})(?P<quoted>(?:(?!(?P=quote))(?:[^\r\n\\]|\\.))++)(?:(?P=quote)|\Z)"
    r"|(?P<bare>[^\s\"'`,;&<>(){}\[\]|\\]{4,}+)(?![(\[]))"
)
_OPTION = re.compile(
    r"(?<=-)((?:password|passphrase|secret|token|api-?key)[ \t]{1,4})"
    r"(?=[A-Za-z_.+/=-]{0,64}[0-9])(?=[0-9_.+/=-]{0,64}[A-Za-z])[A-Za-z0-9_.+/=-]{8,}"
)
"""`--password hunter22`: without an equals sign, so only values with letters and digits match."""
_NO_SECRET = re.compile(
    r"(?i:none|null|nil|true|false|undefined|required|optional|string|str|bytes)"
    r"|\$\{?\w+\}?|\$?\{\{.*\}\}|\{[\w.]*\}|<.*>|%\(?\w*\)?s|[*.x…]+|.*\[redacted\].*"
    r"|[A-Z][A-Z0-9_]*_(?:KEY|TOKEN|SECRET|PASSWORD)"
    r"|(?:self|cls|os|config|settings|args|options?|request|env|environ|process)\.[\w.]+"
)
"""Values that are placeholders for a secret and reveal nothing about it."""
_WORDS = re.compile(r"[a-z]+(?:[ _-][a-z]+)*")

_SECRET_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL)S?(?:_[0-9]+)?$")
_HEX = re.compile(r"%[0-9A-F]{2}")
_PLACE = re.compile(r"~?(?:/[\w.@+-]+){2,}/?")


def redact(text: str, secrets: Collection[str] = ()) -> str:
    """The text with `[redacted]` in place of keys, tokens, passwords and the given secrets. Redacting twice is safe.

    Args:
        text: of any kind and length; it takes linear time.
        secrets: values to replace wherever they occur, including as JSON, as part of a URL, or as Python writes them.
            Pass the values that :func:`secret_values` found in the environment.
    """
    if secrets:
        forms, pattern = _known(tuple(secrets))
        if any(form in text for form in forms):
            text = pattern.sub(REDACTED, text)
    if "PRIVATE KEY" in text:
        text = _PEM.sub(REDACTED, text)
    text = redact_address(text)
    for literal, shape in _compiled():
        if literal in text:
            text = shape.sub(REDACTED, text)
    lowered = text.lower()
    if "authorization" in lowered or "bearer" in lowered:
        text = _BEARER.sub(lambda found: f"{found['scheme'] or found['bare']}{REDACTED}", text)
    if any(word in lowered for word in ("key", "secret", "pass", "pwd", "token")):
        text = _ASSIGNED.sub(_without_value, text)
        text = _OPTION.sub(rf"\1{REDACTED}", text)
    return text


def redact_around(text: str, secrets: Collection[str] = (), ours: Collection[str] = ()) -> str:
    """The same, but some names of our own making stay, although they look like a key.

    Args:
        text: of any kind and length.
        secrets: values to redact wherever they stand.
        ours: these names, such as the paths of logs.
    """
    there = sorted((name for name in ours if name and name in text), key=len, reverse=True)
    if not there:
        return redact(text, secrets)
    parts = re.split(f"({'|'.join(map(re.escape, there))})", text)
    return "".join(redact_address(part) if at % 2 else redact(part, secrets) for at, part in enumerate(parts))


def redact_address(text: str) -> str:
    """The text without user names and passwords in addresses (`s3://user:password@host`)."""
    return _IN_ADDRESS.sub(REDACTED, text) if "://" in text else text


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the variables whose names mark them as secret, the longest first.

    Such a name ends in KEY, TOKEN, SECRET, PASSWORD or similar. Values shorter than 8 characters, paths and token
    limits (`MAX_TOKENS`) are left out, because they occur in any text and are not secret.
    """
    found = {
        value
        for name, raw in environment.items()
        if _SECRET_NAME.search(name.upper()) and _is_secret(name.upper(), value := raw.strip())
    }
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def _is_secret(name: str, value: str) -> bool:
    number_of_tokens = name.endswith("TOKENS") and value.isdigit()
    return len(value) >= _LEAST and not number_of_tokens and _PLACE.fullmatch(value) is None


@lru_cache(maxsize=1)
def _compiled() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((literal, re.compile(_START + shape)) for literal, shape in _SHAPES)


@lru_cache(maxsize=8)
def _known(secrets: tuple[str, ...]) -> tuple[tuple[str, ...], re.Pattern[str]]:
    written = {form for secret in secrets if secret not in REDACTED for form in _forms(secret)}
    forms = tuple(sorted(written, key=lambda form: (-len(form), form)))
    return forms, re.compile("|".join(map(_literally, forms)))


def _forms(secret: str) -> Iterable[str]:
    """The forms in which a secret is written: as text, Python, pytest's ids, JSON, URLs, XML, shells and base64."""
    data = secret.encode("utf-8", "surrogateescape" if _from_bytes(secret) else "replace")
    in_json = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    in_url = (quote(data), quote(data, ""), quote_plus(data))
    bare = (
        secret,
        repr(f"\"{secret}'")[2:-3].replace("\\'", "'"),  # inside both kinds of quotes it is written without either
        secret.encode("unicode_escape").decode("ascii"),
        secret.encode("ascii", "backslashreplace").decode("ascii"),
        repr(b"\"'" + data)[5:-1].replace("\\'", "'"),
    )
    return (
        *bare,
        *(form.replace("'", "\\'") for form in bare),
        *in_json,
        *(json.dumps(form)[1:-1] for form in in_json),
        *in_url,
        *(_HEX.sub(lambda found: found[0].lower(), form) for form in in_url),
        html.escape(secret),
        html.escape(secret, quote=False),
        shlex.quote(f"{secret} ")[1:-2],
        *_in_base64(data),
    )


def _from_bytes(secret: str) -> bool:
    """Whether lone surrogates in it stand for bytes of the environment that are not UTF-8."""
    return all(not "\ud800" <= character <= "\udfff" or "\udc80" <= character <= "\udcff" for character in secret)


def _in_base64(data: bytes) -> Iterable[str]:
    """The part of a secret that is the same in any base64 around it: one text per position within three bytes."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode()
        start, rest = (0, 2, 3)[before], (before + len(data)) % 3
        form = whole[start : len(whole) - (0, 3, 2)[rest]]
        if len(form) >= _LEAST:
            yield form
            yield form.replace("+", "-").replace("/", "_")


def _literally(form: str) -> str:
    """A value made only of letters may be an ordinary word, so it counts as the secret only if it stands alone."""
    return rf"(?<![\w-]){form}(?![\w-])" if form.isascii() and form.isalpha() else re.escape(form)


def _without_value(found: re.Match[str]) -> str:
    name, quoted, bare = found["name"], found["quoted"], found["bare"]
    secret: Callable[[str, str, str], bool] = _quoted_secret if quoted is not None else _bare_secret
    value: str = quoted if quoted is not None else bare
    if _NO_SECRET.fullmatch(value) or not secret(name, found["sign"], value):
        return found[0]
    start, end = found.span("quoted" if quoted is not None else "bare")
    return f"{found[0][: start - found.start()]}{REDACTED}{found[0][end - found.start() :]}"


def _quoted_secret(name: str, _: str, value: str) -> bool:
    if name.lower() == "token":  # parsers have tokens, too
        return len(value) >= _LEAST and _WORDS.fullmatch(value) is None
    return name.lower() != "pwd" or _PLACE.fullmatch(value) is None


def _bare_secret(name: str, sign: str, value: str) -> bool:
    """Without quotes it may be code or prose. A digit, or the form NAME=value, shows that it is neither."""
    if name.lower() == "pwd" and value.startswith(("/", "~")):
        return False
    if name.isupper() and sign == "=":
        return not value.startswith("$") and not value.isdigit()
    least = 12 if name.lower() == "token" else 6
    return len(value) >= least and any(character.isdigit() for character in value) and sign in ("=", ":", ":=")
