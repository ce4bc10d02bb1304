"""Are the coefficients of the units equal? Wald tests with the covariance across units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.analyses.suited import refuse_not_plain, refuse_unknown, refuse_unsuited
from runner.errors import listed
from runner.estimators.standard_errors import ERRORS
from runner.panels.finding import Finding
from runner.text import LEVEL, count, number, p_words, t_text

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from runner.models.study import Study
    from runner.numerics.least_squares import Solution

Row = dict[str, object]  # of a table
EQUALITY = [
    "term",
    "units",
    "dates",
    "smallest",
    "largest",
    "wald",
    "f_stat",
    "df_num",
    "df_den",
    "p_value",
    "errors",
    "reason",
]
PASSED = 1e-10  # 1 - leverage below which a fit passes through its row: the residual is rounding
EQUAL = "equal in every unit"


@dataclass(frozen=True)
class System:
    """Regressions of U units with k terms each, side by side.

    Attributes:
        units: names (U,) of those with estimates and errors.
        b: (U, k) estimates.
        influence: (T, U, k), the inverse of X'X times the score x*u of the cells of each date.
        residuals, bread: (T, U) and (k, k), the inverse of X'X, where every unit has the same X on
            every row and errors are nonrobust, else None.
        kind: of the scores, HC0, HC2 or HC3.
        dates: least number of dates of a unit.
        lags: of products of influences over dates.
        omitted: units without estimates or errors, with the reason.
    """

    units: list[str]
    b: np.ndarray
    influence: np.ndarray
    residuals: np.ndarray | None
    bread: np.ndarray | None
    kind: str
    dates: int
    lags: int
    omitted: dict[str, str]

    @property
    def errors(self) -> str:
        """The covariance in words."""
        if self.residuals is not None:
            return "SUR, equal variances"
        words = f"SUR, {self.kind} scores summed by date"
        if self.lags:
            words += f", Newey-West {count(self.lags, 'lag')}"
        return words

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the covariance; with lags, the equivalent ones of Bartlett's."""
        lags = np.arange(1, self.lags + 1)
        weights = 1.0 - lags / (self.lags + 1.0)
        squared_weights = weights @ weights
        squared = float(squared_weights)
        _, k = self.b.shape
        df = self.dates - k
        return int(df / (1.0 + 2.0 * squared))

    def covariance(self, positions: list[int]) -> np.ndarray:
        """Covariance (U m, U m) of the terms at these m positions, unit by unit.

        Without small-sample factor.
        """
        from runner.numerics.covariance import long_run

        if self.residuals is not None and self.bread is not None:
            sigma = self.residuals.T @ self.residuals / self.dates
            bread = self.bread[np.ix_(positions, positions)]
            return np.kron(sigma, bread)
        dates = len(self.influence)
        influence = self.influence[:, :, positions]
        by_date = influence.reshape(dates, -1)
        return long_run(by_date, self.lags)


def equality(study: Study, *, terms: list[str] | None = None) -> Finding:
    """Wald tests that a term is the same in every unit (asset or group), each and all together.

    Shocks are shared, so the estimates of two units are correlated: cov(b_i, b_j) = B_i (sum over
    dates of s_it s_jt') B_j, with s_it the scores x*u of unit i on date t and B the inverse of X'X
    (seemingly unrelated regressions, Zellner 1962, robust to unequal variances). HC2 and HC3 of the
    run divide u by its slack, HAC and driscoll_kraay add Newey-West over dates with their lags;
    cluster counts as dates. Where targets over several rows overlap on more rows than there are
    lags, the sentences give no verdict. With nonrobust errors it is s_ij (X'X)^-1, s_ij the mean
    product of residuals, where every asset has the same regressors and rows; else HC3.

    `wald` is chi-squared with q restrictions, without small-sample factor. The test is Hotelling's
    (1931) of it: F = wald (d - k) / d (v - p + 1) / (v q) with (q, v - p + 1) degrees of freedom, d
    the fewest dates of a unit, k its terms, v = d - k, with lags divided by 1 + 2 sum of squared
    Bartlett weights, and p = q, in the case s_ij (X'X)^-1 p = U - 1, where one term of normal
    errors is exact. On 60 dates, 9 assets, 4 terms a true null was rejected at 5 % in 5 %
    (nonrobust), 12 % (HC3) and 18 % (HC0) of samples: few dates reject too often.

    Args:
        terms: to compare; null takes every term of the regression.

    Raises:
        DataError: a regression by date, pooled or penalised, weighted, with effects or components;
            unknown terms.
    """
    import pandas as pd

    refuse_unsuited(study, several=True)
    refuse_not_plain(study, constant=False)
    known = study.model.terms(study.panel.names)
    if terms is None:
        terms = known
    chosen = list(dict.fromkeys(terms))
    for term in chosen:
        refuse_unknown({"terms": term}, known)
    system = _system(study)
    tests = [[term] for term in chosen]
    if len(chosen) > 1:
        tests.append(chosen)
    rows = [_test(system, known, tested) for tested in tests]
    table = pd.DataFrame(rows, columns=EQUALITY)
    metrics = {}
    first_rows = len(chosen)
    single_terms = table.head(first_rows)
    for row in single_terms.to_dict("records"):
        term = row["term"]
        metrics[f"p_{term}"] = row["p_value"]
    noun = "group"
    if study.model.by == "asset":
        noun = "asset"
    words = _words(table, system, noun, study.panel.horizon)
    return Finding(table, metrics, words)


