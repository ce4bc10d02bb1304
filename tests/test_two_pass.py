"""Two-pass premia against linearmodels, against plain loops over the formulas, and on samples with a known truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from linearmodels.asset_pricing import LinearFactorModel
from linearmodels.datasets import french
from linearmodels.panel import FamaMacBeth
from oracles import close, panel_of
from scipy import stats

from runner.errors import DataError, EstimationError
from runner.models.two_pass.premia import overlap_share, rolling_betas
from runner.models.two_pass.two_pass import TwoPass
from runner.sinks.canvas import style
from runner.sinks.drawings.premia import pricing as drawn

# Relative agreement with linearmodels and with the loops: both solve the same equations by other routes, on columns
# whose condition numbers are below a thousand; pricing errors are small differences of means, which costs a digit.
REL = 1e-9
FLOOR = 1e-13  # absolute, beside returns of some 0.01: below it a pricing error is rounding


def sample(
    seed: int = 0, T: int = 150, N: int = 8, K: int = 2, noise: float = 0.03
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (T, N) and factors (T, K), monthly in size, errors correlated across assets and over time."""
    rng = np.random.default_rng(seed)
    F = 0.006 + 0.04 * rng.standard_normal((T, K))
    F[1:] += 0.2 * F[:-1]
    betas = rng.normal(1.0, 0.6, (N, K))
    e = noise * (rng.standard_normal((T, N)) + 0.5 * rng.standard_normal((T, 1)))
    e[1:] += 0.2 * e[:-1]
    return 0.001 + F @ betas.T + e, F


def fitted(model: TwoPass, y: np.ndarray, F: np.ndarray, rows: np.ndarray | None = None) -> Any:
    panel = panel_of(y, F[:, None, :].repeat(y.shape[1], axis=1))
    return model.fit(panel, np.arange(len(y)) if rows is None else rows)


def premia(fit: Any) -> pd.DataFrame:
    return fit.coefficients[fit.coefficients["scope"] == "mean"].set_index("term")


def path(fit: Any, terms: list[str]) -> pd.DataFrame:
    by_date = fit.coefficients[fit.coefficients["scope"] == "date"]
    return by_date.pivot_table(index="unit", columns="term", values="estimate")[terms]


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("cross_section", ["ols", "gls"])
@pytest.mark.parametrize("lags", [0, 4])
def test_gmm_is_the_linear_factor_model_of_linearmodels(
    constant: bool, cross_section: str, lags: int
) -> None:
    y, F = sample(1)
    X = np.column_stack([np.ones(len(F)), F])
    e = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    sigma = e.T @ e / len(e) if cross_section == "gls" else None
    oracle = LinearFactorModel(y, F, risk_free=constant, sigma=sigma).fit(
        cov_type="kernel", bandwidth=lags
    )
    if not lags:
        oracle = LinearFactorModel(y, F, risk_free=constant, sigma=sigma).fit(cov_type="robust")
    fit = fitted(
        TwoPass(cov="gmm", cov_lags=lags, cross_section=cross_section, constant=constant), y, F
    )
    found, priced = premia(fit), fit.findings["pricing"].table
    close(found["estimate"], oracle.risk_premia, "premia", REL)
    close(found["std_error"], oracle.risk_premia_se, "errors", REL)
    close(priced["pricing_error"], oracle.alphas, "pricing errors", REL, FLOOR)
    full, k = np.asarray(oracle.cov), X.shape[1]
    close(priced["std_error"], np.sqrt(np.diag(full))[: len(y.T) * k : k], "their errors", REL)
    betas = fit.findings["betas"].table.query("term != 'const'")["estimate"]
    close(betas.to_numpy().reshape(y.shape[1], -1), oracle.betas, "betas", REL)
    j = fit.hypotheses.iloc[-1]
    close(j["f_stat"] * j["df_num"], oracle.j_statistic.stat, "J", REL)
    close(j["p_value"], oracle.j_statistic.pval, "p of J", REL)
    assert (j["df_num"], j["df_den"]) == (oracle.j_statistic.df, np.inf)


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("lags", [0, 5])
def test_uncorrected_errors_are_those_of_fama_macbeth_in_linearmodels(
    constant: bool, lags: int
) -> None:
    y, F = sample(2)
    (T, N), X = y.shape, np.column_stack([np.ones(len(F)), F])
    betas = np.linalg.lstsq(X, y, rcond=None)[0][1:].T
    index = pd.MultiIndex.from_product([range(N), pd.date_range("2020-01-01", periods=T)])
    columns = {f"x{k}": np.repeat(betas[:, k], T) for k in range(F.shape[1])}
    design = pd.DataFrame({"const": 1.0, **columns} if constant else columns, index=index)
    model = FamaMacBeth(pd.Series(y.T.ravel(), index=index), design)
    # our errors without lags have T (T - 1), with lags no small-sample factor: debiased, and not
    oracle = model.fit(cov_type="kernel", kernel="bartlett", bandwidth=lags, debiased=not lags)
    fit = fitted(TwoPass(cov="fama_macbeth", cov_lags=lags, constant=constant), y, F)
    found = premia(fit)
    close(found["estimate"], oracle.params, "premia", REL)
    close(found["std_error"], oracle.std_errors, "errors", REL)
    close(found["t_stat"], oracle.tstats, "t", REL)
    close(found["p_value"], 2 * stats.t.sf(np.abs(oracle.tstats), T - 1), "p", REL)
    by_date = path(fit, list(design))
    close(by_date, np.asarray(oracle.all_params), "path", REL, FLOOR)


