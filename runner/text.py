"""Numbers, units and verdicts as words, never more certain than the test behind them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

ASSET_DATE = "asset-date"  # what a panel is made of, in the account of what was left out
LEVEL = 0.05
MOST_SAID = 500  # characters of the message of a library: some repeat the file
MOST_VIF = 10.0
MANY_TESTS = 20  # tests from which on the number expected by chance is reported
UNKNOWN = "–"  # a number that is missing
HUGE = 1e6  # a share from which on it is scientific
LEVELS = (0.01, 0.05, 0.1)  # of significance, the strictest first


def number(value: float, digits: int = 4) -> str:
    """Four significant digits, thousands separated; scientific only where far from one."""
    if math.isnan(value):
        return UNKNOWN
    if math.isinf(value) or value == 0.0:
        return f"{value:g}"
    scientific = f"{value:.{digits - 1}e}"
    exponent = math.floor(math.log10(abs(float(scientific))))
    if exponent < -5 or exponent >= 9:
        return scientific
    decimals = max(digits - 1 - exponent, 0)
    return f"{value:,.{decimals}f}"


def shown(name: object) -> str:
    """A name, or a line with names in it, as a terminal shows it: on one line, and no more.

    Names are data: letters that would move the cursor, ring, colour, hide or turn what stands
    beside them are written as their escapes, such as \\x1b and \\u202e.
    """
    text = str(name)
    if text.isprintable():
        return text
    letters = []
    for letter in text:
        escape = letter.encode("unicode_escape").decode()
        letters.append(letter if letter.isprintable() else escape)
    return "".join(letters)


def p_text(p: float) -> str:
    """A p-value to three decimals."""
    if math.isnan(p):
        return UNKNOWN
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}"


def p_words(p: float) -> str:
    """A p-value as papers write it: p < 0.001, p = 0.032."""
    text = p_text(p)
    if text.startswith("<"):
        return f"p < {text[1:]}"
    return f"p = {text}"


def stars(p: float) -> str:
    """The usual marks of significance; none where there is no p-value."""
    passed = [level for level in LEVELS if p < level]
    return "*" * len(passed)


def stars_of_mean(p: float, noun: str) -> str:
    """The same of a mean over units; none over assets or groups, whose shocks are shared.

    The standard error of such a mean takes them as independent.

    Args:
        noun: what a unit is, as `unit_noun` says.
    """
    return stars(p) if noun == "date" else ""


def t_text(t: float) -> str:
    """A t-statistic to two decimals, large ones to one."""
    if math.isnan(t):
        return UNKNOWN
    return f"{t:,.2f}" if abs(t) < 100 else f"{t:,.1f}"


def percent(share: float) -> str:
    """A share in percent; small ones keep two significant digits, huge ones are scientific."""
    if math.isnan(share):
        return UNKNOWN
    if abs(share) >= HUGE:
        return f"{100.0 * share:.2g} %"
    if abs(share) >= 0.01 or share == 0.0:
        return f"{share:,.1%}".replace("%", " %")
    return f"{100.0 * share:.2g} %"


def count(n: int, noun: str) -> str:
    """So many of them, the noun in the plural unless there is one."""
    name = noun if n == 1 else plural(noun)
    return f"{n:,} {name}"


def plural(noun: str) -> str:
    return f"{noun}s"


def unit_noun(table: pd.DataFrame) -> str:
    """What a row is about: asset, date or group; regression where all rows are one pool."""
    scopes = [scope for scope in table["scope"].unique() if scope != "mean"]
    if len(scopes) == 1 and scopes[0] != "pooled":
        return scopes[0]
    return "regression"


def per_unit(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the units, without those of the mean over them."""
    return table[table["scope"] != "mean"]


def verdict(p: float) -> str:
    """Whether an estimate with this p-value is significantly different from zero."""
    for level in LEVELS:
        if p < level:
            return f"significantly different from zero at {level:.0%}".replace("%", " %")
    return f"not significantly different from zero ({p_words(p)})"


def significance(tested: pd.DataFrame, noun: str) -> str:
    """In how many units a term is significant, with the signs of those."""
    hits = tested[tested["p_value"] < LEVEL]
    if hits.empty:
        return f"is not significantly different from zero at 5 % in any of {len(tested):,} {noun}"
    positive = int((hits["estimate"] > 0).sum())
    negative = len(hits) - positive
    if positive and negative:
        signs = f"{positive:,} positive, {negative:,} negative"
    elif positive:
        signs = "positive"
    else:
        signs = "negative"
    units = f"{len(hits):,} of {len(tested):,} {noun}"
    return f"is significant at 5 % in {units} ({signs}){by_chance(len(hits), len(tested))}"


def by_chance(hits: int, units: int, tests: int = 1) -> str:
    """How many rejections a true null would give, where that is a fair part of those seen."""
    expected = LEVEL * units
    if units < MANY_TESTS or hits > 3 * tests * expected:
        return ""
    text = f", where chance alone would give about {expected:,.0f}"
    if tests > 1:
        text += f" to {tests * expected:,.0f}"
    return text


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def one_line(error: Exception) -> str:
    """The message of an error on one line, a long one cut; its kind where it has none."""
    message = " ".join(str(error).split()) or type(error).__name__
    return message if len(message) <= MOST_SAID else f"{message[:MOST_SAID]} ..."
