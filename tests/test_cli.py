"""The command line: what it writes, what it prints, how it refuses."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml

FILES = {
    "spec.yaml", "metrics.json", "audit.csv", "coefficients.csv", "quality.csv", "folds.csv", "predictions.parquet",
    "diagnostics.csv", "dropped.csv", "report.html", "plots", "hypotheses.csv", "scores.csv", "run.json",
    "coefficients.json", "influence.parquet", "series.csv", "tables",
}  # fmt: skip
COEFFICIENTS = [
    "scope",
    "unit",
    "term",
    "estimate",
    "std_error",
    "t_stat",
    "p_value",
    "ci_low",
    "ci_high",
]


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    """The default run, in an empty folder."""
    from conftest import run_cli

    return run_cli(tmp_path_factory.mktemp("default"))


def test_default_run_writes_the_contract(default) -> None:
    assert default.code == 0, default.err
    assert {path.name for path in default.directory.iterdir()} == FILES
    assert list(default.table("coefficients").columns) == COEFFICIENTS
    assert set(default.table("coefficients")["scope"]) == {"asset", "mean"}
    assert {"scope", "unit", "n_obs", "r2", "r2_adj"} <= set(default.table("quality").columns)
    assert list(default.table("dropped").columns) == ["what", "reason", "rows"]
    predictions = pd.read_parquet(default.directory / "predictions.parquet")
    assert {"date", "asset", "fold", "y", "prediction"} <= set(predictions.columns)
    assert len(predictions) == default.table("folds")["test_rows"].sum()
    assert list((default.directory / "plots").glob("*.png"))


def test_metrics_are_flat_finite_and_few(default) -> None:
    metrics = default.metrics
    assert all(
        isinstance(value, float) and value == value and abs(value) < 1e300
        for value in metrics.values()
    )
    assert {"coef/MktRF", "tstat/MktRF", "fit/r2", "fit/r2_adj", "oos/r2", "oos/rmse"} <= set(
        metrics
    )
    assert len(metrics) <= 40


def test_spec_on_disk_is_resolved_and_runs_again(default, cli, tmp_path) -> None:
    spec = yaml.safe_load((default.directory / "spec.yaml").read_text())
    assert spec["target"]["risk_free"] == "RF"
    assert "${" not in json.dumps(spec)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "config.yaml").write_text((default.directory / "spec.yaml").read_text())
    again = cli("--config-path", "again", "hydra.run.dir=outputs/runs/again", "report=tables")
    assert again.code == 0, again.err
    assert (again.table("coefficients")).equals(default.table("coefficients"))


def test_the_whole_table_in_the_terminal_agrees_with_the_file(cli) -> None:
    default = cli("--full", "report=tables")
    row = default.table("coefficients").query("unit == 'S1V5' and term == 'SMB'").iloc[0]
    line = next(
        line for line in default.out.split("S1V5")[1].splitlines() if line.split()[:1] == ["SMB"]
    )
    shown = line.split()
    assert float(shown[1]) == pytest.approx(row["estimate"], abs=1e-4)
    assert float(shown[2]) == pytest.approx(row["std_error"], abs=1e-4)
    assert float(shown[3]) == pytest.approx(row["t_stat"], abs=0.01)
    assert line.rstrip().endswith("***")
    assert "…" not in default.out
    assert "more]" not in default.out and "Shortened" not in default.out


SHORT = 25  # lines of a story in short


def test_the_story_of_the_default_run_is_short_with_assets_beside_each_other(default) -> None:
    lines = default.out.splitlines()
    assert len(lines) <= SHORT
    assert max(map(len, lines)) <= 120
    assert lines[0].startswith("ff3: explanatory, no look-ahead found, 9 assets, ")
    assert lines[1].startswith("Out-of-sample R2 is 0.8820")
    table = default.table("coefficients").query("term == 'SMB' and unit != 'all'")
    [heads] = [line.split() for line in lines if line.split()[:2] == ["S1V1", "S1V3"]]
    [row] = [line.split()[1:] for line in lines if line.split()[:1] == ["SMB"]]
    assert heads == list(table["unit"])
    shown = [float(text.strip("*")) for text in row]
    np.testing.assert_allclose(shown, table["estimate"], atol=6e-4)
    assert [text.count("*") for text in row] == [3] * 9
    assert re.search(rf"R2 is {default.metrics['oos/r2']:.4f}", default.out)
    assert "[3 more]" in default.out and "--full" in default.out
    assert "…" not in default.out
    assert "warning" not in default.err.lower()  # a slow machine says how far it is


STORIES = {
    "quantiles": (["experiment=quantiles"], "Sorted by the forecast into 5 groups"),
    "fama_macbeth": (["experiment=weekly_premia", "data=simulated"], "Out-of-sample R2 is"),
    "walk_forward": (["validation=walk_forward"], "Out-of-sample R2 is"),
    "many_analyses": (["experiment=factor_model_simulated"], "Out-of-sample R2 is"),
    "without_tests": (["experiment=vol_panel"], "Out-of-sample R2 is"),
}


@pytest.mark.parametrize(
    ("name", "width"), [*((name, 120) for name in STORIES), ("quantiles", 80), ("fama_macbeth", 80)]
)
def test_a_story_in_short_answers_first_and_takes_25_lines_of_the_terminal(
    cli, monkeypatch, name: str, width: int
) -> None:
    monkeypatch.setattr("conftest.WIDTH", str(width))
    words, answer = STORIES[name]
    run = cli(*words, "report=tables", "audit=off")
    assert run.code == 0, run.err
    lines = run.out.splitlines()
    below_title = [line for line in lines[1:3] if line.startswith(answer)]
    assert len(below_title) == 1
    assert len(lines) <= SHORT + (width < 120)
    assert "--full prints every estimate and sentence" in " ".join(lines)
    assert max(map(len, lines)) <= width
    assert "…" not in run.out


def test_a_sweep_of_24_jobs_takes_the_lines_of_a_story_too(cli) -> None:
    axes = [
        "model.cov=nonrobust,HC0,HC1,HC2,HC3,HAC",
        "features=capm,ff3",
        "data.start=null,1960-01-31",
    ]
    sweep = cli(
        "-m", *axes, "data.assets=[S1V5]", "model.hypotheses=[]", "report=tables", "audit=off"
    )
    assert sweep.code == 0, sweep.err
    lines = sweep.out.splitlines()
    assert len(lines) <= SHORT
    assert max(map(len, lines)) <= 120
    assert "the largest oos/r2" in lines[0] and "the median of all 24 is" in " ".join(lines[:3])
    assert "--full prints all" in sweep.out


def test_a_narrow_terminal_has_a_row_per_asset(cli, monkeypatch) -> None:
    monkeypatch.setattr("conftest.WIDTH", "80")
    run = cli("report=tables", "audit=off")
    assert run.code == 0, run.err
    lines = [line.split() for line in run.out.splitlines()]
    heads = next(line for line in lines if line[:3] == ["MktRF", "SMB", "HML"])
    assert heads == ["MktRF", "SMB", "HML", "Constant", "R²", "Adjusted", "R²"]
    row = next(line for line in lines if line[:1] == ["S5V3"])
    table = run.table("coefficients").query("unit == 'S5V3'").set_index("term")["estimate"]
    shown = [float(text.strip("*")) for text in row[1:5]]
    np.testing.assert_allclose(shown, table[["MktRF", "SMB", "HML", "const"]], atol=6e-4)
    assert "Observations: 819." in run.out


def test_a_table_without_room_beside_is_told_by_its_terms_and_never_cut(cli) -> None:
    assets = "[S1V5,NoDur,Durbl,Manuf,Enrgy,Chems,BusEq,Telcm,Utils,Shops,Hlth,Money,Other]"
    run = cli(f"data.assets={assets}", "report=tables", "audit=off")
    assert run.code == 0, run.err
    assert "…" not in run.out
    [row] = [line.split() for line in run.out.splitlines() if line.split()[:1] == ["SMB"]]
    mean = run.table("coefficients").query("term == 'SMB' and scope == 'mean'").iloc[0]
    assert float(row[1]) == pytest.approx(mean["estimate"], abs=1e-3)


def test_nothing_is_written_for_a_wrong_spec(cli, tmp_path) -> None:
    assert cli("model.cov=HC9").code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["modle=ols"], ["modle: 'modle' is unknown", "did you mean 'model'?"]),
        (["model.covv=HC3"], ["model.covv", "did you mean 'cov'?"]),
        (["model.cov=HC9"], ["model.cov: 'HC9' is unknown", "nonrobust, HC0"]),
        (["model.confidence=95"], ["model.confidence: given 95", "below 1"]),
        (["model.constant=maybe"], ["model.constant: given 'maybe'", "true or false"]),
        (["model.cov_lags=3"], ["model.cov_lags", "cov=HAC, driscoll_kraay only"]),
        (["model.cov=HAC", "model.cov_lags=-1"], ["model.cov_lags: given -1"]),
        (["model.regressors=[MktRF,SML]"], ["model.regressors: 'SML'", "did you mean 'SMB'?"]),
        (["model.hypotheses=['SMB ** 2 = 0']"], ["model.hypotheses: 'SMB ** 2'"]),
        (["data.assets=[S1V1,S1V9]"], ["data.assets: 'S1V9' is unknown", "did you mean"]),
        (["data.assets=S1V1"], ["data.assets: given 'S1V1'; allowed: a list"]),
        (["data.start=2030-01-01"], ["data.start..data.end", "1949-01-31..2017-03-31"]),
        (["data.start='2000-01-01T00:00+01:00'"], ["data.start", "without time zone"]),
        (["data.start=soon"], ["data.start: given 'soon'; allowed: a date"]),
        (
            ["validation.train_end=1949-02-28"],
            ["validation: fold holdout", "2 rows for 4 terms; needs at least 5"],
        ),
        (
            ["validation.train_end=1900-01-01"],
            ["validation.train_end: 1900-01-01 leaves no training row"],
        ),
        (
            ["validation.train_end=2020-01-01"],
            ["validation.train_end: 2020-01-01 leaves no test row"],
        ),
        (["validation=holdout"], ["validation.train_end: missing; allowed: text"]),
        (["experiment=ff4"], ["experiment: 'ff4' is unknown", "did you mean 'ff3'?"]),
        (["data=file"], ["data.path: missing"]),
        (["data=file", "data.path=nowhere.parquet"], ["data.path: no such file"]),
        (
            ["features.MktRF.series=MktRf"],
            ["features.MktRF: series 'MktRf'", "did you mean 'MktRF'?"],
        ),
        (
            ['features.MktRF="lag(MktRF, -1)"'],
            ["features.MktRF: character", "looks back, never ahead"],
        ),
        (
            ['features.MktRF="MktRf + 1"'],
            ["features.MktRF: ", "'MktRf' is unknown", "did you mean 'MktRF'?"],
        ),
        (['features.MktRF="__import__(1)"'], ["features.MktRF: character"]),
        (["features.MktRF._target_=os.system"], ["is code outside this package"]),
        (
            ["features.MktRF._target_=runner.features.shard"],
            ["'shard' is unknown", "did you mean 'shared'?"],
        ),
        (["features.MktRF._target_=runner.cli.ui.serve"], ["serve is not a function of market"]),
        (["data._target_=runner.errors.SpecError"], ["has no method load"]),
        (["target=forward_return", "target.horizon=0"], ["target.horizon: given 0"]),
        (["target=forward_return", "target.frequency=day"], ["target.frequency: 'day' is unknown"]),
        (["+model.more=1"], ["model.more: 'more' is unknown"]),
        (
            ["data=file", "data.path=x", "data.columns.volumee=cap"],
            ["data.columns.volumee: 'volumee' is new, and nearly volume", "+data.columns.volumee"],
        ),
        (["model.cov=HC0,HC3"], ["a sweep needs -m"]),
        (["data.market='VIX"], ["data.market='VIX: cannot be read", '"^VIX"']),
        (["run"], ["'run' is unknown; allowed: audit, cache, check, compare, "]),
        (["--config-dir", "nowhere"], ["--config-dir: no such directory 'nowhere'"]),
    ],
)
def test_a_mistake_is_one_clear_line(cli, words, expected) -> None:
    outcome = cli(*words)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == len(outcome.errors) == 1, outcome.err
    for text in expected:
        assert text in outcome.errors[0]
    assert "Traceback" not in outcome.err + outcome.out


def spec_of(outcome) -> dict:
    return yaml.safe_load((outcome.directory / "spec.yaml").read_text())


def own_returns(path, names: list[str], factors=None, start: str = "2010-01-31") -> None:
    """Monthly returns in per cent as a wide file, and the factors that made them."""
    months = pd.date_range(start, periods=120, freq="ME").rename("Date")
    rng = np.random.default_rng(0)
    of_factors = pd.DataFrame(rng.normal(0.5, 3.0, (120, 3)), months, ["Mkt-RF", "SMB", "HML"])
    noise = rng.normal(0.0, 1.0, (120, len(names)))
    returns = of_factors.sum(axis=1).to_numpy()[:, None] + 0.1 + noise
    pd.DataFrame(returns, months, names).to_csv(path)
    if factors is not None:
        of_factors.assign(RF=0.1).to_csv(factors)


def test_an_experiment_takes_own_data_in_one_go(cli, tmp_path) -> None:
    own_returns(tmp_path / "own.csv", ["A", "B", "C"], tmp_path / "ff.csv")
    done = cli(
        "experiment=ff3",
        "data=file",
        "data.path=own.csv",
        "data.percent=true",
        "data.series.factors.path=ff.csv",
        "data.series.factors.percent=true",
    )
    assert done.code == 0, done.err
    assert set(done.table("coefficients")["unit"]) == {"A", "B", "C", "all"}
    page = (done.directory / "report.html").read_text()
    assert "Left out, as they do not fit these data: data.assets" in page
    assert spec_of(done)["data"]["borrowed"] == ["assets"]
    assert "example, after 1999-12-31, does not fit these dates" in page
    assert spec_of(done)["validation"]["borrowed"]


@pytest.mark.parametrize("chosen", ["validation=holdout_2000", "validation.train_end=1999-12-31"])
def test_a_hold_out_that_a_person_chose_is_held_to(cli, tmp_path, chosen: str) -> None:
    own_returns(tmp_path / "own.csv", ["A", "B", "C"], tmp_path / "ff.csv")
    own = ["data=file", "data.path=own.csv", "data.percent=true"]
    factors = ["data.series.factors.path=ff.csv", "data.series.factors.percent=true"]
    outcome = cli("experiment=ff3", *own, *factors, chosen)
    assert outcome.code == 2
    assert outcome.errors[0].startswith("error: validation.train_end: 1999-12-31 leaves no")


def test_the_hold_out_of_an_example_counts_where_it_fits(cli, tmp_path) -> None:
    own_returns(tmp_path / "own.csv", ["A", "B", "C"], start="1995-01-31")
    own = ["data=file", "data.path=own.csv", "data.percent=true", "features=none"]
    words = ["experiment=ff3", *own, "target=same_period_return"]
    done = cli(*words, "report=tables")
    assert done.code == 0, done.err
    assert len(done.table("scores"))


QUICK = ["data.assets=[S1V5,S5V5]", "validation=none", "audit=off", "report=tables"]


def test_hypotheses_of_an_experiment_on_terms_that_were_not_chosen_are_left_out(cli) -> None:
    done = cli("experiment=ff3", "features=capm", *QUICK)
    assert done.code == 0, done.err
    left_out = "left out of the experiment, as no features give their terms: 'SMB = 0, HML = 0'"
    assert left_out in done.err
    assert {"const = 0", "MktRF = 1"} <= set(done.table("hypotheses")["hypothesis"])
    assert spec_of(done)["model"]["hypotheses"] == ["const = 0", "MktRF = 1 if horizon = 0"]


def test_settings_of_an_experiment_that_a_chosen_model_lacks_are_left_out(cli) -> None:
    done = cli("experiment=ff3", "model=rolling", "model.window=60", *QUICK)
    assert done.code == 0, done.err
    assert "as model=rolling has no such: model.hypotheses" in done.err
    assert "hypotheses" not in spec_of(done)["model"]


def test_a_hypothesis_that_a_person_gives_is_held_to(cli) -> None:
    words = ["experiment=ff3", "features=capm", "model.hypotheses=['SMB = 0']", *QUICK]
    refused = cli(*words)
    assert refused.code == 2
    assert "term 'SMB' is unknown" in refused.errors[0]


def test_a_sweep_over_features_leaves_out_what_some_jobs_lack(cli) -> None:
    done = cli("-m", "features=capm,ff3", *QUICK)
    assert done.code == 0, done.err
    assert done.err.count("left out of the experiment") == 1
    assert "2 of 2 jobs" in done.out


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("capm", ["features.market_ret"]),
        (
            "ff3",
            ["target", "features.MktRF", "features.SMB", "features.HML"],
        ),
        (
            "ff3_vs_capm",
            ["target", "features.MktRF", "features.SMB", "features.HML"],
        ),
        (
            "alpha_signals",
            [
                "features.market_ret",
                "features.volume_surprise",
                "features.beta",
                "features.vix_chg",
                "features.tlt_ret",
                "features.dxy_chg",
            ],
        ),
        ("weekly_premia", ["features.volume_surprise", "features.beta"]),
        ("quantiles", ["features.volume_surprise", "features.beta"]),
    ],
)
def test_all_that_own_data_lack_for_an_experiment_is_said_at_once(
    cli, tmp_path, name: str, lacking: list[str]
) -> None:
    own_returns(tmp_path / "own.csv", ["A", "B", "C"])
    words = [f"experiment={name}", "data=file", "data.path=own.csv", "data.percent=true"]
    outcome = cli(*words)
    assert outcome.code == 2
    where = [line.removeprefix("error: ").split(":")[0] for line in outcome.errors]
    places = [place for line in where for place in line.split(", ")]
    assert sorted(places) == sorted(lacking)


def test_dates_of_an_example_that_hold_no_row_are_left_out(cli, tmp_path) -> None:
    names = ["AAPL", "MSFT", "AMZN", "GOOGL", "META", "NFLX", "QQQ", "IWM", "SPY"]
    days = pd.bdate_range("2005-01-03", periods=300)
    closes = np.exp(np.cumsum(np.random.default_rng(0).normal(0.0, 0.01, (300, 9)), axis=0))
    pd.DataFrame(100.0 * closes, days.rename("Date"), names).to_csv(tmp_path / "own.csv")
    words = ["experiment=capm", "data=file", "data.path=own.csv"]
    assert cli(*words, "data.market=SPY", "report=tables").code == 0


def test_the_example_of_an_experiment_counts_where_the_data_have_it(cli, tmp_path) -> None:
    names = ["AAPL", "MSFT", "AMZN", "GOOGL", "META", "NFLX", "QQQ", "IWM", "SPY", "other"]
    days = pd.bdate_range("2016-12-01", periods=400)
    rng = np.random.default_rng(0)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (400, 10)), axis=0))
    pd.DataFrame(closes, days.rename("Date"), names).to_csv(tmp_path / "own.csv")
    words = ["experiment=capm", "data=file", "data.path=own.csv"]
    done = cli(*words)
    assert done.code == 0, done.err
    assert done.table("quality")["unit"].tolist() == names[:8]
    page = (done.directory / "report.html").read_text()
    assert "Taken from the example of the experiment: data.assets, data.market" in page
    mine = ["data.assets=[other]", "data.market=SPY", "data.start=null", "data.end=null"]
    own = cli(*words, *mine, "report=tables")
    assert own.table("quality")["unit"].tolist() == ["other"]
    assert "borrowed" not in spec_of(own)["data"]


def test_all_mistakes_come_together(cli) -> None:
    outcome = cli(
        "modle=ols",
        "model.covv=1",
        "model.confidence=2",
        "data.start=soon",
        "model.hypotheses=['X=0']",
    )
    where = {line.split(":")[1].strip() for line in outcome.errors}
    assert where == {"modle", "model.covv", "data.start", "model.confidence", "model.hypotheses"}
    assert outcome.code == 2


@pytest.mark.parametrize("ticker", ["ON", "NO", "TRUE", "1E5", "0700", "Null", "12"])
def test_tickers_that_yaml_mangles_are_refused_with_the_hint_to_quote(
    cli, tmp_path, ticker
) -> None:
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    mine = "# @package _global_\ndefaults: [override /data: file]\ndata: {{path: x.csv, assets: [AAPL, {}]}}\n"
    (tmp_path / "mine" / "experiment" / "mangled.yaml").write_text(mine.format(ticker))
    outcome = cli("--config-dir", "mine", "experiment=mangled")
    assert outcome.code == 2
    assert any("data.assets[1]" in line and "quote it" in line for line in outcome.errors), (
        outcome.err
    )
    quoted = mine.format(f'"{ticker}"')
    (tmp_path / "mine" / "experiment" / "mangled.yaml").write_text(quoted)
    assert "quote it" not in cli("--config-dir", "mine", "experiment=mangled").err


def test_failed_estimation_exits_1_and_says_why(cli) -> None:
    outcome = cli("features=ff3", "+features.twin={_target_:runner.features.shared,series:SMB}")
    assert outcome.code == 1
    assert "collinear: SMB, twin" in outcome.errors[0]


def test_run_directory_that_is_taken_is_refused_and_kept(cli, tmp_path) -> None:
    first = cli("hydra.run.dir=mine", "report=tables")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "mine").iterdir()}
    second = cli("hydra.run.dir=mine")
    assert (first.code, second.code) == (0, 2)
    assert "hydra.run.dir: 'mine' is not empty" in second.errors[0]
    assert before == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "mine").iterdir()}


def test_sweep_runs_every_job_and_lists_failures(cli, tmp_path) -> None:
    outcome = cli(
        "-m",
        "model.cov=nonrobust,HAC",
        "model.regressors=[MktRF],[MktRF,SMB]",
        "hydra.sweep.dir=swept",
    )
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in (tmp_path / "swept").glob("[0-9]*")) == ["0", "1", "2", "3"]
    assert "4 of 4 jobs finished" in outcome.err


def test_sweep_with_a_wrong_job_is_refused_before_the_first(cli, tmp_path) -> None:
    outcome = cli("-m", "model.cov=HC3,HC7")
    assert outcome.code == 2
    assert "job 1 (model.cov=HC7)" in outcome.errors[0]
    assert list(tmp_path.iterdir()) == []


def test_sweep_goes_on_after_a_failed_job(cli) -> None:
    outcome = cli("-m", "validation.train_end=1949-02-28,1999-12-31")
    assert outcome.code == 1
    assert "1 of 2 jobs finished" in outcome.err
    assert "failed: job 0 (validation.train_end=1949-02-28)" in outcome.err


def test_user_conf_beside_ours_and_instead_of_it(cli, tmp_path) -> None:
    (tmp_path / "mine" / "features").mkdir(parents=True)
    (tmp_path / "mine" / "features" / "own.yaml").write_text(
        "reversal: {_target_: my_signals.reversal, window: 2}\n"
        "MktRF: {_target_: runner.features.shared, series: MktRF}\n"
    )
    (tmp_path / "my_signals.py").write_text(
        "def reversal(market, *, window: int):\n    return -market.returns(window).shift(1)\n"
    )
    words = ["--config-dir", "mine", "features=own", "model.hypotheses=[]"]
    refused = cli(*words)
    assert refused.code == 2
    assert (
        "'my_signals.reversal' is code outside this package; allow=[my_signals]"
        in refused.errors[0]
    )
    beside = cli(*words, "allow=[my_signals]", "report=tables")
    assert beside.code == 0, beside.err
    assert set(beside.table("coefficients")["term"]) == {"const", "reversal", "MktRF"}


def test_help_and_config_are_shown(cli, tmp_path) -> None:
    helped = cli("--help")
    assert helped.code == 0
    assert "experiment: alpha_signals, capm, direction, factor_model" in helped.out
    assert "snapshot" in helped.out
    config = cli("--cfg", "job", "model.cov=HC3")
    assert yaml.safe_load(config.out)["model"]["cov"] == "HC3"
    assert list(tmp_path.iterdir()) == []


def test_signals_as_text_are_the_signals(cli) -> None:
    words = ["experiment=alpha_signals", "data=simulated", "data.end=2019-12-31", "validation=none"]
    words += ["report=tables"]
    written, functions = (
        cli(*words, f"features={name}") for name in ("signals_as_text", "signals")
    )
    assert written.table("coefficients").equals(functions.table("coefficients"))


def test_interrupted_user_function_is_one_line(cli, tmp_path) -> None:
    (tmp_path / "broken.py").write_text("def signal(market):\n    return 1 / 0\n")
    outcome = cli("allow=[broken]", "+features.bad={_target_:broken.signal}")
    assert outcome.code == 2
    assert "features.bad: raised ZeroDivisionError" in outcome.errors[0]
    assert len(outcome.errors) == 1
