"""Trading, ordering and regimes of forecasts against plain loops, pandas and scipy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from studies import Foretold

from runner.analyses.forecasts.information import information
from runner.analyses.forecasts.regimes import regimes
from runner.analyses.strategies.portfolio import groups_of, portfolio, portfolio_wealth
from runner.analyses.strategies.sharpe import STATIONARY, intervals
from runner.cli.composition import Composer
from runner.data.market import Market
from runner.errors import DataError, SpecError
from runner.models.study import Study
from runner.numerics.covariance import default_lags
from runner.panels.panel import Panel
from runner.sinks.canvas import style
from runner.sinks.drawings import DRAWINGS
from runner.targets import UP, Unit
from runner.validation.scores import score

REL = 1e-10
DRAWS = 200  # of the bootstrap, whose numbers are those of runner.analyses.strategies.sharpe


def study_of(T: int = 80, N: int = 12, horizon: int = 1, seed: int = 0, **settings: Any) -> Study:
    """Forecasts of returns from row 20 on, with missing cells, in two folds; no fit is needed."""
    rng = np.random.default_rng(seed)
    dates = pd.bdate_range("2020-01-01", periods=T)
    assets = [f"A{i}" for i in range(N)]
    y = rng.normal(0.001, 0.02, (T, N))
    cells = rng.random((T, N)) > 0.15
    cells[:20], cells[T - horizon :] = False, False
    t, i = np.nonzero(cells)
    rows = pd.DataFrame(
        {
            "date": dates[t],
            "asset": np.array(assets, dtype=object)[i],
            "fold": np.where(t < 50, "1", "2"),
            "y": y[t, i],
            "prediction": 0.1 * y[t, i] + rng.normal(0, 0.02, len(t)),
            "benchmark": rng.normal(0, 0.001, N)[i],
        }
    )
    frame = pd.DataFrame(rng.uniform(0.0, 1.0, (T, N)), dates, assets)
    series = pd.DataFrame({"vol": rng.uniform(0.1, 0.4, T)}, index=dates)
    market = Market("made up", {"close": 1.0 + frame.cumsum(), "size": frame}, series)
    panel = Panel(
        dates, assets, ["x"], y, y[:, :, None], cells, horizon, pd.DataFrame(index=assets), ()
    )
    return Study(market, panel, Foretold(np.full(y.shape, np.nan)), None, [], rows, settings)  # type: ignore[arg-type]


def with_unit(unit: Unit) -> Study:
    """The study where the target says what its values are."""
    study = study_of()
    return replace(study, panel=replace(study.panel, unit=unit))


def naive_portfolio(rows: pd.DataFrame, groups: int, cost: float, every: int = 1) -> pd.DataFrame:
    """Returns, turnover and net returns of the groups (0, 1, ...), the spread (-1) and all assets (-2) by loops."""
    calendar = pd.bdate_range("2020-01-01", periods=1000)
    first = calendar.get_loc(rows["date"].min())
    before: dict[int, dict[str, float]] = {}
    found = []
    for date, one in rows.groupby("date"):
        if (calendar.get_loc(date) - first) % every or len(one) < groups:
            continue
        one = one.set_index("asset")
        rank = one["prediction"].rank()
        member = {name: int((rank[name] - 0.5) * groups / len(one)) for name in one.index}
        books: dict[int, dict[str, float]] = {-2: dict.fromkeys(one.index, 1 / len(one))}
        for k in range(groups):
            own = [name for name in one.index if member[name] == k]
            books[k] = {name: 1 / len(own) for name in own}
        books[-1] = {**books[groups - 1], **{name: -w for name, w in books[0].items()}}
        for k, book in books.items():
            old = before.get(k, {})
            turnover = sum(abs(book.get(name, 0.0) - old.get(name, 0.0)) for name in {*book, *old})
            gross = sum(w * one.loc[name, "y"] for name, w in book.items())
            found.append({"date": date, "book": k, "gross": gross, "turnover": turnover})
            before[k] = book
    table = pd.DataFrame(found)
    return table.assign(net=table["gross"] - cost * table["turnover"])


def test_groups_are_those_of_pandas_where_nothing_is_tied() -> None:
    rng = np.random.default_rng(0)
    for assets in (5, 10, 11, 23, 24):
        forecast = rng.normal(size=assets)
        found = groups_of(forecast, np.zeros(assets, dtype=int), 5)
        sizes = np.bincount(found, minlength=5)
        assert sizes.sum() == assets and sizes.max() - sizes.min() <= 1
        assert (np.diff(found[np.argsort(forecast)]) >= 0).all()
        if assets % 5 == 0:
            np.testing.assert_array_equal(found, pd.qcut(forecast, 5, labels=False))


def test_equal_forecasts_share_a_group() -> None:
    zeros = np.zeros(6, dtype=int)
    assert groups_of(np.array([1.0, 1, 1, 2, 2, 2]), zeros, 2).tolist() == [0, 0, 0, 1, 1, 1]
    assert groups_of(np.array([1.0, 2, 2, 2, 2, 3]), zeros, 3).tolist() == [0, 1, 1, 1, 1, 2]
    noise = 0.1 + np.array([0, 1, 2, 3, 4, 5]) * 2e-17
    assert groups_of(noise, zeros, 3).tolist() == [1] * 6  # equal but for rounding


@pytest.mark.parametrize(
    ("horizon", "groups", "long_short"), [(1, 4, True), (1, 3, False), (3, 5, True)]
)
def test_a_portfolio_by_hand(horizon: int, groups: int, long_short: bool) -> None:
    study = study_of(T=120, horizon=horizon)
    cost, year = 0.002, 252 / horizon
    found = portfolio(study, quantiles=groups, cost=cost, long_short=long_short, draws=DRAWS)
    oracle = naive_portfolio(study.predictions, groups, cost, horizon)
    sides = [("quantile", str(k + 1), k) for k in range(groups)]
    strategy = (
        ("strategy", "top minus bottom", -1) if long_short else ("strategy", "top", groups - 1)
    )
    sides = [*sides, strategy, ("naive", "equal weights", -2)]
    assert [(row.scope, row.unit) for row in found.table.itertuples()] == [one[:2] for one in sides]
    for row, (_, _, book) in zip(found.table.itertuples(), sides, strict=True):
        own = oracle[oracle["book"] == book]
        n, gross, net = len(own), own["gross"], own["net"]
        assert row.n_obs == n
        assert row.mean == pytest.approx(gross.mean(), rel=REL)
        assert row.t_stat == pytest.approx(stats.ttest_1samp(gross, 0.0).statistic, rel=1e-9)
        keywords = {"maxlags": default_lags(n, 1), "use_correction": False}
        fit = sm.OLS(gross, np.ones(n)).fit(cov_type="HAC", cov_kwds=keywords)
        assert row.t_stat_nw == pytest.approx(fit.tvalues.iloc[0], rel=1e-9)
        assert row.mean_annual == pytest.approx(gross.mean() * year, rel=REL)
        assert row.volatility_annual == pytest.approx(gross.std() * year**0.5, rel=REL)
        assert row.sharpe == pytest.approx(gross.mean() / gross.std() * year**0.5, rel=1e-9)
        assert row.turnover == pytest.approx(own["turnover"].mean() * year, rel=REL)
        assert row.mean_net_annual == pytest.approx(net.mean() * year, rel=REL)
        assert row.sharpe_net == pytest.approx(net.mean() / net.std() * year**0.5, rel=1e-9)
        wealth = pd.Series([1.0, *(1.0 + net).cumprod()])
        assert row.max_drawdown == pytest.approx((1.0 - wealth / wealth.cummax()).max(), rel=1e-9)
    ours = oracle[oracle["book"] == sides[-2][2]]["net"].to_numpy()
    [drawn] = [one for one in intervals(ours, DRAWS, None, 0, 0.95) if one.method == STATIONARY]
    row = found.table.iloc[-2]
    assert row["ci_low"] == pytest.approx(drawn.ci_low * year**0.5, rel=1e-6)
    assert row["ci_high"] == pytest.approx(drawn.ci_high * year**0.5, rel=1e-6)
    assert found.metrics["sharpe_net"] == row["sharpe_net"]
    assert found.metrics["sharpe_naive"] == found.table.iloc[-1]["sharpe_net"]
    zero = "excludes" if row["ci_low"] > 0 or row["ci_high"] < 0 else "includes"
    assert f"which {zero} zero" in found.words[1]


def test_wealth_is_compounded_from_the_date_of_sorting_on() -> None:
    for horizon in (1, 3):
        study = study_of(horizon=horizon)
        found = portfolio_wealth(study, quantiles=4, cost=0.002)
        oracle = naive_portfolio(study.predictions, 4, 0.002, horizon)
        names = [
            "top minus bottom, before costs",
            "top minus bottom, after costs",
            "equal weights, after costs",
        ]
        assert found.table["strategy"].unique().tolist() == names
        for name, book, column in zip(names, (-1, -1, -2), ("gross", "net", "net"), strict=True):
            part, own = found.table[found.table["strategy"] == name], oracle[oracle["book"] == book]
            np.testing.assert_allclose(
                part["wealth"], [1.0, *(1.0 + own[column]).cumprod()], rtol=REL
            )
            assert part["date"].iloc[0] == own["date"].iloc[0]
            known = study.panel.dates[study.panel.dates.get_indexer(own["date"]) + horizon]
            assert part["date"].tolist()[1:] == known.tolist()
        after = found.table[found.table["strategy"] == names[1]].set_index("date")["wealth"]
        for own_wealth in (found.wealth, portfolio(study, quantiles=4, cost=0.002).wealth):
            pd.testing.assert_series_equal(own_wealth, after, check_names=False)


def test_perfect_foresight_pays_and_the_reverse_costs() -> None:
    study = study_of()
    rows = study.predictions
    best = portfolio(
        replace(study, predictions=rows.assign(prediction=rows["y"])), draws=DRAWS
    ).table
    worst = portfolio(
        replace(study, predictions=rows.assign(prediction=-rows["y"])), draws=DRAWS
    ).table
    means = best.loc[best["scope"] == "quantile", "mean"]
    assert means.is_monotonic_increasing and best.iloc[-2]["t_stat"] > 10
    assert worst.iloc[-2]["mean"] == pytest.approx(-best.iloc[-2]["mean"], rel=REL)


def test_dates_that_cannot_be_sorted_are_counted() -> None:
    study = study_of(N=12)
    rows = study.predictions
    dates = sorted(rows["date"].unique())
    rows = rows[
        ~((rows["date"] == dates[3]) & (rows["asset"] > "A1"))
    ]  # two assets or fewer are left
    rows = rows.assign(prediction=rows["prediction"].where(rows["date"] != dates[5], 0.5))
    found = portfolio(replace(study, predictions=rows), quantiles=4, draws=DRAWS)
    assert found.table["n_obs"].unique().tolist() == [len(dates) - 2]
    assert found.words[-2] == f"Of {len(dates)} dates 1 have fewer than 4 assets and are left out."
    assert found.words[-1].startswith(f"Of {len(dates)} dates 1 have forecasts so equal")
    spaced = portfolio(study_of(T=120, horizon=5), quantiles=4, draws=DRAWS)
    assert spaced.words[-1] == "Of 95 dates 76 lie within a holding and are not sorted."


def test_what_cannot_be_traded_is_refused() -> None:
    with pytest.raises(DataError, match="given target of the same row; allowed"):
        portfolio(study_of(horizon=0))
    with pytest.raises(DataError, match="given up; allowed: target=forward_return"):
        portfolio(with_unit(UP))
    portfolio(with_unit(Unit("return", "decimals", "return")), draws=DRAWS)
    portfolio(with_unit(Unit()), draws=DRAWS)
    study = study_of()
    twice = replace(study, predictions=pd.concat([study.predictions] * 2))
    with pytest.raises(DataError, match="several folds forecast the same row"):
        portfolio(twice)
    with pytest.raises(
        DataError,
        match=r"quantiles: given 40; 0 dates can be sorted \(59 dates with fewer assets, 0",
    ):
        portfolio(study, quantiles=40)
    same = replace(study, predictions=study.predictions.assign(prediction=0.1))
    with pytest.raises(DataError, match="0 dates with fewer assets, 59 with equal forecasts"):
        portfolio_wealth(same)


def test_a_hold_out_is_not_looked_at() -> None:
    study = study_of()
    rows = study.predictions.assign(fold=lambda table: table["fold"].replace("2", "holdout"))
    first = replace(study, predictions=rows[rows["fold"] == "1"])
    held = replace(study, predictions=rows)
    pd.testing.assert_frame_equal(
        portfolio(held, draws=DRAWS).table, portfolio(first, draws=DRAWS).table
    )
    pd.testing.assert_frame_equal(information(held).table, information(first).table)
    settings = {"by": "vol", "thresholds": [0.2]}
    pd.testing.assert_frame_equal(regimes(held, **settings).table, regimes(first, **settings).table)


def test_without_validation_the_fit_is_judged_and_said_to_be_seen() -> None:
    study = study_of()
    fitted = np.where(study.panel.valid, study.panel.y * 0.5 + 0.001, np.nan)
    study = replace(study, predictions=study.predictions.iloc[:0], model=Foretold(fitted))
    found = portfolio(study, draws=DRAWS)
    assert found.table["sample"].unique().tolist() == ["in sample, on which the model was fitted"]
    assert found.words[2] == "The forecasts are in sample, on which the model was fitted."
    assert found.wealth is None  # no strategy of a sweep: the fit has seen what it trades
    assert information(study).table["rank_ic"].mean() == pytest.approx(1.0)


# Information


def test_information_is_that_of_scipy_and_adds_up() -> None:
    study = study_of()
    rows = study.predictions
    dates = sorted(rows["date"].unique())
    rows = rows.assign(prediction=rows["prediction"].where(rows["date"] != dates[5], 0.5))
    found = information(replace(study, predictions=rows))
    table = found.table
    assert table["date"].tolist() == dates
    for row, (_, one) in zip(table.itertuples(), rows.groupby("date"), strict=True):
        assert row.assets == len(one)
        naive = stats.spearmanr(one["benchmark"], one["y"]).statistic
        assert row.rank_ic_naive == pytest.approx(naive, rel=1e-9, abs=1e-12)
        if row.date == dates[5]:
            assert np.isnan(row.ic) and np.isnan(row.rank_ic)
        else:
            assert row.ic == pytest.approx(
                stats.pearsonr(one["prediction"], one["y"]).statistic, rel=1e-9
            )
            rank = stats.spearmanr(one["prediction"], one["y"]).statistic
            assert row.rank_ic == pytest.approx(rank, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(
        table["cumulative_rank_ic"], np.nancumsum(table["rank_ic"]), rtol=REL
    )
    pooled = score(rows, 1).iloc[-1]
    assert found.metrics["rank_ic_ratio"] == pytest.approx(pooled["rank_ic_ratio"], rel=REL)
    assert f"Newey-West t {pooled['rank_ic_t_nw']:.2f})" in found.words[0]
    assert found.words[1].startswith("1 date has no IC")


def test_information_of_paths_is_their_mean() -> None:
    study = study_of()
    rows = study.predictions
    other = rows.assign(prediction=-2.0 * rows["prediction"], path=2)
    both = information(replace(study, predictions=pd.concat([rows.assign(path=1), other]))).table
    np.testing.assert_allclose(both["rank_ic"], 0.0, atol=1e-12)
    assert both["assets"].tolist() == information(study).table["assets"].tolist()


def test_no_information_without_a_cross_section() -> None:
    study = study_of()
    two = study.predictions[study.predictions["asset"].isin(["A1", "A2"])]
    with pytest.raises(
        DataError, match="no date has 3 assets whose forecasts and targets differ; the most is 2"
    ):
        information(replace(study, predictions=two))


# Regimes


def test_regimes_are_scores_of_masked_rows() -> None:
    study = study_of()
    rows = study.predictions
    found = regimes(study, by="vol", thresholds=[0.2, 0.3, 0.9]).table.set_index("unit")
    vol = study.market.series["vol"].loc[rows["date"]].to_numpy()
    masks = {
        "below 0.2": vol < 0.2,
        "0.2 to 0.3": (vol >= 0.2) & (vol < 0.3),
        "0.3 to 0.9": vol >= 0.3,
    }
    for name, mask in masks.items():
        expected = score(rows[mask].assign(fold="1"), 1).iloc[-1]
        for column in ("n_obs", "r2", "rmse", "rmse_naive", "rank_ic", "rank_ic_t_nw", "hit_rate"):
            assert found.loc[name, column] == pytest.approx(expected[column], rel=REL)
        assert found.loc[name, "dates"] == rows[mask]["date"].nunique()
        assert found.loc[name, "share"] == pytest.approx(mask.mean())
    assert found.index.tolist() == [*masks, "0.9 and above"]
    empty = found.loc["0.9 and above"]
    assert empty["n_obs"] == 0 and np.isnan(empty["r2"]) and np.isnan(empty["rmse"])


def test_a_regime_may_differ_between_assets_and_be_unknown() -> None:
    study = study_of()
    rows = study.predictions
    found = regimes(study, by="lag(size, 30) * 2", thresholds=[1.0])
    table = found.table.set_index("unit")
    size = study.market.fields["size"].shift(30) * 2
    value = np.array(
        [size.loc[date, asset] for date, asset in zip(rows["date"], rows["asset"], strict=True)]
    )
    assert table["n_obs"].to_dict() == {
        "below 1": (value < 1).sum(),
        "1 and above": (value >= 1).sum(),
        "unknown": np.isnan(value).sum(),
    }
    assert table.loc["unknown", "n_obs"] > 0
    assert table.loc["below 1", "rmse"] == pytest.approx(
        np.sqrt(((rows["y"] - rows["prediction"])[value < 1] ** 2).mean())
    )
    assert set(found.metrics) == {"r2_regime_1", "r2_regime_2"}


def test_a_value_on_a_threshold_is_in_the_upper_regime() -> None:
    study = study_of()
    series = study.market.series.assign(vol=np.where(np.arange(80) < 40, 0.2, 0.1))
    study = replace(study, market=replace(study.market, series=series))
    table = regimes(study, by="vol", thresholds=[0.2]).table.set_index("unit")
    dates = study.predictions["date"].map(lambda date: series["vol"].loc[date])
    assert table.loc["0.2 and above", "n_obs"] == (dates == 0.2).sum()


def test_a_column_that_the_data_does_not_have_is_named() -> None:
    with pytest.raises(DataError, match="by: 'vix' is unknown; allowed"):
        regimes(study_of(), by="vix", thresholds=[0.2])


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        (
            "thresholds=[0.3,0.2]",
            "thresholds: given [0.3, 0.2]; allowed: one or more numbers, each above the one",
        ),
        ("thresholds=[]", "thresholds: given []; allowed: one or more numbers"),
        ("by='std(market_ret'", "by: given 'std(market_ret'; "),
    ],
)
def test_a_wrong_spec_is_refused_before_any_data_is_read(setting: str, line: str) -> None:
    given = {"by": "vol", "thresholds": "[0.2]"}
    name, _, value = setting.partition("=")
    given[name] = value
    words = [f"+analyses.r.{name}={value}" for name, value in given.items()]
    with pytest.raises(SpecError) as error:
        Composer().job(["+analyses.r._target_=runner.analyses.regimes", *words])
    assert f"analyses.r.{line}" in str(error.value)


def test_every_finding_has_a_picture() -> None:
    study = study_of()
    for found in (
        portfolio(study, quantiles=3, draws=DRAWS),
        portfolio_wealth(study),
        information(study),
        regimes(study, by="vol", thresholds=[0.2, 0.3, 0.9]),
    ):
        with style():
            figure = DRAWINGS[found.picture](found.table)
            figure.canvas.draw()
        assert figure.axes[0].has_data()