def by_hand(
    y: np.ndarray, F: np.ndarray, window: int | None, least: int, constant: bool, lags: int
) -> dict[str, Any]:
    """Both passes and Shanken's errors, one asset and one date at a time."""
    (T, N), K = y.shape, F.shape[1]
    rows, kept, errors, full = [], [], np.full((T, N), np.nan), {}
    for t in range(T):
        betas = {}
        for i in np.flatnonzero(np.isfinite(y[t])):
            if window is None and i in full:
                betas[i] = full[i]
                continue
            own = [s for s in range(T if window is None else t) if np.isfinite(y[s, i])]
            own = own if window is None else [s for s in own if s >= t - window]
            if len(own) >= max(least, K + 2):
                X = np.array([[1.0, *F[s]] for s in own])
                betas[i] = full[i] = np.linalg.lstsq(X, y[own, i], rcond=None)[0][1:]
        if len(betas) >= K + 2:
            B = np.array([[1.0, *b] if constant else b for b in betas.values()])
            rows.append(np.linalg.lstsq(B, y[t, list(betas)], rcond=None)[0])
            errors[t, list(betas)] = y[t, list(betas)] - B @ rows[-1]
            kept.append(t)
    lam, f = np.array(rows), F[kept]
    n, mean = len(lam), lam.mean(axis=0)
    S = np.cov(f.T, ddof=1).reshape(K, K)
    c = mean[-K:] @ np.linalg.inv(S) @ mean[-K:]
    if window is not None:  # each row counts by the windows that it is in
        parts = [
            [1.0 / len(range(max(t - window, 0), t)) * (t - window <= s < t) for t in kept]
            for s in range(T)
        ]
        c *= np.sum(np.sum(parts, axis=1) ** 2) / n
    alone = lam - np.column_stack([np.zeros((n, int(constant))), f])
    V = mean_covariance(lam, lags) + c * mean_covariance(alone, 0)
    return {
        "lam": lam,
        "mean": mean,
        "se": np.sqrt(np.diag(V)),
        "c": c,
        "dates": kept,
        "errors": errors,
        "V": V,
    }


def mean_covariance(x: np.ndarray, lags: int) -> np.ndarray:
    n, d = len(x), x - x.mean(axis=0)
    V = np.zeros((x.shape[1],) * 2)
    for s in range(n):
        for t in range(max(s - lags, 0), min(s + lags + 1, n)):
            V += (1 - abs(s - t) / (lags + 1)) * np.outer(d[s], d[t])
    return V / (n * n if lags else n * (n - 1))


