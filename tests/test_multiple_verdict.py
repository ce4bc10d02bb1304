"""What a sweep is told: the table adds up from its parts, and the sentence is no surer than the table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from runner.trials import adjust
from runner.trials.hurdles import deflated_sharpe, hurdles, track
from runner.trials.overfitting import overfitting
from runner.trials.premises import FEW, INDEPENDENT
from runner.trials.romano_wolf import block_of, romano_wolf
from runner.trials.strategies import STRATEGIES
from runner.trials.trial import Bar, Job
from runner.trials.verdict import TESTS, judge

REL = 1e-12
DATES = pd.date_range("2020-01-01", periods=90)


def job(name: str, t: dict[str, float], seed: int = 0, influence: bool = True, **more: Any) -> Job:
    """A mean over dates with these t, and a row of single dates that nobody tests."""
    rng = np.random.default_rng([seed, *name.encode()])
    psi = rng.normal(size=(90, len(t)))
    psi = (psi - psi.mean(axis=0)) / 90
    error = np.sqrt((psi**2).sum(axis=0) * 90 / 89)
    ts = np.array(list(t.values()))
    columns = {
        "estimate": ts * error,
        "std_error": error,
        "t_stat": ts,
        "p_value": 2 * student.sf(np.abs(ts), 89),
    }
    mean = pd.DataFrame({"scope": "mean", "unit": "all", "term": list(t)} | columns)
    dates = mean.assign(scope="date", unit="2020-01-01", p_value=0.0)
    series = pd.DataFrame(psi + ts * error / 90, DATES, list(t)) if influence else None
    if "predictions" in more:
        more["predictions"] = more["predictions"].copy
    return Job(name, pd.concat([dates, mean], ignore_index=True), series, **more)


def sweep(strong: dict[str, float], n: int = 20) -> list[Job]:
    rng = np.random.default_rng(1)
    weak = dict(zip(map(str, range(n)), rng.uniform(-1.2, 1.2, n), strict=True))
    return [job(name, {"const": 9.0, "x": t}) for name, t in (weak | strong).items()]


def test_the_table_adds_up_from_its_parts() -> None:
    jobs = sweep({"7": 6.0, "8": 3.3, "9": -2.2})
    found = judge(jobs, Bar(draws=999, without_result=3, seed=2))
    tests = found.tests
    assert (
        list(tests) == TESTS
        and list(tests["job"]) == [one.name for one in jobs]
        and set(tests["term"]) == {"x"}
    )
    p = tests["p_value"].to_numpy()
    np.testing.assert_allclose(
        tests["p_dates"], p, rtol=1e-9
    )  # the same error, from sums in another order
    p = tests["p_dates"].to_numpy()
    np.testing.assert_allclose(tests["p_holm"], adjust.holm(p, 23), rtol=REL)
    np.testing.assert_allclose(tests["p_bh"], adjust.benjamini_hochberg(p, 23), rtol=REL)
    np.testing.assert_allclose(tests["p_by"], adjust.benjamini_yekutieli(p, 23), rtol=REL)
    assert (tests["hurdle_t"] == hurdles(p, 0.05, 23).holm).all()
    psi = np.column_stack([one.contributions["x"] for one in jobs])
    joint = romano_wolf(psi, tests["std_error"], 999, seed=2, m=23).p_value
    np.testing.assert_allclose(tests["p_romano_wolf"], np.maximum(joint, p), rtol=REL)
    assert (tests["survives"] == ((tests["p_holm"] < 0.05) & (tests["p_romano_wolf"] < 0.05))).all()
    assert (
        (tests["reason"] == "").all()
        and found.strategies.empty
        and list(found.strategies) == STRATEGIES
    )
    assert found.metrics["trials"] == 23 and found.metrics["tests"] == 20
    assert found.notes == ("Romano-Wolf by 999 draws: signs of 90 blocks of 1 (of 90 dates).",)


def test_one_survives() -> None:
    found = judge(sweep({"7": 6.0, "8": 2.9, "9": -2.2}), Bar(draws=999, without_result=4))
    assert found.sentence == (
        "Of 20 tests (24 trials on this data and target, 4 of them elsewhere or without a result, which count "
        "as p = 1), 3 have p below 0.05 unadjusted (chance alone would give about 1.0); 1 survives Holm and "
        "Romano-Wolf at 5 %: x in job 7; 1 survives Benjamini-Hochberg at 5 %."
    )


def test_none_all_and_a_single_one() -> None:
    assert judge(sweep({}, 5), Bar(draws=99)).sentence == (
        "Of 5 tests, none has p below 0.05 unadjusted; none survives Holm and Romano-Wolf at 5 %; "
        "none survives Benjamini-Hochberg at 5 %."
    )
    every = judge(
        sweep({"a": 7.0, "b": -8.0}, 0), Bar(draws=999, level=0.01, false_discoveries=0.05)
    )
    assert every.sentence == (
        "Of 2 tests, all 2 have p below 0.01 unadjusted; all 2 survive Holm and Romano-Wolf at 1 %: x in jobs a, "
        "b; all 2 survive Benjamini-Hochberg at 5 %."
    )
    one = judge(sweep({"a": 7.0}, 0)).sentence
    assert one.startswith(
        "Of 1 test, 1 has p below 0.05 unadjusted; 1 survives Holm and Romano-Wolf at 5 %: x in"
    )


def test_nothing_to_test() -> None:
    assert judge([]).sentence == "Nothing was tested: no trial."
    lost = judge([], Bar(without_result=3))
    assert (
        lost.sentence == "Nothing was tested: 3 trials, none with a p-value." and lost.tests.empty
    )
    silent = judge([job("a", {"x": np.nan})])
    assert silent.sentence == "Nothing was tested: no trial." and silent.tests.empty


def test_without_influence_there_is_no_verdict_but_the_reason() -> None:
    bare = replace(
        job("bare", {"x": 6.0}, influence=False), no_influence="TwoPass has no influence by date"
    )
    jobs = [*sweep({"7": 6.0}, 3), bare, job("none", {"x": np.nan})]
    found = judge(jobs, Bar(draws=999))
    tests = found.tests.set_index("job")
    assert "none" not in tests.index  # a coefficient without a p-value is no test
    assert (
        tests.loc["bare", "reason"]
        == "estimates have no influence by date (TwoPass has no influence by date)"
    )
    assert tests.loc["bare", "survives"] is None and np.isnan(tests.loc["bare", "p_romano_wolf"])
    assert tests.loc[["bare"], ["p_dates", "p_holm", "p_bh", "p_by"]].isna().all(axis=None)
    assert tests.loc["7", "p_romano_wolf"] == pytest.approx(
        5 / 4 / 1000, rel=REL
    )  # its group is four of five trials
    assert found.metrics["trials"] == 5 and found.metrics["no_verdict"] == 1
    assert found.sentence == (
        "Of 4 tests (5 trials on this data and target, 1 of them elsewhere, without a result or without a verdict, "
        "which count as p = 1), 1 has p below 0.05 unadjusted; 1 survives Holm and Romano-Wolf at 5 %: x in job 7; "
        "1 survives Benjamini-Hochberg at 5 %. No verdict for 1 of 5 tests: their estimates have no influence by "
        "date (TwoPass has no influence by date)."
    )


def test_p_values_that_take_assets_as_independent_enter_nothing_and_count() -> None:
    doubt = {"x": f"{INDEPENDENT}; use model.cov=cluster model.clusters=[date]"}
    jobs = [replace(one, doubts=doubt) for one in sweep({"7": 6.0}, 3)]
    found = judge(jobs, Bar(draws=999))
    assert found.sentence == (
        "No verdict for 4 of 4 tests: their p-values treat assets on one date as independent; use model.cov=cluster "
        "model.clusters=[date]."
    )
    assert found.tests["survives"].isna().all() and found.metrics["trials"] == 4
    assert [
        found.metrics[name] for name in ("survive", "holm", "romano_wolf", "bh", "by", "tests")
    ] == [0] * 6
    mixed = judge(
        [*sweep({"7": 6.0}, 3), replace(job("8", {"x": 9.0}), doubts=doubt)], Bar(draws=999)
    ).tests
    p = mixed["p_dates"].to_numpy()
    assert np.isnan(p[-1])
    np.testing.assert_allclose(mixed["p_bh"][:4], adjust.benjamini_hochberg(p[:4], 5), rtol=REL)
    np.testing.assert_allclose(mixed["p_holm"][:4], adjust.holm(p[:4], 5), rtol=REL)


def test_reasons_are_grouped_and_the_first_is_the_instance() -> None:
    reasons = {"1": f"{FEW} (500 dates)", "2": f"{FEW} (400 dates)"}
    jobs = [replace(one, doubts={"x": reasons.get(one.name, "")}) for one in sweep({}, 4)]
    sentence = judge(jobs, Bar(draws=99)).sentence
    assert sentence.endswith(
        "No verdict for 2 of 4 tests: too few independent rows (for instance 500 dates)."
    )


def test_copies_count_once_and_it_is_said() -> None:
    jobs = sweep({"7": 6.0}, 3)
    rounded = jobs[-1].coefficients.assign(estimate=jobs[-1].coefficients["estimate"] * (1 + 1e-12))
    twice = judge([*jobs, replace(jobs[-1], name="8", coefficients=rounded)], Bar(draws=999))
    once = judge(jobs, Bar(draws=999))
    assert twice.metrics == once.metrics and twice.metrics["trials"] == 4
    assert (
        twice.sentence
        == f"{once.sentence} 1 job has the same numbers as another and counts once: 8 as 7."
    )
    last = twice.tests.iloc[-1]
    assert last["reason"] == "the numbers of job 7, counted once" and last["survives"] is None
    other = jobs[-1].coefficients.assign(std_error=jobs[-1].coefficients["std_error"] * 1.001)
    assert (
        judge([*jobs, replace(jobs[-1], name="8", coefficients=other)], Bar(draws=99)).metrics[
            "trials"
        ]
        == 5
    )


def test_errors_that_are_too_small_for_what_hangs_together_do_not_survive() -> None:
    """A fit may be surer than its dates allow: the verdict takes the larger error."""
    jobs = sweep({"7": 6.0}, 3)
    small = []
    for one in jobs:
        estimates = one.coefficients[one.coefficients["scope"] == "mean"].set_index("term")[
            "estimate"
        ]
        level = estimates / 90.0
        small.append(replace(one, contributions=(one.contributions - level) * 5.0 + level))
    found = judge(small, Bar(draws=999))
    assert found.tests["p_value"].min() < 1e-6
    assert found.metrics["holm"] == found.metrics["survive"] == found.metrics["bh"] == 0


def test_no_p_value_is_below_that_of_the_fit() -> None:
    jobs = sweep({"7": 6.0}, 2)
    doubted = [replace(one, coefficients=one.coefficients.assign(p_value=0.3)) for one in jobs]
    found = judge(doubted, Bar(draws=999)).tests
    assert found["p_romano_wolf"].min() == 0.3 and found["p_dates"].min() == 0.3


def test_the_degrees_of_freedom_of_few_assets_do_not_count_but_their_error_does() -> None:
    """A mean over five assets has four degrees: its p-value takes assets as independent, as dates do not."""
    jobs = sweep({"7": 6.0}, 2)
    few = []
    for one in jobs:
        table = one.coefficients.assign(p_value=0.3, std_error=one.coefficients["std_error"] * 1.5)
        few.append(replace(one, coefficients=table.replace({"scope": {"date": "asset"}})))
    tests = judge(few, Bar(draws=999)).tests
    t = tests["estimate"].abs() / tests["std_error"]  # the larger of both errors
    psi = np.column_stack([one.contributions["x"] for one in few])
    np.testing.assert_allclose(
        tests["p_dates"], 2 * student.sf(t, len(psi) // block_of(psi) - 1), rtol=1e-9
    )
    assert tests["p_dates"].min() < 0.01 < tests["p_value"].min()


def test_the_terms_that_are_tested() -> None:
    jobs = [job("a", {"const": 1.0, "x": 5.0, "z": 1.0}), job("b", {"const": 1.0, "z": 4.0})]
    assert list(judge(jobs).tests["term"]) == ["x", "z", "z"]
    assert list(judge(jobs, Bar(terms=["const", "x"])).tests["term"]) == ["const", "x", "const"]
    assert (
        judge(jobs, Bar(without_result=2)).metrics["trials"] == 3 + 2 * 2
    )  # as many tests as the largest job
    with pytest.raises(ValueError, match="terms: given w; allowed: const, x, z"):
        judge(jobs, Bar(terms=["w"]))
    with pytest.raises(ValueError, match="jobs: a given twice"):
        judge([jobs[0], jobs[0]])


def test_too_few_dates_for_romano_wolf_is_no_verdict() -> None:
    one = job("a", {"x": 4.0})
    found = judge([replace(one, contributions=one.contributions[:5])])
    assert np.isnan(found.tests["p_romano_wolf"]).all() and found.tests["survives"].isna().all()
    why = "too few dates (5 dates make 5 blocks of 1; needs 6)"
    assert found.sentence == f"No verdict for 1 of 1 test: {why}." and found.notes == ()


def returns(seed: int, mean: float) -> pd.Series:
    rng = np.random.default_rng(seed)
    return pd.Series(rng.normal(size=200) * 0.01 + mean, pd.date_range("2020-01-01", periods=200))


def predictions(seed: int, skill: float) -> pd.DataFrame:
    rng, y = np.random.default_rng(seed), np.random.default_rng(0).normal(size=3200)
    index = pd.MultiIndex.from_product([pd.date_range("2020-01-01", periods=800), list("wxyz")])
    columns = {
        "fold": "1",
        "path": 1,
        "y": y,
        "prediction": skill * y + rng.normal(size=3200) * 0.3,
        "benchmark": 0.0,
    }
    return pd.DataFrame(columns, index).rename_axis(["date", "asset"]).reset_index()


def test_strategies() -> None:
    made = {str(k): returns(k, 0.003 * (k == 3)) for k in range(5)}
    forecast = {str(k): predictions(k, 0.8 * (k == 3)) for k in range(5)}
    jobs = [
        job(name, {"x": 1.0}, strategies={"own": made[name]}, predictions=forecast[name])
        for name in made
    ]
    idle = job("idle", {"x": 1.0}, strategies={"own": returns(9, 0.0) * 0.0})
    found = judge([*jobs, job("no strategy", {"x": 1.0})], Bar(draws=2000, without_result=2))
    table = found.strategies.set_index("job")
    assert list(table.index) == list(made)
    ratios = {name: track(one.to_numpy()) for name, one in made.items()}
    variance = float(np.var([one.sharpe for one in ratios.values()], ddof=1))
    for name, one in ratios.items():
        assert table.loc[name, "sharpe"] == pytest.approx(one.sharpe, rel=REL)
        assert table.loc[name, "deflated"] == pytest.approx(
            deflated_sharpe(one, 7, variance), rel=REL
        )
        assert table.loc[name, "deflated"] < table.loc[name, "probabilistic"]
    assert (table["pbo"] == overfitting(pd.DataFrame(made).to_numpy()).pbo).all()
    assert (table["spa_p_value"] == 1 / 200).all() and table["mcs_p_value"].min() == 1 / 200
    assert (
        list(table.index[table["in_mcs"].astype(bool)]) == ["3"]
        and (table["spa_p_value"] < 0.01).all()
    )
    assert found.notes[1:] == (
        "Backtest overfitting of 5 strategies on 200 rows in 16 blocks.",
        "Forecasts compared on 800 dates, blocks of 9: 200 draws.",
    )
    with_idle = judge([*jobs, idle], Bar(draws=1000)).strategies.set_index("job")
    assert with_idle.loc["idle", "reason"] == "returns do not vary" and np.isnan(
        with_idle.loc["idle", "sharpe"]
    )


def test_strategies_that_cannot_be_judged() -> None:
    short = job(
        "a",
        {"x": 1.0},
        strategies={"own": returns(0, 0.0)[:10]},
        predictions=predictions(0, 0.5)[:40],
    )
    found = judge([short], Bar(draws=1000))
    row = found.strategies.iloc[0]
    assert row[["pbo", "spa_p_value", "deflated", "probabilistic"]].isna().all()
    assert row["reason"] == "10 returns; needs 20"
    assert found.notes[1:] == (
        "The probability of backtest overfitting was not computed: returns: 10 common rows of 1 strategies; needs 32 "
        "and 2.",
        "The forecasts were not compared: losses: 10 dates common to all; needs 20.",
    )
    forecasts = predictions(1, 0.5)
    later = forecasts.assign(date=forecasts["date"] + pd.Timedelta(days=9_000))
    apart = [
        job("a", {"x": 1.0}, predictions=forecasts),
        job("b", {"x": 1.0}, predictions=later),
    ]
    assert judge(apart, Bar(draws=1000)).notes[1:] == (
        "Forecasts not compared (no row that all forecast): jobs a, b.",
    )
    other = [
        job(name, {"x": 1.0}, predictions=predictions(1, 0.5).assign(y=k))
        for k, name in enumerate("abc")
    ]
    assert judge(other, Bar(draws=1000)).notes[1] == (
        "Forecasts not compared (another target than the first job): jobs b, c."
    )
    long = replace(short, strategies={"own": returns(0, 0.0)})
    alone = judge([long], Bar(draws=1000, without_result=1)).strategies
    assert np.isnan(alone.loc[0, "deflated"])  # one ratio has no variance over trials
    assert (
        alone.loc[0, "reason"].startswith("no deflated ratio")
        and alone.loc[0, "probabilistic"] > 0.0
    )
    only = judge([long], Bar(draws=1000)).strategies.iloc[0]
    assert only["deflated"] == only["probabilistic"] and only["reason"] == ""


def test_a_ratio_of_serially_correlated_returns_has_no_confidence() -> None:
    smooth = returns(0, 0.001).rolling(3).mean().dropna()
    row = judge(
        [job("a", {"x": 1.0}, strategies={"smooth": smooth})], Bar(draws=99)
    ).strategies.iloc[0]
    assert row["sharpe"] > 0.0 and row[["probabilistic", "deflated"]].isna().all()
    assert row["reason"].startswith("returns are serially correlated (first order 0.7")


def test_strategies_that_are_alike_count_once() -> None:
    made = {str(k): returns(k, 0.002) for k in range(4)}
    jobs = [
        job(name, {"x": 1.0}, strategies={"trading": one, "equity": one * 1.0})
        for name, one in made.items()
    ]
    jobs.append(job("4", {"x": 2.0}, strategies={"trading": made["0"] * (1 + 1e-13)}))
    found = judge(jobs, Bar(draws=99, without_result=2))
    table = found.strategies.set_index(["job", "strategy"])
    assert len(table) == 9 and table["deflated"].notna().sum() == 4
    assert table.loc[("4", "trading"), "reason"] == "the returns of job 0 (trading), counted once"
    ratios = [track(one.to_numpy()) for one in made.values()]
    variance = float(np.var([one.sharpe for one in ratios], ddof=1))
    expected = deflated_sharpe(
        ratios[0], 6, variance
    )  # four, and one strategy of each job without a result
    assert table.loc[("0", "trading"), "deflated"] == pytest.approx(expected, rel=REL)
    assert found.notes[-1].startswith(
        "Strategies with the returns of another count once: job 0 (equity)"
    )


def test_forecasts_are_not_compared_where_the_bootstrap_loses_its_level() -> None:
    jobs = [job(str(k), {"x": 1.0}, predictions=predictions(k, 0.3 * k)) for k in range(3)]
    overlapping = judge(jobs, Bar(draws=1000, horizon=2))
    assert overlapping.notes[1:] == (
        "The forecasts were not compared: targets overlap, where no length of blocks keeps the bootstrap at its "
        "level.",
    )
    few = judge(jobs, Bar(draws=1000, block=14))  # 800 dates
    assert few.notes[1:] == (
        "The forecasts were not compared: losses: 800 dates make 57 blocks of 14; needs 60.",
    )
    enough = judge(jobs, Bar(draws=1000, block=13))  # 61 blocks
    assert enough.notes[1:] == ("Forecasts compared on 800 dates, blocks of 13: 100 draws.",)
    columns = ["spa_p_value", "mcs_p_value", "in_mcs"]
    for found in (overlapping, few):
        assert found.strategies[columns].isna().all(axis=None)
    assert enough.strategies[columns].notna().all(axis=None)
