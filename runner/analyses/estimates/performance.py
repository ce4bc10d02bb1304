"""Performance of funds and portfolios: alpha, shares of risk, the return of the CAPM, style."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.analyses.suited import (
    refuse_forecast,
    refuse_not_plain,
    refuse_unknown,
    refuse_unsuited,
    slopes_of,
)
from runner.data.calendar import Year, year_of
from runner.errors import DataError, listed
from runner.estimators.few_clusters import for_a_verdict, significance_of, without_verdict
from runner.panels.finding import Finding
from runner.schema.settings import Positive, Share
from runner.text import (
    LEVEL,
    number,
    per_unit,
    percent,
    plural,
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
    "specific_share",
    "systematic_volatility",
    "specific_volatility",
    "capm_beta",
    "premium",
    "capm_implied",
    "capm_implied_annual",
    "realised",
    "realised_annual",
    "reason",
]
LOGGED = ["alpha_annual", "systematic_share", "capm_implied", "capm_implied_annual"]
# names of a positive and of a negative loading
AXES = {"size": ("small", "large"), "value": ("value", "growth")}
NEITHER = "neither"
SIDE = ["term", "loading", "std_error", "t_stat", "p_value"]
STYLE = ["scope", "unit", *AXES, *(f"{axis}_{name}" for axis in AXES for name in SIDE), "reason"]


def annualised(mean: float, rows_per_year: float) -> float:
    """A mean return per row, times the rows of a year: simple, not compounded."""
    return mean * rows_per_year


def annualised_volatility(variance: float, rows_per_year: float) -> float:
    """Standard deviation a year of uncorrelated returns with this variance per row."""
    variance_a_year = variance * rows_per_year
    return float(np.sqrt(variance_a_year))


def capm_implied(beta: float, premium: float) -> float:
    """Expected excess return under the CAPM (Sharpe 1964): beta times the market premium."""
    return beta * premium


def style(loading: float, p_value: float, names: tuple[str, str], level: float) -> str:
    """The side on which a loading lies, or neither where it is not significant at the level.

    Args:
        names: of a positive and of a negative loading.
        level: below which the p-value must lie.
    """
    if np.isnan(p_value):
        return ""
    if p_value >= level:
        return NEITHER
    positive, negative = names
    if loading > 0.0:
        return positive
    return negative


def performance(
    study: Study,
    *,
    market: str = "MktRF",
    rows_per_year: Positive | None = None,
    premium: float | None = None,
) -> Finding:
    """Alpha, systematic and specific risk, and the return that the CAPM implies, per unit.

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

    refuse_unsuited(study)
    refuse_not_plain(study, constant=True)
    refuse_forecast(study)
    year = year_of(study.panel.calendar, rows_per_year)
    terms = study.model.terms(study.panel.names)
    refuse_unknown({"market": market}, terms[1:])
    rows = _performance_rows(study, market, year.rows, premium)
    table = pd.DataFrame(rows, columns=PERFORMANCE)
    means = table[LOGGED].mean()
    metrics = {str(name): float(value) for name, value in means.items()}
    risk_free = study.settings.get("risk_free")
    excess = bool(risk_free)
    words = _performance_words(table, study.fit.quality, year, excess)
    return Finding(table, metrics, words, "security_market_line")


def _performance_rows(
    study: Study, market: str, rows_per_year: float, premium: float | None
) -> list[dict[str, object]]:
    """A row of the table per unit; without numbers where the unit has no estimates."""
    from runner.panels.units import units

    panel = study.model.by_spells(study.panel)
    market_position = panel.names.index(market)
    terms = _terms(study)
    n_dates = len(panel.dates)
    every_row = np.arange(n_dates)
    regressions = units(panel, every_row, study.model.by)
    fits = study.fit.quality.to_dict("records")
    rows = []
    for unit, fit in zip(regressions, fits, strict=True):
        row = {name: fit[name] for name in ("scope", "unit", "n_obs", "reason")}
        r2 = fit["r2"]
        if np.isfinite(r2):
            used = unit.used(panel)
            x = used.X[:, market_position]
            coefficients = terms[unit.name]
            row |= _numbers(coefficients, market, r2, used.y, x, rows_per_year, premium)
        rows.append(row)
    return rows


def _terms(study: Study) -> dict[str, pd.DataFrame]:
    """The coefficients of each unit, by term; `judged` is the p-value, NaN without a verdict."""
    table = per_unit(study.fit.coefficients)
    table = table.assign(judged=for_a_verdict(table, study.fit.quality))
    by_unit = table.groupby("unit", sort=False)
    return {str(unit): rows.set_index("term") for unit, rows in by_unit}


