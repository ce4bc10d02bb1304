"""Labels that change over time, everywhere that groups work, against pandas, statsmodels and linearmodels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from conftest import SHARED, Outcome
from linearmodels.panel import PanelOLS, PooledOLS
from oracles import positive_part, random_arrays
from studies import study_of

from runner.analyses.forecasts.by_group import target_by_group
from runner.data.labels import Labels
from runner.data.market import Market
from runner.data.notices import Dropped
from runner.data.sources.file import File
from runner.data.sources.frame import Frame
from runner.errors import DataError, EstimationError
from runner.experiment.auditing.cuts import Cut, ended, futures, other_past
from runner.features.expressions import Expression
from runner.features.factors import group_mean
from runner.models.boosting import Boosting
from runner.models.regression import Regression
from runner.panels.building import build_panel
from runner.panels.panel import Panel
from runner.panels.spells import spells
from runner.preprocessing import steps
from runner.preprocessing.applying import Step
from runner.targets import Target
from runner.trials.influence import influence

REL = 1e-9  # both sides lose a few units in the last place of well-conditioned sums
SECTORS = ("energy", "health", "tech")
T, N, K = 40, 12, 2
DATES = pd.date_range("2020-01-31", periods=T, freq="ME")
ASSETS = [f"A{i:02d}" for i in range(N)]
STOCKS55 = SHARED / "sp500_mini_55stocks_2010_2021.parquet"


def sector_codes() -> np.ndarray:
    """Codes (T, N): every third asset changes once, one of them back again, one has none at first."""
    codes = np.tile(np.arange(N) % 3, (T, 1))
    codes[15:, 0] = 1
    codes[10:22, 3] = 2
    codes[30:, 6] = 1
    codes[:8, 7] = -1
    return codes


def market_of() -> Market:
    """Random characteristics and returns, some cells missing, and labels that change."""
    y, X = random_arrays(5, T, N, K)
    rng = np.random.default_rng(3)
    X[rng.random((T, N)) < 0.05, 1] = np.nan
    y[rng.random((T, N)) < 0.05] = np.nan
    fields = {}
    for name, cells in (("ret", y), ("x0", X[:, :, 0]), ("x1", X[:, :, 1])):
        fields[name] = pd.DataFrame(cells, DATES, ASSETS)
    fields["size"] = pd.DataFrame(np.exp(rng.normal(size=(T, N))), DATES, ASSETS)
    groups = pd.DataFrame({"country": ["x", "y", "y"] * (N // 3)}, index=ASSETS)
    labels = {"sector": Labels.of(sector_codes(), SECTORS)}
    return Market("test", fields, pd.DataFrame(index=DATES), groups=groups, labels=labels)


def panel_with(*chain: Step, weights: str | None = None) -> Panel:
    market = market_of()
    features = {"x0": Expression("x0"), "x1": Expression("x1")}
    return build_panel(market, features, lambda of: Target(of.get("ret"), 0), chain, weights)


PANEL = panel_with()
ROWS = np.arange(T)


def table(panel: Panel = PANEL) -> pd.DataFrame:
    """The usable rows with the labels of their date, indexed by asset and date."""
    t, i = np.nonzero(panel.valid)
    rows = pd.DataFrame(panel.X[t, i], columns=panel.names)
    rows["y"] = panel.y[t, i]
    rows["date"] = panel.dates[t]
    rows["asset"] = np.array(panel.assets)[i]
    labels = panel.labels["sector"]
    rows["sector"] = np.array(labels.values)[labels.codes[t, i]]
    rows["country"] = panel.groups["country"].to_numpy()[i]
    if panel.weights is not None:
        rows["w"] = panel.weights[t, i]
    return rows.set_index(["asset", "date"], drop=False)


# The labels themselves


def test_a_code_of_minus_one_is_unknown_and_values_are_sorted() -> None:
    labels = Labels.of(np.array([[0, 1], [0, -1]]), ["b", "a"])
    assert labels.values == ("a", "b", "unknown")
    assert labels.codes.tolist() == [[1, 0], [1, 2]]
    assert labels.had.tolist() == [[False, True, False], [True, False, True]]


def test_a_market_carries_its_labels_as_it_does_fields() -> None:
    market = market_of()
    labels = market.labels["sector"]
    part = market.of(ASSETS[3:5]).at(np.arange(8, 12)).labels["sector"]
    np.testing.assert_array_equal(part.codes, labels.codes[8:12, 3:5])
    cut = market.between("2020-06-01", "2020-08-31").labels["sector"]
    np.testing.assert_array_equal(cut.codes, labels.codes[5:8])
    other = replace(market, labels={"sector": Labels.of(np.roll(sector_codes(), 1, 0), SECTORS)})
    assert other.fingerprint != market.fingerprint
    assert replace(market).fingerprint == market.fingerprint
    with pytest.raises(ValueError, match="read-only"):
        labels.codes[0, 0] = 1


def test_the_label_of_a_month_is_that_of_its_last_row() -> None:
    days = pd.date_range("2020-01-01", "2020-03-31", freq="B")
    codes = np.zeros((len(days), 1), dtype=int)
    codes[days >= "2020-02-20"] = 1
    market = Market(
        "test",
        {"close": pd.DataFrame(1.0, days, ["A"])},
        pd.DataFrame(index=days),
        labels={"sector": Labels.of(codes, ["old", "new"])},
    )
    sampled = market.sample("month").labels["sector"]
    assert np.array(sampled.values)[sampled.codes[:, 0]].tolist() == ["old", "new", "new"]


LONG = pd.DataFrame(
    {
        "date": pd.to_datetime(
            ["2020-03-15", "2019-06-01", "2020-02-29", "2020-01-31", "2030-01-01"]
        ),
        "asset": ["A", "A", "B", "C", "A"],
        "label": ["tech", "energy", "tech", None, "energy"],
    }
)
MONTHS = pd.DatetimeIndex(["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"])


@pytest.mark.parametrize(
    ("as_of", "of_a", "of_b"),
    [
        (True, ["energy", "energy", "tech", "tech"], ["unknown", "tech", "tech", "tech"]),
        (False, ["unknown"] * 4, ["unknown", "tech", "unknown", "unknown"]),
    ],
)
def test_labels_of_a_long_table(as_of: bool, of_a: list[str], of_b: list[str]) -> None:
    labels = Labels.of_long(MONTHS, ["B", "A", "C"], LONG, as_of=as_of)
    words = np.array(labels.values)[labels.codes]
    assert words[:, 1].tolist() == of_a
    assert words[:, 0].tolist() == of_b
    assert words[:, 2].tolist() == ["unknown"] * 4


def test_a_membership_ends_where_its_label_is_missing() -> None:
    spell = pd.DataFrame({"date": MONTHS[[0, 2]], "asset": "A", "label": ["member", None]})
    labels = Labels.of_long(MONTHS, ["A"], spell, as_of=True)
    words = np.array(labels.values)[labels.codes[:, 0]].tolist()
    assert words == ["member", "member", "unknown", "unknown"]


def test_two_labels_of_one_date_are_refused() -> None:
    twice = pd.concat([LONG, LONG.iloc[:1].assign(label="energy")])
    with pytest.raises(DataError, match="A has energy, tech on 2020-03-15"):
        Labels.of_long(MONTHS, ["A"], twice)


@pytest.mark.parametrize("kind", ["text", "category", "int", "float"])
def test_a_column_whose_label_changes_is_one_of_the_date(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    codes = pd.Series([1, 1, 2, 3, 3, 3, 3, 1, 1])
    frame = pd.DataFrame(
        {
            "date": list(pd.date_range("2020-01-01", periods=3)) * 3,
            "asset": np.repeat(["A", "B", "C"], 3),
            "close": 1.0 + rng.random(9),
            "sector": {
                "text": codes.map(str),
                "category": codes.map(str).astype("category"),
                "int": codes,
                "float": codes.astype(float),
            }[kind],
        }
    )
    shuffled = frame.sample(frac=1.0, random_state=1)
    path = tmp_path / "file.parquet"
    shuffled.to_parquet(path)
    columns: dict[str, str | None] = {"date": "date", "asset": "asset", "close": "close"}
    of_file = File(str(path), columns, groups={"sector": "sector"}).load()
    of_frame = Frame(groups={"sector": "sector"}).of(shuffled).load()
    for market in (of_file, of_frame):
        labels = market.labels["sector"]
        words = np.array(labels.values)[labels.codes]
        assert words.T.tolist() == [["1", "1", "2"], ["3", "3", "3"], ["3", "1", "1"]]
        assert "sector changes for 2 of 3 assets: labels are those of the date." in market.notes
    assert of_file.of(["B"]).grouping.get("sector").values == ("1", "2", "3")


def test_labels_that_are_missing_in_some_rows_are_counted_or_noted() -> None:
    frame = pd.DataFrame(
        {
            "date": list(pd.date_range("2020-01-01", periods=3)) * 2,
            "asset": ["A"] * 3 + ["B"] * 3,
            "ret": 0.01,
            "sector": ["x", None, "y", "x", "x", "x"],
            "member": ["in", "in", None, "in", "in", "in"],
        }
    )
    market = Frame(groups={"sector": "sector", "member": "member"}).of(frame).load()
    words = np.array(market.labels["sector"].values)[market.labels["sector"].codes]
    assert words[:, 0].tolist() == ["x", "unknown", "y"]
    assert Dropped("source value", "sector has no label on the date: unknown", 1) in market.dropped
    assert market.groups["member"].tolist() == ["in", "in"]
    assert any(note.startswith("member is missing in some rows of 1 of 2") for note in market.notes)


# Steps, expressions and factors


def by_label(values: pd.DataFrame, what: str) -> np.ndarray:
    """The transform of pandas over the assets with the same label on the date, (T, N)."""
    labels = market_of().labels["sector"]
    keys = [np.repeat(np.arange(T), N), labels.codes.ravel()]
    flat = pd.Series(values.to_numpy().ravel())
    return flat.groupby(keys).transform(what).to_numpy().reshape(T, N)


def test_steps_group_by_the_label_of_the_date() -> None:
    x = market_of().get("x1")
    cells = x.to_numpy()
    mean = by_label(x, "mean")
    raw = panel_with(Step(lambda cross: steps.demean(cross, group="sector"), "demean", ["x1"]))
    np.testing.assert_allclose(raw.X[:, :, 1], cells - mean, rtol=REL, atol=1e-12)
    for value, centre in (("mean", mean), ("median", by_label(x, "median"))):

        def filled(cross: steps.Cross, value: str = value) -> np.ndarray:
            return steps.fill(cross, value=value, group="sector")

        found = panel_with(Step(filled, "fill", ["x1"]))
        expected = np.where(np.isnan(cells), centre, cells)
        np.testing.assert_allclose(found.X[:, :, 1], expected, rtol=REL)


def test_neutralise_takes_the_labels_of_the_date() -> None:
    x = market_of().get("x1").to_numpy()
    labels = market_of().labels["sector"]
    z = market_of().get("x0").to_numpy()

    def neutral(cross: steps.Cross) -> np.ndarray:
        return steps.neutralise(cross, group="sector", against=["x0"])

    found = panel_with(Step(neutral, "neutralise", ["x1"])).X[:, :, 1]
    for t in (0, 12, 35):
        known = np.isfinite(x[t])
        dummies = pd.get_dummies(labels.codes[t, known], dtype=float).to_numpy()
        residual = sm.OLS(x[t, known], np.column_stack([dummies, z[t, known]])).fit().resid
        np.testing.assert_allclose(found[t, known], residual, rtol=1e-8, atol=1e-12)


def test_expressions_group_by_the_label_of_the_date() -> None:
    market = market_of()
    x = market.get("x1")
    mean = by_label(x, "mean")
    demeaned = Expression("demean(x1, sector)")(market)
    np.testing.assert_allclose(demeaned, x.to_numpy() - mean, rtol=REL, atol=1e-12)
    order = by_label(x, "rank")
    others = by_label(x, "count") - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(others > 0.0, (order - 1.0) / others, order - 0.5)
    np.testing.assert_allclose(Expression("rank(x1, group=sector)")(market), share, rtol=REL)
    averages = Expression("average(x1, sector)")(market)
    np.testing.assert_allclose(averages, by_label(x, "mean"), rtol=REL)
    assert Expression("lag(rank(x1, sector), 3)").lookback == 3
    assert Expression("rank(x1, sector)").names == {"x1"}


def test_expressions_group_by_labels_for_ever_too() -> None:
    market = market_of()
    x = market.get("x1")
    country = market.groups["country"].to_numpy()
    means = x.T.groupby(country).transform("mean").T
    found = Expression("demean(x1, country)")(market)
    np.testing.assert_allclose(found, x - means, rtol=REL, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rank(x1, sektor)", "label 'sektor' is unknown; allowed: country, sector"),
        ("rank(x1, x0)", "label 'x0' is unknown; allowed: country, sector"),
    ],
)
def test_a_label_that_the_data_has_not(text: str, line: str) -> None:
    with pytest.raises(DataError) as caught:
        Expression(text)(market_of())
    assert caught.value.mistakes[0].startswith(line)


def test_a_label_is_a_name() -> None:
    with pytest.raises(ValueError, match="the name of a label of the data") as caught:
        Expression("rank(x1, x0 + 1)")
    assert "rank(x, group=none)" in str(caught.value)


def test_group_means_follow_the_labels() -> None:
    market = market_of()
    found = group_mean(market, of="x1", group="sector")
    np.testing.assert_allclose(found, by_label(market.get("x1"), "mean"), rtol=REL)


# Regressions


def test_a_regression_per_label_takes_the_rows_that_have_it() -> None:
    fit = Regression(by="sector").fit(PANEL)
    rows = table()
    predicted = Regression(by="sector").predict(fit, PANEL)
    names = list(fit.quality["unit"])
    assert names == ["energy", "health", "tech", "unknown"]
    for name, own in rows.groupby("sector"):
        theirs = sm.OLS(own["y"], sm.add_constant(own[["x0", "x1"]])).fit()
        ours = fit.coefficients[fit.coefficients["unit"] == name]
        np.testing.assert_allclose(ours["estimate"], theirs.params, rtol=REL)
        np.testing.assert_allclose(ours["std_error"], theirs.bse, rtol=REL)
        t = PANEL.dates.get_indexer(own["date"])
        i = pd.Index(ASSETS).get_indexer(own["asset"])
        np.testing.assert_allclose(predicted[t, i], theirs.fittedvalues, rtol=REL)


@pytest.mark.parametrize("clusters", [["sector"], ["sector", "date"], ["asset", "sector"]])
def test_clusters_of_labels_of_the_date_equal_linearmodels(clusters: list[str]) -> None:
    ours = Regression(by=None, cov="cluster", clusters=clusters).fit(PANEL).coefficients
    rows = table()
    keys = pd.DataFrame(
        {name: rows[name].astype("category").cat.codes for name in clusters}, index=rows.index
    )
    model = PooledOLS(rows["y"], sm.add_constant(rows[["x0", "x1"]]))
    theirs = model.fit(cov_type="clustered", clusters=keys, group_debias=True, debiased=True)
    np.testing.assert_allclose(ours["estimate"], theirs.params, rtol=REL)
    V = positive_part(theirs.cov) if len(clusters) == 2 else np.asarray(theirs.cov)
    np.testing.assert_allclose(ours["std_error"], np.sqrt(np.diag(V)), rtol=1e-7)


def categories(rows: pd.DataFrame, effects: list[str]) -> pd.DataFrame:
    """Codes of the effects, as linearmodels takes them."""
    columns = {}
    for name in effects:
        label, on_dates, _ = name.partition("*date")
        key = rows[label].astype(str)
        if on_dates:
            key = key + rows["date"].astype(str)
        columns[name] = key.astype("category").cat.codes
    return pd.DataFrame(columns, index=rows.index)


EFFECTS = [
    ["sector"],
    ["country"],
    ["sector*date"],
    ["sector", "date"],
    ["asset", "sector"],
    ["asset", "sector*date"],
    ["country", "sector*date"],
]


@pytest.mark.parametrize("effects", EFFECTS, ids="+".join)
@pytest.mark.parametrize("weights", [None, "size"])
def test_effects_of_labels_equal_linearmodels(effects: list[str], weights: str | None) -> None:
    panel = panel_with(weights=weights)
    fit = Regression(by=None, effects=effects, weights=weights).fit(panel)
    rows = table(panel)
    w = None if weights is None else rows["w"]
    if "asset" not in effects:  # linearmodels takes seconds for those
        other = categories(rows, effects)
        model = PanelOLS(rows["y"], rows[["x0", "x1"]], other_effects=other, weights=w)
        theirs = model.fit(cov_type="unadjusted", debiased=True)
        np.testing.assert_allclose(fit.coefficients["estimate"], theirs.params, rtol=1e-8)
    dummies = [
        pd.get_dummies(column, dtype=float) for _, column in categories(rows, effects).items()
    ]
    X = np.column_stack([rows[["x0", "x1"]], *dummies])
    root = np.ones(len(rows)) if w is None else np.sqrt(w.to_numpy())
    rank = np.linalg.matrix_rank(X)
    oracle = np.linalg.lstsq(X * root[:, None], rows["y"].to_numpy() * root, rcond=None)[0]
    residual = (rows["y"].to_numpy() - X @ oracle) * root
    variance = residual @ residual / (len(rows) - rank)
    bread = np.linalg.pinv((X * root[:, None]).T @ (X * root[:, None]))
    errors = np.sqrt(variance * np.diag(bread)[:2])
    np.testing.assert_allclose(fit.coefficients["estimate"], oracle[:2], rtol=1e-8)
    np.testing.assert_allclose(fit.coefficients["std_error"], errors, rtol=1e-8)
    t, i = np.nonzero(panel.valid)
    predicted = Regression(by=None, effects=effects, weights=weights).predict(fit, panel)
    np.testing.assert_allclose(predicted[t, i], X @ oracle, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("effects", "clusters", "nested"),
    [
        (["sector*date"], ["date"], True),
        (["sector*date"], ["asset"], False),
        (["sector"], ["sector"], True),
        (["sector"], ["date"], False),
        (["asset"], ["sector"], False),
        (["asset", "sector*date"], ["date"], False),
    ],
)
def test_clusters_beside_effects_equal_linearmodels(
    effects: list[str], clusters: list[str], nested: bool
) -> None:
    model = Regression(by=None, effects=effects, cov="cluster", clusters=clusters)
    ours = model.fit(PANEL).coefficients
    rows = table()
    keys = categories(rows, clusters)
    theirs = PanelOLS(rows["y"], rows[["x0", "x1"]], other_effects=categories(rows, effects)).fit(
        cov_type="clustered",
        clusters=keys,
        group_debias=True,
        debiased=True,
        auto_df=False,
        count_effects=not nested,
    )
    np.testing.assert_allclose(ours["estimate"], theirs.params, rtol=1e-8)
    np.testing.assert_allclose(ours["std_error"], theirs.std_errors, rtol=1e-7)


def test_dummies_of_labels_of_the_date_are_least_squares() -> None:
    model = Regression(by=None, dummies=["sector"])
    fit = model.fit(PANEL)
    rows = table()
    dummies = pd.get_dummies(rows["sector"], dtype=float).iloc[:, 1:]
    X = sm.add_constant(np.column_stack([rows[["x0", "x1"]], dummies]))
    theirs = sm.OLS(rows["y"].to_numpy(), X).fit()
    terms = ["const", "x0", "x1", "sector:health", "sector:tech", "sector:unknown"]
    assert fit.coefficients["term"].tolist() == terms
    np.testing.assert_allclose(fit.coefficients["estimate"], theirs.params, rtol=1e-8)
    np.testing.assert_allclose(fit.coefficients["std_error"], theirs.bse, rtol=1e-8)
    predicted = model.predict(fit, PANEL)
    np.testing.assert_allclose(predicted[PANEL.valid], theirs.fittedvalues, rtol=1e-8)


@pytest.mark.parametrize("label", ["sector", "country"])
def test_dummies_inside_each_cross_section(label: str) -> None:
    model = Regression(by="date", dummies=[label], mean_lags=0)
    fit = model.fit(PANEL)
    slopes = []
    levels = []
    for _, own in table().reset_index(drop=True).groupby("date"):
        dummies = pd.get_dummies(own[label], dtype=float)
        X = pd.concat([own[["x0", "x1"]], dummies], axis=1)
        theirs = sm.OLS(own["y"].to_numpy(), X.to_numpy()).fit()
        slopes.append(theirs.params[:2])
        levels.append(pd.Series(theirs.params[2:], dummies.columns))
    path = fit.coefficients[fit.coefficients["scope"] == "date"]["estimate"].to_numpy()
    np.testing.assert_allclose(path.reshape(-1, 2), slopes, rtol=1e-8)
    mean = fit.coefficients[fit.coefficients["scope"] == "mean"]
    assert mean["term"].tolist() == ["x0", "x1"]
    np.testing.assert_allclose(mean["estimate"], np.mean(slopes, axis=0), rtol=1e-8)
    # a forecast adds the mean level of the label that an asset has
    own_levels = pd.DataFrame(levels).mean()
    predicted = model.predict(fit, PANEL)
    rows = table()
    t = PANEL.dates.get_indexer(rows["date"])
    i = pd.Index(ASSETS).get_indexer(rows["asset"])
    expected = rows[["x0", "x1"]].to_numpy() @ np.mean(slopes, axis=0)
    expected = expected + own_levels[rows[label]].to_numpy()
    np.testing.assert_allclose(predicted[t, i], expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(
    "model",
    [
        Regression(by="sector", estimator="ridge", penalty=0.1),
        Regression(by="sector", cov="driscoll_kraay"),
        Regression(by="sector", effects=["asset"]),
        Regression(by="sector", effects=["country*date"]),
        Boosting(by="sector", rounds=5, min_rows=5),
    ],
    ids=["ridge", "driscoll_kraay", "asset effects", "country by date", "boosting"],
)
def test_other_estimators_by_label_are_those_of_its_rows(model: Regression | Boosting) -> None:
    predicted = model.predict(model.fit(PANEL, ROWS), PANEL)
    labels = PANEL.labels["sector"]
    for code in range(3):
        inside = PANEL.valid & (labels.codes == code)
        alone = replace(PANEL, valid=inside)
        pooled = replace(model, by=None)
        theirs = pooled.predict(pooled.fit(alone, ROWS), alone)
        np.testing.assert_allclose(predicted[inside], theirs[inside], rtol=1e-7, atol=1e-10)


def test_forecasts_take_the_label_of_the_test_row() -> None:
    train = np.arange(20)
    test = np.arange(20, T)
    panel = PANEL.without_targets(test)
    for model in (
        Regression(by="sector"),
        Regression(by=None, dummies=["sector"]),
        Regression(by=None, effects=["sector"]),
        Regression(by=None, effects=["sector*date"]),
        Regression(by="date", dummies=["sector"]),
    ):
        fit = replace(model.fit_to_forecast(PANEL, train), date_effects=None)
        whole = model.predict(fit, PANEL)[test]
        np.testing.assert_allclose(model.predict(fit, panel), whole, rtol=1e-12)
        assert np.isfinite(whole[:, 6]).sum() == np.isfinite(PANEL.X[test, 6]).all(axis=1).sum()


def test_a_label_of_test_rows_only_has_no_forecast() -> None:
    codes = sector_codes()
    codes[25:, 4] = 3
    late = replace(PANEL, labels={"sector": Labels.of(codes, [*SECTORS, "utilities"])})
    train = np.arange(20)
    for model in (
        Regression(by="sector"),
        Regression(by=None, effects=["sector"]),
        Regression(by="date", dummies=["sector"]),
    ):
        fit = replace(model.fit_to_forecast(late, train), date_effects=None)
        forecast = model.predict(fit, late)
        assert np.isnan(forecast[25:, 4]).all()
        assert np.isfinite(forecast[20:25, 4]).any()
    refused = Regression(by=None, dummies=["sector"])
    with pytest.raises(EstimationError, match="sector:utilities is constant"):
        refused.fit_to_forecast(late, train)


def test_a_label_with_one_asset_on_a_date_costs_a_row_and_no_more() -> None:
    codes = sector_codes()
    codes[5, 1] = 3
    lone = replace(PANEL, labels={"sector": Labels.of(codes, [*SECTORS, "utilities"])})
    fit = Regression(by=None, effects=["sector*date"]).fit(lone)
    without = replace(lone, valid=PANEL.valid & (codes != 3))
    theirs = Regression(by=None, effects=["sector*date"]).fit(without)
    np.testing.assert_allclose(
        fit.coefficients["estimate"], theirs.coefficients["estimate"], rtol=1e-9
    )
    np.testing.assert_allclose(
        fit.coefficients["std_error"], theirs.coefficients["std_error"], rtol=1e-9
    )


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"effects": ["sector*date", "date"]}, "date lies within sector*date"),
        ({"effects": ["sector*date", "sector"]}, "sector lies within sector*date"),
        ({"effects": ["asset*date"]}, "has asset*date; allowed: label*date"),
        ({"effects": ["asset", "date", "sector"]}, "are 3; allowed: one or two"),
    ],
)
def test_effects_that_do_not_go_together(settings: dict[str, list[str]], line: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (its line is looked at)
        Regression(by=None, **settings)
    assert line in str(caught.value)


def test_labels_that_the_data_has_not_are_named() -> None:
    for settings in (
        {"by": "sektor"},
        {"by": None, "effects": ["sektor"]},
        {"by": None, "effects": ["sektor*date"]},
        {"by": "date", "dummies": ["sektor"]},
        {"by": None, "cov": "cluster", "clusters": ["sektor"]},
    ):
        with pytest.raises(DataError, match=r"'sektor' is unknown.*did you mean 'sector'"):
            Regression(**settings).fit(PANEL)


def test_the_variance_that_weighs_an_asset_is_that_of_all_its_rows() -> None:
    plain = Regression(by=None, weights="inverse_variance").fit(PANEL).coefficients
    clusters = {"cov": "cluster", "clusters": ["sector"]}
    by_spell = Regression(by=None, weights="inverse_variance", **clusters).fit(PANEL).coefficients
    np.testing.assert_allclose(by_spell["estimate"], plain["estimate"], rtol=REL)


def test_influence_by_date_is_the_mean_of_that_of_the_labels() -> None:
    study = study_of(PANEL, Regression(by="sector"))
    series = influence(study).series
    halves = []
    for code in range(4):
        inside = PANEL.valid & (PANEL.labels["sector"].codes == code)
        alone = study_of(replace(PANEL, valid=inside), Regression(by=None))
        halves.append(influence(alone).series.reindex(series.index).fillna(0.0))
    np.testing.assert_allclose(series, sum(halves) / 4.0, rtol=1e-7, atol=1e-14)
    effects = study_of(PANEL, Regression(by=None, effects=["sector*date"]))
    assert (influence(effects).series.sum().abs() < 1e-12).all()


def test_the_target_of_a_label_is_that_of_its_cells() -> None:
    study = study_of(PANEL, Regression(by=None))
    t, i = np.nonzero(PANEL.valid)
    columns = {"date": DATES[t], "asset": np.array(ASSETS)[i], "y": PANEL.y[t, i]}
    predictions = pd.DataFrame(columns).assign(fold="1", path=0, prediction=0.0, benchmark=0.0)
    found = target_by_group(replace(study, predictions=predictions)).table.set_index("unit")
    theirs = table().groupby("sector")["y"]
    np.testing.assert_allclose(found["mean"], theirs.mean(), rtol=REL)
    assert found["n_obs"].tolist() == theirs.size().tolist()
    assert found["n_scored"].tolist() == theirs.size().tolist()
    assert found["assets"].to_dict() == {"energy": 4, "health": 6, "tech": 5, "unknown": 1}


def test_a_label_that_no_usable_cell_has_is_no_level() -> None:
    codes = sector_codes()
    codes[codes < 0] = 0
    codes[~PANEL.valid] = -1  # as of cells that a table has no row for
    rows = replace(PANEL, labels={"sector": Labels.of(codes, SECTORS)})
    assert "unknown" in rows.labels["sector"].values
    model = Regression(by=None, dummies=["sector"]).on(rows)
    assert model.regressors == [*rows.names, "sector:health", "sector:tech"]
    assert model == Regression(by=None, dummies=["sector"]).on(rows.at(np.arange(3)))
    assert np.isfinite(model.fit(rows).params).any()


def test_a_label_that_no_usable_cell_has_gets_no_forecast() -> None:
    codes = sector_codes()
    has_features = np.isfinite(PANEL.X[-1]).all(axis=1)
    new = int(np.flatnonzero(has_features)[1])
    codes[-1, new] = 3
    last = np.array([len(DATES) - 1])
    valid = PANEL.valid.copy()
    valid[last] = False  # its target is not known yet
    labels = {"sector": Labels.of(codes, [*SECTORS, "utilities"])}
    panel = replace(PANEL, valid=valid, labels=labels)
    model = Regression(by=None, dummies=["sector"]).on(panel)
    fit = model.fit_to_forecast(panel, np.arange(20))
    forecast = model.predict(fit, panel.without_targets(last))[0]
    assert np.isnan(forecast[new])
    assert np.isfinite(forecast).sum() == has_features.sum() - 1


def test_spells_put_every_cell_in_one_column() -> None:
    by_sector = spells(PANEL, ["sector"])
    assert by_sector is not None
    assert by_sector.panel.assets[:2] == ["A00 (energy)", "A00 (health)"]
    together = by_sector.together(by_sector.panel.y)
    np.testing.assert_array_equal(together, PANEL.y)
    assert by_sector.panel.valid.sum() == PANEL.valid.sum()
    assert spells(PANEL, ["country"]) is None


# What the audit tries


def test_the_audit_cuts_and_changes_labels_as_other_data() -> None:
    market = market_of()
    codes = market.labels["sector"].codes
    cut = Cut(12, 12)
    np.testing.assert_array_equal(ended(market, cut).labels["sector"].codes, codes[:13])
    for other in futures(market, cut):
        changed = other.labels["sector"].codes
        np.testing.assert_array_equal(changed[:13], codes[:13])
        assert (changed[13:] != codes[13:]).any()
    past = other_past(market, 20).labels["sector"].codes
    np.testing.assert_array_equal(past[20:], codes[20:])
    assert (past[:20] != codes[:20]).any()


# Known answers


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Month ends of 55 stocks, some of which change their sector for a time."""
    if not STOCKS55.exists():
        pytest.skip(f"no {STOCKS55}: the real data is not part of the project")
    daily = pd.read_parquet(STOCKS55)
    sector = daily["Sector"].astype(object).to_numpy(copy=True)
    date = daily["Date"]
    members = daily.groupby("Sector")["Ticker"].unique()
    names = sorted(members.index)
    for k, name in enumerate(names):
        tickers = sorted(members[name])
        moved = (daily["Ticker"] == tickers[0]) & (date >= "2016-01-01")
        sector[moved] = names[(k + 1) % len(names)]
        for_a_time = (date >= "2013-07-01") & (date < "2018-01-01")
        sector[(daily["Ticker"] == tickers[-1]) & for_a_time] = names[k - 1]
    daily["Sector"] = sector
    ends = date.groupby(date.dt.to_period("M")).max().iloc[:-1]  # the last month is not over
    path = tmp_path_factory.mktemp("labels") / "changed.parquet"
    daily[date.isin(ends)].to_parquet(path)
    return path


