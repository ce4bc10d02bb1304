"""The volatility panel against naive loops and scikit-learn, the known answers of the daily file, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import Ridge

from runner.cli.composition import Composer
from runner.data.market import Market
from runner.errors import DataError, SpecError
from runner.experiment.run import run
from runner.features.factors import group_mean
from runner.features.functions import realised_volatility
from runner.models.regression import Regression
from runner.panels.building import build_panel
from runner.targets import forward_volatility
from runner.validation.splitters import split_usable

CLOSE = 1e-10  # relative: sums of some hundred squares, in another order
SOLVED = 1e-8  # relative: normal equations of collinear volatilities against a solver of rows
PRINTED = (
    1e-6 * 1.01
)  # the known answers have six decimals; one of them rounds a five the other way
DAILY = (
    Path(__file__).parent.parent.parent
    / "shared"
    / "data"
    / "sp500_mini_55stocks_2010_2021.parquet"
)
OF_FILE = [f"data.path={DAILY}", "data.columns.close=adjusted_close", "data.columns.volume=volume"]
USED = ["vol_5", "vol_21", "vol_63", "vol_126", "down_21", "up_21"]
SCHEME = [
    "audit=off",
    "validation.first=229",
    "validation.window=100",
    "validation.test=40",
    "analyses.by_fold=null",
]
# the 21 rows before row 21 have too few features: the first test row is row 250
SMALL = [
    "experiment=vol_panel",
    "data.assets=12",
    "data.sectors=3",
    "data.rows=420",
    "data.seed=3",
    "data.churn=0",
]
SMALL += SCHEME


def market(T: int = 60, N: int = 5, seed: int = 0) -> Market:
    rng = np.random.default_rng(seed)
    ret = rng.standard_t(4, (T, N)) / 60.0
    ret[rng.random((T, N)) < 0.02] = np.nan
    ret[4, 0] = 0.0
    dates, assets = (
        pd.bdate_range("2020-01-01", periods=T, name="date"),
        [f"A{i}" for i in range(N)],
    )
    groups = pd.DataFrame({"sector": [f"s{i % 2}" for i in range(N)]}, index=assets)
    return Market(
        "test", {"ret": pd.DataFrame(ret, dates, assets)}, pd.DataFrame(index=dates), groups=groups
    )


@pytest.mark.parametrize(
    ("side", "counted"),
    [("both", lambda r: r == r), ("down", lambda r: r < 0.0), ("up", lambda r: r >= 0.0)],
)
def test_realised_volatility_is_a_loop_over_windows(side: str, counted) -> None:
    data = market()
    r, found = (
        data.fields["ret"].to_numpy(),
        realised_volatility(data, window=7, side=side, rows_per_year=250),
    )
    for t in range(60):
        for i in range(5):
            past = r[max(t - 6, 0) : t + 1, i]
            whole = len(past) == 7 and not np.isnan(past).any()
            expected = np.sqrt(250 / 7 * np.sum(past[counted(past)] ** 2)) if whole else np.nan
            np.testing.assert_allclose(found.iloc[t, i], expected, rtol=CLOSE, atol=1e-12)


def test_forward_volatility_looks_ahead_as_far_as_it_says_and_no_further() -> None:
    data = market()
    r, target = data.fields["ret"].to_numpy(), forward_volatility(data, horizon=4)
    assert target.horizon == 4
    expected = [np.sqrt(252 / 4 * np.sum(r[t + 1 : t + 5] ** 2, axis=0)) for t in range(56)]
    np.testing.assert_allclose(target.values.iloc[:56], expected, rtol=CLOSE, atol=1e-12)
    assert target.values.iloc[56:].isna().all(axis=None)


def test_mean_of_a_group_beside_its_own_past() -> None:
    data = market()
    size = data.fields["ret"].abs()
    for group, members in (("s0", ["A0", "A2", "A4"]), ("s1", ["A1", "A3"])):
        mean = [np.nanmean(row) for row in size[members].to_numpy()]
        found = group_mean(data, of="abs(ret)", group="sector")
        past = group_mean(data, of="abs(ret)", group="sector", over=9)
        for name in members:
            np.testing.assert_allclose(found[name], mean, rtol=CLOSE)
            usual = [np.mean(mean[max(t - 8, 0) : t + 1]) if t >= 4 else np.nan for t in range(60)]
            np.testing.assert_allclose(past[name], np.array(mean) / usual, rtol=CLOSE)
        assert list(found.columns) == list(size.columns), group
    np.testing.assert_allclose(
        group_mean(data, of="abs(ret)"), np.nanmean(size, axis=1), rtol=CLOSE
    )
    with pytest.raises(
        DataError, match="group: 'sektor' is unknown; allowed: sector; did you mean 'sector'"
    ):
        group_mean(data, of="ret", group="sektor")
    with pytest.raises(DataError, match="the same for every asset; allowed: values by asset"):
        group_mean(data, of="average(ret)")


def small(*words: str):
    return run(Composer().job([*SMALL, *words]).experiment)


def by_scikit_learn(words: list[str], logs: bool) -> pd.Series:
    """The same forecasts from raw prices, by pandas and scikit-learn alone."""
    data = Composer().job([*SMALL, *words]).experiment.source.load()
    close, sector = data.fields["close"], data.groups["sector"]
    r2 = (close / close.shift(1) - 1.0) ** 2
    down = (close < close.shift(1)).astype(float)
    squares = {"vol_5": (r2, 5), "vol_21": (r2, 21), "vol_63": (r2, 63), "vol_126": (r2, 126)}
    squares |= {"down_21": (r2 * down, 21), "up_21": (r2 * (1.0 - down), 21)}
    X = {
        name: np.sqrt(252 / w * x.rolling(w).sum().clip(lower=0.0)).clip(0.025, 2.0)
        for name, (x, w) in squares.items()
    }
    y = np.sqrt(12.0 * r2.rolling(21).sum()).shift(-21)
    table = pd.concat({name: x.stack(future_stack=True) for name, x in X.items()}, axis=1).dropna()
    table["y"] = y.stack(future_stack=True)
    table = table.dropna().rename_axis(["date", "asset"]).reset_index()
    table["row"] = close.index.get_indexer(table["date"])
    table["sector"] = table["asset"].map(sector)
    table["fitted"] = table["y"].clip(0.025, 2.0)
    if logs:
        table[[*USED, "fitted"]] = np.log(table[[*USED, "fitted"]])
    by = (
        "all"
        if any("dummies" in one for one in words)
        else dict(w.split("=") for w in words).get("model.by", "all")
    )
    key = pd.Series("all", table.index) if by == "all" else table[by]
    dummies = (
        pd.get_dummies(table["sector"]).astype(float)
        if any("dummies" in one for one in words)
        else None
    )
    design = table[USED] if dummies is None else pd.concat([table[USED], dummies], axis=1)
    parts = []
    for start in range(250, 420, 40):
        train = table["row"].between(start - 20 - 100, start - 21)
        test = table["row"].between(start, start + 39)
        for unit in key.unique():
            own = key == unit
            fit = Ridge(1.0).fit(design[train & own].to_numpy(), table.loc[train & own, "fitted"])
            if (test & own).any():
                f = fit.predict(design[test & own].to_numpy())
                keys = pd.MultiIndex.from_frame(table.loc[test & own, ["date", "asset"]])
                parts.append(pd.Series(np.exp(f) if logs else f, keys))
    return pd.concat(parts).sort_index()


LOGS = (
    "preprocess=[{_target_: runner.preprocessing.clip, low: 0.025, high: 2.0, on: [vol_5, vol_21, vol_63, vol_126, "
    "down_21, up_21, target]}, {_target_: runner.preprocessing.log, on: [vol_5, vol_21, vol_63, vol_126, down_21, "
    "up_21, target]}]"
)


@pytest.mark.parametrize(
    "words", [["model.by=asset"], ["model.by=sector"], [], ["model.dummies=[sector]"]]
)
@pytest.mark.parametrize("logs", [False, True])
def test_forecasts_are_those_of_scikit_learn(words: list[str], logs: bool) -> None:
    words = [*words, "~features.vol_252", "~features.market_vol"]
    clipped = LOGS if logs else LOGS[: LOGS.index(", {_target_: runner.preprocessing.log")] + "]"
    first = "validation.first=124"  # of the rows from 126 on, which have every feature: row 250
    found = small(*words, first, clipped).predictions.set_index(["date", "asset"]).sort_index()
    expected = by_scikit_learn([one for one in words if one.startswith("model")], logs=logs)
    assert found.index.equals(expected.index)
    np.testing.assert_allclose(found["prediction"], expected, rtol=SOLVED)


def test_scores_are_against_the_raw_target_and_its_raw_mean() -> None:
    tight = "preprocess=[{_target_: runner.preprocessing.clip, low: 0.2, high: 0.3, on: [target]}]"
    report = small(tight, "~features.vol_252")
    y = np.sqrt(12.0 * (report_returns() ** 2).rolling(21).sum()).shift(-21).stack()
    table = report.predictions.set_index(["date", "asset"])
    np.testing.assert_allclose(table["y"], y.reindex(table.index), rtol=CLOSE)
    fitted = report.panel.y[report.panel.valid]
    assert (fitted.min(), fitted.max()) == (0.2, 0.3) and table["y"].min() < 0.2 < 0.3 < table[
        "y"
    ].max()
    fold = report.folds.iloc[0]
    train = y.unstack().loc[fold["train_start"] : fold["train_end"]]
    first = (
        report.predictions[report.predictions["fold"] == "1"]
        .drop_duplicates("asset")
        .set_index("asset")
    )
    valid = report.panel.valid[report.panel.dates.get_indexer(train.index)]
    expected = [
        np.mean(train[name].to_numpy()[valid[:, i]]) for i, name in enumerate(report.panel.assets)
    ]
    np.testing.assert_allclose(first.loc[report.panel.assets, "benchmark"], expected, rtol=CLOSE)
    assert "target clipped by clip" in [one.reason for one in report.dropped]


def report_returns() -> pd.DataFrame:
    close = Composer().job(SMALL).experiment.source.load().fields["close"]
    return close / close.shift(1) - 1.0


def test_a_run_with_the_literal_window_is_tagged() -> None:
    assert small().leaks == []
    assert small("validation.purge=0").leaks == [
        "4 of 4 folds train on targets that reach into their test part"
    ]


def test_the_last_fold_ends_with_the_last_row_that_has_a_target() -> None:
    report = small("validation.test=9")
    last = report.folds.iloc[-1]
    assert last["test_end"] == report.predictions["date"].max() == report.panel.dates[419 - 21]
    assert (last["not_forecast"], last["unusable"]) == (0, 21)


def refused(*words: str) -> list[str]:
    with pytest.raises(SpecError) as error:
        Composer().job(["experiment=vol_panel", *words])
    return list(error.value.mistakes)


def test_what_the_target_may_not_take_is_refused() -> None:
    step = "preprocess=[{_target_: runner.preprocessing.rank, on: [target]}]"
    assert refused(step) == [
        "preprocess[0].on: target given with runner.preprocessing.rank; allowed: with clip, log "
        "(steps that declare `back`)"
    ]
    assert refused("+features.target=ret") == [
        "features.target: given 'target'; allowed: letters, digits and _, not const, target"
    ]
    assert refused("model.dummies=[sector]", "model.by=asset") == [
        "model.dummies: ['sector'] given with by=asset, effects=[]; allowed: with by=null or by=date, without effects"
    ]
    with pytest.raises(DataError, match=r"model\.dummies: 'industry' is unknown; allowed: sector"):
        small("model.dummies=[industry]")


def test_dummies_of_least_squares_leave_the_first_level_to_the_constant() -> None:
    data = market()
    features = {"size": lambda one: one.fields["ret"].abs().shift(1)}
    panel = build_panel(data, features, lambda one: forward_volatility(one, horizon=4))
    fit = Regression(by=None, dummies=["sector"]).fit(panel, np.arange(60))
    assert fit.coefficients["term"].tolist() == ["const", "size", "sector:s1"]
    alone = (
        Regression(by=None, dummies=["sector"], constant=False)
        .fit(panel, np.arange(60))
        .coefficients
    )
    effect = alone.set_index("term")["estimate"]
    with_constant = fit.coefficients.set_index("term")["estimate"]
    np.testing.assert_allclose(
        effect["sector:s1"] - effect["sector:s0"], with_constant["sector:s1"], rtol=SOLVED
    )


@pytest.fixture(scope="module")
def daily():
    """Panel with clipped features, and folds, of the daily file."""
    if not DAILY.exists():
        pytest.skip(f"no {DAILY}: the real data is not part of the project")
    words = ["experiment=vol_panel", "data=file", *OF_FILE, "+data.groups.sector=Sector"]
    made = Composer().job(words).experiment
    return made, build_panel(made.source.load(), made.features, made.target, made.steps)


KNOWN = {
    "asset": ({"by": "asset"}, 0.490977, 0.142721),
    "sector": ({"by": "sector"}, 0.534609, 0.137057),
    "global": ({}, 0.599049, 0.127618),
    "dummies": ({"dummies": ["sector"]}, 0.594045, 0.128220),
}


def forecasts(daily, purge: int | str, **settings):
    """Correlation, RMSE, and the predictions, of the model of the experiment with other settings."""
    from dataclasses import replace

    from runner.models.forecasts import forecasts_of
    from runner.validation.folds import shared_by

    made, panel = daily
    model = replace(made.model, **settings).on(panel)
    splitter = replace(made.splitter, purge=purge)
    folds = split_usable(splitter, panel.dates, panel.usable, panel.horizon)
    together = replace(panel, shared=shared_by(folds, panel))
    table = forecasts_of(model, together, folds).predictions
    y, f = table["y"].to_numpy(), table["prediction"].to_numpy()
    return np.corrcoef(y, f)[0, 1], np.sqrt(np.mean((y - f) ** 2)), table, folds


@pytest.mark.parametrize("name", KNOWN)
def test_known_answers_of_the_ridge(daily, name: str) -> None:
    settings, correlation, rmse = KNOWN[name]
    found = forecasts(daily, "known", **settings)
    np.testing.assert_allclose(found[:2], [correlation, rmse], rtol=0, atol=PRINTED)
    table = found[2]
    assert (len(table), table["date"].nunique()) == (119_240, 2168)
    assert [f"{one:%Y-%m-%d}" for one in (table["date"].min(), table["date"].max())] == [
        "2012-08-08",
        "2021-03-22",
    ]
    assert (
        daily[0].splitter.purge == "known"
    )  # as in the configuration: last training row = refit row - 21
    assert found[3][0].train.tolist() == list(range(131, 635)) and found[3][0].test[0] == 655
    assert not any(fold.leaking for fold in found[3])


BASELINES = {
    "vol_5": ({"vol_5": 1.0}, 0.592833, 0.154570),
    "vol_21": ({"vol_21": 1.0}, 0.608874, 0.140344),
    "vol_63": ({"vol_63": 1.0}, 0.574031, 0.140750),
    "mean": ({"vol_5": 1 / 3, "vol_21": 1 / 3, "vol_63": 1 / 3}, 0.645946, 0.129325),
    "weighted": ({"vol_21": 0.7, "vol_252": 0.3}, 0.628055, 0.129242),
}


def test_known_answers_of_the_baselines(daily) -> None:
    made, clipped = daily
    panel = build_panel(made.source.load(), made.features, made.target, made.steps[:-1])
    assert np.array_equal(panel.valid, clipped.valid)
    for weights, correlation, rmse in BASELINES.values():
        f = sum(
            weight * panel.X[655:, :, panel.names.index(name)] for name, weight in weights.items()
        )
        y, f = panel.y[655:][panel.valid[655:]], f[panel.valid[655:]]
        assert len(y) == 119_240
        found = np.corrcoef(y, f)[0, 1], np.sqrt(np.mean((y - f) ** 2))
        np.testing.assert_allclose(found, [correlation, rmse], rtol=0, atol=PRINTED)


RISK = {  # printed with four decimals
    -3: (0.6107, "the market's volatility over its own mean of 504 rows"),
    -2: (0.6040, "that of the sector"),
}


@pytest.mark.parametrize("number", RISK)
def test_known_answers_of_the_risk_factors(daily, number: int) -> None:
    """The last two ridges of the table, in logs with dummies, each with one risk factor alone."""
    correlation, _ = RISK[number]
    jobs = yaml.safe_load(
        (Path(__file__).parent.parent / "conf" / "sweep" / "vol_table.yaml").read_text()
    )["jobs"]
    made = (
        Composer()
        .job(["data=file", *OF_FILE, "+data.groups.sector=Sector", *jobs[number]])
        .experiment
    )
    panel = build_panel(made.source.load(), made.features, made.target, made.steps)
    found = forecasts((made, panel), "known")
    assert found[0] == pytest.approx(correlation, abs=0.5e-4)
    assert (len(found[2]), found[2]["date"].nunique()) == (
        119_240,
        2168,
    )  # the rows of all other models
    assert [fold.test[0] for fold in found[3][:2]] == [655, 680]
    assert (
        int(np.flatnonzero(panel.usable)[0]) == 272
    )  # 21 rows of volatility, then half of the 504


def test_the_literal_window_leaks_and_flatters(daily) -> None:
    correlation, rmse, _, folds = forecasts(daily, 0, by="asset")
    assert all(
        fold.leaking == 20 for fold in folds
    )  # rows whose target shares a return with the first forecast
    assert correlation > 0.490977 + 0.05
    assert rmse < 0.142721 - 0.005


def dirty(folder: Path) -> list[str]:
    """A file of 12 stocks with what real ones hold: prices that are none, a jump, a young stock, a lonely date."""
    rng = np.random.default_rng(0)
    dates = pd.bdate_range("2015-01-01", periods=420)
    close = 50.0 * np.exp(np.cumsum(rng.standard_normal((420, 12)) / 70.0, axis=0))
    frame = pd.DataFrame(close, dates, [f"S{i:02d}" for i in range(12)])
    frame.iloc[300, 0], frame.iloc[301, 1] = 0.0, -3.0
    frame.iloc[310:, 2] *= 6.0  # a jump by 500 %
    frame.iloc[10:, 3] = np.nan  # ten rows
    long = (
        frame.rename_axis("Date")
        .stack()
        .rename("AdjClose")
        .rename_axis(["Date", "Ticker"])
        .reset_index()
    )
    long = pd.concat(
        [
            long,
            pd.DataFrame({"Date": [pd.Timestamp("2016-07-30")], "Ticker": "S04", "AdjClose": 50.0}),
        ]
    )
    long = long.assign(Volume=1.0, Sector=np.where(long["Ticker"] < "S06", "a", "b"))
    long.to_parquet(folder / "dirty.parquet")
    return ["data=file", f"data.path={folder / 'dirty.parquet'}", "+data.groups.sector=Sector"]


def test_bad_prices_young_stocks_and_lonely_dates_are_counted(tmp_path: Path) -> None:
    words = ["experiment=vol_panel", *dirty(tmp_path), *SCHEME]
    report = run(Composer().job(words).experiment)
    told = {one.reason: one.rows for one in report.dropped}
    assert told["close is zero or negative"] == 2
    assert (
        told["more than 75 % of its features missing"] > 410
    )  # of the stock with ten rows all but few
    assert (
        told["vol_21 clipped by clip"] >= 21 and told["target clipped by clip"] >= 21
    )  # rows with the jump
    assert np.isfinite(report.predictions[["y", "prediction"]]).all(axis=None)
    assert (
        report.predictions["y"].max() > 17.0
    )  # the jump is in the raw target: 5 sqrt(252 / 21) a year
    assert "S03" not in set(report.predictions["asset"])
    total = report.panel.valid.sum() + sum(
        one.rows for one in report.dropped if one.what == "asset-date"
    )
    assert total == report.panel.valid.size == 421 * 12


def test_distribution_and_risk_by_group_are_those_of_loops() -> None:
    report = small("analyses.regimes=null")
    table, paths = report.findings["target_by_group"].table, report.findings["risk_by_group"].table
    panel, predictions = report.panel, report.predictions
    sector = panel.groups["sector"]
    quarter = panel.dates.to_period("Q").astype(str)
    assert table["unit"].tolist() == ["G1", "G2", "G3"]
    for row in table.itertuples():
        own = [i for i, name in enumerate(panel.assets) if sector[name] == row.unit]
        y = np.array([panel.scored[t, i] for t in range(420) for i in own if panel.valid[t, i]])
        found = [row.assets, row.n_obs, row.mean, row.std_dev, row.q05, row.median, row.q95]
        expected = [4, len(y), np.mean(y), np.std(y, ddof=1), *np.quantile(y, [0.05, 0.5, 0.95])]
        np.testing.assert_allclose(found, expected, rtol=CLOSE)
        part = predictions[predictions["asset"].map(sector) == row.unit]
        expected = [
            len(part),
            part["y"].corr(part["prediction"]),
            ((part["y"] - part["prediction"]) ** 2).mean() ** 0.5,
        ]
        np.testing.assert_allclose([row.n_scored, row.correlation, row.rmse], expected, rtol=CLOSE)
        for one in paths[paths["group"] == row.unit].itertuples():
            cells = [
                panel.scored[t, i]
                for t in np.flatnonzero(quarter == one.period)
                for i in own
                if panel.valid[t, i]
            ]
            np.testing.assert_allclose(
                [one.n_obs, one.mean], [len(cells), np.mean(cells)], rtol=CLOSE
            )
            then = part[part["date"].dt.to_period("Q").astype(str) == one.period]
            assert one.n_scored == len(then)
            if len(then):
                np.testing.assert_allclose(one.mean_forecast, then["prediction"].mean(), rtol=CLOSE)
    assert "from" in report.findings["target_by_group"].words[0]
    with pytest.raises(DataError, match=r"analyses.target_by_group: group: 'sektor' is unknown"):
        small("analyses.target_by_group.group=sektor")