def holed(y: np.ndarray, seed: int = 9) -> np.ndarray:
    """Some cells missing; one asset lists late, one delists early."""
    y, rng = y.copy(), np.random.default_rng(seed)
    y[rng.random(y.shape) < 0.01] = np.nan
    y[:40, 1] = y[-40:, 2] = np.nan
    return y


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize(("window", "least"), [(None, None), (30, 30), (30, 20)])
def test_shanken_is_what_a_loop_over_the_formula_gives(
    window: int | None, least: int | None, constant: bool, missing: bool
) -> None:
    y, F = sample(3, T=110)
    y = holed(y) if missing else y
    model = TwoPass(
        betas="rolling" if window else "full",
        window=window,
        least=least,
        constant=constant,
        cov_lags=3,
    )
    fit, hand = fitted(model, y, F), by_hand(y, F, window, least or 0, constant, 3)
    close(premia(fit)["estimate"], hand["mean"], "premia", REL)
    close(premia(fit)["std_error"], hand["se"], "errors", REL)
    terms = model.terms(["x0", "x1"])
    close(path(fit, terms), hand["lam"], "path", REL, FLOOR)
    close(fit.findings["pricing"].metrics["shanken_factor"], 1.0 + hand["c"], "factor", REL)
    done = fit.quality["reason"] == ""
    assert list(np.flatnonzero(done)) == hand["dates"]
    u = hand["errors"]
    table = fit.findings["pricing"].table
    close(table["pricing_error"], np.nanmean(u, axis=0), "pricing errors", REL, FLOOR)
    own = [column[np.isfinite(column)][:, None] for column in u.T]
    V = [mean_covariance(one, 3) + hand["c"] * mean_covariance(one, 0) for one in own]
    close(table["std_error"], np.sqrt(np.ravel(V)), "their errors", REL)
    means = np.array([np.mean(y[np.isfinite(u[:, i]), i]) for i in table.index])
    close(table["mean_return"], means, "means", REL)
    alpha = np.array([one.mean() for one in own])
    close(table["implied_return"], means - alpha, "implied", REL)
    df = np.array([len(one) - 1 for one in own])
    close(table["p_value"], 2 * stats.t.sf(table["t_stat"].abs(), df), "p", REL)
    metrics = fit.findings["pricing"].metrics
    close(
        metrics["r2"],
        1 - np.sum(alpha**2) / np.sum((means - means.mean()) ** 2),
        "R2 of means",
        REL,
    )
    close(metrics["mean_abs_error"], np.mean(np.abs(alpha)), "mean pricing error", REL)
    ssr = np.nansum(u[hand["dates"]] ** 2, axis=1)
    seen = np.where(np.isfinite(u), y, np.nan)[hand["dates"]]
    about_mean = np.nansum((seen - np.nanmean(seen, axis=1, keepdims=True)) ** 2, axis=1)
    close(fit.quality.loc[done, "r2"], 1.0 - ssr / about_mean, "r2", REL, 1e-12)
    if not constant:
        about_zero = np.nansum(seen**2, axis=1)
        close(
            fit.quality.loc[done, "r2_uncentred"],
            1.0 - ssr / about_zero,
            "uncentred r2",
            REL,
            1e-12,
        )


@pytest.mark.parametrize("constant", [True, False])
def test_without_lags_it_is_equation_12_19_of_cochrane(constant: bool) -> None:
    y, F = sample(4)
    T, K = F.shape
    X = np.column_stack([np.ones(T), F])
    b = np.linalg.lstsq(X, y, rcond=None)[0]
    B, e = np.column_stack([np.ones(8), b[1:].T]) if constant else b[1:].T, y - X @ b
    A = np.linalg.inv(B.T @ B) @ B.T
    mean = A @ y.mean(axis=0)
    S = np.zeros((len(mean),) * 2)
    S[-K:, -K:] = np.cov(F.T, ddof=1)
    c = mean[-K:] @ np.linalg.inv(S[-K:, -K:]) @ mean[-K:]
    V = ((1.0 + c) * A @ (e.T @ e / (T - 1)) @ A.T + S) / T
    found = premia(fitted(TwoPass(cov_lags=0, constant=constant), y, F))
    close(found["estimate"], mean, "premia", REL)
    close(found["std_error"], np.sqrt(np.diag(V)), "errors", REL)


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("cov", ["shanken", "fama_macbeth"])
def test_pricing_test_is_the_quadratic_form_of_gls(constant: bool, cov: str) -> None:
    """Shanken (1985) states it of GLS: Hotelling's T2 = T a' Sigma^-1 a / (1 + c) of its pricing errors a."""
    y, F = sample(5, T=60)
    (T, N), K = y.shape, F.shape[1]
    X = np.column_stack([np.ones(T), F])
    b = np.linalg.lstsq(X, y, rcond=None)[0]
    sigma = (y - X @ b).T @ (y - X @ b) / (T - K - 1)
    B, inverse = np.column_stack([np.ones((N, int(constant))), b[1:].T]), np.linalg.inv(sigma)
    gls = np.linalg.solve(B.T @ inverse @ B, B.T @ inverse @ y.mean(axis=0))
    a = y.mean(axis=0) - B @ gls
    p = N - B.shape[1]
    for cross_section in ("ols", "gls"):
        fit = fitted(TwoPass(cov=cov, constant=constant, cross_section=cross_section), y, F)
        c = fit.findings["pricing"].metrics["shanken_factor"] - 1.0 if cov == "shanken" else 0.0
        f = T * a @ inverse @ a / (1.0 + c) * (T - K - p) / (p * (T - K - 1))
        row = fit.hypotheses.iloc[-1]
        close(row["f_stat"], f, "F", REL)
        assert (row["df_num"], row["df_den"]) == (p, T - K - p)
        close(row["p_value"], stats.f.sf(f, p, T - K - p), "p", REL)