SIGNAL = "lag(close, 1) / lag(close, 12) - 1"
CliCall = Callable[..., Outcome]


def words(path: Path, signal: str) -> list[str]:
    return [
        "experiment=none",
        "data=file",
        f"data.path={path}",
        "data.columns={date: Date, asset: Ticker, close: adjusted_close, volume: volume}",
        "+data.groups.sector=Sector",
        "features=none",
        f'+features.mom="{signal}"',
        "target=forward_return",
        "validation=none",
    ]


def test_known_premium_of_a_signal_less_its_sector(changed: Path, cli: CliCall) -> None:
    signal = f"demean({SIGNAL}, sector)"
    model = ["model=fama_macbeth", "model.mean_lags=6", "report=tables"]
    done = cli(*words(changed, signal), *model)
    assert done.code == 0, done.err
    table = done.table("coefficients")
    slopes = table[table["term"] == "mom"]
    path = slopes.loc[slopes["scope"] == "date", "estimate"]
    mean = slopes[slopes["scope"] == "mean"].iloc[0]
    assert len(path) == 122
    assert mean["estimate"] == pytest.approx(0.010615607, abs=5e-10)
    assert mean["t_stat"] == pytest.approx(1.507549, abs=5e-7)
    assert path.mean() / path.sem() == pytest.approx(1.372533, abs=5e-7)


def test_known_slope_beside_effects_of_sectors_on_dates(changed: Path, cli: CliCall) -> None:
    model = ["model=pooled", "model.effects=[sector*date]"]
    errors = ["model.cov=cluster", "model.clusters=[date]"]
    done = cli(*words(changed, SIGNAL), *model, *errors)
    assert done.code == 0, done.err
    slope = done.table("coefficients").iloc[0]
    assert slope["estimate"] == pytest.approx(0.0045533583, abs=5e-11)
    assert slope["t_stat"] == pytest.approx(0.540532, abs=5e-7)
    without_factor = slope["t_stat"] * np.sqrt(122.0 / 121.0)
    assert without_factor == pytest.approx(0.542761, abs=5e-7)
    note = "sector changes for 22 of 55 assets: labels are those of the date."
    assert note in (done.directory / "report.html").read_text()
