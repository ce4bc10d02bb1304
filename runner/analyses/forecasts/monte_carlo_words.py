"""How far coefficients and the out-of-sample R2 move on perturbed data, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runner.text import count, number, percent

if TYPE_CHECKING:
    import pandas as pd

SCORE = "oos_r2"
CONSTANT = "coef/const"


def metrics_of(table: pd.DataFrame) -> dict[str, float]:
    """Per way the mean score, and the least share of draws in which a slope keeps its sign."""
    metrics: dict[str, float] = {}
    for kind, part in table.groupby("perturbation", sort=False):
        rows = part.set_index("quantity")
        slopes = [name for name in rows.index if name not in (CONSTANT, SCORE)]
        same_sign = rows.loc[slopes, "same_sign"].astype(float)
        metrics[f"{kind}_same_sign_min"] = same_sign.min()
        if SCORE in rows.index:
            metrics[f"{kind}_{SCORE}"] = rows.loc[SCORE, "mean"]
    return metrics


def words_of(table: pd.DataFrame, heads: Mapping[str, str]) -> list[str]:
    """A sentence per way to perturb.

    Args:
        table: a row per way and quantity.
        heads: how the data is perturbed, by way: the beginning of each sentence.
    """
    words = []
    for kind, head in heads.items():
        part = table[table["perturbation"] == kind]
        if not part["draws"].any():
            reason = part["reason"].iloc[0]
            words.append(f"{head}: nothing was measured, {reason}.")
            continue
        clauses = [_signs(part), _score(part), _failed(part)]
        words.append(f"{head}: {'; '.join(filter(None, clauses))}.")
    return words


def _signs(part: pd.DataFrame) -> str:
    """Which slope keeps its sign least often; all of them where there is one draw."""
    is_slope = ~part["quantity"].isin([CONSTANT, SCORE])
    slopes = part[is_slope & (part["draws"] > 0)]
    if slopes.empty:
        return ""
    if slopes["draws"].max() == 1:
        turned = int((slopes["same_sign"] == 0.0).sum())
        return f"{turned:,} of {count(len(slopes), 'slope')} change sign"
    worst = slopes.loc[slopes["same_sign"].astype(float).idxmin()]
    draws = count(int(worst["draws"]), "draw")
    if worst["same_sign"] == 1.0:
        return f"every slope keeps its sign in all of {draws}"
    name = worst["quantity"].removeprefix("coef/")
    share = f"{percent(worst['same_sign'])} of {draws}"
    return f"{name} keeps its sign least often, in {share} ({_ends(worst)})"


def _score(part: pd.DataFrame) -> str:
    """The out-of-sample R2 over draws, and on the data as it is."""
    rows = part[(part["quantity"] == SCORE) & (part["draws"] > 0)]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    score = f"out-of-sample R2 {number(row['mean'], 3)}"
    if row["draws"] > 1:
        score += f" on average ({_ends(row)})"
    return f"{score}, {number(row['original'], 3)} on the data as it is"


def _ends(row: pd.Series) -> str:
    return f"5 % to 95 %: {number(row['q05'], 3)} to {number(row['q95'], 3)}"


def _failed(part: pd.DataFrame) -> str:
    """How many draws failed, with the first reason."""
    failed = int(part["failed"].max())
    if not failed:
        return ""
    reasons = part.loc[part["reason"] != "", "reason"]
    reason = reasons.iloc[0] if len(reasons) else ""
    return f"{count(failed, 'draw')} failed ({reason})"