def test_hypotheses_are_on_the_mean_premia() -> None:
    y, F = sample(6)
    fit = fitted(TwoPass(hypotheses=["x0 = 0.01", "x0 = 0, x1 = 0", "const = 0"], cov_lags=2), y, F)
    hand, T = by_hand(y, F, None, 0, True, 2), len(y)
    first, joint, third = (fit.hypotheses.iloc[i] for i in range(3))
    close(first["f_stat"], (hand["mean"][1] - 0.01) ** 2 / hand["V"][1, 1], "one", REL)
    f = hand["mean"][1:] @ np.linalg.solve(hand["V"][1:, 1:], hand["mean"][1:]) / 2
    close([joint["f_stat"], joint["p_value"]], [f, stats.f.sf(f, 2, T - 1)], "joint", REL)
    close(third["p_value"], premia(fit).loc["const", "p_value"], "t squared is F", REL)
    absent = fitted(TwoPass(hypotheses=["const = 0"], constant=False), y, F).hypotheses.iloc[0]
    assert absent["reason"] == "const not among the terms of the regression"


def test_intervals_are_students() -> None:
    y, F = sample(7)
    found = premia(fitted(TwoPass(confidence=0.9), y, F))
    half = stats.t.ppf(0.95, len(y) - 1) * found["std_error"]
    close(found["ci_low"], found["estimate"] - half, "low", REL, FLOOR)
    close(found["ci_high"], found["estimate"] + half, "high", REL, FLOOR)


def test_default_lags_are_the_rule_of_newey_and_west() -> None:
    y, F = sample(8)
    lags = int(4 * (150 / 100) ** (2 / 9))
    expected = premia(fitted(TwoPass(cov_lags=lags), y, F))
    pd.testing.assert_frame_equal(premia(fitted(TwoPass(), y, F)), expected)
    assert "4 lags" in fitted(TwoPass(), y, F).errors


@pytest.mark.parametrize(("dates", "window"), [(100, 1), (100, 60), (60, 60), (400, 60)])
def test_share_of_the_correction_is_that_of_shanken(dates: int, window: int) -> None:
    """Shanken (1992), for betas of w rows and T cross-sections in a row: 1 - (w - 1)(w + 1) / (3 w T)."""
    expected = 1 - (window - 1) * (window + 1) / (3 * window * dates)
    close(overlap_share(np.arange(window, window + dates), window), expected, "share", 1e-12)


@pytest.mark.parametrize("window", [None, 30])
def test_forecast_is_the_expected_return_and_knows_training_rows_only(window: int | None) -> None:
    y, F = sample(10)
    model = TwoPass(betas="rolling" if window else "full", window=window)
    train = np.arange(100)
    fit = fitted(model, y, F, train)
    panel = panel_of(y, F[:, None, :].repeat(8, axis=1))
    forecast = model.predict(fit, panel)
    own = slice(0 if window is None else 100 - window, 100)
    X = np.column_stack([np.ones(len(F[own])), F[own]])
    betas = np.linalg.lstsq(X, y[own], rcond=None)[0][1:].T
    mean = premia(fit)["estimate"].to_numpy()
    close(forecast, np.tile(mean[0] + betas @ mean[1:], (150, 1)), "forecast", REL)
    y[100:], F[100:] = 99.0 + y[100:], -F[100:]
    close(model.predict(fitted(model, y, F, train), panel), forecast, "no look ahead", 1e-15)
    assert model.diagnose(fit, panel, train).empty


