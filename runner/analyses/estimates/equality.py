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
]
EQUALITY += ["errors", "reason"]
EQUAL = "equal in every unit"


@dataclass(frozen=True)
class System:
    """Regressions of U units with k terms each, side by side.

    Attributes:
        units: names (U,) of those with estimates and errors.
        b: (U, k) estimates.
        influence: (T, U, k), the inverse of X'X times the score x*u of the cells of each date.
        residuals, bread: (T, U) and (k, k) where every unit has the same X on every row and errors
            are nonrobust, else None.
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
        return f"SUR, {self.kind} scores summed by date" + (
            f", Newey-West {self.lags} lags" if self.lags else ""
        )

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the covariance; lags leave fewer (equivalent ones of the Bartlett
        window).
        """
        weights = 1.0 - np.arange(1, self.lags + 1) / (self.lags + 1.0)
        return int((self.dates - self.b.shape[1]) / (1.0 + 2.0 * float(weights @ weights)))

    def covariance(self, at: list[int]) -> np.ndarray:
        """Covariance (U m, U m) of the terms at these m places, unit by unit, without small-sample
        factor.
        """
        from runner.numerics.covariance import long_run

        if self.residuals is not None and self.bread is not None:
            return np.kron(
                self.residuals.T @ self.residuals / self.dates, self.bread[np.ix_(at, at)]
            )
        return long_run(self.influence[:, :, at].reshape(len(self.influence), -1), self.lags)


