"""Planted leaks: each is caught by the audit, or cannot be written; and nothing that is shipped is called a leak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.cli.composition import Composer
from runner.data.labels import Labels
from runner.data.market import Market
from runner.data.sources.simulation.simulated import Simulated
from runner.errors import DataError, SpecError
from runner.experiment.auditing.audit import Audit, audit
from runner.experiment.run import run
from runner.experiment.settings import Settings
from runner.experiment.spec import Experiment, build
from runner.features.expressions import Expression
from runner.models.regression import Regression
from runner.panels.building import build_panel
from runner.preprocessing.applying import Step
from runner.preprocessing.steps import Cross
from runner.targets import Target, forward_return
from runner.validation.splitters import HoldOut, NoValidation

SOURCE = Simulated(assets=12, rows=500, macro={"vix": "^VIX"}, gaps=0.02, churn=0.3)


def past(market: Market) -> pd.DataFrame:
    return market.returns(5)


def experiment(features: dict[str, Callable[..., Any]], **parts: Any) -> Experiment:
    target = parts.pop("target", forward_return)
    model, splitter = parts.pop("model", Regression()), parts.pop("splitter", NoValidation())
    return Experiment(Settings("planted"), SOURCE, features, target, model, splitter, {}, **parts)


def found(**parts: Any) -> Audit:
    features = parts.pop("features", {"past": past})
    return audit(experiment(features, **parts), SOURCE.load())


def rows_ahead(one: Audit, what: str) -> int:
    return int(one.table.loc[one.table["what"] == what, "rows_ahead"].max())


@pytest.mark.parametrize("by_date", [False, True], ids=["for ever", "of the date"])
def test_a_rank_within_labels_is_tried_on_assets_that_share_them(by_date: bool) -> None:
    """Of a few assets drawn from many labels each would be alone with its own: its rank stays."""
    source = Simulated(assets=40, rows=3000, gaps=0.0, churn=0.0)
    market = source.load()
    codes = np.arange(40) % 20
    names = [f"L{code:02}" for code in codes]
    if by_date:
        labels = Labels.of(np.tile(codes, (3000, 1)), sorted(set(names)))
        market = replace(market, labels={"sector": labels})
    else:
        groups = pd.DataFrame({"sector": names}, index=pd.Index(market.assets, name="asset"))
        market = replace(market, groups=groups)
    feature = Expression("rank(close / lag(close, 3), sector)")
    for seed in range(5):
        settings = Settings("planted", audit_seed=seed)
        parts = (SOURCE, {"ranked": feature}, forward_return, Regression(), NoValidation(), {})
        result = audit(Experiment(settings, *parts), market)
        assert result.assets < 10
        assert result.without_data == (), seed
        assert result.leaks == []


# --- features -----------------------------------------------------------------------------------------------------


def centred_window(market: Market) -> pd.DataFrame:
    return market.returns().rolling(5, center=True).mean()


def back_fill(market: Market) -> pd.DataFrame:
    return market.returns().bfill()


def shift_back(market: Market) -> pd.DataFrame:
    return market.returns().shift(-1)


def shift_five(market: Market) -> pd.DataFrame:
    return market.get("close").shift(-5) / market.get("close") - 1.0


def whole_sample_zscore(market: Market) -> pd.DataFrame:
    returns = market.returns()
    return (returns - returns.mean()) / returns.std()


def whole_sample_demean(market: Market) -> pd.DataFrame:
    return market.returns() - market.returns().mean()


def whole_sample_rank(market: Market) -> pd.DataFrame:
    return market.returns().rank(pct=True)


def winsor_limits(market: Market) -> pd.DataFrame:
    returns = market.returns()
    return returns.clip(returns.quantile(0.1), returns.quantile(0.9), axis=1)


def first_component(market: Market) -> pd.Series:
    returns = market.returns().fillna(0.0)
    weights = np.linalg.eigh(returns.cov())[1][:, -1]
    return pd.Series(returns.to_numpy() @ weights, index=returns.index)


def imputed_by_the_mean(market: Market) -> pd.DataFrame:
    returns = market.returns()
    return returns.fillna(returns.mean())


def interpolated(market: Market) -> pd.DataFrame:
    return market.get("close").interpolate(limit_area="inside")


def month_labelled_at_the_left(market: Market) -> pd.DataFrame:
    monthly = market.get("close").groupby(market.dates.to_period("M")).last()
    return monthly.loc[market.dates.to_period("M")].set_axis(market.dates)


def survivors(market: Market) -> pd.DataFrame:
    """Chosen with hindsight: assets that still trade at the end."""
    close = market.get("close")
    return market.returns(5).loc[:, :].where(close.iloc[-1].notna(), axis=1)


def large_at_the_end(market: Market) -> pd.DataFrame:
    size = market.get("market_cap").ffill().iloc[-1]
    return market.returns(5).where(size > size.median(), axis=1)


def best_lag(market: Market) -> pd.Series:
    """A window that the whole sample chose."""
    index = market.index_close.pct_change(fill_method=None)
    best = max(range(2, 9), key=lambda w: abs(index.rolling(w).mean().corr(index.shift(-1))))
    return index.rolling(best).mean()


def trend_of_all_rows(market: Market) -> pd.Series:
    level = market.shared("vix")
    t = np.arange(len(level))
    return level - np.polyval(np.polyfit(t, level, 1), t)


def two_sided_filter(market: Market) -> pd.Series:
    level = market.shared("vix")
    return (level + level[::-1].ewm(span=10).mean()[::-1]) / 2.0


def maximum_so_far_of_all(market: Market) -> pd.DataFrame:
    return market.get("close") / market.get("close").max() - 1.0


def hidden_in_missing_values(market: Market) -> pd.DataFrame:
    """No value moves, but whether there is one tells of tomorrow."""
    return market.returns(5).where(market.returns().shift(-1) > 0.0)


def scaled_by_all(market: Market) -> pd.DataFrame:
    volume = market.get("volume")
    return volume / volume.to_numpy()[np.isfinite(volume)].max()


FEATURES = {
    centred_window: 2,
    back_fill: 1,
    shift_back: 1,
    shift_five: 5,
    hidden_in_missing_values: 1,
    month_labelled_at_the_left: 2,
    interpolated: 1,
    two_sided_filter: 5,
    **dict.fromkeys(
        [
            whole_sample_zscore,
            whole_sample_demean,
            whole_sample_rank,
            winsor_limits,
            first_component,
            imputed_by_the_mean,
            survivors,
            large_at_the_end,
            best_lag,
            trend_of_all_rows,
            maximum_so_far_of_all,
            scaled_by_all,
        ],
        100,
    ),
}


@pytest.mark.parametrize("planted", FEATURES, ids=lambda planted: planted.__name__)
def test_a_feature_that_looks_ahead_is_caught(planted: Callable[[Market], Any]) -> None:
    one = found(features={"past": past, "planted": planted})
    assert [line.split(":")[0] for line in one.leaks] == ["features.planted"]
    assert rows_ahead(one, "features.planted") >= FEATURES[planted]


@pytest.mark.parametrize(
    ("planted", "ahead"), [(shift_back, 1), (shift_five, 5), (centred_window, 2)]
)
def test_how_far_it_looks_is_counted(planted: Callable[[Market], Any], ahead: int) -> None:
    one = found(features={"planted": planted})
    assert rows_ahead(one, "features.planted") == ahead
    rows = one.table[(one.table["what"] == "features.planted") & (one.table["verdict"] == "leak")]
    assert (rows["moved"] <= ahead * one.cuts).all()


# --- targets ------------------------------------------------------------------------------------------------------


def two_rows_but_says_one(market: Market) -> Target:
    return Target(market.returns(2).shift(-2), 1)


def says_the_same_row(market: Market) -> Target:
    return Target(market.returns().shift(-1), 0)


def overlaps_its_features(market: Market) -> Target:
    """From the row before: part of it is known already."""
    return Target(market.returns(2).shift(-1), 1)


def standardised_over_all_rows(market: Market) -> Target:
    ahead = market.returns().shift(-1)
    return Target(ahead / ahead.std(), 1)


def mean_of_all_rows_taken_off(market: Market) -> Target:
    ahead = market.returns().shift(-1)
    return Target(ahead.sub(ahead.mean()), 1)


@pytest.mark.parametrize(
    ("planted", "line"),
    [
        (two_rows_but_says_one, "looks 2 rows ahead, its horizon says 1"),
        (says_the_same_row, "looks 1 row ahead, its horizon says 0"),
        (overlaps_its_features, "depends on rows before its own"),
        (standardised_over_all_rows, "its horizon says 1"),
        (mean_of_all_rows_taken_off, "its horizon says 1"),
    ],
)
def test_a_target_is_what_it_says(planted: Callable[[Market], Target], line: str) -> None:
    assert line in " ".join(found(target=planted).leaks)


def test_a_target_that_only_says_that_it_looks_ahead_explains() -> None:
    one = found(target=lambda market: Target(market.returns(), 1))
    assert not one.looks_ahead
    assert found().looks_ahead


def test_features_of_the_row_before_make_a_same_row_target_a_forecast() -> None:
    same_row = {"target": lambda market: Target(market.returns(), 0)}
    lagged = found(features={"before": lambda market: market.returns(5).shift(1)}, **same_row)
    assert lagged.looks_ahead and lagged.leaks == []
    assert not found(features={"now": past}, **same_row).looks_ahead
    both = {"now": past, "before": lambda market: market.returns(5).shift(1)}
    assert not found(features=both, **same_row).looks_ahead


# --- steps and models ---------------------------------------------------------------------------------------------


def zscore_over_time(cross: Cross) -> np.ndarray:
    return cross.X / np.nanstd(cross.X, axis=0)


def forward_filled_from_behind(cross: Cross) -> np.ndarray:
    frame = pd.DataFrame(cross.X[:, :, 0]).bfill()
    return frame.to_numpy()[:, :, None]


@pytest.mark.parametrize("planted", [zscore_over_time, forward_filled_from_behind])
def test_a_step_that_looks_ahead_is_caught(planted: Callable[[Cross], np.ndarray]) -> None:
    one = found(steps=[Step(planted, planted.__name__, None)])
    assert [line.split(":")[0] for line in one.leaks] == [f"preprocess[0] ({planted.__name__})"]


class ScaledBeforeTheSplit(Regression):
    """Scales by all rows, then fits on some."""

    def fit(self, panel: Any, rows: np.ndarray) -> Any:
        from dataclasses import replace

        known = np.where(panel.valid[:, :, None], panel.X, np.nan)
        scaled = (panel.X - np.nanmean(known, axis=(0, 1))) / np.nanstd(known, axis=(0, 1))
        return super().fit(replace(panel, X=scaled), rows)


class MeansOfAllRows(Regression):
    """Takes the mean of the target over all rows as its constant."""

    def fit(self, panel: Any, rows: np.ndarray) -> Any:
        from dataclasses import replace

        fit = super().fit(panel, rows)
        params = fit.params.copy()
        params[:, 0] = np.nanmean(np.where(panel.valid, panel.y, np.nan), axis=0)
        return replace(fit, params=params)


@pytest.mark.parametrize(
    "model", [ScaledBeforeTheSplit(), MeansOfAllRows()], ids=lambda one: type(one).__name__
)
def test_a_model_that_sees_test_rows_is_caught(model: Regression) -> None:
    planted = experiment({"past": past}, model=model, splitter=HoldOut(rows=100))
    with pytest.raises(
        DataError, match="model: what it fits on training rows moves with the other rows"
    ):
        run(planted)


@pytest.mark.parametrize(
    "model",
    [
        Regression(),
        Regression(cov="HAC"),
        Regression(by="date"),
        Regression(by=None, cov="cluster", clusters=["asset", "date"]),
        Regression(by=None, effects=["asset", "date"]),
        Regression(by=None, weights="inverse_variance"),
        Regression(by="sector", estimator="ridge", penalty=1.0),
        Regression(by=None, estimator="lasso"),
    ],
    ids=str,
)
def test_no_model_of_ours_sees_test_rows(model: Regression) -> None:
    own = experiment(
        {"past": past, "volatility": lambda m: m.returns().rolling(10).std()}, model=model
    )
    market = SOURCE.load()
    panel = build_panel(market, own.features, own.target)
    one = audit(own, market).with_models(
        model, panel, HoldOut(rows=100).split(panel.dates, panel.horizon)
    )
    assert one.table.iloc[-1]["what"] == "model"
    assert one.table.iloc[-1]["verdict"] == "clean"


# --- what cannot be written ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["lag(close, -1)", "diff(close, -2)", "mean(close, -5)", "lead(close, 1)"]
)
def test_an_expression_cannot_look_ahead(text: str) -> None:
    spec = {"features": {"planted": text}}
    with pytest.raises(SpecError) as error:
        build(spec)
    assert any(line.startswith("features.planted") for line in error.value.mistakes)


def test_the_purge_is_that_of_the_target() -> None:
    """Off by one is not for the user to get wrong: the last training target is known at the first test row."""
    dates = pd.bdate_range("2020-01-01", periods=100)
    for horizon in (0, 1, 5, 21):
        [fold] = HoldOut(rows=20).split(dates, horizon)
        assert fold.train[-1] + max(horizon, 1) == fold.test[0]


# --- no false alarm -----------------------------------------------------------------------------------------------

SHIPPED = [
    ["experiment=ff3"],
    ["experiment=ff3_vs_capm"],
    ["experiment=premia"],
    ["experiment=lasso_1se"],
    ["experiment=direction"],
    ["experiment=factor_model_stocks"],
    ["experiment=weekly_premia", "data=simulated", "data.gaps=0.05"],
    [
        "experiment=alpha_signals",
        "data=simulated",
        "data.gaps=0.05",
        "target=forward_return",
        "target.horizon=21",
    ],
    ["experiment=capm", "data=simulated", "target.frequency=month"],
]


@pytest.mark.parametrize("words", SHIPPED, ids=" ".join)
def test_nothing_shipped_is_called_a_leak(words: list[str]) -> None:
    made = Composer().job(words).experiment
    one = audit(made, made.source.load())
    assert one.leaks == []
    assert set(one.table["verdict"]) == {"clean"}


REAL = [[], ["features=signals_as_text"], ["target=forward_return"], ["target=up", "model=logit"]]


@pytest.mark.parametrize(
    ("more", "thorough"),
    [
        *((more, False) for more in REAL),
        (REAL[0], True),
        *(pytest.param(more, True, marks=pytest.mark.slow) for more in REAL[1:]),
    ],
)
def test_no_false_alarm_on_real_prices(stocks: Path, more: list[str], thorough: bool) -> None:
    words = [
        "experiment=alpha_signals",
        "data=file",
        f"data.path={stocks}",
        *more,
        "model.hypotheses=[]",
    ]
    made = Composer().job(words).experiment
    one = audit(made, made.source.load(), thorough)
    assert one.leaks == []
    assert set(one.table["verdict"]) == {"clean"}


def test_a_column_that_the_sample_cannot_give_is_tried_on_all() -> None:
    """A feature of one named asset is no mistake because the sample has not drawn that asset."""
    source, settings = Simulated(assets=60, rows=1000), Settings(audit_seed=2)
    named = {"one": lambda market: market.get("close")["S0002"].pct_change(fill_method=None)}
    market = source.load()
    made = Experiment(settings, source, named, forward_return, Regression(), NoValidation(), {})
    one = audit(made, market)
    assert one.assets == 60 and set(one.table["verdict"]) == {"clean"}
    leaky = {"one": lambda market: market.get("close")["S0002"].shift(-1)}
    assert audit(
        Experiment(settings, source, leaky, forward_return, Regression(), NoValidation(), {}),
        market,
    ).leaks


def test_what_was_not_compared_is_not_called_clean() -> None:
    empty = found(features={"past": past, "nothing": lambda market: market.returns() * np.nan})
    rows = empty.table[empty.table["what"] == "features.nothing"]
    assert set(rows["verdict"]) == {"not audited: no value before a cut"}
    assert any(line.startswith("features.nothing: not audited") for line in empty.words)

    def moody(market: Market) -> Target:
        if market.get("close").sum().sum() != SOURCE.load().get("close").sum().sum():
            raise ValueError("these are not my prices")
        return forward_return(market)

    one = found(target=moody)
    assert one.looks_ahead is None and one.leaks == []
    assert "not audited: target: raised ValueError: these are not my prices" in set(
        one.table["verdict"]
    )


def test_a_target_without_values_at_the_cuts_is_not_called_explanatory() -> None:
    def once(market: Market) -> Target:
        target = forward_return(market)
        values = target.values * np.nan
        values.iloc[10] = target.values.iloc[10]
        return target._replace(values=values)

    assert found(target=once).looks_ahead is None


# --- the command line ---------------------------------------------------------------------------------------------

LEAKY = """
def tomorrow(market):
    return market.returns().shift(-1)