def _system(study: Study) -> System:
    """The units that have estimates and errors, side by side."""
    from runner.numerics.covariance import default_lags

    model = study.model
    panel = study.panel
    dates = len(panel.dates)
    rows = np.arange(dates)
    kind = ERRORS[model.cov].across
    solved, omitted = _solved(study, rows)
    terms = model.terms(panel.names)
    k = len(terms)
    influence = np.zeros((dates, len(solved), k))
    for u, (t, solution) in enumerate(solved.values()):
        influence_of_cells = _influence(solution, kind)
        np.add.at(influence[:, u], t, influence_of_cells)
        dates_of_unit = np.unique(t)
        dates_of_this = len(dates_of_unit)
        dates = min(dates, dates_of_this)
    lags = model.cov_lags
    if lags is None:
        lags = default_lags(dates, panel.horizon)
    longest = dates - 1
    lags = min(lags, longest) if model.lagged else 0
    solutions = [solution for _, solution in solved.values()]
    estimates = np.array([solution.b for solution in solutions])
    b = estimates.reshape(len(solved), k)
    residuals = None
    bread = None
    if solutions and _alike(study, rows):
        residuals = np.column_stack([solution.u for solution in solutions])
        bread = solutions[0].bread
    return System(list(solved), b, influence, residuals, bread, kind, dates, lags, omitted)


def _alike(study: Study, rows: np.ndarray) -> bool:
    """Whether errors are nonrobust and every asset has the same regressors and rows."""
    from runner.models.pricing import shared_regressors

    model = study.model
    panel = study.panel
    if model.by != "asset" or model.cov != "nonrobust":
        return False
    names = model.regressors
    if names is None:
        names = panel.names
    X = shared_regressors(panel, rows, names)
    return X is not None


def _influence(solution: Solution, kind: str) -> np.ndarray:
    """The inverse of X'X times the score of each cell (n, k), residuals as HC0, HC2 or HC3."""
    slack = _slack(solution, kind)
    u = solution.u / slack
    scores = solution.X * u[:, None]
    influence = scores @ solution.bread
    return np.asarray(influence)


def _slack(solution: Solution, kind: str) -> np.ndarray:
    """What residuals (n,) are divided by; NaN where the fit passes through its row exactly."""
    slack = 1.0 - solution.leverage
    if kind == "HC0":
        return np.ones_like(slack)
    slack[slack < PASSED] = np.nan
    if kind == "HC2":
        return np.sqrt(slack)
    return slack


def _solved(
    study: Study, rows: np.ndarray
) -> tuple[dict[str, tuple[np.ndarray, Solution]], dict[str, str]]:
    """Dates of the cells and least squares of each unit; units without, with the reason."""
    from runner.estimators.estimation import EXACT, design
    from runner.numerics.least_squares import NotEstimable, solve
    from runner.panels.units import units

    model = study.model
    panel = model.by_spells(study.panel)
    terms = model.terms(panel.names)
    solved = {}
    omitted = {}
    for unit in units(panel, rows, model.by):
        used = unit.used(panel)
        X = design(used, panel, model.regressors, model.constant)
        try:
            solution = solve(X, used.y, terms, model.constant)
        except NotEstimable as error:
            omitted[unit.name] = str(error)
            continue
        if solution.exact:
            omitted[unit.name] = EXACT
        else:
            solved[unit.name] = (used.t, solution)
    return solved, omitted