def test_rolling_betas_do_not_know_the_row_they_are_used_on() -> None:
    y, F = sample(11)
    model = TwoPass(betas="rolling", window=40)
    before = path(fitted(model, y, F), ["const", "x0", "x1"])
    F[100:] *= -3.0  # from row 100 on the factors, which pass 2 of row 100 does not use
    after = path(fitted(model, y, F), ["const", "x0", "x1"])
    close(after.iloc[:61], before.iloc[:61], "up to row 100", 1e-15)  # the path begins at row 40
    assert (np.abs(after.iloc[61] - before.iloc[61]) > 1e-6).all()


def test_rolling_betas_keep_their_digits_where_factors_are_alike() -> None:
    y, F = sample(24, T=60)
    F[:, 1] = 5.0 + F[:, 0] + 1e-5 * F[:, 1]
    F[:20, 0] = 0.7  # constant within the first windows: no betas
    y = 100.0 + holed(y)
    use = np.isfinite(y)
    found = rolling_betas(F, y, use, window=20, least=10)
    assert np.isnan(found[:21]).all()
    for t in (40, 59):
        for i in np.flatnonzero(use[t - 20 : t].sum(axis=0) >= 10):
            own = np.flatnonzero(use[t - 20 : t, i]) + t - 20
            about = F[own] - F[own].mean(
                axis=0
            )  # of the same rows: the slopes are those without the constant
            expected = np.linalg.lstsq(about, y[own, i] - y[own, i].mean(), rcond=None)[0]
            close(
                found[t, i], expected, "betas", 1e-6
            )  # columns alike to five digits cost ten of sixteen
    assert not use[39:59].all()


def test_rows_fitted_need_not_be_neighbours() -> None:
    y, F = sample(12)
    rows = np.r_[0:50, 90:150]
    joined = fitted(TwoPass(betas="rolling", window=30), y[rows], F[rows])
    apart = fitted(TwoPass(betas="rolling", window=30), y, F, rows)
    close(premia(apart)["std_error"], premia(joined)["std_error"], "errors", REL)
    close(premia(apart)["estimate"], premia(joined)["estimate"], "premia", REL)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_of_returns_and_factors_do_not_matter(scale: float) -> None:
    y, F = sample(13)
    for model in (
        TwoPass(),
        TwoPass(betas="rolling", window=30),
        TwoPass(cov="gmm"),
        TwoPass(cross_section="gls"),
    ):
        plain, scaled = fitted(model, y, F), fitted(model, y * scale, F * [scale, 1.0])
        close(
            premia(scaled)["t_stat"], premia(plain)["t_stat"], "t", 1e-7
        )  # conditioning grows with the scale
        close(
            premia(scaled)["estimate"].iloc[1],
            scale * premia(plain)["estimate"].iloc[1],
            "premium",
            1e-7,
        )
        p = [fit.hypotheses.iloc[-1]["f_stat"] for fit in (plain, scaled)]
        close(p[1], p[0], "test", 1e-7)


