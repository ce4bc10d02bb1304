"""Coefficients fitted on the training rows of each fold: whether they stay where they are."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.errors import DataError, RunnerError, listed
from runner.panels.finding import Finding
from runner.text import count, number, percent, plural

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.fit import Fit
    from runner.models.study import Study
    from runner.validation.splitters import Fold

MOST_UNITS = 12  # up to which each unit has rows of its own against the mean
MOST_TERMS = 8  # terms with a sentence of their own
ERRORS = ["std_error", "t_stat", "ci_low", "ci_high"]
COLUMNS = [
    "fold",
    "train_start",
    "train_end",
    "train_dates",
    "scope",
    "unit",
    "units",
    "term",
    "estimate",
    *ERRORS,
    "all_rows",
    "same_sign",
]
NO_FOLD = (
    "validation: no fold; "
    "allowed: one that fits on a part of the rows, such as validation=walk_forward"
)


def coefficients_by_fold(study: Study) -> Finding:
    """Estimates of the model on the training rows of each fold, with its own errors.

    In the units of the coefficients: the mean over units where there are several (and each unit, up
    to 12 assets or groups), else the one regression. `units` is how many a mean is over, `all_rows`
    the estimate of the fit on all rows, `same_sign` whether the fold has its sign. The words and
    metrics are of the means: the share of folds with that sign, and the standard deviation over
    folds (ddof 1) over the mean standard error. Folds that share training rows agree by
    construction, so that this is no test: the share of rows in common is given.

    Raises:
        DataError: no fold, or a model without coefficients.
    """
    import pandas as pd

    if not study.folds:
        raise DataError(NO_FOLD)
    whole = central(study.fit)
    parts = []
    lost = {}
    for fold in study.folds:
        try:
            parts.append(_of_fold(study, fold, whole))
        except RunnerError as error:
            lost[fold.name] = error.mistakes[0]
    if not parts:
        fold_name, reason = next(iter(lost.items()))
        raise DataError(f"validation: no fold has estimates; fold {fold_name}: {reason}")
    table = pd.concat(parts, ignore_index=True)[COLUMNS]
    scope_of_mean = whole["scope"].iloc[0]
    means = table[table["scope"] == scope_of_mean]
    summary = by_term(means)
    metrics = _metrics(summary)
    scopes = study.fit.coefficients["scope"]
    scope = str(scopes.iloc[0])
    folds = means["fold"].nunique()
    words = _signs(summary, folds)
    words += _composition(means, scope)
    words += _overlap(study.folds)
    if lost:
        lost_folds = count(len(lost), "fold")
        names = listed(lost)
        words.append(f"{lost_folds} without estimates: {names}.")
    return Finding(table, metrics, words, "fold_paths")


def _metrics(summary: pd.DataFrame) -> dict[str, float]:
    """Agreement of signs and spread of the slopes, or of the constant where there is no other."""
    is_slope = summary["term"] != "const"
    slopes = summary[is_slope]
    if slopes.empty:
        slopes = summary
    ratio = slopes["spread"] / slopes["std_error"]
    same_sign = slopes["same_sign"]
    metrics = {"same_sign_min": same_sign.min()}
    metrics["same_sign_mean"] = same_sign.mean()
    metrics["spread_over_error_max"] = ratio.max()
    return metrics


def central(fit: Fit) -> pd.DataFrame:
    """Coefficients of the mean over units, or of the only unit.

    Raises:
        DataError: there are none.
    """
    table = fit.coefficients
    is_mean = table["scope"] == "mean"
    mean = table[is_mean]
    if len(mean):
        return mean
    units = table[["scope", "unit"]].drop_duplicates()
    if len(units) != 1:
        several = count(len(units), "unit")
        raise DataError(f"model: its fit has {several} without a mean; allowed: with coefficients")
    return table


def units_of(fit: Fit) -> int:
    """How many units have estimates."""
    table = fit.coefficients
    is_unit = table["scope"] != "mean"
    units = table.loc[is_unit, "unit"]
    return int(units.nunique())


def _of_fold(study: Study, fold: Fold, whole: pd.DataFrame) -> pd.DataFrame:
    """Rows of one fold; of the same scope as the fit on all rows, `whole`.

    Raises:
        RunnerError: the fold has no such estimates.
    """
    import pandas as pd

    fit = study.model.fit(study.panel, fold.train)
    study.panel.rest()
    scope = whole["scope"].iloc[0]
    table = central(fit)
    scope_of_fold = table["scope"].iloc[0]
    if scope_of_fold != scope:
        raise DataError("only one regression could be estimated: there is no mean")
    if scope == "mean":
        is_unit = fit.coefficients["scope"].isin(["asset", "group"])
        each = fit.coefficients[is_unit]
        units_in_table = each["unit"].nunique()
        if units_in_table <= MOST_UNITS:
            both_tables = [table, each]
            table = pd.concat(both_tables)
    train_dates = study.panel.dates[fold.train]
    key = ["scope", "unit", "term"]
    on_all_rows = study.fit.coefficients.set_index(key)["estimate"]
    rows = pd.MultiIndex.from_frame(table[key])
    of_rows = on_all_rows.reindex(rows)
    all_rows = of_rows.to_numpy()
    estimates = table["estimate"].to_numpy()
    sign = np.sign(estimates)
    sign_on_all = np.sign(all_rows)
    same_sign = sign == sign_on_all
    is_mean = table["scope"] == "mean"
    units = np.where(is_mean, units_of(fit), 1)
    first = train_dates[0]
    last = train_dates[-1]
    table = table.assign(fold=fold.name, train_start=first, train_end=last)
    table = table.assign(train_dates=len(fold.train), units=units)
    return table.assign(all_rows=all_rows, same_sign=same_sign)


def by_term(means: pd.DataFrame) -> pd.DataFrame:
    """Estimates of each term over folds.

    Columns: the estimate on all rows, the share of folds with its sign, least, greatest and
    standard deviation over folds, and the mean standard error.
    """
    terms = means.groupby("term", sort=False)
    estimates = terms["estimate"]
    summary = means[["term"]].drop_duplicates().set_index("term")
    summary["all_rows"] = terms["all_rows"].first()
    summary["same_sign"] = terms["same_sign"].mean()
    summary["least"] = estimates.min()
    summary["greatest"] = estimates.max()
    summary["spread"] = estimates.std()
    summary["std_error"] = terms["std_error"].mean()
    return summary.reset_index()


def _signs(summary: pd.DataFrame, folds: int) -> list[str]:
    """A sentence per term; where there are many, of those that change their sign."""
    if folds == 1:
        return ["One fold has estimates: there is nothing to compare over folds."]
    if len(summary) <= MOST_TERMS:
        return [_term_sentence(row, folds) for row in summary.itertuples()]
    changes_sign = summary["same_sign"] < 1.0
    changing = summary[changes_sign]
    terms = count(len(summary), "term")
    words = [f"{len(changing):,} of {terms} change their sign in some fold."]
    largest = changing.head(MOST_TERMS)
    shown = largest.itertuples()
    return words + [_term_sentence(row, folds) for row in shown]


def _term_sentence(row: Any, folds: int) -> str:
    folds_agreeing = row.same_sign * folds
    agreeing = round(folds_agreeing)
    sign = _sign(row.all_rows)
    folds_text = count(folds, "fold")
    signs = f"{sign} in the full sample and in {agreeing:,} of {folds_text}"
    least = number(row.least, 3)
    greatest = number(row.greatest, 3)
    spread = number(row.spread, 3)
    against = ""
    if not np.isnan(row.std_error):
        error = number(row.std_error, 3)
        against = f", against a mean standard error of {error}"
    return (
        f"{row.term}: {signs}, from {least} to {greatest}; "
        f"standard deviation over folds {spread}{against}."
    )


def _sign(value: float) -> str:
    if value > 0.0:
        return "positive"
    if value < 0.0:
        return "negative"
    return "zero"


def _overlap(folds: list[Fold]) -> list[str]:
    """How many training rows neighbouring folds share; none where there is one fold."""
    shares = [_shared(fold, following) for fold, following in pairwise(folds)]
    if not shares:
        return []
    if max(shares) == 0.0:
        return ["Neighbouring folds share no training rows."]
    mean_share = np.mean(shares)
    share = percent(float(mean_share))
    return [
        f"Neighbouring folds share {share} of their training rows on average: "
        "their estimates agree by construction, "
        "and their spread understates how much estimates vary over new samples."
    ]


def _shared(first: Fold, second: Fold) -> float:
    """Share of the training rows of two folds that both have."""
    both = np.intersect1d(first.train, second.train)
    either = np.union1d(first.train, second.train)
    return len(both) / len(either)


def _composition(means: pd.DataFrame, scope: str) -> list[str]:
    """Of means over assets or groups: what their errors are, and whether folds average the same."""
    averaged = means["units"]
    low = int(averaged.min())
    high = int(averaged.max())
    if scope not in ("asset", "group") or high == 1:
        return []
    units = plural(scope)
    words = [
        f"Standard errors of means over {units} are from the spread over {units}, not over time."
    ]
    if low < high:
        words.append(f"Means are over {low:,} to {high:,} {units}, different ones in each fold.")
    return words
