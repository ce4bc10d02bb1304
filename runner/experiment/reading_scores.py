"""The out-of-sample scores of a report as sentences, no surer than the tests behind them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runner.text import LEVEL, count, number, p_text, percent, plural, t_text, unit_noun

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report

SAME = 1e-9  # out-of-sample R2 below which forecasts are the benchmark but for rounding
KINDS = {
    "explanatory": (
        "It explains the target of a row with regressors of the same row; it is not a forecast."
    ),
    "predictive": "Regressors are known before the target: a forecast, good or bad.",
}


def out_of_sample(report: Report) -> list[str]:
    """The scores against the benchmark, and what kind of statement they make."""
    pooled = report.scores[report.scores["scope"] == "pooled"]
    if pooled.empty:
        return ["No row was held out: nothing here tells how it does on new rows.", *_kind(report)]
    scores = pooled.iloc[0]
    held_out = _held_out(report)
    sentences = [
        _r2_sentence(report, scores, len(held_out)),
        f"{_errors_clause(report, scores)}.",
        *_over_paths(report),
        *held_out,
        *_kind(report),
        *_not_counted(report),
    ]
    lost = int(report.folds["not_forecast"].sum()) if "not_forecast" in report.folds else 0
    if lost:
        sentences.append(f"{count(lost, 'test row')} could not be forecast.")
    return sentences


def _r2_sentence(report: Report, scores: pd.Series, hold_outs: int) -> str:
    """R2 over all folds but the hold-outs, and the rows that it is of."""
    rows = count(int(scores["n_obs"]), "row")
    paths = int((report.scores["scope"] == "path").sum())
    if paths > 1:
        rows += f" of {count(paths, 'path')}"
    folds = count(report.predictions["fold"].nunique() - hold_outs, "fold")
    r2 = scores["r2"]
    compared = _compared(report, r2)
    return f"R2 against the {report.benchmark} is {number(r2)} ({rows}, {folds}): {compared}."


def _compared(report: Report, r2: float) -> str:
    """Better or worse than the benchmark, over all and in how many units."""
    if math.isnan(r2):
        return f"the {report.benchmark} leaves nothing to explain"
    if abs(r2) < SAME:
        return f"the same as the {report.benchmark}"
    word = "better" if r2 > 0 else "worse"
    text = f"{word} than the {report.benchmark} by {percent(abs(r2))} of its squared error"
    units = report.scores[report.scores["scope"] == "asset"]
    if len(units) > 1:
        better = int((units["r2"] > 0).sum())
        noun = plural(unit_noun(units))
        text += f", better in {better:,} of {len(units):,} {noun}"
    return text


def _errors_clause(report: Report, scores: pd.Series) -> str:
    """RMSE beside that of the benchmark, and whether the two differ by more than chance."""
    ours = number(scores["rmse"])
    benchmark = number(scores["rmse_naive"])
    tests = _tests_clause(report, scores)
    return f"RMSE is {ours} beside {benchmark} of the {report.benchmark}; {tests}"


def _tests_clause(report: Report, scores: pd.Series) -> str:
    """Whether Diebold-Mariano and Clark-West distinguish the forecast from its benchmark."""
    if math.isnan(scores["dm_p_value"]):
        return "no test was made of whether the difference is more than chance"
    diebold_mariano = _diebold_mariano(scores)
    if scores["cw_reason"]:
        return f"{diebold_mariano} (no Clark-West test of nested models: {scores['cw_reason']})"
    outcome = "finds a" if scores["cw_p_value"] < LEVEL else "finds no"
    test = f"t {t_text(scores['cw_stat'])}, p {p_text(scores['cw_p_value'])}, one-sided"
    return (
        f"{diebold_mariano}, Clark-West ({test}) {outcome} gain over the {report.benchmark}, "
        "which the model contains"
    )


def _diebold_mariano(scores: pd.Series) -> str:
    """Whether the squared errors of the forecast and its benchmark differ."""
    dates = count(int(scores["test_dates"]), "date")
    test = f"t {t_text(scores['dm_stat'])}, p {p_text(scores['dm_p_value'])}, {dates}"
    if scores["dm_p_value"] >= LEVEL:
        return f"Diebold-Mariano ({test}) does not tell their squared errors apart at 5 %"
    smaller = "model" if scores["dm_stat"] > 0.0 else "benchmark"
    return (
        f"Diebold-Mariano ({test}) tells their squared errors apart at 5 %, "
        f"smaller of the {smaller}"
    )


def _over_paths(report: Report) -> list[str]:
    """How the R2 of the paths of a combinatorial cross-validation spread."""
    paths = report.scores[report.scores["scope"] == "path"]
    if paths.empty:
        return []
    r2 = paths["r2"]
    spread = f"mean {number(r2.mean())}, standard deviation {number(r2.std())}"
    ends = f"from {number(r2.min())} to {number(r2.max())}"
    return [
        f"R2 of the {count(len(paths), 'path')}: {spread}, {ends}; they forecast the same rows."
    ]


def _held_out(report: Report) -> list[str]:
    """A hold-out beside other folds."""
    is_fold = report.scores["scope"] == "fold"
    is_held_out = report.scores["unit"] == "holdout"
    sentences = []
    for _, scores in report.scores[is_fold & is_held_out].iterrows():
        rows = count(int(scores["n_obs"]), "row")
        sentences.append(
            "The hold-out, which is in none of the above, has an R2 of "
            f"{number(scores['r2'])} ({rows}); {_errors_clause(report, scores)}."
        )
    return sentences


def _kind(report: Report) -> list[str]:
    """What kind of statement the run makes; none where nothing but a constant was fitted."""
    if report.kind == "predictive" and report.trains_on_later_rows:
        return [
            "Folds train on later rows too: how well the regressors hold, "
            "not a forecast anyone could have made."
        ]
    return [KINDS[report.kind]] if report.panel.names else []


def _not_counted(report: Report) -> list[str]:
    """How many dates the folds do not count; none where they count all."""
    usable = report.panel.usable
    unusable = int((~usable).sum())
    if unusable == 0:
        return []
    verb = "is no row" if unusable == 1 else "are no rows"
    dates = f"{unusable:,} of {count(len(usable), 'date')}"
    return [f"{dates} {verb} of the folds: no asset has a target and every feature there."]