def test_what_has_no_betas_or_no_cross_section_is_counted() -> None:
    y, F = sample(14, N=6)
    y[4:, 0] = np.nan  # 4 rows for 3 terms: betas, but hardly any
    y[3:, 1] = np.nan  # 3 rows: none
    y[10:20, 2:5] = np.nan  # dates with one asset
    y[30, 2] = np.nan  # one with three assets
    y[31, 2:] = 0.0  # one on which nothing traded
    fit = fitted(TwoPass(constant=False), y, F)
    assert (fit.quality.loc[10:19, "reason"] == "fewer than 4 assets with betas").all()
    assert (fit.quality.drop(index=[*range(10, 20), 30, 31])["reason"] == "").all()
    assert (fit.quality.loc[30, "reason"], fit.quality.loc[30, "n_obs"]) == (
        "fewer than 4 assets with betas",
        3,
    )
    assert fit.quality.loc[31, "reason"] == "the target is constant"
    assert np.isnan(fit.quality.loc[31, "r2"])
    assert fit.quality.loc[10:19, "n_obs"].tolist() == [1] * 10
    words = " ".join(fit.findings["betas"].words)
    assert "1 asset without betas (A1): 3 rows for 3 terms; needs at least 4." in words
    assert "3 cells of the cross-sections left out for want of betas." in words
    assert fit.hypotheses.iloc[-1]["reason"] == "an asset in use has missing cells"
    assert np.isnan(fit.params[1]).all() and np.isfinite(fit.params[[0, 2, 3, 4, 5]]).all()
    assert list(fit.findings["pricing"].table["unit"]) == ["A0", "A2", "A3", "A4", "A5"]


def test_assets_with_fewer_rows_than_asked_are_left_out() -> None:
    y, F = sample(23)
    y[50:, 3] = np.nan
    fit, without = fitted(TwoPass(least=51), y, F), fitted(TwoPass(), np.delete(y, 3, axis=1), F)
    assert "1 asset without betas (A3): fewer than 51 rows." in fit.findings["betas"].words
    close(premia(fit)["std_error"], premia(without)["std_error"], "errors", REL)
    assert list(fitted(TwoPass(least=50), y, F).findings["pricing"].table["n_obs"])[3] == 50


def test_rolling_forecast_needs_betas_of_the_last_window() -> None:
    y, F = sample(15)
    y[-30:, 3] = np.nan
    model = TwoPass(betas="rolling", window=40, least=20)
    fit = fitted(model, y, F)
    assert np.isnan(fit.params[3]).all()
    assert "1 asset without betas (A3): fewer than 20 rows in the last window" in " ".join(
        fit.findings["betas"].words
    )
    table = fit.findings["betas"].table.set_index(["unit", "term"])
    assert np.isfinite(table.loc[("A3", "x0"), "mean_over_dates"])
    assert np.isnan(table.loc[("A3", "x0"), "estimate"])
    assert len(table) == 8 * 3 - 1  # alpha of A3 has neither


def test_an_asset_that_is_a_factor_has_a_beta_of_one() -> None:
    y, F = sample(16)
    y[:, 0] = F[:, 0]
    fit = fitted(TwoPass(constant=False), y, F)
    table = fit.findings["betas"].table.query("unit == 'A0' and term == 'x0'")
    assert table["estimate"].iloc[0] == pytest.approx(1.0)
    assert np.isfinite(premia(fit)["std_error"]).all()
    assert fit.hypotheses.iloc[-1]["reason"] in (
        "",
        "the covariance of the pricing errors is singular",
    )


def test_more_assets_than_rows_have_premia_but_no_test() -> None:
    y, F = sample(17, T=20, N=30)
    row = fitted(TwoPass(), y, F).hypotheses.iloc[-1]
    assert (
        row["reason"]
        == "30 assets are too many for the rows: 17 degrees of freedom, needs at least 27"
    )
    with pytest.raises(
        DataError, match=r"cross_section: given gls, with 20 rows for 30 assets; needs at least 33"
    ):
        fitted(TwoPass(cross_section="gls"), y, F)


def test_betas_that_are_all_alike_have_a_reason() -> None:
    y, F = sample(18)
    y = F[:, :1] + 0.01 * np.arange(8)
    with pytest.raises(EstimationError, match="collinear betas: const, x0"):
        fitted(TwoPass(regressors=["x0"]), y, F)


def refused(model: TwoPass, y: np.ndarray, X: np.ndarray, horizon: int = 0) -> str:
    with pytest.raises(DataError) as caught:
        model.fit(panel_of(y, X, horizon), np.arange(len(y)))
    assert len(caught.value.mistakes) == 1
    return caught.value.mistakes[0]