def _numbers(
    terms: pd.DataFrame,
    market: str,
    r2: float,
    y: np.ndarray,
    x: np.ndarray,
    rows_per_year: float,
    premium: float | None,
) -> dict[str, float]:
    """Alpha, risk and implied return of one unit with target y (n,) and market x (n,)."""
    both = np.stack([x, y])
    covariances = np.cov(both, ddof=1)
    (market_variance, covariance), (_, variance) = covariances
    beta = covariance / market_variance
    capm_beta = float(beta)
    constant = terms.loc["const"]
    alpha = constant["estimate"]
    numbers = {"alpha": alpha, "t_stat": constant["t_stat"]}
    numbers["alpha_annual"] = annualised(alpha, rows_per_year)
    numbers["p_value"] = constant["p_value"]
    numbers["beta"] = terms.loc[market, "estimate"]
    specific_share = 1.0 - r2
    explained_share = max(r2, 0.0)
    systematic = explained_share * variance
    specific = specific_share * variance
    numbers["systematic_share"] = r2
    numbers["specific_share"] = specific_share
    numbers["systematic_volatility"] = annualised_volatility(systematic, rows_per_year)
    numbers["specific_volatility"] = annualised_volatility(specific, rows_per_year)
    if premium is None:
        premium = float(x.mean())
    implied = capm_implied(capm_beta, premium)
    realised = float(y.mean())
    numbers["capm_beta"] = capm_beta
    numbers["premium"] = premium
    numbers["capm_implied"] = implied
    numbers["capm_implied_annual"] = annualised(implied, rows_per_year)
    numbers["realised"] = realised
    numbers["realised_annual"] = annualised(realised, rows_per_year)
    return numbers


def yearly(value: float) -> str:
    """A return or volatility a year, in percent."""
    percentage = 100.0 * value
    in_percent = number(percentage, 3)
    return f"{in_percent} %"


def _performance_words(
    table: pd.DataFrame, quality: pd.DataFrame, year: Year, excess: bool
) -> list[str]:
    known = table.dropna(subset="alpha")
    if len(known) == 1:
        words = _words_of_one(known.iloc[0], quality)
    else:
        words = _words_of_several(known, quality)
    words.append(f"Means and volatilities a year are {year.words}.")
    if not excess:
        words.append(
            "The target subtracts no risk-free rate (target.risk_free): "
            "unless it is an excess return already, alpha includes (1 - beta) times that rate."
        )
    return words


def _words_of_one(row: pd.Series, quality: pd.DataFrame) -> list[str]:
    test = "without a test"
    p_value = row["p_value"]
    if p_value >= 0.0:
        t = t_text(row["t_stat"])
        of_unit = quality[quality["unit"] == row["unit"]]
        answer = without_verdict(of_unit) or verdict(p_value)
        test = f"(t {t}), {answer}"
    alpha = yearly(row["alpha_annual"])
    implied = yearly(row["capm_implied_annual"])
    realised = yearly(row["realised_annual"])
    beta = number(row["capm_beta"], 3)
    capm = (
        f"The CAPM implies a mean of {implied} a year (beta {beta}), "
        f"against {realised} realised; the difference was not tested."
    )
    unit = row["unit"]
    risk = _risk_sentence(row)
    return [f"Alpha of {unit} is {alpha} a year {test}.", risk, capm]


def _risk_sentence(row: pd.Series) -> str:
    systematic = percent(row["systematic_share"])
    specific = percent(row["specific_share"])
    systematic_volatility = yearly(row["systematic_volatility"])
    specific_volatility = yearly(row["specific_volatility"])
    return (
        f"{systematic} of the variance is systematic (R2), {specific} specific: "
        f"volatilities of {systematic_volatility} and {specific_volatility} a year."
    )


def _words_of_several(known: pd.DataFrame, quality: pd.DataFrame) -> list[str]:
    noun = plural(unit_noun(known))
    units = f"{len(known):,} {noun}"
    alpha = significance_of(known.assign(estimate=known["alpha"]), quality, noun)
    spread = yearly_range(known, "alpha_annual")
    shares = _share_words(known["systematic_share"], units)
    implied = known["capm_implied_annual"]
    realised = known["realised_annual"]
    capm = _capm_words(implied, realised, units)
    return [f"Alpha {alpha}; {spread} a year.", shares, capm]


def _share_words(shares: pd.Series, units: str) -> str:
    mean = percent(shares.mean())
    least = percent(shares.min())
    most = percent(shares.max())
    return (
        f"{mean} of the variance is systematic (R2) on average over {units}, "
        f"from {least} to {most}."
    )


