"""Spells of labels: an asset has one from a date until another, such as the members of an index."""

from __future__ import annotations

import numpy as np
import pandas as pd

from runner.errors import DataError

DAY = pd.Timedelta(days=1)
FOR_EVER = pd.Timestamp.max.floor("D") - DAY


def with_ends(where: str, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of spells with a row without a label on the day after each spell ends.

    Args:
        table: columns `asset`, `date` (the first date), `until` (the last one, missing where the
            spell goes on) and `label`, in any order of rows.

    Raises:
        DataError: a spell that ends before it begins, or another of its asset with another label
            that begins before it ends.
    """
    spells = table.sort_values(["asset", "date"], kind="stable", ignore_index=True)
    last = pd.Series(spells["until"].to_numpy(), dtype="datetime64[us]").fillna(FOR_EVER)
    first = pd.Series(spells["date"].to_numpy(), dtype="datetime64[us]")
    _refuse(where, spells, last < first, "ends before it begins")
    # a spell may lie inside an earlier one of the same label
    reached = last.groupby(spells["asset"]).cummax()
    assets = spells["asset"]
    asset_before = spells["asset"].shift()
    same_asset = assets == asset_before
    overlaps = same_asset & (first <= reached.shift())
    labels = spells["label"]
    label_before = spells["label"].shift()
    other_label = labels != label_before
    _refuse(where, spells, overlaps & other_label, "begins before another label of its asset ends")
    is_followed = same_asset.shift(-1, fill_value=False)
    next_first = first.shift(-1).where(is_followed)
    day_after = reached + DAY
    goes_on = next_first <= day_after
    has_end = reached < FOR_EVER
    is_end = ~goes_on & has_end
    ends = np.flatnonzero(is_end)
    after = pd.DataFrame(
        {"asset": spells["asset"].iloc[ends], "date": reached.iloc[ends] + DAY, "label": None}
    )
    return pd.concat([spells[["asset", "date", "label"]], after], ignore_index=True)


def _refuse(where: str, spells: pd.DataFrame, wrong: pd.Series, what: str) -> None:
    """Refuse spells of a mask.

    Raises:
        DataError: the first of them, and how many.
    """
    if not wrong.any():
        return
    first_wrong = wrong.to_numpy().argmax()
    at = int(first_wrong)
    asset = spells["asset"].iloc[at]
    date = spells["date"].iloc[at]
    spell = f"the spell of {asset} from {date:%Y-%m-%d} {what}"
    in_all = int(wrong.sum())
    others = in_all - 1
    more = f", and {others:,} others" if others else ""
    raise DataError(f"{where}: {spell}{more}; allowed: one label of an asset at a time")