def test_data_that_two_passes_cannot_use_is_refused_in_one_line() -> None:
    y, F = sample(19, T=40, N=6)
    X = F[:, None, :].repeat(6, axis=1)
    assert "the target looks 2 rows ahead" in refused(TwoPass(), y, X, horizon=2)
    own = X.copy()
    own[5, 2, 1] += 1e-9
    assert "x1 differs between assets" in refused(TwoPass(), y, own)
    assert TwoPass(regressors=["x0"]).fit(panel_of(y, own), np.arange(40)) is not None
    assert "3 assets for 2 factors; a cross-section needs at least 4" in refused(
        TwoPass(), y[:, :3], X[:, :3]
    )
    assert "given 40; allowed: less than the 40 rows" in refused(
        TwoPass(betas="rolling", window=40), y, X
    )
    assert "given 40; allowed: less than the 40 cross-sections" in refused(
        TwoPass(cov_lags=40), y, X
    )
    short = TwoPass(betas="rolling", window=37)
    assert "3 cross-sections for 2 factors; needs at least 4" in refused(short, y, X)
    y[3, 2] = np.nan
    assert "given gmm, which needs every cell; 1 of 240 are missing" in refused(
        TwoPass(cov="gmm"), y, X
    )
    assert "given gls, which needs every cell" in refused(TwoPass(cross_section="gls"), y, X)


def test_a_differing_factor_may_differ_where_it_is_not_used() -> None:
    y, F = sample(20, T=40, N=6)
    y[20, 3] = np.nan
    X = F[:, None, :].repeat(6, axis=1)
    numbers = ["estimate", "std_error", "t_stat"]
    expected = premia(TwoPass().fit(panel_of(y, X), np.arange(5, 40)))[numbers]
    X[2, 1, 0] += 1.0  # a row that is not fitted on
    X[20, 3, 0] += 1.0  # a cell without a target
    close(
        premia(TwoPass().fit(panel_of(y, X), np.arange(5, 40)))[numbers], expected, "premia", 1e-15
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"betas": "rolling"}, "window: given null"),
        ({"window": 60}, "window: given 60; allowed: with betas=rolling only"),
        (
            {"betas": "rolling", "window": 60, "least": 61},
            "least: given 61; allowed: at most the window, 60",
        ),
        ({"betas": "rolling", "window": 60, "cov": "gmm"}, "cov: given gmm"),
        ({"betas": "rolling", "window": 60, "cross_section": "gls"}, "cross_section: given gls"),
    ],
)
def test_settings_that_contradict_are_refused(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        TwoPass(**settings)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (TwoPass(regressors=["x9"]), "regressors: 'x9' is unknown"),
        (TwoPass(regressors=["x0", "x0"]), "regressors: 'x0' is given twice"),
        (TwoPass(regressors=[]), "regressors: none; allowed: at least one factor"),
        (TwoPass(hypotheses=["x7 = 0"]), "hypotheses: term 'x7' is unknown"),
        (TwoPass(betas="rolling", window=3), "window: given 3; allowed: at least 4, for 2 factors"),
        (
            TwoPass(betas="rolling", window=9, least=2),
            "least: given 2; allowed: at least 4, for 2 factors",
        ),
    ],
)
def test_settings_that_the_features_cannot_give(model: TwoPass, expected: str) -> None:
    assert [line[: len(expected)] for line in model.mistakes(["x0", "x1"])] == [expected]


def test_premia_of_the_french_portfolios(cli) -> None:
    run = cli("experiment=premia")
    assert run.code == 0, run.err
    data = french.load()
    names = list(data.columns.drop(["dates", "MktRF", "SMB", "HML", "Mom", "RF"]))
    y, F = data[names].sub(data["RF"], axis=0), data[["MktRF", "SMB", "HML"]]
    oracle = LinearFactorModel(y, F).fit()
    table = run.table("coefficients").query("scope == 'mean'").set_index("term")
    close(table["estimate"], oracle.risk_premia, "premia", REL)
    assert 0.0055 < table.loc["MktRF", "estimate"] < 0.0075  # the market earned .65 % a month
    assert set(run.table("coefficients")["scope"]) == {"date", "mean"}
    close(
        table["std_error"],
        by_hand(y.to_numpy(), F.to_numpy(), None, 0, False, 6)["se"],
        "errors",
        REL,
    )
    assert (
        len(run.table("pricing")) == 30
        and len(run.table("premia")) == 3
        and len(run.table("betas")) == 120
    )
    assert {"pricing/r2", "pricing/mean_abs_error", "pricing/shanken_factor", "oos/r2"} <= set(
        run.metrics
    )
    assert len(run.metrics) <= 40
    assert (run.directory / "plots" / "pricing.png").exists()
    assert "pricing error = 0 in every asset (Shanken 1985) is rejected at 5 %" in " ".join(
        run.out.split()
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["features.SMB='ret - RF'"], "SMB differs between assets"),
        (
            ["data.assets=[S1V1,S1V3,S1V5,S3V1]"],
            "4 assets for 3 factors; a cross-section needs at least 5",
        ),
        (
            ["model.betas=rolling", "model.window=900"],
            "window: given 900; allowed: less than the 612 rows",
        ),
    ],
)
def test_a_mistake_is_one_clear_line(cli, words: list[str], expected: str) -> None:
    run = cli("experiment=premia", *words)
    assert run.code == 2
    assert len(run.err.splitlines()) == 1 and expected in run.err, run.err


