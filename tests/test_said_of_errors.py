"""What is said of errors and of R2 stands wherever a person looks: words, page, terminal, files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from oracles import panel_of
from studies import study_of

from runner.analyses.estimates.nested import nested
from runner.analyses.estimates.performance import performance, style_box
from runner.cli.composition import Composer
from runner.estimators.few_clusters import (
    ENOUGH,
    few_clusters,
    for_a_verdict,
    significance_of,
    withheld,
)
from runner.experiment.reading import reading, sections
from runner.experiment.report import Report
from runner.experiment.run import run
from runner.models.fit import NO_TABLE, Fit
from runner.models.regression import Regression
from runner.models.study import Study
from runner.sinks import page
from runner.sinks.drawings import DRAWINGS
from runner.sinks.plots import coefficients
from runner.sinks.terminal import show

DIGITS = 1e-6  # of the published answers, which have six


def report_of(*words: str) -> Report:
    return run(Composer().job([*words, "validation=none", "model.hypotheses=[]"]).experiment)


@pytest.fixture(scope="module")
def pooled() -> Report:
    return report_of("data.assets=[S1V1,S1V5,S5V5]", "model.by=null", "data.start=2010-01-01")


@pytest.fixture(scope="module")
def without_constant() -> Report:
    return report_of("data.assets=[S1V5]", "model.constant=false")


def terminal(report: Report, directory: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is printed, as one line: a narrow terminal breaks sentences."""
    show(report, directory, "")
    return " ".join(capsys.readouterr().out.split())


