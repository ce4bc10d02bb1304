"""Are the coefficients of the units equal? Wald tests with the covariance across units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.analyses.suited import refuse_not_plain, refuse_unknown, refuse_unsuited
from runner.errors import listed
from runner.estimators.standard_errors import ERRORS
from runner.panels.finding import Finding
from runner.text import LEVEL, count, number, p_text, t_text

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
        scores = f"SUR, {self.kind} scores summed by date"
        return f"{scores}, Newey-West {self.lags} lags" if self.lags else scores

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the covariance; with lags, the equivalent ones of Bartlett's."""
        lags = np.arange(1, self.lags + 1)
        weights = 1.0 - lags / (self.lags + 1.0)
        df = self.dates - self.b.shape[1]
        return int(df / (1.0 + 2.0 * float(weights @ weights)))

    def covariance(self, at: list[int]) -> np.ndarray:
        """Covariance (U m, U m) of the terms at these m places, unit by unit.

        Without small-sample factor.
        """
        from runner.numerics.covariance import long_run

        if self.residuals is not None and self.bread is not None:
            sigma = self.residuals.T @ self.residuals / self.dates
            return np.kron(sigma, self.bread[np.ix_(at, at)])
        dates = len(self.influence)
        influence = self.influence[:, :, at].reshape(dates, -1)
        return long_run(influence, self.lags)


def equality(study: Study, *, terms: list[str] | None = None) -> Finding:
    """Wald tests that a term is the same in every unit (asset or group), each and all together.

    Shocks are shared, so the estimates of two units are correlated: cov(b_i, b_j) = B_i (sum over
    dates of s_it s_jt') B_j, with s_it the scores x*u of unit i on date t and B the inverse of X'X
    (seemingly unrelated regressions, Zellner 1962, robust to unequal variances). HC2 and HC3 of the
    run divide u by its slack, HAC and driscoll_kraay add Newey-West over dates with their lags;
    cluster counts as dates. With nonrobust errors it is s_ij (X'X)^-1, s_ij the mean product of
    residuals, where every asset has the same regressors and rows; else HC3.

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
    chosen = list(dict.fromkeys(known if terms is None else terms))
    for term in chosen:
        refuse_unknown({"terms": term}, known)
    system = _system(study)
    tests = [[term] for term in chosen]
    if len(chosen) > 1:
        tests.append(chosen)
    rows = [_test(system, known, tested) for tested in tests]
    table = pd.DataFrame(rows, columns=EQUALITY)
    metrics = {}
    for row in table.head(len(chosen)).to_dict("records"):
        metrics[f"p_{row['term']}"] = row["p_value"]
    noun = "asset" if study.model.by == "asset" else "group"
    return Finding(table, metrics, _words(table, system, noun))


def _system(study: Study) -> System:
    """The units that have estimates and errors, side by side."""
    from runner.numerics.covariance import default_lags

    model = study.model
    panel = study.panel
    rows = np.arange(len(panel.dates))
    kind = ERRORS[model.cov].across
    solved, omitted = _solved(study, rows)
    k = len(model.terms(panel.names))
    influence = np.zeros((len(rows), len(solved), k))
    dates = len(rows)
    for u, (t, solution) in enumerate(solved.values()):
        np.add.at(influence[:, u], t, _influence(solution, kind))
        dates = min(dates, len(np.unique(t)))
    lags = model.cov_lags
    if lags is None:
        lags = default_lags(dates, panel.horizon)
    lags = min(lags, dates - 1) if model.lagged else 0
    solutions = [solution for _, solution in solved.values()]
    b = np.array([solution.b for solution in solutions]).reshape(len(solved), k)
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
    names = panel.names if model.regressors is None else model.regressors
    return shared_regressors(panel, rows, names) is not None


def _influence(solution: Solution, kind: str) -> np.ndarray:
    """The inverse of X'X times the score of each cell (n, k), residuals as HC0, HC2 or HC3."""
    u = solution.u / _slack(solution, kind)
    scores = solution.X * u[:, None]
    return np.asarray(scores @ solution.bread)


