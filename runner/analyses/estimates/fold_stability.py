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

MOST_UNITS = 12  # up to which each unit has rows of its own beside the mean
MOST_TOLD = 8  # terms with a sentence of their own
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
]
COLUMNS += ["all_rows", "same_sign"]
NO_FOLD = "validation: no fold; allowed: one that fits on a part of the rows, such as validation=walk_forward"


def coefficients_by_fold(study: Study) -> Finding:
    """Estimates of the model on the training rows of each fold, with its own errors, in units of
    the coefficients.

    The mean over units where there are several (and each unit, up to 12 assets or groups), else the
    one regression. `units` is how many a mean is over, `all_rows` the estimate of the fit on all
    rows, `same_sign` whether the fold has its sign. The words and metrics are of the means: the
    share of folds with that sign, and the standard deviation over folds (ddof 1) over the mean
    standard error. Folds that share training rows agree by construction, so that this is no test:
    the share of rows in common is told.

    Raises:
        DataError: no fold, or a model without coefficients.
    """
    import pandas as pd

    if not study.folds:
        raise DataError(NO_FOLD)
    whole = central(study.fit)
    parts, lost = [], {}
    for fold in study.folds:
        try:
            parts.append(_of_fold(study, fold, whole))
        except RunnerError as error:
            lost[fold.name] = error.mistakes[0]
    if not parts:
        raise DataError(
            f"validation: no fold has estimates; fold {next(iter(lost))}: {next(iter(lost.values()))}"
        )
    table = pd.concat(parts, ignore_index=True)[COLUMNS]
    means = table[table["scope"] == whole["scope"].iloc[0]]
    about = by_term(means)
    slopes = about[about["term"] != "const"] if (about["term"] != "const").any() else about
    metrics = {
        "same_sign_min": slopes["same_sign"].min(),
        "same_sign_mean": slopes["same_sign"].mean(),
    }
    metrics |= {"spread_over_error_max": (slopes["spread"] / slopes["std_error"]).max()}
    words = _signs(about, means["fold"].nunique())
    words += [
        *_composition(means, str(study.fit.coefficients["scope"].iloc[0])),
        *_overlap(study.folds),
    ]
    words += [f"{count(len(lost), 'fold')} without estimates: {listed(lost)}."] if lost else []
    return Finding(table, metrics, words, "fold_paths")


def central(fit: Fit) -> pd.DataFrame:
    """Coefficients of the mean over units, or of the only unit.

    Raises:
        DataError: there are none.
    """
    table = fit.coefficients
    mean = table[table["scope"] == "mean"]
    if len(mean):
        return mean
    units = table[["scope", "unit"]].drop_duplicates()
    if len(units) != 1:
        raise DataError(
            f"model: its fit has {count(len(units), 'unit')} without a mean; allowed: with coefficients"
        )
    return table


def units_of(fit: Fit) -> int:
    """How many units have estimates."""
    table = fit.coefficients
    return int(table.loc[table["scope"] != "mean", "unit"].nunique())


def _of_fold(study: Study, fold: Fold, whole: pd.DataFrame) -> pd.DataFrame:
    """Rows of one fold; of the same scope as the fit on all rows, `whole`.

    Raises:
        RunnerError: the fold has no such estimates.
    """
    import pandas as pd

    fit, scope = study.model.fit(study.panel, fold.train), whole["scope"].iloc[0]
    own = central(fit)
    if own["scope"].iloc[0] != scope:
        raise DataError("only one unit could be estimated, which is no mean")
    if scope == "mean":
        each = fit.coefficients[fit.coefficients["scope"].isin(["asset", "group"])]
        own = pd.concat([own, each]) if each["unit"].nunique() <= MOST_UNITS else own
    dates = study.panel.dates
    own = own.assign(
        fold=fold.name, train_start=dates[fold.train[0]], train_end=dates[fold.train[-1]]
    )
    own = own.assign(
        train_dates=len(fold.train), units=np.where(own["scope"] == "mean", units_of(fit), 1)
    )
    known = study.fit.coefficients.set_index(["scope", "unit", "term"])["estimate"]
    every = known.reindex(pd.MultiIndex.from_frame(own[["scope", "unit", "term"]])).to_numpy()
    return own.assign(
        all_rows=every, same_sign=np.sign(own["estimate"].to_numpy()) == np.sign(every)
    )


def by_term(means: pd.DataFrame) -> pd.DataFrame:
    """Per term over folds: share with the sign of the fit on all rows, least, greatest, spread and
    mean error.
    """
    groups = means.groupby("term", sort=False)
    of = groups["estimate"]
    columns = {"all_rows": groups["all_rows"].first(), "same_sign": groups["same_sign"].mean()}
    columns |= {
        "least": of.min(),
        "greatest": of.max(),
        "spread": of.std(),
        "std_error": groups["std_error"].mean(),
    }
    return means[["term"]].drop_duplicates().set_index("term").assign(**columns).reset_index()


def _signs(about: pd.DataFrame, folds: int) -> list[str]:
    if folds == 1:
        return ["One fold has estimates: there is nothing to compare over folds."]
    told = about if len(about) <= MOST_TOLD else about[about["same_sign"] < 1.0].head(MOST_TOLD)
    found = [_moves(row, folds) for row in told.itertuples()]
    if len(about) > MOST_TOLD:
        other = int((about["same_sign"] < 1.0).sum())
        found.insert(0, f"{other:,} of {count(len(about), 'term')} change their sign in some fold.")
    return found


def _moves(row: Any, folds: int) -> str:
    share = round(row.same_sign * folds)
    sign = "positive" if row.all_rows > 0.0 else "negative" if row.all_rows < 0.0 else "zero"
    ends = f"from {number(row.least, 3)} to {number(row.greatest, 3)}"
    error = (
        ""
        if np.isnan(row.std_error)
        else f", beside a mean standard error of {number(row.std_error, 3)}"
    )
    return (
        f"{row.term}: {sign} on all rows and in {share:,} of {count(folds, 'fold')}, {ends}; "
        f"standard deviation over folds {number(row.spread, 3)}{error}."
    )


def _overlap(folds: list[Fold]) -> list[str]:
    """How many training rows neighbouring folds share; none where there is one fold."""
    shares = [
        len(np.intersect1d(one.train, two.train)) / len(np.union1d(one.train, two.train))
        for one, two in pairwise(folds)
    ]
    if not shares:
        return []
    if max(shares) == 0.0:
        return ["Neighbouring folds share no training rows."]
    share = percent(float(np.mean(shares)))
    return [
        f"Neighbouring folds share {share} of their training rows on average: they agree by construction, and the "
        "spread over them understates how far estimates move on new rows."
    ]


def _composition(means: pd.DataFrame, scope: str) -> list[str]:
    """Of means over assets or groups: what their errors are, and whether folds average the same."""
    low, high = int(means["units"].min()), int(means["units"].max())
    if scope not in ("asset", "group") or high == 1:
        return []
    found = [
        f"Standard errors of means over {plural(scope)} come from the spread over these, not over time."
    ]
    return found + [
        f"Means are over {low:,} to {high:,} {plural(scope)}: folds average unlike things."
    ] * (low < high)
