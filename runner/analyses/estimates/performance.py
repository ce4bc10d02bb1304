"""Performance of funds and portfolios: alpha, the shares of risk, what the CAPM would pay, and the
style.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.analyses.suited import (
    refuse_forecast,
    refuse_not_plain,
    refuse_unknown,
    refuse_unsuited,
)
from runner.data.calendar import Year, year_of
from runner.errors import DataError, listed
from runner.panels.finding import Finding
from runner.schema.settings import Positive, Share
from runner.text import (
    LEVEL,
    number,
    per_unit,
    percent,
    plural,
    significance,
    t_text,
    unit_noun,
    verdict,
)

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

PERFORMANCE = [
    "scope",
    "unit",
    "n_obs",
    "alpha",
    "alpha_annual",
    "t_stat",
    "p_value",
    "beta",
    "systematic_share",
]
PERFORMANCE += [
    "specific_share",
    "systematic_volatility",
    "specific_volatility",
    "capm_beta",
    "premium",
]
PERFORMANCE += ["capm_implied", "capm_implied_annual", "realised", "realised_annual", "reason"]
AXES = {
    "size": ("small", "large"),
    "value": ("value", "growth"),
}  # names of a positive and of a negative loading
NEITHER = "neither"
SIDE_OF = ["estimate", "std_error", "t_stat", "p_value"]
SIDE = ["term", "loading", "std_error", "t_stat", "p_value"]
STYLE = ["scope", "unit", *AXES, *(f"{axis}_{name}" for axis in AXES for name in SIDE), "reason"]


def annualised(mean: float, rows_per_year: float) -> float:
    """A mean return per row, times the rows of a year: simple, not compounded."""
    return mean * rows_per_year


def annualised_volatility(variance: float, rows_per_year: float) -> float:
    """Standard deviation a year of returns with this variance per row, rows taken as
    uncorrelated.
    """
    return float(np.sqrt(variance * rows_per_year))


def capm_implied(beta: float, premium: float) -> float:
    """Expected excess return under the CAPM (Sharpe 1964): beta times the expected market
    premium.
    """
    return beta * premium


def style(loading: float, p_value: float, names: tuple[str, str], level: float) -> str:
    """The first name of a positive loading, the second of a negative one, neither where p is not
    below level.
    """
    if np.isnan(p_value):
        return ""
    return NEITHER if p_value >= level else names[0] if loading > 0.0 else names[1]


def performance(
    study: Study,
    *,
    market: str = "MktRF",
    rows_per_year: Positive | None = None,
    premium: float | None = None,
) -> Finding:
    """Alpha, the systematic and specific part of risk, and the return that the CAPM implies, per
    unit.

    Means a year are means per row times `rows_per_year` (simple), volatilities times its root. The
    shares are R2 and 1 - R2; both variances have the divisor n - 1, so that they add up to that of
    the target. The CAPM's own beta, `capm_beta`, is cov / var with the market alone, on the same
    rows; `beta` is that of the regression.

    Args:
        market: the regressor that is the market's excess return.
        rows_per_year: None takes that of the calendar of the panel.
        premium: expected market premium per row, decimals; null takes the mean of the market over
            the rows used.

    Raises:
        DataError: a regression by date, without constant, penalised, weighted, with effects or
            components, or of a target that looks ahead; a market that is not among its regressors.
    """
    import pandas as pd

    from runner.panels.units import units

    refuse_unsuited(study)
    refuse_not_plain(study, constant=True)
    refuse_forecast(study)
    year = year_of(study.panel.calendar, rows_per_year)
    panel, quality = study.panel, study.fit.quality
    refuse_unknown({"market": market}, study.model.terms(panel.names)[1:])
    terms = _terms(study)
    found = []
    for unit, fit in zip(
        units(panel, np.arange(len(panel.dates)), study.model.by),
        quality.to_dict("records"),
        strict=True,
    ):
        row = {name: fit[name] for name in ("scope", "unit", "n_obs", "reason")}
        if np.isfinite(fit["r2"]):
            t, i = unit.cells(panel)
            x = panel.X[t, i, panel.names.index(market)]
            row |= _one(terms[unit.name], market, fit["r2"], panel.y[t, i], x, year.rows, premium)
        found.append(row)
    table = pd.DataFrame(found, columns=PERFORMANCE)
    means = table[
        ["alpha_annual", "systematic_share", "capm_implied", "capm_implied_annual"]
    ].mean()
    words = _performance_words(table, year, excess=bool(study.settings.get("risk_free")))
    return Finding(
        table,
        {str(name): float(value) for name, value in means.items()},
        words,
        "security_market_line",
    )


def _terms(study: Study) -> dict[str, pd.DataFrame]:
    """The coefficients of each unit by term."""
    table = per_unit(study.fit.coefficients)
    return {str(unit): rows.set_index("term") for unit, rows in table.groupby("unit", sort=False)}


def _one(
    terms: pd.DataFrame,
    market: str,
    r2: float,
    y: np.ndarray,
    x: np.ndarray,
    year: float,
    premium: float | None,
) -> dict[str, float]:
    """What there is to say of one unit with target y (n,) and market x (n,)."""
    variance = np.cov(np.stack([x, y]), ddof=1)
    alpha, beta = terms.loc["const"], float(variance[0, 1] / variance[0, 0])
    paid = float(x.mean()) if premium is None else premium
    implied, realised = capm_implied(beta, paid), float(y.mean())
    return {
        "alpha": alpha["estimate"],
        "alpha_annual": annualised(alpha["estimate"], year),
        "t_stat": alpha["t_stat"],
        "p_value": alpha["p_value"],
        "beta": terms.loc[market, "estimate"],
        "systematic_share": r2,
        "specific_share": 1.0 - r2,
        "systematic_volatility": annualised_volatility(max(r2, 0.0) * variance[1, 1], year),
        "specific_volatility": annualised_volatility((1.0 - r2) * variance[1, 1], year),
        "capm_beta": beta,
        "premium": paid,
        "capm_implied": implied,
        "capm_implied_annual": annualised(implied, year),
        "realised": realised,
        "realised_annual": annualised(realised, year),
    }


def yearly(value: float) -> str:
    """A return or volatility a year, in percent."""
    return f"{number(100.0 * value, 3)} %"


def _performance_words(table: pd.DataFrame, year: Year, excess: bool) -> list[str]:
    known = table[table["alpha"].notna()]
    said = _of_one(known.iloc[0]) if len(known) == 1 else _of_many(known)
    said.append(f"Means and volatilities a year are {year.words}.")
    if not excess:
        said.append(
            "The target names no risk-free rate (target.risk_free): unless it is in excess of one by itself, "
            "alpha holds (1 - beta) of that rate."
        )
    return said


def _of_one(row: pd.Series) -> list[str]:
    tested = row["p_value"] >= 0.0
    test = f"(t {t_text(row['t_stat'])}), {verdict(row['p_value'])}" if tested else "without a test"
    return [
        f"Alpha of {row['unit']} is {yearly(row['alpha_annual'])} a year {test}.",
        f"{percent(row['systematic_share'])} of the variance is systematic (R2), {percent(row['specific_share'])} "
        f"specific: volatilities of {yearly(row['systematic_volatility'])} and "
        f"{yearly(row['specific_volatility'])} a year.",
        f"The CAPM implies {yearly(row['capm_implied_annual'])} a year (beta {number(row['capm_beta'], 3)}); "
        f"realised were {yearly(row['realised_annual'])}; no test was made of the difference.",
    ]


def _of_many(known: pd.DataFrame) -> list[str]:
    noun, implied, realised = (
        plural(unit_noun(known)),
        known["capm_implied_annual"],
        known["realised_annual"],
    )
    tested = known[known["p_value"].notna()].rename(columns={"alpha": "estimate"})
    alpha = significance(tested, noun) if len(tested) else "is without tests"
    shares, above = known["systematic_share"], int((realised > implied).sum())
    return [
        f"Alpha {alpha}; {yearly_range(known, 'alpha_annual')} a year.",
        f"{percent(shares.mean())} of the variance is systematic (R2) on average over {len(known):,} {noun}, "
        f"from {percent(shares.min())} to {percent(shares.max())}.",
        f"The CAPM implies {yearly(implied.mean())} a year on average, realised were {yearly(realised.mean())}: more "
        f"than implied in {above:,} of {len(known):,} {noun}; no test was made of the difference.",
    ]


def yearly_range(rows: pd.DataFrame, column: str) -> str:
    """Least and greatest value of a column with the unit of each."""
    low, high = (rows.iloc[int(at)] for at in (rows[column].argmin(), rows[column].argmax()))
    return f"from {yearly(low[column])} ({low['unit']}) to {yearly(high[column])} ({high['unit']})"


def style_box(
    study: Study, *, size: str = "SMB", value: str = "HML", level: Share = LEVEL
) -> Finding:
    """Small or large, value or growth, per unit, from the signs of two loadings and whether they
    are significant.

    A loading that is not distinguishable from zero at `level` says neither; the style is no surer
    than its test.

    Args:
        size: the regressor that is small less large (SMB).
        value: the regressor that is value less growth (HML).
        level: of the two tests of each unit.

    Raises:
        DataError: a regression by date, penalised, or of a target that looks ahead; a factor that
            is not among its regressors, or one factor for both.
    """
    import pandas as pd

    refuse_unsuited(study)
    refuse_forecast(study)
    factors = {"size": size, "value": value}
    refuse_unknown(factors, [t for t in study.model.terms(study.panel.names) if t != "const"])
    if size == value:
        raise DataError(f"value: {value!r} is the factor of size too; allowed: another one")
    terms = _terms(study)
    found = []
    for fit in study.fit.quality.to_dict("records"):
        row = {name: fit[name] for name in ("scope", "unit", "reason")}
        if np.isfinite(fit["r2"]):
            for axis, term in factors.items():
                row |= _side(axis, term, terms[fit["unit"]], level)
        found.append(row)
    table = pd.DataFrame(found, columns=STYLE)
    counts = {
        name: float((table[axis] == name).sum()) for axis, names in AXES.items() for name in names
    }
    return Finding(table, counts, _style_words(table, level), "style_box")


def _side(axis: str, term: str, terms: pd.DataFrame, level: float) -> dict[str, object]:
    """One side of the box: its word, and the loading that it comes from."""
    one = terms.loc[term]
    word = style(one["estimate"], one["p_value"], AXES[axis], level)
    return {axis: word} | dict(
        zip((f"{axis}_{name}" for name in SIDE), (term, *one[SIDE_OF]), strict=True)
    )


def style_name(size: str, value: str) -> str:
    """The two words of a style as one: `small value`, `large, neither value nor growth`."""
    match (size == NEITHER, value == NEITHER):
        case (False, False):
            return f"{size} {value}"
        case (False, True):
            return f"{size}, neither {AXES['value'][0]} nor {AXES['value'][1]}"
        case (True, False):
            return f"{value}, neither {AXES['size'][0]} nor {AXES['size'][1]}"
    return "no clear style"


def _style_words(table: pd.DataFrame, level: float) -> list[str]:
    """The style of the units with tests; those without are in the table with their reason."""
    tested = table[(table["size"].fillna("") != "") & (table["value"].fillna("") != "")]
    at = f"at {100.0 * level:g} %"
    if tested.empty:
        return ["No style: no unit has tests of both loadings."]
    if len(tested) == 1:
        row = tested.iloc[0]
        sides = [
            f"{row[f'{a}_term']} {number(row[f'{a}_loading'], 3)}, t {t_text(row[f'{a}_t_stat'])}"
            for a in AXES
        ]
        return [
            f"Style of {row['unit']} {at}: {style_name(row['size'], row['value'])} ({'; '.join(sides)})."
        ]
    names = [style_name(*pair) for pair in zip(tested["size"], tested["value"], strict=True)]
    groups = {
        name: tested["unit"][[one == name for one in names]]
        for name in sorted(set(names), key=names.index)
    }
    return [f"{name[0].upper()}{name[1:]} {at}: {listed(units)}." for name, units in groups.items()]
