"""Which keys of a sweep its numbers do not depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SAME = 1e-9  # relative; further apart than the rounding of two ways to the same number


def unchanging(choices: pd.DataFrame, metrics: Mapping[int, Mapping[str, float]]) -> list[str]:
    """Keys whose jobs have the same headline numbers wherever they differ in nothing else.

    Every metric of a job is compared: coefficients, t-statistics, fit and scores. A key of which no
    two finished jobs differ in it alone is not judged.

    Args:
        choices: values of the keys, a row per job number.
        metrics: flat numbers of each finished job, by its number.
    """
    numbers = [number for number in choices.index if number in metrics]
    finished = choices.loc[numbers]
    names = map(str, choices)
    return [name for name in names if _changes_nothing(finished, name, metrics)]


def _changes_nothing(
    choices: pd.DataFrame, name: str, metrics: Mapping[int, Mapping[str, float]]
) -> bool:
    """Whether jobs that differ in the key alone have the same metrics, and some do so differ."""
    first: dict[str, int] = {}  # the first job with each choice of all other keys
    others = _other_choices(choices, name)
    compared = False
    for number in choices.index:
        partner = first.setdefault(others[number], number)
        if choices.at[partner, name] == choices.at[number, name]:
            continue
        metrics_of_partner = metrics[partner]
        metrics_of_job = metrics[number]
        if not _same(metrics_of_partner, metrics_of_job):
            return False
        compared = True
    return compared


def _other_choices(choices: pd.DataFrame, name: str) -> Mapping[int, str]:
    """What each job chose of all keys but one, as one text by its number."""
    if choices.shape[1] == 1:
        return dict.fromkeys(choices.index, "")
    other_choices = choices.drop(columns=name)
    others = other_choices.astype(str)
    return others.agg("\x1f".join, axis=1).to_dict()


def _same(left: Mapping[str, float], right: Mapping[str, float]) -> bool:
    """Whether two jobs have the same metrics, rounding aside."""
    if left.keys() != right.keys():
        return False
    numbers = list(left.values())
    values = np.array(numbers)
    others = np.array([right[name] for name in left])
    return bool(np.allclose(values, others, rtol=SAME, atol=0.0))