def _test(system: System, terms: list[str], chosen: list[str]) -> Row:
    """The test of one term, or of several together, as a row of the table."""
    positions = [terms.index(term) for term in chosen]
    estimates = system.b[:, positions]
    row: Row = {"term": ", ".join(chosen), "units": len(system.b)}
    row["dates"] = system.dates
    row["errors"] = system.errors
    if len(estimates) and len(chosen) == 1:
        row["smallest"] = estimates.min()
        row["largest"] = estimates.max()
    return row | _wald(system, positions, chosen)


def _wald(system: System, positions: list[int], chosen: list[str]) -> Row:
    """Hotelling's test that the terms at these positions are equal, or why there is none."""
    from scipy.special import fdtrc

    from runner.numerics.inference import wald
    from runner.numerics.least_squares import NotEstimable
    from runner.numerics.restrictions import Restriction

    U, k = system.b.shape
    m = len(positions)
    d = system.dates
    if U < 2:
        units = count(U, "unit")
        return {"reason": f"{units} with errors; needs at least 2"}
    differences = U - 1
    q = differences * m
    p = differences
    if system.residuals is None:
        p = q
    v = system.freedom
    V = system.covariance(positions)
    if v < p:
        left = f"{d} dates leave {v} degrees of freedom beside {k} terms"
        return {"reason": f"{left}; needs at least {p}"}
    if not np.isfinite(V).all():
        return {"reason": f"{system.kind} does not exist: a row has leverage 1"}
    first = np.ones(differences)
    others = np.eye(differences)
    pair = [-first, others]
    less_first = np.column_stack(pair)
    R = np.kron(less_first, np.eye(m))
    restriction = Restriction(EQUAL, chosen * U, R, np.zeros(q))
    estimates = system.b[:, positions]
    try:
        b = estimates.ravel()
        test = wald(b, V, v, restriction)
    except NotEstimable as error:
        return {"reason": str(error)}
    df = v - p + 1
    statistic = test.f_stat * (d - k)
    f = statistic / d * df / v
    p_value = fdtrc(q, df, f)
    row: Row = {"wald": test.f_stat * q, "f_stat": f, "p_value": float(p_value)}
    return row | {"df_num": q, "df_den": df, "reason": ""}


def _words(table: pd.DataFrame, system: System, noun: str, horizon: int) -> list[str]:
    """A sentence per test, the tests without an answer, and the units that are not compared.

    Args:
        horizon: rows that the target looks ahead.
    """
    number_of_units = len(system.units)
    units = count(number_of_units, noun)
    doubt = _doubt(system, horizon)
    rows = table.to_dict("records")
    words = [_sentence(row, units, doubt) for row in rows if not row["reason"]]
    has_failed = table["reason"] != ""
    failed = table[has_failed]
    by_reason = failed.groupby("reason", sort=False)
    for reason, part in by_reason:
        terms = "; ".join(part["term"])
        words.append(f"Equality of {terms} was not tested: {reason}.")
    omitted = [f"{name} ({reason})" for name, reason in system.omitted.items()]
    if omitted:
        units_omitted = listed(omitted)
        words.append(f"Not compared: {units_omitted}.")
    return words


def _doubt(system: System, horizon: int) -> str:
    """Why the tests support no verdict; empty where they do."""
    if system.lags >= horizon - 1:
        return ""
    errors = f"its errors ({system.errors})"
    if system.lags:
        return f"{errors} have too few lags for targets over {horizon} rows, which overlap"
    return f"{errors} ignore that targets over {horizon} rows overlap"


def _sentence(row: dict[Hashable, Any], units: str, doubt: str) -> str:
    """What came of a test; where there is a doubt about its errors, without a verdict."""
    subject = f"Equality of {row['term']}"
    spread = ""
    if np.isnan(row["smallest"]):
        subject += " together"
    else:
        smallest = number(row["smallest"], 3)
        largest = number(row["largest"], 3)
        spread = f"; estimates from {smallest} to {largest}"
    answer = "not rejected at 5 %, which does not prove it"
    if row["p_value"] < LEVEL:
        answer = "rejected at 5 %"
    if doubt:
        answer = f"without a verdict: {doubt}"
    df_num = f"{row['df_num']:.0f}"
    df_den = f"{row['df_den']:.0f}"
    f_stat = t_text(row["f_stat"])
    p = p_words(row["p_value"])
    test = f"F({df_num}, {df_den}) = {f_stat}, {p}"
    return f"{subject} over {units} is {answer} ({test}){spread}."