def equality(study: Study, *, terms: list[str] | None = None) -> Finding:
    """Wald tests that a term is the same in every unit (asset or group), one by one and all
    together.

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
    every = [[term] for term in chosen] + ([chosen] if len(chosen) > 1 else [])
    table = pd.DataFrame([_test(system, known, one) for one in every], columns=EQUALITY)
    tested = {
        f"p_{row['term']}": row["p_value"] for row in table.head(len(chosen)).to_dict("records")
    }
    noun = "asset" if study.model.by == "asset" else "group"
    return Finding(table, tested, _words(table, system, noun))


def _system(study: Study) -> System:
    """The units that have estimates and errors, side by side."""
    from runner.models.pricing import shared_regressors
    from runner.numerics.covariance import default_lags

    model, panel, rows = study.model, study.panel, np.arange(len(study.panel.dates))
    solved, omitted = _solved(study, rows)
    U, k = len(solved), len(model.terms(panel.names))
    influence, dates = np.zeros((len(rows), U, k)), len(rows)
    kind = ERRORS[model.cov].across
    for u, (t, one) in enumerate(solved.values()):
        np.add.at(influence[:, u], t, one.X * (one.u / _slack(one, kind))[:, None] @ one.bread)
        dates = min(dates, len(np.unique(t)))
    names = panel.names if model.regressors is None else model.regressors
    plain = U > 0 and model.by == "asset" and model.cov == "nonrobust"
    alike = plain and shared_regressors(panel, rows, names) is not None
    every = [one for _, one in solved.values()]
    lags = default_lags(dates, panel.horizon) if model.cov_lags is None else model.cov_lags
    return System(
        units=list(solved),
        b=np.array([one.b for one in every]).reshape(U, k),
        influence=influence,
        residuals=np.column_stack([one.u for one in every]) if alike else None,
        bread=every[0].bread if alike else None,
        kind=kind,
        dates=dates,
        lags=min(lags, dates - 1) if model.lagged else 0,
        omitted=omitted,
    )


def _slack(one: Solution, kind: str) -> np.ndarray:
    """What residuals (n,) are divided by; NaN where the fit passes through its row exactly."""
    slack = np.where(1.0 - one.leverage < 1e-10, np.nan, 1.0 - one.leverage)
    return {"HC0": np.ones_like(slack), "HC2": np.sqrt(slack), "HC3": slack}[kind]


def _solved(
    study: Study, rows: np.ndarray
) -> tuple[dict[str, tuple[np.ndarray, Solution]], dict[str, str]]:
    """Dates of the cells and least squares of each unit, and the units without with their
    reason.
    """
    from runner.estimators.estimation import EXACT, design
    from runner.numerics.least_squares import NotEstimable, solve
    from runner.panels.units import units

    model, panel = study.model, study.panel
    terms, found, omitted = model.terms(panel.names), {}, {}
    for unit in units(panel, rows, model.by):
        t, i = unit.cells(panel)
        try:
            one = solve(
                design(panel, t, i, model.regressors, model.constant),
                panel.y[t, i],
                terms,
                model.constant,
            )
        except NotEstimable as error:
            omitted[unit.name] = str(error)
            continue
        if one.exact:
            omitted[unit.name] = EXACT
        else:
            found[unit.name] = t, one
    return found, omitted


def _test(system: System, terms: list[str], chosen: list[str]) -> dict[str, object]:
    """The test of one term, or of several together, as a row of the table."""
    from scipy.special import fdtrc

    from runner.numerics.inference import wald
    from runner.numerics.least_squares import NotEstimable
    from runner.numerics.restrictions import Restriction

    at = [terms.index(term) for term in chosen]
    (U, k), m, d = system.b.shape, len(at), system.dates
    row: dict[str, object] = {
        "term": ", ".join(chosen),
        "units": U,
        "dates": d,
        "errors": system.errors,
    }
    if U and m == 1:
        row |= {"smallest": system.b[:, at].min(), "largest": system.b[:, at].max()}
    q = (U - 1) * m
    p = q if system.residuals is None else U - 1
    if U < 2:
        return row | {"reason": f"{count(U, 'unit')} with errors; needs at least 2"}
    v, V = system.freedom, system.covariance(at)
    if v < p:
        return row | {
            "reason": f"{d} dates leave {v} degrees of freedom beside {k} terms; needs at least {p}"
        }
    if not np.isfinite(V).all():
        return row | {"reason": f"{system.kind} does not exist: a row has leverage 1"}
    # each unit less the first
    R = np.kron(np.column_stack([-np.ones(U - 1), np.eye(U - 1)]), np.eye(m))
    try:
        found = wald(system.b[:, at].ravel(), V, v, Restriction(EQUAL, chosen * U, R, np.zeros(q)))
    except NotEstimable as error:
        return row | {"reason": str(error)}
    left = v - p + 1
    f = found.f_stat * (d - k) / d * left / v
    test = {
        "wald": found.f_stat * q,
        "f_stat": f,
        "df_num": q,
        "df_den": left,
        "p_value": float(fdtrc(q, left, f)),
    }
    return row | test | {"reason": ""}


def _words(table: pd.DataFrame, system: System, noun: str) -> list[str]:
    """One sentence per test, tests without an answer by their reason, and the units that are not
    compared.
    """
    said = [
        _sentence(row, count(len(system.units), noun))
        for row in table.to_dict("records")
        if not row["reason"]
    ]
    failed = table[table["reason"] != ""]
    for reason, rows in failed.groupby("reason", sort=False):
        said.append(f"Equality of {'; '.join(rows['term'])} was not tested: {reason}.")
    if system.omitted:
        said.append(
            f"Not compared: {listed(f'{name} ({why})' for name, why in system.omitted.items())}."
        )
    return said


def _sentence(row: dict[Hashable, Any], units: str) -> str:
    rejected = row["p_value"] < LEVEL
    f = f"F({row['df_num']:.0f}, {row['df_den']:.0f}) {t_text(row['f_stat'])}, p {p_text(row['p_value'])}"
    one = row["smallest"] == row["smallest"]
    spread = (
        f"; estimates from {number(row['smallest'], 3)} to {number(row['largest'], 3)}"
        if one
        else ""
    )
    what = f"Equality of {row['term']}{'' if one else ' together'}"
    end = "rejected at 5 %" if rejected else "not rejected at 5 %, no proof of it"
    return f"{what} over {units} is {end} ({f}){spread}."
