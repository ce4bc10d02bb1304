"""What the table of assets in files is: long or wide, its columns by the spec or by usual names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.data.factor_names import RISK_FREE, canonical
from runner.data.notices import CELLS, HEADINGS
from runner.data.reading import shapes, usual
from runner.data.reading.dates.columns import read_dates
from runner.data.reading.files import OWN_COLUMN, Files, check
from runner.data.reading.parsing import Numbers, read_numbers
from runner.data.reading.roles import asked_columns
from runner.data.reading.shapes import Values
from runner.errors import DataError, listed
from runner.text import count, number

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.schema.settings import AskedFor

MOST = 0.5  # share of the values
PER_CENT = 0.2  # median size above which factors are no decimal returns


@dataclass(frozen=True)
class AssetTable:
    """A row per date and asset, and the columns that are read.

    Attributes:
        columns: name here -> column; None for one that is not read.
        read: gives the wanted columns (place in the spec -> column), some as text.
        notes: sentences on what was recognised; more are added while rows are read.
        guessed: names here whose column the spec leaves open.
        unread: columns that the spec does not name.
        asked: columns that the spec names outside of `data`, and how each is read.
        per_cent: whether the cells were written with per cent signs, and so divided by 100.
        as_written: whether the files have a row per date and asset with these columns.
        called: name here -> what people call its column, where that has another name in the files.
    """

    columns: Mapping[str, str | None]
    read: Callable[[Mapping[str, str], set[str]], pa.Table]
    notes: list[str] = field(default_factory=list)
    guessed: Sequence[str] = ()
    unread: tuple[str, ...] = ()
    asked: Mapping[str, AskedFor] = field(default_factory=dict)
    per_cent: bool = False
    as_written: bool = False
    called: Mapping[str, str] = field(default_factory=dict)


class Wide(NamedTuple):
    """A table of dates x columns.

    Attributes:
        date: the dates as written.
        cells: name of a column -> numbers (T,).
        words: how the dates were recognised.
        per_cent: whether numbers were written with per cent signs, and so divided by 100.
    """

    date: pa.ChunkedArray
    cells: Mapping[str, pa.ChunkedArray]
    words: str
    per_cent: bool

    def __str__(self) -> str:
        return f"{len(self.date):,} dates x {len(self.cells):,}"

    def sizes(self) -> np.ndarray:
        """The numbers of all cells that have one."""
        together = np.concatenate([column.to_numpy() for column in self.cells.values()])
        return together[np.isfinite(together)]


def asset_table(
    files: Files,
    columns: Mapping[str, str | None],
    groups: Mapping[str, str],
    values: Values | None,
    asked: Mapping[AskedFor, Sequence[str]],
    classified: Collection[str] = (),
) -> AssetTable:
    """The table of assets of the files.

    Args:
        values: what the cells of a wide table are; null: by the cells.
        asked: what the spec names outside of `data`; of a long table, such columns are read.
        classified: assets of a wide table of which the spec says whether they are assets or series.

    Raises:
        DataError: columns that may be several of the file, a wide table that is not said to be
            one, cells that may be prices or returns, factors instead of assets.
    """
    if files.form.form == "wide":
        if groups:
            raise DataError("data.groups: a wide file has none; allowed: {} with data.form=wide")
        date = _date_column(files, columns)
        return _melted(files, date, _wide(files, date, files.everything({date})), values)
    chosen, changed = usual.resolved(columns, _of_roles(files))
    if files.form.form is None and _may_be_wide(chosen, files.names):
        return _of_wide(files, columns, values, classified)
    asset = chosen.get(usual.ASSET)
    default = asset == usual.SNAPSHOT[usual.ASSET]
    wanted = {*chosen.values(), *groups.values()} - {None}
    further = asked_columns(asked, files.names, chosen)
    settled = {*wanted, *further, *chosen}  # a name that is null in the spec is settled too
    others = [name for name in files.names if name not in settled]
    unread = tuple(name for name in others if not name.startswith("__"))  # no index of pandas
    asset_alone_lacks = default and wanted.difference(files.names) == {asset}
    if asset_alone_lacks and shapes.is_of_one_asset(files.names):
        table = _of_one_asset(files, chosen, changed)
        return replace(table, unread=unread, asked=further)
    may_be_price = columns.get("close", "") is not None
    question = usual.question(files.shown, files.names, chosen, may_be_price)
    defaults = {usual.SNAPSHOT.get(name) for name in (usual.DATE, usual.ASSET)}
    if question and wanted.difference(files.names) <= defaults:
        wide = "; data.form=wide where its columns are assets" if files.form.form else ""
        raise DataError(f"{question}{wide}")
    notes = [*files.notes, *_on_columns(chosen, changed)]
    return AssetTable(chosen, files.load, notes, changed, unread, further, as_written=True)


def _of_roles(files: Files) -> list[str]:
    """The columns that may be keys or values: no folder month=1 beside dates of the file."""
    folders = [name for name in files.parts[0].said if usual.find(usual.DATE, [name])]
    own = [name for name in files.names if name not in folders]
    return own if usual.find(usual.DATE, own) else files.names


def _on_columns(chosen: Mapping[str, str | None], changed: Sequence[str]) -> list[str]:
    """The sentence on columns that were recognised by their names."""
    if not changed:
        return []
    recognised = []
    absent = []
    settings = []
    for name in changed:
        if chosen[name] is None:
            absent.append(f"no {name}")
            settings.append(f"data.columns.{name}=null")
        else:
            recognised.append(f"{name}: {chosen[name]}")
    words = []
    if recognised:
        words.append(f"Columns by their usual names (data.columns={{{', '.join(recognised)}}})")
    if absent:
        left_out = " and ".join(absent)
        words.append(f"{left_out} ({' '.join(settings)})")
    sentence = "; ".join(words)
    return [f"{sentence[0].upper()}{sentence[1:]}."]


def _of_one_asset(
    files: Files, chosen: Mapping[str, str | None], changed: Sequence[str]
) -> AssetTable:
    """A file without a column of assets, whose columns are the fields of one."""
    import pyarrow as pa

    name = Path(files.shown).name.split(".")[0]

    def read(wanted: Mapping[str, str], text: set[str]) -> pa.Table:
        own = {}
        for where, column in wanted.items():
            if column != OWN_COLUMN:
                own[where] = column
        table = files.load(own, text)
        codes = np.zeros(len(table), dtype=np.int32)
        asset = pa.DictionaryArray.from_arrays(pa.array(codes), [name])
        return table.append_column(OWN_COLUMN, asset)

    note = f"No column of assets: the file is one asset, {name}, by its name."
    notes = [*files.notes, note, *_on_columns(chosen, changed)]
    return AssetTable(chosen, read, notes, [*changed, usual.ASSET])


def _may_be_wide(chosen: Mapping[str, str | None], names: Sequence[str]) -> bool:
    """Whether there are neither assets nor prices nor returns among the columns, by their names."""
    needed = {chosen.get(usual.ASSET), chosen.get("close"), chosen.get("ret")}
    if not needed.isdisjoint(names):
        return False
    has_fields = any(map(usual.is_field, names))
    return len(names) > 1 and not has_fields and not _has_assets(names)


def _has_assets(names: Sequence[str]) -> bool:
    return bool(usual.find(usual.ASSET, names))


def _of_wide(
    files: Files,
    columns: Mapping[str, str | None],
    given_values: Values | None,
    classified: Collection[str],
) -> AssetTable:
    """A table that has no columns of assets and prices: dates x assets, if its cells say so.

    Raises:
        DataError: no dates or numbers, factors, columns that were asked for and are not there.
    """
    date = _date_column(files, columns)
    table = files.everything({date})
    try:
        wide = _wide(files, date, table)
    except DataError as error:
        others = [name for name in table.column_names if name != date]
        texts = [name for name in others if not _mostly_numbers(table[name])]
        if not texts:
            raise
        raise _neither(files, columns, error, texts) from error
    series = list(wide.cells)
    if usual.are_factors(series):
        raise _factors(files, wide)
    values = given_values or shapes.values_of(wide.cells.values())
    beside = _factors_beside(files, wide, values, classified)
    if beside:
        raise beside
    asked = []
    for name, column in columns.items():
        default = usual.SNAPSHOT.get(name)
        by_default = column is None or column == default
        if not by_default and column not in files.names:
            asked.append(f"data.columns.{name}={column}")
    if asked:
        values = values or "close"
        assets = listed(series[:3])
        given = f"{files.shown!r} is wide, {wide} assets ({assets}, ...)"
        absent = listed(asked)
        remedy = f"data.form=wide data.values={values} reads it"
        raise DataError(f"{files.where}: {given}, without {absent}; {remedy}")
    return _melted(files, date, wide, given_values)


def _neither(
    files: Files, columns: Mapping[str, str | None], as_wide: DataError, texts: Sequence[str]
) -> DataError:
    """The error on a table whose columns are not those of the spec, and that is not wide either.

    Args:
        texts: the columns that are no numbers, beside the dates.
    """
    given = {}
    for name, column in columns.items():
        if column and column != usual.SNAPSHOT.get(name):
            given[f"data.columns.{name}"] = column
    try:
        check(given, files.names, files.shown)
    except DataError as error:
        lines = [f"{line} (read as wide: dates x assets)" for line in as_wide.mistakes]
        return DataError([*error.mistakes, *lines])
    reason = as_wide.mistakes[0].removeprefix(f"{files.where}: ")
    chosen, _ = usual.resolved(columns, files.names)
    question = usual.question(files.shown, files.names, chosen, texts=texts)
    return DataError(f"{question}. Read as wide (dates x assets): {reason}")


def _mostly_numbers(column: pa.ChunkedArray) -> bool:
    """Whether most values of a column are numbers, so that it is one of them with a slip."""
    import pandas as pd

    texts = column.to_pandas().astype(str).str.rstrip("%")
    numbers = pd.to_numeric(texts, errors="coerce")
    return bool(numbers.notna().mean() > MOST)


def _date_column(files: Files, columns: Mapping[str, str | None]) -> str:
    """The column of the dates of a wide table: as given, by its name, or the first."""
    given = columns.get(usual.DATE)
    if given in files.names:
        return str(given)
    named = usual.find(usual.DATE, files.names)
    return named[0] if len(named) == 1 else files.names[0]


def _wide(files: Files, date: str, table: pa.Table) -> Wide:
    """The columns beside the dates as numbers.

    Raises:
        DataError: values that are no dates or numbers.
    """
    import pyarrow as pa

    mistakes = []
    words = ""
    try:
        # in any zone: which days they are is told where the rows are read
        words = read_dates(table[date], zone="UTC", date_format=files.form.date_format).words
    except (ValueError, pa.ArrowException) as error:
        mistakes.append(f"{files.where}: column {date!r} {error}")
    columns: dict[str, Numbers] = {}
    for name in table.column_names:
        if name == date:
            continue
        if _counts_rows(name, table):
            files.notes.append(f"Column {name!r} counts the rows, and is not read.")
            continue
        try:
            columns[name] = read_numbers(table[name])
        except (ValueError, pa.ArrowException) as error:
            remedy = "; data.form=long where rows are of a date and an asset each"
            hint = remedy if files.form.form == "wide" else ""
            mistakes.append(f"{files.where}: column {name!r} {error}{hint}")
    if mistakes:
        raise DataError(mistakes[:1])
    per_cent = _have_signs(files, columns)
    marked = [f"{name}: {column.words}" for name, column in columns.items() if column.words]
    if marked:
        others = f", and numbers of {count(len(marked) - 1, 'other column')} so"
        files.notes.append(f"{marked[0]}{others if len(marked) > 1 else ''}.")
    cells = {}
    for name, column in columns.items():
        values = np.asarray(column.numbers, dtype=float)
        cells[name] = pa.chunked_array([values])
    return Wide(table[date], cells, words, per_cent)


def _have_signs(files: Files, columns: Mapping[str, Numbers]) -> bool:
    """Whether the columns of a wide table are written with per cent signs.

    Raises:
        DataError: some are, and others hold numbers without: their units would differ by 100.
    """
    signed = [name for name, column in columns.items() if column.per_cent]
    if not signed:
        return False
    for name, column in columns.items():
        values = np.asarray(column.numbers, dtype=float)
        known = values[np.isfinite(values)]
        if not column.per_cent and known.any():
            raise DataError(
                f"{files.where}: column {signed[0]!r} has per cent signs, column {name!r} numbers "
                "without; allowed: signs in all columns of a wide table, or in none"
            )
    return True


def _counts_rows(name: str, table: pa.Table) -> bool:
    """Whether a column without a name counts the rows, as an index of pandas does."""
    if name not in usual.UNNAMED:
        return False
    try:
        numbers = np.asarray(read_numbers(table[name]).numbers, dtype=float)
    except ValueError:
        return False
    return len(numbers) > 0 and np.array_equal(numbers - numbers[0], np.arange(len(numbers)))


def _melted(files: Files, date: str, wide: Wide, given: Values | None) -> AssetTable:
    """A row per date and asset.

    Raises:
        DataError: cells that may be prices or returns.
    """
    values = given or ("ret" if wide.per_cent else shapes.values_of(wide.cells.values()))
    if values is None:
        sizes = np.abs(wide.sizes())
        middle = number(float(np.median(sizes)), 3)
        what = f"{files.shown!r} is wide, {wide} assets"
        negative = ", some negative" if wide.sizes().min() < 0.0 else ""
        prices = "" if negative else "prices (data.values=close), "
        sized = f"its values (median absolute value {middle}{negative})"
        kinds = f"{prices}returns in per cent (data.percent=true) or decimals (data.values=ret)"
        raise DataError(f"{files.where}: {what}; {sized} may be {kinds}")
    assets = list(wide.cells)
    columns_of_assets = list(wide.cells.values())
    table = shapes.stacked(wide.date, assets, {values: columns_of_assets})
    notes = list(files.notes)
    if files.form.form is None or given is None:
        notes.append(
            f"Read as wide: {wide} assets, values taken as {values} "
            f"(data.form=wide data.values={values})."
        )
    columns = {usual.DATE: shapes.DATE_COLUMN, usual.ASSET: shapes.ASSET_COLUMN, values: values}

    def read(wanted: Mapping[str, str], text: set[str]) -> pa.Table:
        return table

    guessed: list[str] = [] if given else [values]
    if files.form.form is None:
        guessed += [usual.DATE, usual.ASSET]
    called = {usual.DATE: date, usual.ASSET: HEADINGS, values: CELLS}
    return AssetTable(columns, read, notes, guessed, per_cent=wide.per_cent, called=called)


def _factors_beside(
    files: Files, wide: Wide, values: Values | None, classified: Collection[str]
) -> DataError | None:
    """The error on factors or a risk-free rate among the assets that the spec says nothing of.

    A column RF that is never negative beside returns is a rate, no return of an asset.
    """
    factors = usual.factors_among(list(wide.cells))
    for name, cells in wide.cells.items():
        is_rate = values == "ret" and not (cells.to_numpy() < 0.0).any()
        if is_rate and canonical(name) == RISK_FREE and name not in factors:
            factors.append(name)
    left = [name for name in factors if name not in classified]
    if not left:
        return None
    names = ", ".join(f"{canonical(name)}: {name}" for name in factors)
    return DataError(
        f"{files.where}: {files.shown!r} has {listed(left)} among its assets; "
        f"data.macro={{{names}}} takes them as series, data.form=wide as assets"
    )


def _factors(files: Files, wide: Wide) -> DataError:
    """The error on a file of factors instead of assets."""
    what = [f"{wide} series ({listed(wide.cells)})"]
    if wide.words:
        what.append(wide.words)
    percent = ""
    medians = []
    for column in wide.cells.values():
        sizes = np.abs(column.to_numpy())
        medians.append(np.nanmedian(sizes))
    if max(medians) > PER_CENT:
        what.append("in per cent")
        percent = " data.series.factors.percent=true"
    for note in files.notes:
        what.append(note.removesuffix("."))
    remedy = f"data.path=RETURNS data.series.factors.path={files.shown}{percent}"
    given = f"{files.shown!r} has factors and no assets: {'; '.join(what)}"
    return DataError(f"{files.where}: {given}. Join them to returns of your own: {remedy}")
