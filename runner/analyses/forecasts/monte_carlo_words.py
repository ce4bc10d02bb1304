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
    by_kind = table.groupby("perturbation", sort=False)
    for kind, part in by_kind:
        rows = part.set_index("quantity")
        slopes = rows.drop([CONSTANT, SCORE], errors="ignore")
        same_sign = slopes["same_sign"].astype(float)
        metrics[f"{kind}_same_sign_min"] = same_sign.min()
        if SCORE in rows.index:
            mean_score = rows.loc[SCORE, "mean"]
            metrics[f"{kind}_{SCORE}"] = mean_score
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
        clauses = filter(None, [_signs(part), _score(part), _failed(part)])
        text = "; ".join(clauses)
        words.append(f"{head}: {text}.")
    return words


def _signs(part: pd.DataFrame) -> str:
    """Which slope keeps its sign least often; all of them where there is one draw."""
    is_slope = ~part["quantity"].isin([CONSTANT, SCORE])
    is_drawn = part["draws"] > 0
    is_drawn_slope = is_slope & is_drawn
    slopes = part[is_drawn_slope]
    if slopes.empty:
        return ""
    most_draws = slopes["draws"].max()
    if most_draws == 1:
        has_turned = slopes["same_sign"] == 0.0
        turned = int(has_turned.sum())
        slope_count = count(len(slopes), "slope")
        return f"{turned:,} of {slope_count} change sign"
    same_sign = slopes["same_sign"].astype(float)
    least = same_sign.idxmin()
    worst = slopes.loc[least]
    draws_of_worst = int(worst["draws"])
    draws = count(draws_of_worst, "draw")
    if worst["same_sign"] == 1.0:
        return f"every slope keeps its sign in all of {draws}"
    name = worst["quantity"].removeprefix("coef/")
    share = percent(worst["same_sign"])
    ends = _ends(worst)
    return f"{name} keeps its sign least often, in {share} of {draws} ({ends})"


def _score(part: pd.DataFrame) -> str:
    """The out-of-sample R2 over draws, and on the data as it is."""
    is_score = part["quantity"] == SCORE
    is_drawn = part["draws"] > 0
    is_drawn_score = is_score & is_drawn
    rows = part[is_drawn_score]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    mean = number(row["mean"], 3)
    original = number(row["original"], 3)
    over_draws = ""
    if row["draws"] > 1:
        ends = _ends(row)
        over_draws = f" on average ({ends})"
    return f"out-of-sample R2 {mean}{over_draws}, {original} on the data as it is"


def _ends(row: pd.Series) -> str:
    low = number(row["q05"], 3)
    high = number(row["q95"], 3)
    return f"5 % to 95 %: {low} to {high}"


def _failed(part: pd.DataFrame) -> str:
    """How many draws failed, with the first reason."""
    most_failed = part["failed"].max()
    failed = int(most_failed)
    if not failed:
        return ""
    reasons = part["reason"]
    is_given = reasons != ""
    given = reasons[is_given]
    reason = given.iloc[0] if len(given) else ""
    draws = count(failed, "draw")
    return f"{draws} failed ({reason})"
