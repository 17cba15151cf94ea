"""Exact distribution functions and quantiles of the beta and Student t distributions, without scipy."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import exp, inf, lgamma, log, log1p
from statistics import NormalDist

__all__ = ["beta_cdf", "beta_quantile", "normal_quantile", "t_cdf", "t_quantile"]

_BISECTIONS = 200
_TERMS = 100_000


def normal_quantile(p: float) -> float:
    """The value that a standard normal variable stays below with chance p, 0 < p < 1."""
    return NormalDist().inv_cdf(p)


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(X <= x) for X ~ Beta(a, b), a and b above 0: the regularised incomplete beta function."""
    return _incomplete_beta(x, 1.0 - x, a, b)


@lru_cache(maxsize=4096)
def beta_quantile(p: float, a: float, b: float) -> float:
    """The x with P(X <= x) = p for X ~ Beta(a, b)."""
    if not 0.0 <= p <= 1.0 or a <= 0.0 or b <= 0.0:
        raise ValueError(f"Beta({a}, {b}) has no quantile at {p}: give a chance from 0 to 1 and shapes above 0")
    return _root(lambda x: beta_cdf(x, a, b) - p, 0.0, 1.0)


def t_cdf(t: float, df: float) -> float:
    """P(T <= t) for Student's t with df degrees of freedom, df above 0."""
    square = t * t
    tail = 0.5 * _incomplete_beta(df / (df + square), square / (df + square), 0.5 * df, 0.5)
    return 1.0 - tail if t > 0 else tail


@lru_cache(maxsize=4096)
def t_quantile(p: float, df: float) -> float:
    """The t with P(T <= t) = p for Student's t with df degrees of freedom."""
    if not 0.0 < p < 1.0 or df <= 0.0:
        raise ValueError(
            f"t with {df} degrees of freedom has no quantile at {p}: give a chance inside (0, 1) and df above 0"
        )
    if p == 0.5:
        return 0.0
    # Solved in the lower tail, where the chance keeps its relative precision.
    tail, high = min(p, 1.0 - p), 1.0
    while t_cdf(-high, df) > tail:
        high *= 2.0
    t = _root(lambda x: tail - t_cdf(-x, df), 0.0, high)
    return t if p > 0.5 else -t


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if rising(middle) < 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _incomplete_beta(x: float, y: float, a: float, b: float) -> float:
    """I_x(a, b). y = 1 - x is passed in too, so that neither loses precision."""
    if x <= 0.0:
        return 0.0
    if y <= 0.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges slowly there, and its mirror fast
        return 1.0 - _incomplete_beta(y, x, b, a) if y <= (b + 1.0) / (a + b + 2.0) else _front(x, y, a, b)
    return _front(x, y, a, b)


def _front(x: float, y: float, a: float, b: float) -> float:
    log_x = log(x) if x < 0.5 else log1p(-y)
    log_y = log(y) if y < 0.5 else log1p(-x)
    logarithm = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log_x + b * log_y
    return exp(logarithm) * _continued_fraction(x, a, b) / a


def _continued_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        change = inf
        for term in (even, odd):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + term / c
            c = c if abs(c) > tiny else tiny
            change = d * c
            value *= change
        if abs(change - 1.0) < 1e-15:
            break
    return value
