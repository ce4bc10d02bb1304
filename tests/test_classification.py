"""Classes, probabilities and what trading on them earns: against scikit-learn, statsmodels, and loops over rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracles import close, panel_of
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.proportion import proportion_confint
from studies import Foretold

from runner.analyses.forecasts.classification import (
    Confusion,
    auc,
    calibration,
    classification,
    curves,
    judged,
    rates,
    roc,
)
from runner.analyses.strategies.trading import compounded, equity, max_drawdown, trading
from runner.cli.composition import Composer
from runner.data.market import Market
from runner.errors import DataError, SpecError
from runner.experiment.run import run
from runner.experiment.wording import target_text
from runner.models.study import Study
from runner.sinks.canvas import style
from runner.sinks.drawings.analyses import classification as drawings
from runner.targets import up

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),  # of MLflow's own store
]
REL = 1e-10
ROWS = 300


def study(
    seed: int = 0,
    assets: int = 1,
    out: bool = True,
    rows: int = ROWS,
    horizon: int = 1,
    skill: float = 0.5,
) -> Study:
    """Prices, the target up, and probabilities with some skill, on the last two thirds of the rows where `out`."""
    rng = np.random.default_rng(seed)
    ret = rng.normal(0.0003, 0.01, size=(rows, assets))
    prices = pd.DataFrame(100 * np.cumprod(1 + ret, axis=0))
    y = np.full((rows, assets), np.nan)
    ahead = prices.to_numpy()[horizon:] / prices.to_numpy()[: rows - horizon] - 1
    y[: rows - horizon] = (ahead > 0).astype(float)
    y[rng.random(y.shape) < 0.05] = np.nan
    signal = skill * (np.nan_to_num(y) - 0.5) + rng.normal(size=y.shape)
    panel = panel_of(y, signal[:, :, None], horizon)
    dates = panel.dates
    market = Market(
        "drawn",
        {"close": prices.set_axis(dates).set_axis(panel.assets, axis=1)},
        pd.DataFrame(index=dates),
    )
    p = np.where(panel.valid, 1 / (1 + np.exp(-signal)), np.nan).round(2)  # ties on purpose
    first = rows // 3 if out else rows
    t, i = np.nonzero(panel.valid[first:])
    t = t + first
    base = np.array([np.nanmean(y[:first, j]) for j in range(assets)])
    columns = {
        "date": dates[t],
        "asset": np.array(panel.assets, dtype=object)[i],
        "fold": "holdout",
        "y": y[t, i],
    }
    table = pd.DataFrame(columns | {"prediction": p[t, i], "benchmark": base[i]})
    return Study(market, panel, Foretold(p), None, [], table, {"horizon": horizon})  # type: ignore[arg-type]


def with_predictions(one: Study, **columns: Any) -> Study:
    table = one.predictions.assign(**columns)
    return replace(one, predictions=table)


def test_the_known_answer() -> None:
    """S4 of the specification: TP 67 FP 44 FN 33 TN 56, half of the rows 1."""
    y = np.repeat([1.0, 0.0, 1.0, 0.0], [67, 44, 33, 56])
    p = np.repeat([0.6, 0.6, 0.4, 0.4], [67, 44, 33, 56])
    found = judged(y, p, np.full(200, 0.5), 0.5)
    assert [found[name] for name in ("tp", "fp", "fn", "tn")] == [67, 44, 33, 56]
    expected = {"accuracy": 0.615, "sensitivity": 0.67, "specificity": 0.56, "precision": 67 / 111}
    for name, value in (expected | {"accuracy_naive": 0.50, "f1": 134 / 211}).items():
        assert found[name] == pytest.approx(value, rel=1e-12), name
    assert rates(Confusion(67, 44, 33, 56))["precision"] == pytest.approx(0.6036, abs=5e-5)


@pytest.mark.parametrize("threshold", [0.5, 0.37])
@pytest.mark.parametrize("assets", [1, 3])
def test_every_number_is_that_of_scikit_learn(assets: int, threshold: float) -> None:
    one = study(1, assets)
    found = classification(one, threshold=threshold)
    parts = {str(name): part for name, part in one.predictions.groupby("asset")}
    parts |= {"all": one.predictions} if assets > 1 else {}
    assert found.table["unit"].tolist() == list(parts)
    for (unit, part), (_, row) in zip(parts.items(), found.table.iterrows(), strict=True):
        y, p, base = part["y"], part["prediction"], part["benchmark"]
        positive = (p > threshold).astype(float)
        tn, fp, fn, tp = sk.confusion_matrix(y, positive).ravel()
        assert [row[name] for name in ("tp", "fp", "fn", "tn")] == [tp, fp, fn, tn]
        expected = {
            "accuracy": sk.accuracy_score(y, positive),
            "accuracy_naive": sk.accuracy_score(y, base >= 0.5),
            "sensitivity": sk.recall_score(y, positive),
            "specificity": sk.recall_score(y, positive, pos_label=0.0),
            "precision": sk.precision_score(y, positive),
            "f1": sk.f1_score(y, positive),
            "brier": sk.brier_score_loss(y, p),
            "brier_naive": sk.brier_score_loss(y, base),
            "log_loss": sk.log_loss(y, p),
            "log_loss_naive": sk.log_loss(y, base),
            "auc": sk.roc_auc_score(y, p),
        }
        close(row[list(expected)].astype(float), list(expected.values()), unit, REL)
        right, naive = positive == y, (base >= 0.5) == y
        table = [
            [(right & naive).sum(), (right & ~naive).sum()],
            [(~right & naive).sum(), (~right & ~naive).sum()],
        ]
        assert (row["right_alone"], row["naive_alone"]) == (table[0][1], table[1][0])
        if unit != "all":
            close(row["p_value"], sm_mcnemar(table, exact=True).pvalue, "McNemar", REL)
    assert {name: found.metrics[name] for name in ("accuracy", "auc")} == {
        name: found.table[name].iloc[-1] for name in ("accuracy", "auc")
    }


def test_the_naive_class_is_the_majority_of_the_training_rows() -> None:
    one = with_predictions(study(0), benchmark=0.49)
    y = one.predictions["y"]
    row = classification(one).table.iloc[0]
    assert row["accuracy_naive"] == (y == 0).mean() and row["brier_naive"] == pytest.approx(
        np.mean((y - 0.49) ** 2)
    )
    assert (
        classification(with_predictions(one, benchmark=0.5)).table["accuracy_naive"].iloc[0]
        == y.mean()
    )


def test_in_sample_where_nothing_was_held_out_and_it_says_so() -> None:
    one = study(2, assets=2, out=False)
    assert one.predictions.empty
    found = classification(one)
    assert (
        set(found.table["sample"]) == {"in sample"}
        and "in sample, on which the model was fitted" in found.words[0]
    )
    valid = one.panel.valid
    y, p = one.panel.y[valid], one.fitted[valid]
    assert found.table["n_obs"].iloc[-1] == valid.sum()
    close(found.table["auc"].iloc[-1], sk.roc_auc_score(y, p), "AUC", REL)
    base = np.array([one.panel.y[valid[:, i], i].mean() for i in range(2)])
    y, base = one.panel.y[valid[:, 1], 1], base[1]
    close(
        found.table["brier_naive"].iloc[1], np.mean((y - base) ** 2), "base rate of the asset", REL
    )
    assert set(trading(one).table["sample"]) == {"in sample"}
    assert trading(one).wealth is None and equity(one).wealth is None
    assert set(curves(one).table["sample"]) == {"in sample"}


def test_a_test_is_made_only_of_rows_that_are_independent() -> None:
    alone = classification(study(0)).table.iloc[0]
    assert np.isfinite(alone["p_value"]) and alone["reason"] == ""
    together = classification(study(0, assets=2))
    assert together.table["p_value"].notna().tolist() == [True, True, False]
    assert together.table["reason"].iloc[-1] == "p_value: rows overlap or share dates"
    assert "the difference was not tested" in together.words[0]
    overlapping = classification(study(0, horizon=5)).table.iloc[0]
    assert np.isnan(overlapping["p_value"]) and "overlap" in overlapping["reason"]


def test_numbers_that_do_not_exist_have_a_reason() -> None:
    one = study(0)
    row = classification(with_predictions(one, prediction=0.3, benchmark=0.2)).table.iloc[0]
    assert (
        np.isnan(row["precision"])
        and np.isnan(row["p_value"])
        and row["sensitivity"] == 0.0
        and row["auc"] == 0.5
    )
    assert (
        row["reason"]
        == "p_value: the two classes never differ; precision: no row is above the threshold"
    )
    found = classification(with_predictions(one, y=1.0))
    row = found.table.iloc[0]
    assert (
        np.isnan(row["auc"])
        and np.isnan(row["specificity"])
        and "specificity: no row is 0" in row["reason"]
    )
    assert "AUC" not in found.words[1]
    row = classification(
        with_predictions(one, prediction=one.predictions["prediction"] + 0.7)
    ).table.iloc[0]
    assert np.isnan(row["log_loss"]) and "log_loss: a probability outside 0 to 1" in row["reason"]
    certain = one.predictions["y"].to_numpy().copy()
    certain[0] = 1.0 - certain[0]
    assert (
        classification(with_predictions(one, prediction=certain)).table["log_loss"].iloc[0]
        == np.inf
    )


@pytest.mark.parametrize("analysis", [classification, curves])
def test_a_target_that_is_not_0_or_1_is_refused(analysis: Any) -> None:
    one = study(0)
    y = one.predictions["y"].to_numpy().copy()
    y[5] = 0.0123
    with pytest.raises(
        DataError, match=r"^the target is 0\.0123 in a row; allowed: 0 or 1, such as target=up$"
    ):
        analysis(with_predictions(one, y=y))


def test_no_forecast_at_all_is_refused() -> None:
    one = study(0, out=False)
    bare = replace(one, model=Foretold(np.full_like(one.fitted, np.nan)))
    for analysis in (classification, curves, trading, equity):
        with pytest.raises(DataError, match="no row has a forecast"):
            analysis(bare)


def test_the_words_are_no_surer_than_the_test() -> None:
    one = study(0)
    y = one.predictions["y"].to_numpy()
    good = classification(with_predictions(one, prediction=np.where(y == 1, 0.7, 0.3))).words[0]
    assert (
        "correct in 100.0 %" in good
        and "significantly more often at 5 % (McNemar p < 0.001)" in good
    )
    bad = classification(with_predictions(one, prediction=np.where(y == 1, 0.3, 0.7))).words[0]
    assert "significantly less often at 5 %" in bad
    plain = classification(study(3, skill=0.0)).words[0]
    assert "the difference is not significant at 5 %" in plain
    same = classification(with_predictions(one, prediction=one.predictions["benchmark"])).words[0]
    assert "the same class in every row" in same


def test_the_roc_curve_is_that_of_scikit_learn() -> None:
    table = study(4).predictions
    y, p = table["y"].to_numpy(), table["prediction"].to_numpy()
    found = roc(y, p)
    x, up_, thresholds = sk.roc_curve(y, p, drop_intermediate=False)
    close(found[["x", "y"]], np.column_stack([x, up_]), "ROC", REL)
    close(found["threshold"][1:], thresholds[1:], "thresholds", REL)
    close(np.trapezoid(found["y"], found["x"]), auc(y, p), "area", REL)
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 5000).astype(float), rng.random(5000)
    thin = roc(y, p)
    assert len(thin) == 401 and thin.iloc[-1][["x", "y"]].tolist() == [1.0, 1.0]
    assert np.trapezoid(thin["y"], thin["x"]) == pytest.approx(
        auc(y, p), abs=2e-3
    )  # what thinning costs
    assert roc(np.ones(5), p[:5]).empty


@pytest.mark.parametrize("bins", [2, 10])
def test_the_calibration_is_that_of_scikit_learn(bins: int) -> None:
    table = study(5).predictions
    y, p = table["y"].to_numpy(), table["prediction"].to_numpy()
    found = calibration(y, p, bins)
    share, mean = calibration_curve(y, p, n_bins=bins, strategy="quantile")
    close(found[["x", "y"]], np.column_stack([mean, share]), "calibration", REL)
    assert found["rows"].sum() == len(y)
    low, high = proportion_confint(found["y"] * found["rows"], found["rows"], method="wilson")
    close(found[["low", "high"]], np.column_stack([low, high]), "Wilson", REL)
    assert len(calibration(y, np.full(len(y), 0.4), bins)) == 1  # equal probabilities are one group


def test_the_curves_hold_the_confusion_matrix_and_are_drawn() -> None:
    one = study(6)
    found, row = (
        curves(one, threshold=0.4, bins=5),
        classification(one, threshold=0.4).table.iloc[0],
    )
    cells = found.table[found.table["curve"] == "confusion"].set_index(["x", "y"])["rows"]
    assert [cells[at] for at in ((1, 1), (1, 0), (0, 1), (0, 0))] == [
        row[name] for name in ("tp", "fp", "fn", "tn")
    ]
    assert (found.table["curve"] == "calibration").sum() == 5 and "of 5 groups" in found.words[0]
    with style():
        assert len(drawings.curves(found.table).axes) == 3
        assert drawings.curves(curves(with_predictions(one, y=1.0)).table)
        assert drawings.curves(curves(with_predictions(one, prediction=0.5)).table)


def by_hand(
    one: Study, cost: float, threshold: float, low: float
) -> tuple[list[float], list[float]]:
    """Net returns of the timed and of the held portfolio, row by row."""
    price, table = one.market.get("close"), one.predictions
    before: dict[str, dict[str, float]] = {"timed": {}, "held": {}}
    net: dict[str, list[float]] = {"timed": [], "held": []}
    for date, rows in table.groupby("date"):
        t = price.index.get_loc(date)
        for name, weights in before.items():
            now = {
                a: (1.0 if p > threshold or name == "held" else low) / len(rows)
                for a, p in zip(rows["asset"], rows["prediction"], strict=True)
            }
            paid = sum(abs(now.get(a, 0.0) - weights.get(a, 0.0)) for a in {*now, *weights})
            earned = sum(w * (price[a].iloc[t + 1] / price[a].iloc[t] - 1) for a, w in now.items())
            net[name].append(earned - cost * paid)
            before[name] = now
    return net["timed"], net["held"]


@pytest.mark.parametrize("assets", [1, 3])
@pytest.mark.parametrize(("long_short", "cost"), [(False, 0.0), (False, 0.001), (True, 0.002)])
def test_trading_is_what_a_loop_over_rows_earns(assets: int, long_short: bool, cost: float) -> None:
    one = study(7, assets)
    found = trading(one, cost=cost, threshold=0.45, long_short=long_short, rows_per_year=250)
    drawn = equity(one, cost=cost, threshold=0.45, long_short=long_short)
    made = drawn.table
    timed = made[made["strategy"] == "timed"].set_index("date")["wealth"]
    for own_wealth in (found.wealth, drawn.wealth):
        pd.testing.assert_series_equal(own_wealth, timed, check_names=False)
    paths = by_hand(one, cost, 0.45, -1.0 if long_short else 0.0)
    unit = "all" if assets > 1 else one.panel.assets[0]
    for name, net in zip(("timed", "buy_and_hold"), paths, strict=True):
        row = found.table[(found.table["unit"] == unit) & (found.table["strategy"] == name)].iloc[0]
        close(row["mean_net"], np.mean(net) * 250, "mean", REL)
        close(row["volatility_net"], np.std(net, ddof=1) * np.sqrt(250), "volatility", REL)
        close(row["sharpe_net"], np.mean(net) / np.std(net, ddof=1) * np.sqrt(250), "Sharpe", REL)
        wealth = np.cumprod(1 + np.array(net))
        path = made[made["strategy"] == name]
        close(path["wealth"], np.append(1.0, wealth), "wealth", REL)
        worst = max(1 - w / max([1.0, *wealth[: k + 1]]) for k, w in enumerate(wealth))
        close(row["max_drawdown"], worst, "drawdown", REL)
        assert row["n_obs"] == len(net)
    assert found.metrics["sharpe_net"] == found.table["sharpe_net"].iloc[-2]
    assert found.metrics["sharpe_buy_hold"] == found.table["sharpe_net"].iloc[-1]
    if cost == 0.0:
        close(found.table["sharpe"], found.table["sharpe_net"], "no costs", REL)
    else:
        difference = found.table["mean"] - found.table["mean_net"]
        close(difference, cost * found.table["turnover"], "costs", 1e-8)  # a difference of means


def test_wealth_is_dated_when_it_is_known() -> None:
    one = study(0)
    made = equity(one).table
    held = made[made["strategy"] == "buy_and_hold"]
    dates, forecast = one.market.dates, one.predictions["date"]
    assert held["date"].iloc[0] == forecast.iloc[0]
    assert held["date"].iloc[-1] == dates[dates.get_loc(forecast.iloc[-1]) + 1]
    with style():
        assert drawings.equity(made)
        assert drawings.equity(equity(study(0, rows=9)).table)
        assert drawings.equity(equity(study(0, rows=1500)).table)


def test_a_position_uses_no_later_row() -> None:
    """Perfect foresight earns every rise; the same classes a row late do not."""
    one = study(0)
    perfect = with_predictions(one, prediction=one.predictions["y"])
    path = one.market.returns().shift(-1).iloc[:, 0].loc[one.predictions["date"]]
    row = trading(perfect, cost=0.0).table.iloc[0]
    close(row["mean"], path.clip(lower=0).mean() * 252, "every rise", REL)
    assert row["long"] == one.predictions["y"].mean() and row["short"] == 0.0


def test_what_cannot_be_traded_is_refused() -> None:
    with pytest.raises(DataError, match=r"held for one row; given target\.horizon=5; allowed: 1"):
        trading(study(0, horizon=5))
    one = study(0)
    twice = replace(one, predictions=pd.concat([one.predictions] * 2))
    for analysis in (trading, equity):
        with pytest.raises(DataError, match="several folds forecast the same row"):
            analysis(twice)


def test_a_strategy_out_of_the_market_has_no_sharpe_ratio() -> None:
    found = trading(with_predictions(study(0), prediction=0.1))
    row = found.table.iloc[0]
    assert np.isnan(row["sharpe"]) and row["turnover"] == row["max_drawdown"] == 0.0
    assert (
        row["reason"] == "sharpe: returns do not vary" and "Sharpe ratio of none" in found.words[0]
    )
    assert "the difference was not tested" in found.words[0]


def test_drawdown_of_given_wealth_and_of_ruin() -> None:
    assert max_drawdown(np.array([1.1, 0.99, 1.2, 0.9])) == pytest.approx(0.25)
    assert max_drawdown(np.array([0.8, 0.9])) == pytest.approx(0.2)
    assert compounded(np.array([0.1, -1.5, 2.0])).tolist() == [1.1, 0.0, 0.0]


def test_trading_by_the_week_earns_the_return_of_the_week() -> None:
    one = study(0)
    weekly = one.market.sample("week")
    dates = weekly.dates[5:20]
    table = pd.DataFrame(
        {"date": dates, "asset": "A0", "y": 1.0, "prediction": 0.9, "benchmark": 0.5}
    )
    by_week = replace(one, predictions=table, settings={"frequency": "week"})
    price = weekly.get("close")["A0"].to_numpy()
    row = trading(by_week, cost=0.0, rows_per_year=52).table.iloc[0]
    close(row["mean"], 52 * np.mean(price[6:21] / price[5:20] - 1), "weeks", REL)
    made = equity(by_week, cost=0.0).table.iloc[:16]
    assert made["date"].iloc[-1] == weekly.dates[20]
    close(made["wealth"].iloc[-1], price[20] / price[5], "wealth", REL)


@pytest.mark.parametrize("horizon", [1, 3])
def test_up_is_1_above_zero_0_at_or_below_and_unknown_where_unknown(horizon: int) -> None:
    dates = pd.bdate_range("2020-01-01", periods=9)
    price = [100.0, 101, 101, 99, np.nan, 102, 103, 103, 102]
    found = up(
        Market("", {"close": pd.DataFrame({"A": price}, dates)}, pd.DataFrame(index=dates)),
        horizon=horizon,
    )
    assert found.horizon == horizon and found.values["A"].dtype == float
    for t in range(9):
        later = price[t + horizon] if t + horizon < 9 else np.nan
        value = found.values["A"].iloc[t]
        if np.isnan(later) or np.isnan(price[t]):
            assert np.isnan(value), t
        else:
            assert value == (1.0 if later > price[t] else 0.0), t


def test_up_of_weeks() -> None:
    market = study(0).market
    found = up(market, frequency="week").values["A0"]
    price = market.sample("week").get("close")["A0"]
    assert found.index.equals(price.index) and np.isnan(found.iloc[-1])
    np.testing.assert_array_equal(
        found.iloc[:-1], (price.to_numpy()[1:] > price.to_numpy()[:-1]).astype(float)
    )


# The command line, on data that ships with arch, on the snapshot, and on drawn prices.

FOUND = {"logit", "marginal_effects", "classification", "curves", "trading", "equity"}


def test_the_experiment_runs_offline_on_real_data(cli) -> None:
    done = cli("experiment=direction")
    assert done.code == 0, done.err
    assert "Warning" not in done.err
    assert {path.stem for path in done.directory.glob("*.csv")} >= FOUND
    assert {path.stem for path in (done.directory / "plots").glob("*.png")} >= {"curves", "equity"}
    terms = done.table("coefficients").set_index("term")
    assert list(terms.index) == ["const", "ret", "vix_change"]
    row = done.table("classification").iloc[0]
    assert (
        row["sample"] == "out of sample"
        and row["n_obs"] == 250 == row[["tp", "fp", "fn", "tn"]].sum()
    )
    predictions = pd.read_parquet(done.directory / "predictions.parquet")
    assert done.metrics["classification/auc"] == sk.roc_auc_score(
        predictions["y"], predictions["prediction"]
    )
    assert done.metrics["classification/brier"] == pytest.approx(done.metrics["oos/rmse"] ** 2)
    assert {
        "trading/sharpe",
        "trading/sharpe_net",
        "trading/sharpe_buy_hold",
        "logit/pseudo_r2",
    } <= done.metrics.keys()


def test_the_experiment_on_the_snapshot_is_a_logit_in_plain_pandas(cli, stocks) -> None:
    import statsmodels.api as sm

    done = cli(
        "experiment=direction",
        "data=file",
        f"data.path={stocks}",
        "validation=holdout_2022",
        "model.cov=HAC",
        "report=tables",
    )
    assert done.code == 0, done.err
    wide = pd.read_parquet(stocks)["AdjClose"].unstack()
    spy = wide["SPY"].dropna()
    ret, vix = spy.pct_change(fill_method=None), wide["^VIX"].reindex(spy.index).diff()
    ahead = ret.shift(-1)
    table = pd.DataFrame(
        {"y": (ahead > 0).astype(float).where(ahead.notna()), "ret": ret, "vix": vix}
    ).dropna()
    lags = int(4 * (len(table) / 100) ** (2 / 9))
    X = sm.add_constant(table[["ret", "vix"]])
    whole = sm.Logit(table["y"], X).fit(
        tol=1e-12, disp=0, cov_type="HAC", cov_kwds={"maxlags": lags}
    )
    found = done.table("coefficients")
    close(found["estimate"], whole.params, "estimates", REL)
    close(found["std_error"], whole.bse, "errors", REL)
    train = table[
        :"2021-12-31"
    ]  # the return of the last row of 2021 is known at the first forecast
    part = sm.Logit(train["y"], X.loc[train.index]).fit(tol=1e-12, disp=0)
    predictions = pd.read_parquet(done.directory / "predictions.parquet").set_index("date")
    close(predictions["prediction"], part.predict(X["2022":]), "out of sample", REL)
    assert (predictions["benchmark"] == train["y"].mean()).all()


def test_the_experiment_on_drawn_prices_in_sample() -> None:
    words = [
        "experiment=direction",
        "data=simulated",
        "validation=none",
        "analyses.trading.long_short=true",
    ]
    report = run(Composer().job(words).experiment)
    assert target_text(report) == "up (over 1 row ahead, 1 or 0)"
    table = report.findings["trading"].table
    assert set(table["sample"]) == {"in sample"} and table["short"].iloc[0] > 0.0
    logit = Composer().job(
        [*words, "data.assets=6", "model.by=null", "model.cov=cluster", "model.clusters=[date]"]
    )
    pooled = run(logit.experiment)
    assert pooled.findings["classification"].table["unit"].tolist()[-1] == "all"
    assert len(pooled.fit.coefficients) == 3


def test_mistakes_in_the_settings_of_the_experiment() -> None:
    words = [
        "experiment=direction",
        "analyses.classification.threshold=1.5",
        "analyses.trading.cost=-1",
    ]
    with pytest.raises(SpecError) as caught:
        Composer().job(words)
    first, *_ = caught.value.mistakes
    assert (
        first
        == "analyses.classification.threshold: given 1.5; allowed: a number above 0 and below 1"
    )
    with pytest.raises(DataError) as refused:
        run(Composer().job(["experiment=direction", "target.horizon=5"]).experiment)
    assert refused.value.mistakes == tuple(
        f"analyses.{name}: a position is held for one row; given target.horizon=5; allowed: 1"
        for name in ("trading", "equity")
    )
