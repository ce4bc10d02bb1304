"""What a sweep is told: the table adds up from its parts, and the sentence is no surer than the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from runner.multiple import adjust
from runner.multiple.hurdles import deflated_sharpe, hurdles, track
from runner.multiple.overfitting import overfitting
from runner.multiple.romano_wolf import romano_wolf
from runner.multiple.verdict import STRATEGIES, TESTS, Bar, Job, judge

REL = 1e-12
DATES = pd.date_range("2020-01-01", periods=90)


def job(name: str, t: dict[str, float], seed: int = 0, influence: bool = True, **more: Any) -> Job:
    """A mean over dates with these t, and a row of single dates that nobody tests."""
    rng = np.random.default_rng([seed, *name.encode()])
    psi = rng.normal(size=(90, len(t)))
    psi = (psi - psi.mean(axis=0)) / 90
    error = np.sqrt((psi**2).sum(axis=0) * 90 / 89)
    ts = np.array(list(t.values()))
    columns = {"estimate": ts * error, "std_error": error, "t_stat": ts, "p_value": 2 * student.sf(np.abs(ts), 89)}
    mean = pd.DataFrame({"scope": "mean", "unit": "all", "term": list(t)} | columns)
    dates = mean.assign(scope="date", unit="2020-01-01", p_value=0.0)
    series = pd.DataFrame(psi, DATES, list(t)) if influence else None
    return Job(name, pd.concat([dates, mean], ignore_index=True), series, **more)


def sweep(strong: dict[str, float], n: int = 20) -> list[Job]:
    rng = np.random.default_rng(1)
    weak = dict(zip(map(str, range(n)), rng.uniform(-1.2, 1.2, n), strict=True))
    return [job(name, {"const": 9.0, "x": t}) for name, t in (weak | strong).items()]


def test_the_table_adds_up_from_its_parts() -> None:
    jobs = sweep({"7": 6.0, "8": 3.3, "9": -2.2})
    found = judge(jobs, Bar(draws=999, without_result=3, seed=2))
    tests = found.tests
    assert list(tests) == TESTS and list(tests["job"]) == [one.name for one in jobs] and set(tests["term"]) == {"x"}
    p = tests["p_value"].to_numpy()
    np.testing.assert_allclose(tests["p_holm"], adjust.holm(p, 23), rtol=REL)
    np.testing.assert_allclose(tests["p_bh"], adjust.benjamini_hochberg(p, 23), rtol=REL)
    np.testing.assert_allclose(tests["p_by"], adjust.benjamini_yekutieli(p, 23), rtol=REL)
    assert (tests["hurdle_t"] == hurdles(p, 0.05, 23).holm).all()
    psi = np.column_stack([one.influence["x"] for one in jobs])
    joint = romano_wolf(tests["estimate"], tests["std_error"], psi, 999, seed=2, m=23).p_value
    np.testing.assert_allclose(tests["p_romano_wolf"], np.maximum(joint, p), rtol=REL)
    assert (tests["survives"] == ((tests["p_holm"] < 0.05) & (tests["p_romano_wolf"] < 0.05))).all()
    assert (tests["reason"] == "").all() and found.strategies.empty and list(found.strategies) == STRATEGIES
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
    every = judge(sweep({"a": 7.0, "b": -8.0}, 0), Bar(draws=999, level=0.01, false_discoveries=0.05))
    assert every.sentence == (
        "Of 2 tests, all 2 have p below 0.01 unadjusted; all 2 survive Holm and Romano-Wolf at 1 %: x in jobs a, "
        "b; all 2 survive Benjamini-Hochberg at 5 %."
    )
    one = judge(sweep({"a": 7.0}, 0)).sentence
    assert one.startswith("Of 1 test, 1 has p below 0.05 unadjusted; 1 survives Holm and Romano-Wolf at 5 %: x in")


def test_nothing_to_test() -> None:
    assert judge([]).sentence == "Nothing was tested: no trial."
    lost = judge([], Bar(without_result=3))
    assert lost.sentence == "Nothing was tested: 3 trials, none with a p-value." and lost.tests.empty
    silent = judge([job("a", {"x": np.nan})])
    assert silent.sentence == "Nothing was tested: 1 trial, none with a p-value."
    assert list(silent.tests["reason"]) == ["no p-value"]


def test_jobs_without_influence_or_p_value_are_counted_and_named() -> None:
    jobs = [*sweep({"7": 6.0}, 3), job("bare", {"x": 6.0}, influence=False), job("none", {"x": np.nan})]
    found = judge(jobs, Bar(draws=999))
    tests = found.tests.set_index("job")
    assert tests.loc["bare", "reason"] == "no Romano-Wolf: no influence by date" and tests.loc["bare", "survives"]
    assert tests.loc["none", "reason"] == "no p-value" and not tests.loc["none", "survives"]
    assert np.isnan(tests.loc["bare", "p_romano_wolf"])
    assert tests.loc["7", "p_romano_wolf"] == pytest.approx(6 / 4 / 1000, rel=REL)  # its group is four of six trials
    assert found.sentence.startswith(
        "Of 5 tests (6 trials on this data and target, 1 of them elsewhere or without a result, which count "
        "as p = 1), 2 have p below 0.05 unadjusted; 2 survive Holm and Romano-Wolf where it could be computed "
        "(4 of 5) at 5 % (Holm alone 2, Romano-Wolf alone 1): x in jobs 7, bare; "
    )
    plain = judge([job("bare", {"x": 6.0}, influence=False)])
    assert "1 survives Holm (Romano-Wolf was not computed) at 5 %: x in job bare" in plain.sentence


def test_errors_that_are_too_small_for_what_hangs_together_do_not_survive() -> None:
    """A fit may be surer than its dates allow: Romano-Wolf takes the larger error."""
    jobs = sweep({"7": 6.0}, 3)
    small = [Job(one.name, one.coefficients, one.influence * 5.0) for one in jobs]
    found = judge(small, Bar(draws=999))
    assert found.metrics["holm"] == 1 and found.metrics["survive"] == found.metrics["romano_wolf"] == 0
    assert "none survives Holm and Romano-Wolf at 5 % (Holm alone 1, Romano-Wolf alone 0); " in found.sentence


def test_romano_wolf_is_never_below_the_p_value_of_the_fit() -> None:
    jobs = sweep({"7": 6.0}, 2)
    doubted = [Job(one.name, one.coefficients.assign(p_value=0.3), one.influence) for one in jobs]
    found = judge(doubted, Bar(draws=999)).tests
    assert found["p_romano_wolf"].min() == 0.3


def test_the_terms_that_are_tested() -> None:
    jobs = [job("a", {"const": 1.0, "x": 5.0, "z": 1.0}), job("b", {"const": 1.0, "z": 4.0})]
    assert list(judge(jobs).tests["term"]) == ["x", "z", "z"]
    assert list(judge(jobs, Bar(terms=["const", "x"])).tests["term"]) == ["const", "x", "const"]
    assert judge(jobs, Bar(without_result=2)).metrics["trials"] == 3 + 2 * 2  # as many tests as the largest job
    with pytest.raises(ValueError, match="terms: given w; allowed: const, x, z"):
        judge(jobs, Bar(terms=["w"]))
    with pytest.raises(ValueError, match="jobs: a given twice"):
        judge([jobs[0], jobs[0]])


def test_too_few_dates_for_romano_wolf_is_said() -> None:
    one = job("a", {"x": 4.0})
    found = judge([Job("a", one.coefficients, one.influence[:5])])
    assert np.isnan(found.tests["p_romano_wolf"]).all()
    assert found.notes == ("Romano-Wolf was not computed: influences: 5 dates make 5 blocks of 1; needs 6.",)


def returns(seed: int, mean: float) -> pd.Series:
    rng = np.random.default_rng(seed)
    return pd.Series(rng.normal(size=200) * 0.01 + mean, pd.date_range("2020-01-01", periods=200))


def predictions(seed: int, skill: float) -> pd.DataFrame:
    rng, y = np.random.default_rng(seed), np.random.default_rng(0).normal(size=400)
    index = pd.MultiIndex.from_product([pd.date_range("2020-01-01", periods=100), list("wxyz")])
    columns = {"fold": "1", "path": 1, "y": y, "prediction": skill * y + rng.normal(size=400) * 0.3, "benchmark": 0.0}
    return pd.DataFrame(columns, index).rename_axis(["date", "asset"]).reset_index()


def test_strategies() -> None:
    made = {str(k): returns(k, 0.003 * (k == 3)) for k in range(5)}
    forecast = {str(k): predictions(k, 0.8 * (k == 3)) for k in range(5)}
    jobs = [job(name, {"x": 1.0}, returns=made[name], predictions=forecast[name]) for name in made]
    idle = job("idle", {"x": 1.0}, returns=returns(9, 0.0) * 0.0)
    found = judge([*jobs, job("no strategy", {"x": 1.0})], Bar(draws=2000, without_result=2))
    table = found.strategies.set_index("job")
    assert list(table.index) == list(made)
    ratios = {name: track(one.to_numpy()) for name, one in made.items()}
    variance = float(np.var([one.sharpe for one in ratios.values()], ddof=1))
    for name, one in ratios.items():
        assert table.loc[name, "sharpe"] == pytest.approx(one.sharpe, rel=REL)
        assert table.loc[name, "deflated"] == pytest.approx(deflated_sharpe(one, 7, variance), rel=REL)
        assert table.loc[name, "deflated"] < table.loc[name, "probabilistic"]
    assert (table["pbo"] == overfitting(pd.DataFrame(made).to_numpy()).pbo).all()
    assert (table["spa_p_value"] == 1 / 200).all() and table["mcs_p_value"].min() == 1 / 200
    assert list(table.index[table["in_mcs"].astype(bool)]) == ["3"] and (table["spa_p_value"] < 0.01).all()
    assert found.notes[1:] == (
        "Backtest overfitting of 5 strategies on 200 rows in 16 blocks.",
        "Forecasts compared on 100 dates, blocks of 5: 200 draws.",
    )
    with_idle = judge([*jobs, idle], Bar(draws=1000)).strategies.set_index("job")
    assert with_idle.loc["idle", "reason"] == "returns do not vary" and np.isnan(with_idle.loc["idle", "sharpe"])


def test_strategies_that_cannot_be_judged() -> None:
    short = job("a", {"x": 1.0}, returns=returns(0, 0.0)[:10], predictions=predictions(0, 0.5)[:40])
    found = judge([short], Bar(draws=1000))
    row = found.strategies.iloc[0]
    assert np.isnan(row["pbo"]) and np.isnan(row["spa_p_value"]) and row["deflated"] == row["probabilistic"]
    assert found.notes[1:] == (
        "The probability of backtest overfitting was not computed: returns: 10 common rows of 1 strategies; needs 32 "
        "and 2.",
        "The forecasts were not compared: losses: 10 dates common to all; needs 20.",
    )
    other = [job(name, {"x": 1.0}, predictions=predictions(1, 0.5).assign(y=k)) for k, name in enumerate("abc")]
    assert judge(other, Bar(draws=1000)).notes[1] == (
        "Forecasts not compared, another target than the first job: b, c."
    )
    alone = judge([short], Bar(draws=1000, without_result=1)).strategies
    assert np.isnan(alone.loc[0, "deflated"])  # one ratio has no variance over trials