def _capm_words(implied: pd.Series, realised: pd.Series, units: str) -> str:
    is_above = realised > implied
    above = int(is_above.sum())
    mean_implied = yearly(implied.mean())
    mean_realised = yearly(realised.mean())
    return (
        f"The CAPM implies a mean of {mean_implied} a year on average, "
        f"against {mean_realised} realised: more than implied in {above:,} of {units}; "
        "the difference was not tested."
    )


def yearly_range(rows: pd.DataFrame, column: str) -> str:
    """Least and greatest value of a column with the unit of each."""
    values = rows[column]
    lowest = int(values.argmin())
    highest = int(values.argmax())
    low = rows.iloc[lowest]
    high = rows.iloc[highest]
    least = yearly(low[column])
    greatest = yearly(high[column])
    unit_of_least = low["unit"]
    unit_of_greatest = high["unit"]
    return f"from {least} ({unit_of_least}) to {greatest} ({unit_of_greatest})"


def style_box(
    study: Study, *, size: str = "SMB", value: str = "HML", level: Share = LEVEL
) -> Finding:
    """Small or large, value or growth, per unit, from the signs of two loadings and their tests.

    A loading that is not significantly different from zero at `level` says neither; the style is no
    surer than its test.

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
    refuse_unknown(factors, slopes_of(study))
    if size == value:
        raise DataError(f"value: {value!r} is the factor of size too; allowed: another one")
    terms = _terms(study)
    rows = []
    quality = study.fit.quality
    for fit in quality.to_dict("records"):
        row = {name: fit[name] for name in ("scope", "unit", "reason")}
        if np.isfinite(fit["r2"]):
            row["reason"] = without_verdict(quality[quality["unit"] == fit["unit"]])
            coefficients = terms[fit["unit"]]
            for axis, factor in factors.items():
                row |= _side(axis, factor, coefficients, level)
        rows.append(row)
    table = pd.DataFrame(rows, columns=STYLE)
    metrics = _style_counts(table)
    words = _style_words(table, level)
    return Finding(table, metrics, words, "style_box")


def _style_counts(table: pd.DataFrame) -> dict[str, float]:
    """How many units lie on each side of each axis."""
    counts = {}
    for axis, names in AXES.items():
        for name in names:
            on_side = table[axis] == name
            counts[name] = float(on_side.sum())
    return counts


def _side(axis: str, factor: str, terms: pd.DataFrame, level: float) -> dict[str, object]:
    """The side of one axis of the box, and the loading that it comes from."""
    loading = terms.loc[factor]
    estimate = loading["estimate"]
    name_of_side = style(estimate, loading["judged"], AXES[axis], level)
    side: dict[str, object] = {axis: name_of_side}
    side[f"{axis}_term"] = factor
    side[f"{axis}_loading"] = estimate
    for name in ("std_error", "t_stat", "p_value"):
        side[f"{axis}_{name}"] = loading[name]
    return side


def style_name(size: str, value: str) -> str:
    """The two words of a style as one: `small value`, `large, neither value nor growth`."""
    if size == NEITHER and value == NEITHER:
        return "no clear style"
    if value == NEITHER:
        return f"{size}, neither value nor growth"
    if size == NEITHER:
        return f"{value}, neither small nor large"
    return f"{size} {value}"


def _style_words(table: pd.DataFrame, level: float) -> list[str]:
    """The style of the units with tests; those without are in the table with their reason."""
    sizes = table["size"].fillna("")
    values = table["value"].fillna("")
    has_size = sizes != ""
    has_value = values != ""
    is_tested = has_size & has_value
    tested = table[is_tested]
    level_in_percent = 100.0 * level
    level_text = f"at {level_in_percent:g} %"
    if tested.empty:
        reasons = [reason for reason in table["reason"].unique() if reason]
        because = f" ({listed(reasons)})" if reasons else ""
        return [f"No style: no {unit_noun(table)} has tests of both loadings{because}."]
    if len(tested) == 1:
        row = tested.iloc[0]
        name = style_name(row["size"], row["value"])
        unit = row["unit"]
        loadings = "; ".join(_loading_text(row, axis) for axis in AXES)
        return [f"Style of {unit} {level_text}: {name} ({loadings})."]
    styles = tested["size"].combine(tested["value"], style_name)
    words = []
    for name, units in tested["unit"].groupby(styles, sort=False):
        initial = name[0].upper()
        capitalised = initial + name[1:]
        names = listed(units)
        words.append(f"{capitalised} {level_text}: {names}.")
    return words


def _loading_text(row: pd.Series, axis: str) -> str:
    loading = number(row[f"{axis}_loading"], 3)
    t = t_text(row[f"{axis}_t_stat"])
    column = f"{axis}_term"
    factor = row[column]
    return f"{factor} {loading}, t {t}"
