"""The sentences count what the tables hold, and claim no more than the tests do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.data.notices import Dropped
from runner.data.sources.french import French
from runner.experiment.reading import reading, sections
from runner.experiment.report import Report
from runner.experiment.run import run
from runner.experiment.settings import Settings
from runner.experiment.spec import Experiment
from runner.experiment.wording import target_text
from runner.features.functions import shared
from runner.models.regression import Regression
from runner.targets import Unit, same_period_return
from runner.text import count, number, p_text
from runner.validation.splitters import HoldOut, NoValidation

NINE = ["S1V1", "S1V3", "S1V5", "S3V1", "S3V3", "S3V5", "S5V1", "S5V3", "S5V5"]
FACTORS = ("MktRF", "SMB", "HML")


def french(assets: list[str], held_out: bool = True, **settings: Any) -> Report:
    """A report on portfolios of French, since 1990."""
    return run(
        Experiment(
            settings=Settings("x"),
            spec={"target": {"_target_": "runner.targets.same_period_return", "risk_free": "RF"}},
            source=French(assets, start="1990-01-01"),
            features={
                name: lambda market, name=name: shared(market, series=name) for name in FACTORS
            },
            target=lambda market: same_period_return(market, risk_free="RF"),
            model=Regression(**settings),
            splitter=HoldOut("2005-12-31") if held_out else NoValidation(),
        )
    )


@pytest.fixture(scope="module")
def nine() -> Report:
    return french(NINE, hypotheses=["const = 0"])


def with_p(report: Report, p: float, term: str) -> Report:
    """The report with this p-value for one term in every unit."""
    table = report.fit.coefficients.copy()
    table.loc[table["term"] == term, "p_value"] = p
    return replace(report, fit=replace(report.fit, coefficients=table))


def said(report: Report, start: str) -> str:
    """The one sentence that starts so."""
    found = [sentence for sentence in reading(report) if sentence.startswith(start)]
    assert len(found) == 1, (start, reading(report))
    return found[0]


def test_significance_is_counted_with_its_signs(nine: Report) -> None:
    table = nine.fit.coefficients.query("scope == 'asset' and term == 'SMB'")
    hits = table[table["p_value"] < 0.05]
    up, down = (hits["estimate"] > 0).sum(), (hits["estimate"] < 0).sum()
    assert up and down
    sentence = said(nine, "SMB ")
    assert (
        f"significant at 5 % in {len(hits)} of 9 assets ({up} positive, {down} negative)"
        in sentence
    )
    low, high = table.loc[table["estimate"].idxmin()], table.loc[table["estimate"].idxmax()]
    assert (
        f"from {number(low['estimate'])} ({low['unit']}) to {number(high['estimate'])} ({high['unit']})"
        in sentence
    )


def test_a_term_that_no_unit_shows_is_not_distinguishable(nine: Report) -> None:
    assert "not significantly different from zero at 5 % in any of 9 assets" in said(
        with_p(nine, 0.2, "HML"), "HML "
    )


@pytest.mark.parametrize(
    ("p", "verdict"),
    [
        (0.009, "significantly different from zero at 1 %"),
        (0.01, "significantly different from zero at 5 %"),
        (0.05, "significantly different from zero at 10 %"),
        (0.1, "not significantly different from zero (p = 0.100)"),
        (float("nan"), "without a test"),
    ],
)
def test_one_unit_gets_a_verdict_at_the_level_its_test_reaches(p: float, verdict: str) -> None:
    sentence = said(with_p(french(["S1V1"]), p, "HML"), "HML: ")
    assert sentence.endswith(f", {verdict}.")


def test_chance_is_named_where_it_could_have_done_it(nine: Report) -> None:
    rows = nine.fit.coefficients.query("scope == 'asset' and unit == 'S1V1'")
    many = pd.concat([rows.assign(unit=f"A{i}", p_value=0.01 if i < 2 else 0.5) for i in range(40)])
    sentence = said(replace(nine, fit=replace(nine.fit, coefficients=many)), "MktRF ")
    assert "in 2 of 40 assets (positive), where chance alone would give about 2;" in sentence


def test_out_of_sample_names_the_benchmark_and_the_direction(nine: Report) -> None:
    pooled = nine.scores.query("scope == 'pooled'").iloc[0]
    better = said(nine, "Out-of-sample R2")
    assert f"R2 is {number(pooled['r2'])} against the training mean" in better
    assert "it does not forecast" in " ".join(reading(nine))
    worse = replace(nine, scores=nine.scores.assign(r2=-0.02))
    sentence = said(worse, "Out-of-sample R2")
    assert "R2 is -0.02000 against the training mean" in sentence
    assert "; positive in 0 of 9 assets" in sentence
    rmse = f"{number(pooled['rmse'])}, against {number(pooled['rmse_naive'])} for the training mean"
    assert rmse in said(nine, "RMSE")


def test_predictive_runs_are_not_called_explanatory(nine: Report) -> None:
    assert nine.audit is not None
    ahead = replace(
        nine,
        panel=replace(nine.panel, horizon=5, unit=Unit("excess return", "decimals", "return")),
        audit=replace(nine.audit, looks_ahead=True),
    )
    assert "does not forecast" not in " ".join(reading(ahead))
    assert "Targets over 5 rows overlap" in " ".join(reading(ahead))
    assert target_text(ahead) == "excess return (over 5 rows ahead, decimals)"
    said_only = replace(
        ahead, audit=nine.audit
    )  # the target's horizon says so, but no later row moves it
    assert said_only.kind == "explanatory"
    assert "does not forecast" in " ".join(reading(said_only))


def test_without_held_out_rows_nothing_is_claimed_about_new_ones() -> None:
    parts = sections(french(["S1V1"], held_out=False))
    assert parts["Out of sample"][0].startswith("No row was held out")


@pytest.mark.parametrize(
    ("cov", "unequal", "serial"),
    [
        ("nonrobust", "use model.cov=HC3", "use model.cov=HAC"),
        ("HC3", "HC3 standard errors allow for it", "use model.cov=HAC"),
        ("HAC", "Newey-West standard errors allow", "Newey-West standard errors allow"),
    ],
)
def test_advice_follows_the_errors_in_force(cov: Any, unequal: str, serial: str) -> None:
    report = french(NINE, cov=cov)
    sick = report.diagnostics.assign(p_value=report.diagnostics["p_value"] * 0.0)
    report = replace(report, diagnostics=sick)
    assert unequal in said(report, "Heteroskedasticity at 5 % in 9 of 9 assets")
    assert serial in said(report, "Serial correlation at 5 % in 9 of 9 assets")


def test_healthy_residuals_are_no_proof(nine: Report) -> None:
    p = nine.diagnostics["p_value"]
    healthy = replace(nine, diagnostics=nine.diagnostics.assign(p_value=p.where(p.isna(), 0.5)))
    assert "does not prove their absence" in said(
        healthy, "Not found at 5 %: heteroskedasticity, serial correlation"
    )


def test_diagnostics_count_units_once_over_both_tests(nine: Report) -> None:
    rows = nine.diagnostics[nine.diagnostics["diagnostic"].isin(["breusch_pagan", "white"])]
    bad = rows[rows["p_value"] < 0.05]["unit"].nunique()
    assert bad
    assert f"in {bad} of 9 assets (Breusch-Pagan or White)" in said(nine, "Heteroskedasticity")


def test_collinear_columns_are_named(nine: Report) -> None:
    table = nine.diagnostics.copy()
    table.loc[(table["term"] == "SMB") & (table["unit"] == "S1V1"), "statistic"] = 41.2
    assert "SMB (VIF up to 41.2)" in said(replace(nine, diagnostics=table), "Collinear: ")
    assert not [sentence for sentence in reading(nine) if sentence.startswith("Collinear")]


def test_hypotheses_are_rejected_or_not_and_never_proven(nine: Report) -> None:
    rejected = nine.fit.hypotheses.query("scope == 'asset' and p_value < 0.05").shape[0]
    assert said(nine, "const = 0 is") == f"const = 0 is rejected at 5 % in {rejected} of 9 assets."
    one = french(["S3V3"], hypotheses=["MktRF = 1"])
    accepted = replace(one, fit=replace(one.fit, hypotheses=one.fit.hypotheses.assign(p_value=0.4)))
    f_stat = one.fit.hypotheses["f_stat"].iloc[0]
    expected = (
        f"MktRF = 1 is not rejected at 5 % (F(1, 323) = {f_stat:.2f}, p = 0.400), "
        "which does not prove it."
    )
    assert said(accepted, "MktRF = 1") == expected


def test_what_was_left_out_is_counted(nine: Report) -> None:
    quality = nine.fit.quality.copy()
    quality.loc[:1, ["r2", "reason"]] = [[np.nan, "3 rows for 4 terms"]] * 2
    dropped = (
        Dropped("asset-date", "target is missing", 1),
        Dropped("source row", "no date", 1200),
    )
    cut = replace(
        nine, fit=replace(nine.fit, quality=quality), panel=replace(nine.panel, dropped=dropped)
    )
    assert sections(cut)["Left out"] == [
        "1 asset-date dropped: target is missing.",
        "1,200 source rows dropped: no date.",
        "2 of 9 assets (S1V1, S1V3): not estimated, 3 rows for 4 terms.",
    ]


def test_no_tests_no_claims(nine: Report) -> None:
    bare = replace(nine, diagnostics=nine.diagnostics.iloc[:0], scores=nine.scores.iloc[:0])
    assert "Diagnostics" not in sections(bare)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.23456, "1.235"),
        (0.0, "0"),
        (-0.00051234, "-0.0005123"),
        (1234567.8, "1,234,568"),
        (9.9999, "10.00"),
        (1.2e-7, "1.200e-07"),
        (float("nan"), "–"),
        (float("inf"), "inf"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_small_words() -> None:
    assert [count(1, "row"), count(2000, "row")] == ["1 row", "2,000 rows"]
    assert [p_text(0.0004), p_text(0.05)] == ["<0.001", "0.050"]


def test_no_heavy_imports() -> None:
    source = Path(__file__).parents[1] / "runner" / "text.py"
    assert "matplotlib" not in source.read_text(encoding="utf-8")
