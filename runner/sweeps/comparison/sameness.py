"""Which keys of a sweep its numbers do not depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SAME = 1e-9  # relative; further apart than the rounding of two ways to the same number


def unchanging(choices: pd.DataFrame, metrics: Mapping[int, Mapping[str, float]]) -> list[str]:
    """Keys whose jobs have the same headline numbers wherever nothing else differs between them.

    Every metric of a job is compared: coefficients, t-statistics, fit and scores. A key of which no
    two finished jobs differ in it alone is not judged.

    Args:
        choices: values of the keys, a row per job number.
        metrics: flat numbers of each finished job, by its number.
    """
    finished = choices.loc[[number for number in choices.index if number in metrics]]
    return [str(name) for name in choices if _changes_nothing(finished, str(name), metrics)]


def _changes_nothing(
    choices: pd.DataFrame, name: str, metrics: Mapping[int, Mapping[str, float]]
) -> bool:
    first: dict[str, int] = {}
    others = (
        choices.drop(columns=name).astype(str).agg("\x1f".join, axis=1)
        if choices.shape[1] > 1
        else None
    )
    compared = False
    for number in choices.index:
        alike = "" if others is None else others[number]
        partner = first.setdefault(alike, number)
        if choices.at[partner, name] == choices.at[number, name]:
            continue
        if not _same(metrics[partner], metrics[number]):
            return False
        compared = True
    return compared


def _same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether two jobs have the same metrics, rounding aside."""
    if one.keys() != other.keys():
        return False
    left = np.array(list(one.values()))
    right = np.array([other[name] for name in one])
    return bool(np.allclose(left, right, rtol=SAME, atol=0.0))