def test_the_terminal_shows_the_cautions_on_errors_that_the_page_shows(
    pooled: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [caution] = sections(pooled)["Standard errors"]
    assert caution.startswith("Classical standard errors treat the assets of a date")
    page.write(pooled, tmp_path, [])
    assert caution in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert caution in terminal(pooled, tmp_path, capsys)


@pytest.mark.parametrize(
    ("settings", "rest"),
    [
        ({"by": None, "clusters": ["asset"]}, (12, "asset")),
        ({"by": None, "clusters": ["asset", "date"]}, (12, "asset")),
        ({"by": None, "clusters": ["date", "asset"]}, (12, "asset")),
        ({"by": None, "clusters": ["sector", "date"]}, (3, "sector")),
        ({"by": None, "clusters": ["asset"], "effects": ["asset"]}, (12, "asset")),
        ({"by": None, "clusters": ["date"], "effects": ["asset", "date"]}, (40, "date")),
        ({"by": "sector", "clusters": ["asset", "date"]}, (4, "asset")),
        ({"by": None, "clusters": ["asset"], "estimator": "logit"}, (12, "asset")),
        ({"by": None, "clusters": [], "cov": "driscoll_kraay"}, (40, "date")),
        ({"by": "asset", "clusters": [], "cov": "HC3"}, None),
    ],
)
def test_the_fewest_clusters_are_counted(
    settings: dict[str, Any], rest: tuple[int, str] | None
) -> None:
    """Of 14 assets two are never there; dates on which none is there are no clusters."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((45, 14, 1))
    y = X[:, :, 0] + rng.standard_normal((45, 14))
    if settings.get("estimator") == "logit":
        y = (y > 0).astype(float)
    use = np.ones((45, 14), dtype=bool)
    use[:5] = False
    use[:, 12:] = False
    y = np.where(use, y, np.nan)
    X = np.where(use[:, :, None], X, np.nan)
    names = [f"A{i}" for i in range(14)]
    sectors = pd.DataFrame({"sector": [f"s{i % 3}" for i in range(14)]}, index=names)
    panel = replace(panel_of(y, X), groups=sectors)
    assert list(panel.assets) == names
    model = Regression(**{"cov": "cluster", **settings})
    quality = model.fit(panel, np.arange(45)).quality
    if rest is None:
        assert quality["clusters"].isna().all() and (quality["clusters_by"] == "").all()
        assert few_clusters(quality) is None
        return
    assert [*zip(quality["clusters"], quality["clusters_by"], strict=True)] == [rest] * len(quality)
    few = few_clusters(quality)
    assert (few is None) == (rest[0] >= ENOUGH)
    if few is not None:
        assert (few.number, few.way, few.units) == (*rest, len(quality))


def test_few_clusters_are_told_on_page_terminal_and_in_the_text_of_mlflow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of("data.assets=[S1V1,S1V5,S5V5]", "model=pooled", "data.start=2010-01-01")
    [caution] = sections(report)["Standard errors"]
    assert caution == (
        "Clustered standard errors rest on 3 assets: with fewer than 30 clusters tests reject too "
        "often (Cameron and Miller 2015); use model.cov=driscoll_kraay model.clusters=[]."
    )
    page.write(report, tmp_path, [])
    assert caution in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert caution in terminal(report, tmp_path, capsys)
    assert caution in reading(report)


def test_the_wald_tests_of_such_errors_are_without_a_verdict_on_the_page(tmp_path: Path) -> None:
    words = ["data.assets=[S1V1,S1V5,S5V5]", "data.start=2010-01-01", "validation=none"]
    for more, caption in (
        (
            ["model.by=null"],
            "Wald tests, without a verdict: classical standard errors treat the assets of a date",
        ),
        (["model=pooled"], "Wald tests, without a verdict: 3 assets are too few for a test"),
        (["model.by=asset", "model.cov=HAC"], "Wald tests<"),
    ):
        asked = [*words, *more, "model.hypotheses=[MktRF = 1]"]
        page.write(run(Composer().job(asked).experiment), tmp_path, [])
        assert caption in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_of_regressions_of_which_some_have_few_clusters_their_number_is_said() -> None:
    quality = pd.DataFrame(
        {"unit": ["a", "b", "c"], "clusters": [7.0, 40.0, 9.0], "clusters_by": "asset"}
    )
    assert withheld(quality) == (
        "in 2 of 3 regressions without a verdict: 7 assets are too few for a test"
    )
    assert withheld(quality.iloc[[1]]) == ""
    assert withheld(quality.iloc[[0]]) == "without a verdict: 7 assets are too few for a test"


def test_nothing_is_called_significant_on_few_clusters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(
        "data.assets=[S1V1,S1V5,S5V5]",
        "model=pooled",
        "model.clusters=[asset,date]",
        "data.start=2010-01-01",
    )
    assert (report.fit.coefficients["p_value"] < 0.05).any()
    judged = for_a_verdict(report.fit.coefficients, report.fit.quality)
    assert judged.isna().all()
    for sentence in sections(report)["Coefficients"]:
        assert sentence.endswith("without a verdict: 3 assets are too few for a test.")
    page.write(report, tmp_path, [])
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    for words in (*reading(report), terminal(report, tmp_path, capsys), written):
        assert "significantly different" not in words
        assert "**" not in words
    [panel, *_] = coefficients(report).axes
    points = panel.collections[1]
    assert points.get_facecolor().tolist() == [[1.0, 1.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("settings", "doubt"),
    [
        (
            ["model.cov=nonrobust", "model.clusters=[]"],
            "classical standard errors treat the assets of a date as independent",
        ),
        (
            ["model.clusters=[date]", "target=forward_return", "target.horizon=3"],
            "clustered standard errors ignore that targets over 3 rows overlap",
        ),
    ],
)
def test_nothing_is_called_significant_on_errors_that_ignore_what_rows_share(
    settings: list[str], doubt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of("model=pooled", *settings)
    coefficients_of_run = report.fit.coefficients
    assert (coefficients_of_run["p_value"] < 0.9).any()
    assert for_a_verdict(coefficients_of_run, report.fit.quality).isna().all()
    assert (report.fit.quality["doubt"] == doubt).all()
    for sentence in sections(report)["Coefficients"]:
        assert f"without a verdict: {doubt}" in sentence
    page.write(report, tmp_path, [])
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    for words in (*reading(report), terminal(report, tmp_path, capsys), written):
        assert "significantly different" not in words
        assert "**" not in words


def test_the_mean_over_dates_has_no_verdict_where_its_lags_are_too_few() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 20, 1))
    panel = replace(panel_of(X[:, :, 0] + rng.standard_normal((60, 20)), X), horizon=3)
    for lags, words in ((1, "ignore that targets over 3 rows overlap"), (2, ""), (None, "")):
        fit = Regression(by="date", mean_lags=lags).fit(panel, np.arange(60))
        assert all(doubt.endswith(words) for doubt in fit.quality["doubt"])
        judged = for_a_verdict(fit.coefficients, fit.quality)
        assert judged.isna().all() == bool(words)


@pytest.fixture(scope="module")
def mixed() -> Study:
    """A group of 36 assets and one of 9: 36 clusters are enough for a test, 9 are not."""
    rng = np.random.default_rng(3)
    X = np.repeat(rng.standard_normal((80, 1, 3)), 45, axis=1)
    y = 0.5 + X @ [1.0, 0.5, -0.5] + 0.3 * rng.standard_normal((80, 45))
    panel = panel_of(y, X)
    sectors = ["many" if i < 36 else "few" for i in range(45)]
    groups = pd.DataFrame({"sector": sectors}, index=panel.assets)
    features = ["MktRF", "SMB", "HML"]
    panel = replace(panel, groups=groups, names=features)
    return study_of(panel, Regression(by="sector", cov="cluster", clusters=["asset", "date"]))


def test_groups_on_few_clusters_are_counted_apart(mixed: Study) -> None:
    coefficients = mixed.fit.coefficients
    alphas = coefficients[(coefficients["term"] == "const") & (coefficients["scope"] == "group")]
    assert (alphas["p_value"] < 0.05).all() and len(alphas) == 2
    ends = "in 1 of 1 groups (positive); without a verdict in 1, on too few clusters"
    said = significance_of(alphas, mixed.fit.quality, "groups")
    assert said == f"is significant at 5 % {ends}"
    few = alphas[alphas["unit"] == "few"]
    said = significance_of(few, mixed.fit.quality, "groups")
    assert said == "is without a verdict, on too few clusters in each group"


def test_analyses_give_few_clusters_no_verdict(mixed: Study) -> None:
    few = "without a verdict: 9 assets are too few for a test"
    [alpha, *_] = performance(mixed).words
    assert "in 1 of 1 groups (positive); without a verdict in 1, on too few clusters;" in alpha
    box = style_box(mixed)
    table = box.table.set_index("unit")
    assert table.loc["many", ["size", "value", "reason"]].tolist() == ["small", "growth", ""]
    assert table.loc["few", ["size", "value", "reason"]].tolist() == ["", "", few]
    assert table.loc["few", "size_p_value"] < 0.05  # the table keeps it
    fuller = nested(mixed, regressors=["MktRF"])
    assert (fuller.table["p_value"] < 0.05).all() and fuller.metrics["rejected"] == 1.0
    assert fuller.words[0] == (
        "SMB and HML together: significantly different from zero at 5 % in 1 of 1 groups "
        "(cluster Wald test); without a verdict in 1, on too few clusters."
    )
    *_, full = DRAWINGS["nested"](fuller.table).axes[0].collections
    fills = dict(zip(fuller.table["unit"], full.get_facecolor().tolist(), strict=True))
    assert fills["few"] == [1.0, 1.0, 1.0, 1.0] != fills["many"]


def test_analyses_of_one_regression_on_few_clusters_say_so(mixed: Study) -> None:
    few = "9 assets are too few for a test"
    panel = mixed.panel.part(np.arange(80), np.arange(36, 45))
    one = study_of(panel, Regression(by=None, cov="cluster", clusters=["asset", "date"]))
    [alpha, *_] = performance(one).words
    assert alpha.endswith(f", without a verdict: {few}.")
    [style] = style_box(one).words
    assert style.endswith(f"no regression has tests of both loadings (without a verdict: {few}).")
    [fuller, _] = nested(one, regressors=["MktRF"]).words
    assert f"SMB and HML together: without a verdict: {few} (F(2, 8) = " in fuller


def test_r2_without_a_constant_is_about_the_mean_and_the_uncentred_one_is_said(
    without_constant: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics, quality = without_constant.metrics, without_constant.fit.quality
    assert metrics["fit/r2"] == pytest.approx(0.946299, abs=DIGITS)
    assert metrics["fit/r2_uncentred"] == pytest.approx(0.948401, abs=DIGITS)
    assert quality["r2"].iloc[0] == metrics["fit/r2"]
    assert quality["r2_uncentred"].iloc[0] == metrics["fit/r2_uncentred"]
    said = "without a constant; R2 is about the mean of the target, uncentred R2 is 0.9484"
    assert said in "\n".join(sections(without_constant)["Fit"])
    assert said in terminal(without_constant, tmp_path, capsys)
    page.write(without_constant, tmp_path, [])
    assert said in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_with_a_constant_there_is_one_r2(pooled: Report) -> None:
    assert "fit/r2_uncentred" not in pooled.metrics
    assert pooled.fit.quality["r2_uncentred"].isna().all()
    assert not any(
        "uncentred" in sentence for part in sections(pooled).values() for sentence in part
    )


@pytest.mark.parametrize("weights", [None, "cap"])
@pytest.mark.parametrize("by", ["asset", "date", None])
def test_r2_without_a_constant_is_that_of_statsmodels(by: str | None, weights: str | None) -> None:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((40, 12, 2))
    y = 0.4 + X @ [0.5, -0.2] + rng.standard_normal((40, 12))
    w = rng.uniform(0.5, 4.0, (40, 12))
    panel = replace(panel_of(y, X), weights=None if weights is None else w)
    quality = Regression(by=by, constant=False, weights=weights).fit(panel, np.arange(40)).quality
    cells = {
        "asset": [np.s_[:, i] for i in range(12)],
        "date": [np.s_[t] for t in range(40)],
        None: [np.s_[:, :]],
    }
    for row, own in zip(quality.to_dict("records"), cells[by], strict=True):
        rows = w[own].ravel() if weights else np.ones(y[own].size)
        theirs = sm.WLS(y[own].ravel(), X[own].reshape(-1, 2), rows).fit()
        assert row["r2_uncentred"] == pytest.approx(theirs.rsquared, rel=1e-10)
        assert row["r2"] == pytest.approx(1.0 - theirs.ssr / theirs.centered_tss, rel=1e-10)
        assert row["f_stat"] == pytest.approx(theirs.fvalue, rel=1e-10), (
            "F is that all slopes are zero, as before"
        )


@pytest.mark.parametrize("constant", [True, False])
def test_effects_take_the_place_of_the_constant_in_r2(constant: bool) -> None:
    rng = np.random.default_rng(6)
    X = rng.standard_normal((40, 5, 2))
    y = np.arange(5.0) + X @ [0.5, -0.2] + rng.standard_normal((40, 5))
    row = (
        Regression(by=None, effects=["asset"], constant=constant)
        .fit(panel_of(y, X), np.arange(40))
        .quality.iloc[0]
    )
    dummies = np.tile(np.eye(5), (40, 1))
    theirs = sm.OLS(y.ravel(), np.column_stack([X.reshape(-1, 2), dummies])).fit()
    assert row["r2"] == pytest.approx(1.0 - theirs.ssr / theirs.centered_tss, rel=1e-10)
    assert row["r2_adj"] == pytest.approx(
        1.0 - theirs.ssr / theirs.df_resid / (theirs.centered_tss / 199.0), rel=1e-10
    )
    assert np.isnan(row["r2_uncentred"])


def test_the_mean_over_assets_is_hollow_in_the_picture_of_them() -> None:
    report = report_of("data.assets=[S1V1,S1V5,S5V5]", "data.start=2010-01-01")
    means = report.fit.coefficients.query("scope == 'mean'")
    assert (means["p_value"] < 0.05).any()
    figure = coefficients(report)
    assert any("p < 0.05 (no verdict on the mean)" in text.get_text() for text in figure.texts)
    for panel in figure.axes[:3]:
        marks = [part for part in panel.collections if len(part.get_facecolor())]
        assert len(marks) == 2  # of the assets, and of their mean
        assert marks[1].get_facecolor().tolist() == [[1.0, 1.0, 1.0, 1.0]]


def test_errors_of_a_mean_are_named_by_their_own_kind() -> None:
    of_units = "classical (equal variances, independent rows), t(n-k)"
    fit = Fit(NO_TABLE, NO_TABLE, NO_TABLE, params=np.empty((0, 1)), errors=of_units)
    assert fit.kind_of_errors_of_mean == fit.kind_of_errors == "classical"
    over_dates = replace(fit, errors=f"{of_units}; of the mean: Newey-West over dates, 4 lags")
    assert over_dates.kind_of_errors == "classical"
    assert over_dates.kind_of_errors_of_mean == "Newey-West over dates"
