"""Fund performance: the arithmetic, the French data against statsmodels, the style box, and the command line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from oracles import panel_of, punch_holes, random_arrays
from studies import french_panel, portfolios, study_of

from runner.analyses.estimates.performance import (
    annualised,
    annualised_volatility,
    capm_implied,
    performance,
    style,
    style_box,
)
from runner.errors import DataError
from runner.models.regression import Regression
from runner.numerics.inference import inference
from runner.sinks.canvas import style as look
from runner.sinks.drawings import DRAWINGS
from runner.sinks.drawings.analyses.performance import places

REL = 1e-9  # two float64 least squares of the same columns
NINE = ["S1V1", "S1V3", "S1V5", "S3V1", "S3V3", "S3V5", "S5V1", "S5V3", "S5V5"]
THIRTY = portfolios()


@pytest.mark.parametrize(
    ("estimate", "null", "error", "t"),
    [
        (0.98, 0.0, 0.17, 5.7647),  # CAPM: is beta zero?
        (0.98, 1.0, 0.17, -0.1176),  # is it one?
        (0.0017, 0.0, 0.0020, 0.85),  # alpha
        (0.0029, 0.0, 0.0018, 1.6111),  # three factors: alpha, MKT, SMB, HML
        (0.97, 0.0, 0.08, 12.125),
        (0.75, 0.0, 0.11, 6.8182),
        (-0.12, 0.0, 0.12, -1.0),
    ],
)
def test_known_t_of_an_estimate_and_its_error(
    estimate: float, null: float, error: float, t: float
) -> None:
    found = inference(np.array([estimate - null]), np.array([error]), 57, 0.95)
    assert found.t_stat[0] == pytest.approx(t, abs=0.5e-4)


def test_known_arithmetic_of_a_year_and_of_the_capm() -> None:
    assert annualised(0.0029, 12) == pytest.approx(0.0348)
    assert capm_implied(0.98, 0.0070) == pytest.approx(0.00686)
    assert annualised_volatility(0.02**2, 252) == pytest.approx(0.02 * 252**0.5)


@pytest.mark.parametrize("cov", ["nonrobust", "HC3"])
def test_every_number_of_every_portfolio(cov: str) -> None:
    panel = french_panel(NINE)
    finding = performance(study_of(panel, Regression(cov=cov), risk_free="RF"))
    table = finding.table.set_index("unit")
    for i, name in enumerate(NINE):
        y, X, row = panel.y[:, i], panel.X[:, i], table.loc[name]
        full, alone = (
            sm.OLS(y, sm.add_constant(x)).fit(cov_type=cov, use_t=True) for x in (X, X[:, 0])
        )
        expected = {
            "alpha": full.params[0],
            "alpha_annual": 12 * full.params[0],
            "t_stat": full.tvalues[0],
            "p_value": full.pvalues[0],
            "beta": full.params[1],
            "systematic_share": full.rsquared,
            "specific_share": 1 - full.rsquared,
            "systematic_volatility": np.std(full.fittedvalues, ddof=1) * 12**0.5,
            "specific_volatility": np.std(full.resid, ddof=1) * 12**0.5,
            "capm_beta": alone.params[1],
            "premium": X[:, 0].mean(),
            "capm_implied": y.mean() - alone.params[0],  # what is realised less the CAPM's alpha
            "capm_implied_annual": 12 * (y.mean() - alone.params[0]),
            "realised": y.mean(),
            "realised_annual": 12 * y.mean(),
        }
        for column, value in expected.items():
            assert row[column] == pytest.approx(value, rel=REL), column
        assert (row["n_obs"], row["scope"], row["reason"]) == (819, "asset", "")
    for name in ("alpha_annual", "systematic_share", "capm_implied"):
        assert finding.metrics[name] == pytest.approx(table[name].mean())


def test_small_value_portfolio_of_the_reference() -> None:
    finding = performance(study_of(french_panel(["S1V5"]), Regression(), risk_free="RF"))
    row = finding.table.iloc[0]
    assert row["alpha"] == pytest.approx(0.0012, abs=0.5e-4)
    assert row["alpha_annual"] == pytest.approx(0.0144, abs=0.5e-4)
    assert row["t_stat"] == pytest.approx(2.52, abs=0.005)
    assert row["beta"] == pytest.approx(0.962, abs=0.5e-3)
    assert row["systematic_share"] == pytest.approx(0.9467, abs=0.5e-4)
    assert (
        finding.words[0]
        == "Alpha of S1V5 is 1.44 % a year (t 2.52), significantly different from zero at 5 %."
    )
    assert finding.words[1].startswith("94.7 % of the variance is systematic (R2), 5.3 % specific")


def test_in_the_capm_itself_both_betas_are_one() -> None:
    study = study_of(french_panel(NINE), Regression(regressors=["MktRF"]))
    table = performance(study, rows_per_year=12.5, premium=0.0070).table
    np.testing.assert_allclose(table["beta"], table["capm_beta"], rtol=REL)
    np.testing.assert_allclose(table["capm_implied"], 0.0070 * table["beta"], rtol=REL)
    np.testing.assert_allclose(
        table["capm_implied_annual"], 12.5 * 0.0070 * table["beta"], rtol=REL
    )
    np.testing.assert_allclose(table["specific_volatility"] ** 2 + table["systematic_volatility"] ** 2,
                               12.5 * french_panel(NINE).y.var(axis=0, ddof=1), rtol=REL)  # fmt: skip


def test_pooled_group_and_missing_rows_take_the_cells_used() -> None:
    y, X = random_arrays(3, 60, 4, 2)
    punch_holes(np.random.default_rng(3), y, X, 0.1, ragged=True)
    panel = panel_of(y, X)
    row = performance(study_of(panel, Regression(by=None)), market="x1").table.iloc[0]
    x, target = X[panel.valid][:, 1], y[panel.valid]
    assert (row["unit"], row["n_obs"]) == ("all", panel.valid.sum())
    assert row["premium"] == pytest.approx(x.mean(), rel=REL)
    assert row["capm_beta"] == pytest.approx(np.polyfit(x, target, 1)[0], rel=REL)
    panel.groups["side"] = ["b", "a", "b", "a"]
    table = performance(study_of(panel, Regression(by="side")), market="x0").table
    own = panel.valid[:, [1, 3]]
    assert table["unit"].tolist() == ["a", "b"] and table["scope"].unique().tolist() == ["group"]
    assert table["realised"].iloc[0] == pytest.approx(y[:, [1, 3]][own].mean(), rel=REL)


def test_an_asset_named_like_the_mean_is_not_the_mean() -> None:
    panel = replace(french_panel(["S1V5", "S5V5"]), assets=["all", "other"])
    table = performance(study_of(panel, Regression())).table
    assert table["t_stat"].iloc[0] == pytest.approx(2.52, abs=0.005)


def test_units_without_an_answer_have_their_reason() -> None:
    panel = french_panel(["S1V1", "S1V3", "S1V5"], 60)
    panel.valid[3:, 0] = False
    panel.y[:, 1] = 0.001 + panel.X[:, 1] @ [1.0, 0.5, 0.2]
    short, exact, fine = performance(study_of(panel, Regression())).table.to_dict("records")
    assert short["reason"] == "3 rows for 4 terms; needs at least 5" and np.isnan(short["alpha"])
    assert exact["reason"].startswith("fits exactly") and np.isnan(exact["t_stat"])
    assert exact["alpha_annual"] == pytest.approx(0.012) and exact[
        "systematic_share"
    ] == pytest.approx(1.0)
    assert fine["reason"] == ""
    boxes = style_box(study_of(panel, Regression())).table
    assert boxes["size"].fillna("").tolist()[:2] == ["", ""]  # no test, no style
    assert boxes["size"].iloc[2] == "small"
    few = performance(study_of(replace(panel, y=panel.y[:, 1:2], X=panel.X[:, 1:2], valid=panel.valid[:, 1:2],
                                       assets=["S1V3"], groups=panel.groups[1:2]), Regression()))  # fmt: skip
    assert few.words[0] == "Alpha of S1V3 is 1.20 % a year without a test."


def test_words_of_many_count_and_do_not_list() -> None:
    finding = performance(study_of(french_panel(THIRTY), Regression(cov="HC3"), risk_free="RF"))
    table = finding.table
    hits = table[table["p_value"] < 0.05]
    up = int((hits["alpha"] > 0).sum())
    low, high = table.loc[table["alpha"].idxmin()], table.loc[table["alpha"].idxmax()]
    year = "annualised with 12 rows a year (monthly calendar)"
    assert finding.words[3:] == [f"Means and volatilities a year are {year}."]
    assert finding.words[0] == (
        f"Alpha is significant at 5 % in {len(hits)} of 30 assets ({up} positive, {len(hits) - up} negative); from "
        f"{100 * low['alpha_annual']:.1f} % ({low['unit']}) to {100 * high['alpha_annual']:.2f} % ({high['unit']}) "
        "a year."
    )
    above = int((table["realised"] > table["capm_implied"]).sum())
    assert (
        f"more than implied in {above} of 30 assets; the difference was not tested"
        in finding.words[2]
    )


def test_hits_that_chance_would_give_are_called_that() -> None:
    y, X = random_arrays(8, 60, 40, 2)
    y = np.random.default_rng(8).normal(size=y.shape) + X[:, :, 0]
    words = performance(study_of(panel_of(y, X), Regression()), market="x0").words
    assert "where chance alone would give about 2" in words[0]


def test_a_target_that_is_not_known_to_be_in_excess_says_so() -> None:
    panel = french_panel(["S1V5"])
    assert "risk-free" in performance(study_of(panel, Regression())).words[-1]
    assert "risk-free" not in " ".join(
        performance(study_of(panel, Regression(), risk_free="RF")).words
    )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"constant": False}, "model.constant: given false; allowed: true, alpha is the constant"),
        ({"by": None, "effects": ["asset"]}, "model.effects: given ['asset']; allowed: none"),
        ({"estimator": "lasso", "penalty": 0.01}, "model.estimator: given lasso; allowed: ols"),
        ({"components": 1}, "model.components: given 1; allowed: none"),
        ({"regressors": ["SMB"]}, "market: 'MktRF' is unknown; allowed: SMB"),
    ],
)
def test_what_it_does_not_suit_is_one_line(change: dict, line: str) -> None:
    fitted = study_of(french_panel(["S1V5", "S5V5"], 60), Regression())
    with pytest.raises(DataError) as caught:
        performance(replace(fitted, model=Regression(**change)))
    assert caught.value.mistakes == (line,)


@pytest.mark.parametrize("analysis", [performance, style_box])
def test_forecasts_and_other_models_are_refused(analysis) -> None:
    study = study_of(replace(french_panel(["S1V5"], 60), horizon=1), Regression())
    with pytest.raises(DataError, match="target: horizon 1; allowed: 0"):
        analysis(study)
    with pytest.raises(
        DataError, match=r"model: given object; allowed: runner\.models\.Regression"
    ):
        analysis(replace(study, model=object()))
    with pytest.raises(DataError, match=r"model\.by: given date; allowed: asset, null or a group"):
        analysis(replace(study, model=Regression(by="date")))


@pytest.mark.parametrize(
    ("loading", "p", "word"),
    [
        (0.5, 0.049, "small"),
        (-0.5, 0.049, "large"),
        (0.5, 0.05, "neither"),
        (-3.0, 0.2, "neither"),
        (1.0, np.nan, ""),
    ],
)
def test_a_style_is_no_surer_than_its_test(loading: float, p: float, word: str) -> None:
    assert style(loading, p, ("small", "large"), 0.05) == word


def test_style_box_of_the_french_portfolios() -> None:
    panel = french_panel(THIRTY)
    finding = style_box(study_of(panel, Regression(cov="HC3")), level=0.01)
    table = finding.table.set_index("unit")
    words = {"size": ("SMB", 2, "small", "large"), "value": ("HML", 3, "value", "growth")}
    for i, name in enumerate(THIRTY):
        fit = sm.OLS(panel.y[:, i], sm.add_constant(panel.X[:, i])).fit(cov_type="HC3", use_t=True)
        for axis, (term, k, up, down) in words.items():
            row = table.loc[name]
            shown = [row[f"{axis}_{column}"] for column in ("loading", "std_error", "t_stat")]
            assert shown == pytest.approx([fit.params[k], fit.bse[k], fit.tvalues[k]], rel=REL)
            sure = fit.pvalues[k] < 0.01
            assert row[axis] == ("neither" if not sure else up if fit.params[k] > 0 else down)
            assert row[f"{axis}_term"] == term
    assert table.loc["S1V5", ["size", "value"]].tolist() == ["small", "value"]
    assert table.loc["S5V1", ["size", "value"]].tolist() == ["large", "growth"]
    assert finding.metrics["small"] == (table["size"] == "small").sum()
    said = " ".join(finding.words)
    assert all(f"{name}" in said for name in THIRTY) and "at 1 %" in said
    assert "neither value nor growth at 1 %: " in said


def test_style_of_one_unit_shows_both_t() -> None:
    words = style_box(study_of(french_panel(["S1V5"]), Regression())).words
    assert words == ["Style of S1V5 at 5 %: small value (SMB 1.09, t 63.78; HML 0.695, t 39.19)."]


def test_style_box_refuses_unknown_and_equal_factors() -> None:
    study = study_of(french_panel(["S1V5"], 60), Regression())
    with pytest.raises(DataError) as caught:
        style_box(study, size="SBM", value="hml")
    assert caught.value.mistakes == (
        "size: 'SBM' is unknown; allowed: MktRF, SMB, HML; did you mean 'SMB'?",
        "value: 'hml' is unknown; allowed: MktRF, SMB, HML; did you mean 'HML'?",
    )
    with pytest.raises(DataError, match="value: 'SMB' is the factor of size too"):
        style_box(study, size="SMB", value="SMB")


@pytest.mark.parametrize("units", [1, 9, 30, 45])
@pytest.mark.parametrize("analysis", [performance, style_box])
def test_it_is_drawn_for_few_and_many_and_in_any_script(analysis, units: int) -> None:
    y, X = random_arrays(2, 60, units, 3)
    panel = replace(
        panel_of(y, X),
        names=["MktRF", "SMB", "HML"],
        assets=[f"株 {i} $x_1$ è" for i in range(units)],
    )
    panel.groups.index = panel.assets
    finding = analysis(study_of(panel, Regression()))
    with look():
        figure = DRAWINGS[finding.picture](finding.table)
        figure.canvas.draw()
    drawn = [text.get_text() for text in figure.axes[0].texts]
    assert sum("株" in text for text in drawn) == (units if units <= 30 else 0)
    empty = finding.table.assign(alpha=np.nan, size_loading=np.nan)
    assert DRAWINGS[finding.picture](empty) is None


def test_names_in_pictures_do_not_lie_on_each_other() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(30, 2)) * [150, 90] + [400, 250]
    sizes = np.tile([40.0, 10.0], (30, 1))
    at = places(points, sizes, [], np.array([0.0, 0.0, 800.0, 500.0]), 1.0)
    boxes = []
    for point, size, (dx, dy) in zip(points, sizes, at, strict=True):
        left = point[0] + dx - (0 if dx > 0 else size[0] if dx < 0 else size[0] / 2)
        boxes.append([left, point[1] + dy - 5, left + 40, point[1] + dy + 5])
    for i, a in enumerate(boxes):
        assert a[0] >= 0 and a[1] >= 0 and a[2] <= 800 and a[3] <= 500
        assert not any(
            a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for b in boxes[:i]
        )


def test_the_experiment_writes_every_table_and_says_what_they_say(cli) -> None:
    run = cli("experiment=ff3_vs_capm", "--full")
    assert run.code == 0, run.err
    table, coefficients = run.table("performance"), run.table("coefficients")
    alpha = coefficients[(coefficients["term"] == "const") & (coefficients["scope"] == "asset")]
    np.testing.assert_allclose(table["alpha_annual"], 12 * alpha["estimate"], rtol=REL)
    row = table.set_index("unit").loc["S1V5"]
    assert (round(row["alpha_annual"], 4), round(row["t_stat"], 2)) == (0.0144, 2.52)
    printed = " ".join(run.out.split())
    hits = (table["p_value"] < 0.05).sum()
    assert f"Alpha is significant at 5 % in {hits} of 9 assets" in printed
    rejected = (run.table("nested")["p_value"] < 0.05).sum()
    assert f"significantly different from zero at 5 % in {rejected} of 9 assets" in printed
    for name, (size, value) in (
        run.table("style_box").set_index("unit")[["size", "value"]].iterrows()
    ):
        [line] = [part for part in printed.split(".") if f"{size} {value} at 5 %:" in part.lower()]
        assert name in line
    equal = run.table("equality")
    assert equal["term"].tolist() == ["const", "MktRF", "SMB", "HML", "const, MktRF, SMB, HML"]
    for term, p in zip(equal["term"], equal["p_value"], strict=True):
        assert f"Equality of {term} {'together ' * (',' in term)}over 9 assets is " in printed
        assert p < 0.05
    assert "not rejected at 5 %, which does not prove it" not in printed
    tested = run.table("hypotheses")["hypothesis"].unique().tolist()
    assert tested == [
        "MktRF = 1",
        "const = 0",
        "const = 0, MktRF = 1",
        "GRS: const = 0 in every asset",
    ]
    assert {
        "performance/alpha_annual",
        "performance/systematic_share",
        "performance/capm_implied",
    } <= set(run.metrics)
    pictures = {path.stem for path in (run.directory / "plots").glob("*.png")}
    assert {"performance", "style_box", "nested"} <= pictures


def test_wrong_names_and_fits_that_do_not_suit_are_one_line_each(cli) -> None:
    run = cli("experiment=ff3_vs_capm", "analyses.performance.market=MKT")
    assert run.code == 2
    assert run.errors == [
        "error: analyses.performance: market: 'MKT' is unknown; allowed: MktRF, SMB, HML; did you mean 'MktRF'?"
    ]
    run = cli("experiment=ff3_vs_capm", "analyses.performance.markt=MktRF")
    assert run.code == 2 and len(run.errors) == 1 and "did you mean 'market'?" in run.err
    run = cli("experiment=weekly_premia", "data=simulated", "validation=none", "+analyses.performance.market=mom_1m",
              "+analyses.performance._target_=runner.analyses.performance")  # fmt: skip
    assert run.code == 2
    assert run.errors == [
        "error: analyses.performance: model.by: given date; allowed: asset, null or a group of assets"
    ]


def test_daily_stocks_on_the_market_run_too(cli) -> None:
    run = cli("experiment=capm", "data=simulated", "report=tables", "--full", "+analyses.performance.market=market_ret",
              "+analyses.performance.rows_per_year=252",
              "+analyses.performance._target_=runner.analyses.performance")  # fmt: skip
    assert run.code == 0, run.err
    table = run.table("performance")
    np.testing.assert_allclose(table["beta"], table["capm_beta"], rtol=REL)
    np.testing.assert_allclose(table["alpha_annual"], 252 * table["alpha"], rtol=REL)
    assert isinstance(table, pd.DataFrame) and "subtracts no risk-free rate" in " ".join(
        run.out.split()
    )