@pytest.mark.parametrize("n", [1, 5, 40, 60])
def test_picture_names_assets_within_its_axes(n: int) -> None:
    rng = np.random.default_rng(n)
    mean, implied = 0.01 + 0.003 * rng.standard_normal((2, n))
    table = pd.DataFrame(
        {"unit": [f"asset {i}" for i in range(n)], "mean_return": mean, "implied_return": implied}
    )
    table["pricing_error"], table["p_value"] = mean - implied, rng.random(n)
    with style():
        figure = drawn(table)
        figure.canvas.draw()
        axes = figure.axes[0]
        texts = [text for text in axes.texts if text.get_text()]
        worst = set(
            table.reindex(table["pricing_error"].abs().sort_values().index[-20 if n > 40 else 0 :])[
                "unit"
            ]
        )
        assert {text.get_text() for text in texts} == worst
        frame = figure.bbox
        assert all(
            frame.x0 <= b.x0 and b.x1 <= frame.x1
            for b in (text.get_window_extent() for text in texts)
        )


@pytest.mark.slow
def test_intervals_cover_the_premium_where_betas_are_estimated() -> None:
    """A factor with a Sharpe ratio of one per row (c = 1) and much specific risk.

    Reached with 1,000 samples: .939 with Shanken's correction, .861 without. The rest is bias: betas measured with
    error pull the premium towards zero by 0.2 standard errors.
    """
    T, N, hits = 600, 5, np.zeros((1000, 2))
    rng = np.random.default_rng(21)
    betas = np.array([0.5, 0.75, 1.0, 1.25, 1.5])
    noise = np.sqrt(3.0 * np.sum(betas**2))  # pass 2 adds three times the variance of the factor
    for s in range(len(hits)):
        F = 1.0 + rng.standard_normal((T, 1))
        y = F @ betas[None] + noise * rng.standard_normal((T, N))
        for m, cov in enumerate(("shanken", "fama_macbeth")):
            found = premia(fitted(TwoPass(cov=cov, cov_lags=0, constant=False), y, F)).iloc[0]
            hits[s, m] = found["ci_low"] <= 1.0 <= found["ci_high"]
    corrected, known = hits.mean(axis=0)
    assert 0.93 <= corrected <= 0.97
    assert known < 0.90


@pytest.mark.slow
def test_errors_of_rolling_betas_are_as_large_as_the_spread_of_the_premia() -> None:
    """Reached with 400 samples: errors 1.056 times the spread of the premia, .832 times without the correction."""
    found = []
    rng = np.random.default_rng(22)
    betas, model = (
        np.array([0.5, 0.75, 1.0, 1.25, 1.5]),
        TwoPass(betas="rolling", window=120, cov_lags=0, constant=False),
    )
    for _ in range(400):
        F = 1.0 + rng.standard_normal((480, 1))
        y = F @ betas[None] + np.sqrt(3.0 * np.sum(betas**2)) * rng.standard_normal((480, 5))
        fit = fitted(model, y, F)
        known = fit.findings["premia"].table["std_error_known_betas"].iloc[0]
        found.append([*premia(fit).iloc[0][["estimate", "std_error"]], known])
    estimate, corrected, known = np.array(found, dtype=float).T
    assert 0.93 <= corrected.mean() / estimate.std() <= 1.07
    assert known.mean() / estimate.std() < 0.9