def _slack(solution: Solution, kind: str) -> np.ndarray:
    """What residuals (n,) are divided by; NaN where the fit passes through its row exactly."""
    left = 1.0 - solution.leverage
    slack = np.where(left < PASSED, np.nan, left)
    if kind == "HC0":
        return np.ones_like(slack)
    return np.sqrt(slack) if kind == "HC2" else slack


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
        t, i = unit.cells(panel)
        X = design(panel, t, i, model.regressors, model.constant)
        try:
            solution = solve(X, panel.y[t, i], terms, model.constant)
        except NotEstimable as error:
            omitted[unit.name] = str(error)
            continue
        if solution.exact:
            omitted[unit.name] = EXACT
        else:
            solved[unit.name] = (t, solution)
    return solved, omitted


def _test(system: System, terms: list[str], chosen: list[str]) -> Row:
    """The test of one term, or of several together, as a row of the table."""
    at = [terms.index(term) for term in chosen]
    row: Row = {"term": ", ".join(chosen), "units": len(system.b)}
    row |= {"dates": system.dates, "errors": system.errors}
    if len(system.b) and len(chosen) == 1:
        row["smallest"] = system.b[:, at].min()
        row["largest"] = system.b[:, at].max()
    return row | _wald(system, at, chosen)


def _wald(system: System, at: list[int], chosen: list[str]) -> Row:
    """Hotelling's test that the terms at these places are equal, or why there is none."""
    from scipy.special import fdtrc

    from runner.numerics.inference import wald
    from runner.numerics.least_squares import NotEstimable
    from runner.numerics.restrictions import Restriction

    U, k = system.b.shape
    m = len(at)
    d = system.dates
    if U < 2:
        return {"reason": f"{count(U, 'unit')} with errors; needs at least 2"}
    q = (U - 1) * m
    p = q if system.residuals is None else U - 1
    v = system.freedom
    V = system.covariance(at)
    if v < p:
        left = f"{d} dates leave {v} degrees of freedom beside {k} terms"
        return {"reason": f"{left}; needs at least {p}"}
    if not np.isfinite(V).all():
        return {"reason": f"{system.kind} does not exist: a row has leverage 1"}
    less_first = np.column_stack([-np.ones(U - 1), np.eye(U - 1)])
    R = np.kron(less_first, np.eye(m))
    restriction = Restriction(EQUAL, chosen * U, R, np.zeros(q))
    try:
        test = wald(system.b[:, at].ravel(), V, v, restriction)
    except NotEstimable as error:
        return {"reason": str(error)}
    df = v - p + 1
    f = test.f_stat * (d - k) / d * df / v
    p_value = float(fdtrc(q, df, f))
    row: Row = {"wald": test.f_stat * q, "f_stat": f, "p_value": p_value}
    return row | {"df_num": q, "df_den": df, "reason": ""}


def _words(table: pd.DataFrame, system: System, noun: str) -> list[str]:
    """A sentence per test, the tests without an answer, and the units that are not compared."""
    units = count(len(system.units), noun)
    rows = table.to_dict("records")
    words = [_sentence(row, units) for row in rows if not row["reason"]]
    failed = table[table["reason"] != ""]
    for reason, part in failed.groupby("reason", sort=False):
        words.append(f"Equality of {'; '.join(part['term'])} was not tested: {reason}.")
    if system.omitted:
        omitted = [f"{name} ({reason})" for name, reason in system.omitted.items()]
        words.append(f"Not compared: {listed(omitted)}.")
    return words


def _sentence(row: dict[Hashable, Any], units: str) -> str:
    subject = f"Equality of {row['term']}"
    spread = ""
    if np.isnan(row["smallest"]):
        subject += " together"
    else:
        smallest = number(row["smallest"], 3)
        largest = number(row["largest"], 3)
        spread = f"; estimates from {smallest} to {largest}"
    rejected = row["p_value"] < LEVEL
    answer = "rejected at 5 %" if rejected else "not rejected at 5 %, no proof of it"
    df = f"{row['df_num']:.0f}, {row['df_den']:.0f}"
    p = p_text(row["p_value"])
    test = f"F({df}) {t_text(row['f_stat'])}, p {p}"
    return f"{subject} over {units} is {answer} ({test}){spread}."
