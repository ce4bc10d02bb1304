"""Rows of a panel in files in which some of its features are known, whatever the others are.

Which these are is a file of one byte per row beside those of the rows, which stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from runner.data.notices import Dropped
from runner.errors import DataError
from runner.panels.numbers.rowfiles import RowFile
from runner.panels.numbers.stored import Stored
from runner.panels.numbers.usable import usable_cells
from runner.record.drafts import written_whole
from runner.text import ASSET_DATE, one_line

DIGITS = 12  # of a digest of names


def own_rows(
    cells: Stored, every: Sequence[str], names: Sequence[str], weights: str | None
) -> tuple[Stored, list[Dropped]]:
    """Those features alone, usable where they, the target and the weight are known.

    Args:
        cells: of all dates of the files.
        every: names of the features of the cells; names: of those that are taken.
        weights: the field that weighs the rows, for the account.

    Returns:
        The cells, and why the others are not usable.

    Raises:
        DataError: the files that say which they are cannot be written.
    """
    of_names = cells.of_features([every.index(name) for name in names])
    digest = sha256("\n".join(names).encode()).hexdigest()[:DIGITS]
    reasons: Counter[str] = Counter()
    files = []
    for file in cells.files:
        of_file = replace(of_names, start=file.first, stop=file.stop)
        path = file.path.with_suffix(f".{digest}.usable")
        try:
            files.append(_marked(of_file, file, list(names), weights, reasons, path))
        except OSError as error:
            line = f"panel: {str(path.parent)!r} cannot be written: {one_line(error)}"
            raise DataError(f"{line}; model.rows=common needs no further file") from error
    account = [Dropped(ASSET_DATE, reason, count) for reason, count in reasons.items() if count]
    return replace(of_names, files=tuple(files)), account


def _marked(
    cells: Stored,
    file: RowFile,
    names: list[str],
    weights: str | None,
    reasons: Counter[str],
    path: Path,
) -> RowFile:
    """The rows of a file with others of them usable, which are written; others are counted."""
    counts = []
    with written_whole(path) as flags:
        for _, part in cells.stretches():
            marked, account = usable_cells(part, names, weights, None, {})
            flags.write(np.ascontiguousarray(marked.valid, dtype=bool).data)
            counts.append(marked.usable_by_date())
            for line in account:
                reasons[line.reason] += line.rows
    return replace(file, usable=np.concatenate(counts), flags=path)
