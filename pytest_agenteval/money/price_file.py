"""The user's own prices: a TOML file.

[models."openai/gpt-5-mini"]        # Inspect's name of the model
input = 0.25                        # dollars per million tokens
output = 2.0
cache_read = 0.025                  # optional; unknown: the input rate
cache_write = 0.25                  # optional; unknown: the input rate
per_call = 0.0                      # optional; dollars per call

[models."openai-api/local/*"]       # every name that begins so; an exact name wins, then the longest beginning
input = 0.0
output = 0.0
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_agenteval.errors import NotReady
from pytest_agenteval.money.rates import Rates, TokenUsage

__all__ = ["BUILT_IN", "PriceTable"]

BUILT_IN = "agenteval/"
"""The prefix of the built-in models' names."""

_REQUIRED = ("input", "output")
_OPTIONAL = ("cache_read", "cache_write", "per_call")


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by the model's exact name or by the beginning of its name (`openai-api/local/*`).

    A wildcard matches the built-in models only if it begins with `agenteval/`. So `*`, a price for everything else,
    does not put a price on a free rehearsal.
    """

    name: str
    """Where the prices come from, for reports: the path of the file."""
    entries: Mapping[str, Rates]

    @classmethod
    def read(cls, path: Path) -> PriceTable:
        """The table in a file.

        Raises:
            NotReady: the file is missing, is not TOML, or holds anything but prices.
        """
        return cls(str(path), {name: _rates(path, name, entry) for name, entry in _models(path).items()})

    def price(self, model: str, usage: TokenUsage) -> float | None:
        """What one call costs, in dollars, or None if the table does not name the model."""
        rates = self.rates(model)
        return None if rates is None else rates.cost(usage)

    def rates(self, model: str, input_tokens: int = 0) -> Rates | None:
        """The rates of the model, the same for a prompt of any size, or None if the table does not name it."""
        entry = self._entry(model)
        return None if entry is None else self.entries[entry]

    def source(self, model: str) -> str | None:
        """The file and the entry, or None if the table does not name the model."""
        entry = self._entry(model)
        return None if entry is None else f'{self.name} [models."{entry}"]'

    def _entry(self, model: str) -> str | None:
        if model in self.entries:
            return model
        must_begin = BUILT_IN if model.startswith(BUILT_IN) else ""
        beginnings = (name[:-1] for name in self.entries if name.endswith("*") and name.startswith(must_begin))
        found = max((beginning for beginning in beginnings if model.startswith(beginning)), key=len, default=None)
        return None if found is None else f"{found}*"


def _models(path: Path) -> dict[str, Any]:
    try:
        # "-sig": Windows editors begin a UTF-8 file with a byte order mark.
        document = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise NotReady(f"{path}: there is no such file of prices; check the path.") from None
    except OSError as error:
        raise NotReady(f"{path}: the file of prices cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise NotReady(f"{path}: the file of prices is not UTF-8 text; save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise NotReady(
            f"{path}: the file of prices is not TOML ({error}); the name of a model goes in quotes, "
            f'as in [models."openai/gpt-5-mini"].'
        ) from error
    models = document.get("models", {})
    unknown = sorted(set(document) - {"models"})
    if unknown:
        raise NotReady(f'{path}: unknown key "{unknown[0]}"; each model goes under [models."its name"].')
    if not isinstance(models, dict):
        raise NotReady(f'{path}: "models" is not a table; write [models."the model\'s name"].')
    if not models:
        raise NotReady(f'{path}: the file has no price; write [models."the model\'s name"] with input and output.')
    return models


def _rates(path: Path, name: str, entry: Any) -> Rates:
    where = f'{path}: [models."{name}"]'
    if "*" in name[:-1]:
        raise NotReady(f"{where}: a * may stand only at the end of a name.")
    if not name.strip():
        raise NotReady(f"{where}: the name of the model is empty.")
    if not isinstance(entry, dict):
        raise NotReady(f"{where} is not a table; write its prices as input = ... and output = ...")
    known = (*_REQUIRED, *_OPTIONAL)
    for key in sorted(set(entry) - set(known)):
        # An unquoted name with a dot, [models.gpt-4.1], makes a nested table.
        hint = "put the model's name in quotes" if isinstance(entry[key], dict) else f"known are {', '.join(known)}"
        raise NotReady(f'{where}: unknown key "{key}"; {hint}.')
    for key in _REQUIRED:
        if key not in entry:
            raise NotReady(f"{where}: {key} is missing; write it in dollars per million tokens.")
    return Rates(**{key: _amount(f"{where}: {key}", value) for key, value in entry.items()})


def _amount(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotReady(f"{where} is not a number: {value!r}; write dollars per million tokens, as in 0.25.")
    try:
        amount = float(value)
    except OverflowError:
        amount = math.inf
    if not math.isfinite(amount):
        raise NotReady(f"{where} is not a finite number: {amount}; write dollars per million tokens.")
    if amount < 0:
        raise NotReady(f"{where} is negative: {amount}; write 0 for a model that costs nothing.")
    return amount
