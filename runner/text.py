"""Numbers, units and verdicts as words, never more certain than the test behind them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


LEVEL = 0.05
MOST_VIF = 10.0
MANY_TESTS = 20  # tests from which on the count expected by chance is told


def number(value: float, digits: int = 4) -> str:
    """Four significant digits, thousands separated; scientific only where far from one."""
    if not math.isfinite(value) or value == 0.0:
        return "–" if math.isnan(value) else f"{value:g}"
    size = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if not -5 <= size < 9:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(digits - 1 - size, 0)}f}"


def p_text(p: float) -> str:
    """A p-value to three decimals."""
    return "–" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def stars(p: float) -> str:
    """The usual marks of significance; none where there is no p-value."""
    return sum(p < level for level in (0.01, 0.05, 0.1)) * "*"


def t_text(t: float) -> str:
    return "–" if math.isnan(t) else f"{t:,.2f}" if abs(t) < 100 else f"{t:,.1f}"


def percent(share: float) -> str:
    """A share in percent; small ones keep two significant digits."""
    if math.isnan(share):
        return "–"
    return (
        f"{share:,.1%}".replace("%", " %")
        if abs(share) >= 0.01 or share == 0.0
        else f"{100.0 * share:.2g} %"
    )


def count(n: int, noun: str) -> str:
    return f"{n:,} {noun if n == 1 else plural(noun)}"


def plural(noun: str) -> str:
    return f"{noun}s"


def unit_noun(table: pd.DataFrame) -> str:
    """What the rows of a table are about: asset, date, group, or regression where there is only
    one pool.
    """
    scopes = [scope for scope in table["scope"].unique() if scope != "mean"]
    return scopes[0] if len(scopes) == 1 and scopes[0] != "pooled" else "regression"


def per_unit(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the units, without those of the mean over them."""
    return table[table["scope"] != "mean"]


def verdict(p: float) -> str:
    for level in (0.01, 0.05, 0.10):
        if p < level:
            return f"distinguishable from zero at {level:.0%}".replace("%", " %")
    return f"not distinguishable from zero (p {p_text(p)})"


def significance(tested: pd.DataFrame, noun: str) -> str:
    """In how many units a term is significant, with the signs of those."""
    hits = tested[tested["p_value"] < LEVEL]
    if hits.empty:
        return f"is not distinguishable from zero at 5 % in any of {len(tested):,} {noun}"
    up = int((hits["estimate"] > 0).sum())
    signs = (
        f"{up:,} positive, {len(hits) - up:,} negative"
        if 0 < up < len(hits)
        else "positive"
        if up
        else "negative"
    )
    of = f"{len(hits):,} of {len(tested):,} {noun}"
    return f"is significant at 5 % in {of} ({signs}){by_chance(len(hits), len(tested))}"


def by_chance(hits: int, units: int, tests: int = 1) -> str:
    """How many rejections a true null would give, where that is a fair part of those seen."""
    expected = LEVEL * units
    if units < MANY_TESTS or hits > 3 * tests * expected:
        return ""
    return (
        f", where chance alone would give about {expected:,.0f}"
        + f" to {tests * expected:,.0f}" * (tests > 1)
    )


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