"""
WORDS = [
    "experiment=capm",
    "data=simulated",
    "allow=[leaky]",
    "+features.planted={_target_: leaky.tomorrow}",
]


def test_a_leak_stops_the_run_tags_it_or_is_let_be(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "leaky.py").write_text(LEAKY)
    stopped = cli(*WORDS)
    assert stopped.code == 2
    assert stopped.errors[0].startswith(
        "error: features.planted: looks ahead by 1 row: its value on "
    )
    assert "audit=tag" in stopped.errors[-1]
    assert stopped.directory is None
    tagged = cli(*WORDS, "audit=tag", "report=tables")
    assert tagged.code == 0, tagged.err
    assert "LEAKING: features.planted" in tagged.out
    assert (tagged.table("audit")["verdict"] == "leak").any()
    off = cli(*WORDS, "audit=off", "report=tables")
    assert off.code == 0 and "Switched off" in off.out
    assert not (off.directory / "audit.csv").exists()


def test_the_verb_prints_every_column(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "leaky.py").write_text(LEAKY)
    clean = cli("audit", "experiment=capm", "data=simulated")
    assert clean.code == 0, clean.err
    assert "features.market_ret" in clean.out and "target" in clean.out
    leaking = cli("audit", *WORDS)
    assert leaking.code == 2
    assert "features.planted: looks ahead by 1 row" in leaking.err
    assert not (tmp_path / "outputs").exists()
