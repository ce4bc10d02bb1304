"""The way in from Python: the same numbers as the command line, nothing written unless asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import runner
from runner.errors import DataError, SpecError

FF3 = ("experiment=ff3", "data.assets=[S1V5, S5V1]")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def long_frame(T: int = 300, seed: int = 0) -> pd.DataFrame:
    """Prices and a signal of three assets, a row per date and asset."""
    rng = np.random.default_rng(seed)
    dates = pd.bdate_range("2020-01-01", periods=T)
    parts = []
    for asset in ("A", "B", "C"):
        returns = 0.01 * rng.standard_normal(T)
        close = 50.0 * np.cumprod(1.0 + returns)
        columns = {"date": dates, "asset": asset, "close": close, "size": rng.random(T)}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def wide_returns(T: int = 300, seed: int = 0) -> pd.DataFrame:
    """Returns, dates x assets."""
    rng = np.random.default_rng(seed)
    values = 0.01 * rng.standard_normal((T, 3))
    return pd.DataFrame(values, pd.bdate_range("2020-01-01", periods=T), ["A", "B", "C"])


def test_a_run_gives_the_files_of_the_command_line_and_writes_nothing(tmp_path: Path, cli) -> None:
    report = runner.run(*FF3, "model.cov=HAC")
    assert list(tmp_path.iterdir()) == []
    written = runner.load(cli(*FF3, "model.cov=HAC").directory)
    assert dict(written.metrics) == dict(report.metrics)
    assert list(written.coefficients) == list(report.coefficients)
    pd.testing.assert_frame_equal(written.coefficients, report.coefficients, rtol=0.0, atol=0.0)
    for name in ("quality", "scores", "hypotheses", "folds"):
        ours = report.tables[name].select_dtypes("number").reset_index(drop=True)
        numbers = written.tables[name][list(ours)]
        pd.testing.assert_frame_equal(numbers, ours, check_dtype=False, rtol=0.0, atol=0.0)
    pd.testing.assert_frame_equal(written.predictions, report.predictions)
    assert written.reading[:3] == report.reading[:3]


def test_a_report_is_short_in_text_and_a_page_head_in_a_notebook() -> None:
    report = runner.run(*FF3)
    assert repr(report).startswith("<Report ff3: explanatory, oos/r2 0.")
    assert len(repr(report)) < 200
    page = report._repr_html_()
    assert "<h3>ff3</h3>" in page
    assert "Coefficients" in page
    assert "<script" not in page
    assert set(report.figures) >= {"coefficients", "folds"}
    assert report.figures["coefficients"]._repr_png_().startswith(b"\x89PNG")


def test_markup_in_names_is_escaped() -> None:
    frame = long_frame().replace({"asset": {"A": "<b>A</b>"}})
    report = runner.run("features=none", "+features.size=size", "target=forward_return", data=frame)
    assert "<b>A</b>" not in report._repr_html_()
    assert "&lt;b&gt;A&lt;/b&gt;" in report._repr_html_()


def test_saved_and_tracked_only_when_asked_for(tmp_path: Path) -> None:
    report = runner.run(*FF3, save=True)
    assert report.directory is not None
    assert (report.directory / "report.html").exists()
    assert not (tmp_path / "outputs" / "mlflow.db").exists()
    tracked = runner.run(*FF3, "name=tracked", track=True)
    assert len(tracked.run_id) == 32
    assert (tmp_path / "outputs" / "mlflow.db").exists()


def test_a_long_frame_gives_the_numbers_of_the_same_file(tmp_path: Path) -> None:
    frame = long_frame()
    frame.to_csv(tmp_path / "data.csv", index=False)
    spec = ("features=none", "+features.size=size", "target=forward_return", "validation=none")
    columns = ["data.columns.date=date", "data.columns.asset=asset", "data.columns.close=close"]
    columns += ["data.columns.volume=null", "+data.columns.size=size"]
    of_file = runner.run("experiment=none", "data=file", "data.path=data.csv", *columns, *spec)
    of_frame = runner.run(*spec, data=frame)
    pd.testing.assert_frame_equal(of_frame.coefficients, of_file.coefficients)


def test_date_and_asset_of_a_frame_need_no_setting_beside_the_others() -> None:
    frame = long_frame()
    spec = ("features=none", "+features.size=size", "target=forward_return", "validation=none")
    expected = runner.run(*spec, data=frame)
    renamed = frame.rename(columns={"close": "px"})
    of_renamed = runner.run(*spec, "data.columns.close=px", data=renamed)
    pd.testing.assert_frame_equal(of_renamed.coefficients, expected.coefficients)


def test_a_wide_frame_must_say_what_its_values_are() -> None:
    wide = wide_returns()
    spec = ("features=lagged_returns", "target=same_period_return", "validation=none")
    with pytest.raises(DataError, match=r"data\.values"):
        runner.run(*spec, data=wide)
    returns = runner.run(*spec, "data.values=ret", data=wide)
    prices = runner.run(*spec, "data.values=close", data=(1.0 + wide).cumprod())
    ours = returns.coefficients["estimate"]
    assert np.allclose(ours, prices.coefficients["estimate"], rtol=0.1, atol=0.05)


def test_the_frame_is_not_changed() -> None:
    frame = long_frame()
    before = frame.copy(deep=True)
    runner.run("features=none", "+features.size=size", "target=forward_return", data=frame)
    pd.testing.assert_frame_equal(frame, before)


def test_errors_are_typed_with_the_lines_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        runner.run("model.covv=1", "features=nothing")
    assert any("covv" in line for line in caught.value.mistakes)
    with pytest.raises(SpecError, match="a DataFrame is given beside data=french"):
        runner.run("data=french", data=long_frame())
    with pytest.raises(DataError, match=r"runner\.run"):
        runner.run("experiment=none", "data=frame", "features=none", "target=forward_return")
    with pytest.raises(DataError, match="no run directory"):
        runner.load("nowhere")
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(DataError, match=r"a sweep; allowed: one of its jobs, .*/0"):
        runner.load(tmp_path)


def test_twice_in_one_process_with_the_same_bits() -> None:
    first, again = (runner.run(*FF3) for _ in range(2))
    pd.testing.assert_frame_equal(first.coefficients, again.coefficients, rtol=0.0, atol=0.0)
    assert dict(first.metrics) == dict(again.metrics)


def test_in_threads() -> None:
    covariances = ["HC0", "HC1", "HC2", "HC3", "HAC", "nonrobust"]
    alone = [runner.run(*FF3, f"model.cov={cov}").metrics for cov in covariances]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda cov: runner.run(*FF3, f"model.cov={cov}"), covariances))
    assert [dict(report.metrics) for report in together] == [dict(one) for one in alone]


def test_a_sweep_ranks_judges_and_keeps_failures(tmp_path: Path) -> None:
    swept = runner.sweep(*FF3, "features=ff3,ff3_momentum", "model.by=asset,nowhere")
    assert list(tmp_path.iterdir()) == []
    assert len(swept.reports) == 2
    assert list(swept.leaderboard["rank"]) == [1, 2]
    assert swept.best.metrics["oos/r2"] == max(r.metrics["oos/r2"] for r in swept.reports.values())
    assert len(swept.failures) == 2
    assert "nowhere" in swept.failures["reason"].iloc[0]
    assert swept.verdict
    assert "Leaderboard" in swept._repr_html_()


def test_runs_compared_one_by_one_equal_the_sweep() -> None:
    swept = runner.sweep(*FF3, "model.rows=common", "features=ff3,ff3_momentum")
    one = runner.run(*FF3, "model.rows=common", "features=ff3")
    two = runner.run(*FF3, "model.rows=common", "features=ff3_momentum")
    compared = runner.compare(one, two)
    pd.testing.assert_frame_equal(
        compared.coefficients.drop(columns="job"), swept.coefficients.drop(columns="job")
    )
    assert list(compared.leaderboard["oos/r2"]) == list(swept.leaderboard["oos/r2"])
    with pytest.raises(SpecError, match="two or more"):
        runner.compare(one)


def test_a_panel_and_a_model_without_any_spec() -> None:
    frame = long_frame()
    panel = runner.panel(
        frame,
        features={"size": "size", "momentum": partial(momentum(), window=21)},
        target=forward_return(),
    )
    from runner.models import Regression

    fit = Regression(by=None, cov="HC1").fit(panel)
    ours = fit.coefficients.set_index("term")["estimate"]
    y, X = panel.y[panel.valid], panel.X[panel.valid]
    design = np.column_stack([np.ones(len(y)), X])
    oracle = np.linalg.lstsq(design, y, rcond=None)[0]
    assert np.allclose(ours[["const", "size", "momentum"]], oracle, rtol=1e-9)
    with pytest.raises(SpecError, match=r"features\.size"):
        runner.panel(frame, features={"size": "size +"}, target=forward_return())


def test_forecasts_of_a_panel_and_a_model_are_those_of_a_loop() -> None:
    from runner.models import Regression
    from runner.validation import WalkForward

    panel = runner.panel(long_frame(), features={"size": "size"}, target=forward_return())
    model = Regression(by=None, estimator="ridge", penalty=1.0)
    forecasts = runner.forecast(model, panel, WalkForward(first=100, test=20))
    predictions = forecasts.predictions
    for _, of_fold in predictions.groupby("fold", observed=True):
        first = panel.dates.get_loc(of_fold["date"].iloc[0])
        rows = np.arange(first - (panel.horizon - 1))
        expected = model.predict(model.fit(panel, rows), panel)
        t = panel.dates.get_indexer(of_fold["date"])
        i = pd.Index(panel.assets).get_indexer(of_fold["asset"])
        assert np.allclose(of_fold["prediction"], expected[t, i], rtol=1e-9)
        assert np.array_equal(of_fold["y"], panel.y[t, i])
    pooled = forecasts.scores.iloc[-1]
    error = predictions["y"] - predictions["prediction"]
    assert pooled["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-12)
    with pytest.raises(runner.DataError, match="first"):
        runner.forecast(model, panel, WalkForward(first=10_000, test=20))


def momentum():
    from runner.features import momentum

    return momentum


def forward_return():
    from runner.targets import forward_return

    return forward_return


def test_compose_gives_a_checked_spec_that_is_not_run() -> None:
    experiment = runner.compose("experiment=ff3", "model.cov=HAC")
    assert experiment.name == "ff3"
    assert experiment.spec["model"]["cov"] == "HAC"


def test_blas_stays_on_one_thread_until_the_last_run_of_any_thread_ends() -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    from runner.api import _OneThread

    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    with threadpool_limits(2):
        before = threads()
        guard = _OneThread()
        guard.__enter__()
        guard.__enter__()
        guard.__exit__()
        assert threads() == {1}
        guard.__exit__()
        assert threads() == before


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda frame: frame.iloc[:0], "no row or no column"),
        (lambda frame: frame.drop(columns="asset"), "no column asset"),
        (lambda frame: frame.set_index("date", drop=False), "a level of the index and a column"),
        (lambda frame: frame.assign(close="dear"), "data.columns.close: column 'close' has 'dear'"),
        (lambda frame: pd.concat([frame, frame.assign(close=1.0)]), "repeat a date and asset"),
    ],
)
def test_a_frame_that_cannot_be_read_is_one_line(change, line: str) -> None:
    with pytest.raises(DataError) as caught:
        runner.run("features=none", "target=forward_return", data=change(long_frame()))
    [mistake] = caught.value.mistakes
    assert line in mistake


def test_prices_written_as_text_are_read_and_not_left_out() -> None:
    frame = long_frame()
    spec = ("features=none", "+features.size=size", "target=forward_return", "validation=none")
    as_text = frame.assign(close=frame["close"].map(repr))
    of_text, of_numbers = (runner.run(*spec, data=data) for data in (as_text, frame))
    pd.testing.assert_frame_equal(of_text.coefficients, of_numbers.coefficients)


def test_a_comparison_says_that_other_trials_are_not_counted() -> None:
    swept = runner.sweep(*FF3, "features=ff3,ff3_momentum")
    assert any("other trials on this data and target are not counted" in n for n in swept.notes)


def test_what_a_notebook_does_not_show_is_counted() -> None:
    report = runner.run("experiment=ff3", "model.cov=HAC")
    page = report._repr_html_()
    assert "Coefficients: 4 of 40 rows (all: report.coefficients)" in page
    rest = len(report.reading) - 12
    assert f"{rest} further sentences: report.reading" in page
    swept = runner.sweep(
        *FF3, "model.cov=HC0,HC1,HC2,HC3,HAC,nonrobust", "features=ff3,ff3_momentum"
    )
    page = swept._repr_html_()
    assert swept.verdict.split(" unadjusted")[0] in page
    assert "Coefficients of the best 8 of 12 runs" in page
