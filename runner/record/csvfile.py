"""Tables as CSV, as every reader takes them apart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# what a text is quoted for; other systems end a line by a carriage return
NEEDS_QUOTES = re.compile('[,"\r\n]')


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; numbers have as many digits as they need to be the same bit for bit."""
    import pyarrow.compute as pc

    columns = [_texts(table[name]) for name in table]
    if len(columns) == 1:  # a line without a letter would be no row
        columns = [pc.if_else(pc.equal(columns[0], ""), '""', columns[0])]
    lines = [",".join(map(_quoted, map(str, table.columns)))]
    if len(table) and columns:
        lines += pc.binary_join_element_wise(*columns, ",").to_pylist()
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("\n".join(lines) + "\n")


def _texts(column: pd.Series) -> pa.Array:
    """A column as it is written, empty where it has no value."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if pd.api.types.is_float_dtype(column.dtype):
        numbers = pa.array(column.to_numpy(dtype=float), from_pandas=True)
        return pc.fill_null(pc.cast(numbers, pa.string()), "")
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pa.array(column.to_csv(index=False, header=False).splitlines(), pa.string())
    if pd.api.types.is_object_dtype(column.dtype):  # 1, 1.0 and True are different texts
        values = column.where(column.notna(), "").tolist()
        texts = [_quoted(str(value)) for value in values]
        return pa.array(texts, pa.string())
    codes, values = pd.factorize(column)
    distinct = pa.array([*(_quoted(str(value)) for value in values), ""], pa.string())
    codes[codes < 0] = len(values)
    return distinct.take(pa.array(codes))


def _quoted(text: str) -> str:
    """A text in quotes where it needs them."""
    if not NEEDS_QUOTES.search(text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
