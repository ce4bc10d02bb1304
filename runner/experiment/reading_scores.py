"""The out-of-sample scores of a report as sentences, no surer than the tests behind them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runner.text import LEVEL, count, number, p_words, plural, t_text, unit_noun

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report

SAME = 1e-9  # out-of-sample R2 below which forecasts are the benchmark but for rounding
KINDS = {
    "explanatory": (
        "Regressors and target are of the same date: this explains, it does not forecast."
    ),
    "predictive": "Regressors are known before the target: this is a forecast.",
}


def out_of_sample(report: Report) -> list[str]:
    """The scores against the benchmark, and what kind of statement they make."""
    is_pooled = report.scores["scope"] == "pooled"
    pooled = report.scores[is_pooled]
    if pooled.empty:
        return [*_nothing_held_out(report), *_kind(report)]
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


def _nothing_held_out(report: Report) -> list[str]:
    """That no row was held out, and why where the spec asks for a hold-out."""
    sentences = ["No row was held out: the fit was not tested on new rows."]
    validation = report.spec.get("validation") or {}
    if validation.get("borrowed"):
        sentences.append(
            f"The hold-out of the experiment's example, after {validation['train_end']}, does not "
            "fit these dates; validation.train_end=DATE holds out the rows after another one."
        )
    return sentences


def _r2_sentence(report: Report, scores: pd.Series, hold_outs: int) -> str:
    """R2 against the benchmark over all folds but the hold-outs, and where it is positive."""
    folds = report.predictions["fold"].nunique() - hold_outs
    sample = [count(int(scores["n_obs"]), "observation")]
    is_path = report.scores["scope"] == "path"
    paths = int(is_path.sum())
    if paths > 1:
        sample.append(count(paths, "path"))
    sample.append(count(folds, "fold"))
    details = f"{', '.join(sample)}{_positive_in(report)}"
    return f"{_against(report.benchmark, scores)} ({details})."


def _against(benchmark: str, scores: pd.Series) -> str:
    """The R2, with words of its own where it is unknown or zero.

    A model that does not nest the training mean of each asset has that of all assets beside it.
    """
    r2 = scores["r2"]
    if math.isnan(r2):
        return f"The target equals the {benchmark} out of sample, so that R2 is undefined"
    if abs(r2) < SAME:
        return f"The out-of-sample forecasts equal the {benchmark}: R2 is {number(r2)}"
    text = f"Out-of-sample R2 is {number(r2)} against the {benchmark}"
    if _has_two_benchmarks(scores):
        r2_of_all = number(scores["r2_all_assets"])
        return f"{text} of each asset, {r2_of_all} against that of all"
    return text


def _has_two_benchmarks(scores: pd.Series) -> bool:
    """Whether the mean of all assets is a benchmark too, of a model without the mean of each."""
    return bool(scores["cw_reason"]) and math.isfinite(scores["r2_all_assets"])


def _positive_in(report: Report) -> str:
    """In how many units the R2 is positive; empty of a single one."""
    is_asset = report.scores["scope"] == "asset"
    units = report.scores[is_asset]
    if len(units) < 2:
        return ""
    is_positive = units["r2"] > 0
    positive = int(is_positive.sum())
    units_noun = plural(unit_noun(units))
    return f"; positive in {positive:,} of {len(units):,} {units_noun}"


def _errors_clause(report: Report, scores: pd.Series) -> str:
    """RMSE beside that of the benchmark, the better one of two, and whether they differ."""
    name = report.benchmark
    if _has_two_benchmarks(scores):
        which = "each asset"
        if scores["rmse_all_assets"] < scores["rmse_naive"]:
            which = "all assets"
            scores = scores.copy()
            scores["rmse_naive"] = scores["rmse_all_assets"]
            scores["dm_stat"] = scores["dm_stat_all_assets"]
            scores["dm_p_value"] = scores["dm_p_value_all_assets"]
        name += f" of {which}, the better benchmark"
    ours = number(scores["rmse"])
    benchmark = number(scores["rmse_naive"])
    tests = _tests_clause(report, scores)
    return f"RMSE: {ours}, against {benchmark} for the {name}; {tests}"


def _tests_clause(report: Report, scores: pd.Series) -> str:
    """What Diebold-Mariano and Clark-West say of the forecast and its benchmark."""
    if math.isnan(scores["dm_p_value"]):
        return "the difference was not tested"
    diebold_mariano = _diebold_mariano(scores)
    if scores["cw_reason"]:
        return f"{diebold_mariano}; no Clark-West test of nested models: {scores['cw_reason']}"
    p = scores["cw_p_value"]
    gain = "a significant gain" if p < LEVEL else "no significant gain"
    test = f"Clark-West t = {t_text(scores['cw_stat'])}, {p_words(p)}, one-sided"
    return f"{diebold_mariano}; {gain} over the {report.benchmark}, which the model nests ({test})"


def _diebold_mariano(scores: pd.Series) -> str:
    """Whether the squared errors of the forecast and its benchmark differ."""
    dates = count(int(scores["test_dates"]), "date")
    p = scores["dm_p_value"]
    statistic = t_text(scores["dm_stat"])
    chance = p_words(p)
    test = f"Diebold-Mariano t = {statistic}, {chance}, {dates}"
    if p >= LEVEL:
        return f"the difference in squared errors is not significant at 5 % ({test})"
    size = "smaller" if scores["dm_stat"] > 0.0 else "larger"
    return f"the model's squared errors are significantly {size} at 5 % ({test})"


def _over_paths(report: Report) -> list[str]:
    """How the R2 of the paths of a combinatorial cross-validation spread."""
    is_path = report.scores["scope"] == "path"
    paths = report.scores[is_path]
    if paths.empty:
        return []
    r2 = paths["r2"]
    mean = number(r2.mean())
    deviation = number(r2.std())
    spread = f"mean {mean}, standard deviation {deviation}"
    lowest = number(r2.min())
    highest = number(r2.max())
    ends = f"from {lowest} to {highest}"
    return [
        f"R2 of the {count(len(paths), 'path')}: {spread}, {ends}; they forecast the same rows."
    ]


def _held_out(report: Report) -> list[str]:
    """A hold-out beside other folds."""
    is_fold = report.scores["scope"] == "fold"
    is_held_out = report.scores["unit"] == "holdout"
    sentences = []
    for _, scores in report.scores[is_fold & is_held_out].iterrows():
        observations = count(int(scores["n_obs"]), "observation")
        r2 = f"R2 = {number(scores['r2'])}"
        if _has_two_benchmarks(scores):
            r2_of_all = number(scores["r2_all_assets"])
            r2 += f" against the mean of each asset, {r2_of_all} against that of all"
        errors = _errors_clause(report, scores)
        sentences.append(
            f"The hold-out, which is in none of the above ({r2}, {observations}): {errors}."
        )
    return sentences


def _kind(report: Report) -> list[str]:
    """What kind of statement the run makes; none where nothing but a constant was fitted."""
    if report.kind == "predictive" and report.trains_on_later_rows:
        return [
            "Folds train on later rows too: this measures how well the relation holds, "
            "not a forecast that could have been made at the time."
        ]
    return [KINDS[report.kind]] if report.panel.names else []


def _not_counted(report: Report) -> list[str]:
    """How many dates the folds do not count; none where they count all."""
    usable = report.panel.usable
    is_unusable = ~usable
    unusable = int(is_unusable.sum())
    if unusable == 0:
        return []
    verb = "is" if unusable == 1 else "are"
    dates = f"{unusable:,} of {count(len(usable), 'date')}"
    return [f"{dates} {verb} in no fold: no asset has a target and every feature there."]
