"""Names under which files have dates, assets, prices and returns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runner.errors import DataError, listed

if TYPE_CHECKING:
    import pyarrow as pa

DATE = "date"
ASSET = "asset"
# name here -> groups of names, in letters and digits alone; the first that is there counts
USUAL: Mapping[str, tuple[tuple[str, ...], ...]] = {
    DATE: (
        ("date", "dates", "caldt", "datadate", "yyyymm", "month", "mcaldt", "dlycaldt", "mthcaldt"),
        ("periodend", "observationdate", "mdate", "yearmonth", "yearmonthday", "ym", "eom"),
        ("datetime", "timestamp", "opentime", "time", "day", "period", "quarter", "week", "year"),
    ),
    ASSET: (
        ("ticker", "symbol", "permno", "asset", "gvkey", "isin", "cusip"),
        ("tic", "stock", "fund", "security", "instrument", "id", "name"),
        ("lpermno", "crspfundno", "fundno", "sedol", "ric", "figi", "secid", "wficn"),
    ),
    "close": (
        ("adjclose", "adjustedclose", "closeadj", "adjustedprice", "adjprice", "pricesadjusted"),
        ("close", "closingprice", "price", "last"),
        ("closeprice", "priceclose", "lastprice", "pxlast", "closelast"),
        ("prc", "dlyprc", "mthprc"),
    ),
    "ret": (("ret", "return", "returns", "rets", "dlyret", "mthret", "mret", "totalreturn"),),
    "volume": (("volume", "vol", "dlyvol", "mthvol", "pxvolume"),),
}
PARTS = frozenset({"year", "month", "day", "quarter", "week"})  # of a date
# columns that prices come with: a file that has them has a row per date and asset
BESIDE_PRICES = frozenset(
    {"open", "high", "low", "dividends", "stocksplits", "bid", "ask", "pxopen", "pxhigh", "pxlow"}
)
FIELDS = BESIDE_PRICES.union(*USUAL["close"], *USUAL["ret"], *USUAL["volume"])
# of our own snapshots, and the defaults of data=file
SNAPSHOT: Mapping[str, str] = {
    DATE: "Date",
    ASSET: "Ticker",
    "close": "AdjClose",
    "volume": "Volume",
}
LATER = re.compile(r"lead|fwd|forward|next|ahead")
# parts of names that may be meant where no usual name is there, in letters and digits alone
MAY_BE = {
    DATE: re.compile(r"dat|dt$|time|month|monat|period"),
    "close": re.compile(r"close|price|prc|nav$"),
    "ret": re.compile(r"ret|rendite"),
}
PAIR = re.compile(r"\('([^']*)', '([^']*)'\)")  # names of two levels, as pandas joins them
UNNAMED = frozenset({"", "Unnamed: 0", "__index_level_0__"})  # an index as pandas writes it
FACTORS = frozenset(
    {"mktrf", "smb", "hml", "rmw", "cma", "mom", "umd", "wml", "rf", "strev", "ltrev", "mkt"}
)


def index_first(schema: pa.Schema) -> list[str]:
    """The names of the columns, those that pandas had as its index first, as in its text files."""
    of_pandas = schema.pandas_metadata or {}
    index = [name for name in of_pandas.get("index_columns", []) if isinstance(name, str)]
    return [*index, *(name for name in schema.names if name not in index)]


def levels(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Two rows of names, where pandas wrote those of two levels as one text; else the names."""
    pairs = [PAIR.fullmatch(name) for name in names[1:]]
    if not pairs or None in pairs:
        return [], list(names)
    upper = [names[0], *(pair[1] for pair in pairs if pair)]
    lower = ["", *(pair[2] for pair in pairs if pair)]
    return upper, lower


def letters(name: str) -> str:
    """A name in lower case without what is no letter or digit."""
    return re.sub(r"[\W_]", "", name.casefold())


def find(name: str, present: Sequence[str]) -> list[str]:
    """The columns that are usually what is `name` here; several where it is open which."""
    for group in USUAL[name]:
        columns = [column for column in present if letters(column) in group]
        if columns:
            return columns
    return []


def date_parts(present: Sequence[str]) -> list[str]:
    """The columns year and month, and day where there is one, of a table without other dates."""
    named = {letters(column): column for column in present}
    dates = {name for group in USUAL[DATE] for name in group}
    if not {"year", "month"} <= named.keys() or (dates & named.keys()) - PARTS:
        return []
    return [named[part] for part in ("year", "month", "day") if part in named]


def is_of_a_later_row(column: str) -> bool:
    """Whether a column by its name has the return of a later row, such as ret_lead1m."""
    return bool(LATER.search(column.casefold()))


def is_field(column: str) -> bool:
    """Whether a column by its name is a price, a return or a volume, no asset."""
    return letters(column) in FIELDS


def factors_among(columns: Sequence[str]) -> list[str]:
    """Factors among columns of assets, where their names leave no doubt: RF and CMA are tickers."""
    named = [column for column in columns if letters(column) in FACTORS]
    told = {letters(column) for column in named}
    sure = "mktrf" in told or {"smb", "hml"} <= told
    return named if sure else []


def are_factors(columns: Sequence[str]) -> bool:
    """Whether these are factors or a risk-free rate, no assets."""
    return bool(columns) and FACTORS.issuperset(map(letters, columns))


def resolved(
    columns: Mapping[str, str | None], present: Sequence[str]
) -> tuple[dict[str, str | None], list[str]]:
    """The columns of a spec, defaults that are not there replaced by what is usually meant.

    Args:
        columns: name here -> column, None for one that is not read; empty: what is usual.
        present: the columns of the file.

    Returns:
        The columns, and the names here that were replaced or left out.

    Raises:
        DataError: several columns that may be meant.
    """
    columns = columns or SNAPSHOT
    chosen = dict(columns)
    open_names = []
    for name, column in columns.items():
        default = column is not None and column == SNAPSHOT.get(name)
        if default and column not in present:
            open_names.append(name)
    taken = set()
    for name, column in chosen.items():
        if name not in open_names:
            taken.add(column)
    free = [column for column in present if column not in taken]
    mistakes = []
    for name in open_names:
        candidates = find(name, free)
        if len(candidates) == 1:
            chosen[name] = candidates[0]
        elif candidates:
            mistakes.append(_which(name, candidates))
        elif name in ("close", "volume"):
            chosen[name] = None
    _take_return(chosen, open_names, free)
    if mistakes:
        raise DataError(mistakes)
    changed = []
    for name, column in chosen.items():
        if column != columns.get(name):
            changed.append(name)
    return chosen, changed


def _take_return(
    chosen: dict[str, str | None], guessed: Sequence[str], free: Sequence[str]
) -> None:
    """A return that the spec does not name, where the price is not given either or is null.

    CRSP's prc is no adjusted price: beside a return it is not read.
    """
    has_price = chosen.get("close") is not None and "close" not in guessed
    if has_price or "ret" in chosen:
        return
    returns = find("ret", free)
    if len(returns) != 1:
        return
    chosen["ret"] = returns[0]
    unadjusted = USUAL["close"][-1]
    price = chosen["close"]
    if price is not None and letters(price) in unadjusted:
        chosen["close"] = None


def _which(name: str, candidates: Sequence[str]) -> str:
    """The line on several columns that may be meant."""
    setting = f"data.columns.{name}"
    first = candidates[0]
    if len(set(candidates)) == 1:
        return f"{setting}: column {first!r} is there {len(candidates)} times; allowed: once"
    remedy = f"{setting}={first!r} takes the first of them"
    return f"{setting}: the file has {listed(candidates)}; {remedy}"


def question(
    shown: str,
    present: Sequence[str],
    chosen: Mapping[str, str | None],
    may_be_price: bool = True,
    texts: Sequence[str] = (),
) -> str:
    """Which columns are what a table of assets needs and nobody named; empty where all are known.

    Args:
        shown: the file, for people.
        present: its columns.
        chosen: name here -> column; a default that is not there is not known, and nothing is asked
            where date or asset are null.
        may_be_price: whether the spec leaves open that there are prices.
        texts: columns of texts, one of which may be the assets.
    """
    if not chosen.get(DATE) or not chosen.get(ASSET):
        return ""
    free = [column for column in present if column not in chosen.values()]
    asked = []
    if _is_open(DATE, chosen, present):
        date = _example(DATE, free)
        free = [column for column in free if column != date]
        asked.append(f"the date (data.columns.date={_word(date)})")
    if _is_open(ASSET, chosen, present):
        names = [column for column in texts if column in free]
        asset = names[0] if len(names) == 1 else "NAME"
        free = [column for column in free if column != asset]
        asked.append(f"the asset (data.columns.asset={_word(asset)})")
    if chosen.get("close") is None and chosen.get("ret") is None:
        price = f"a price (data.columns.close={_word(_example('close', free))}) or "
        returns = f"a return (data.columns.ret={_word(_example('ret', free))})"
        asked.append(f"{price}{returns}" if may_be_price else returns)
    if not asked:
        return ""
    which = "which column" if len(asked) == 1 else "which columns"
    verb = "is" if len(asked) == 1 else "are"
    needed = ", ".join(asked)
    return f"data.columns: {which} of {shown!r} {verb} {needed}? It has {listed(present)}"


def _is_open(name: str, chosen: Mapping[str, str | None], present: Sequence[str]) -> bool:
    """Whether the column is the default, which the file lacks."""
    column = chosen.get(name)
    return column == SNAPSHOT[name] and column not in present


def _example(name: str, free: Sequence[str]) -> str:
    """The only column that may be meant by its name, or that is left; else NAME."""
    by_name = [column for column in free if MAY_BE[name].search(letters(column))]
    by_name = [column for column in by_name if not is_of_a_later_row(column)]
    for columns in (by_name, free):
        if len(columns) == 1:
            return columns[0]
    return "NAME"


def _word(column: str) -> str:
    """A column as it is typed in an override, in quotes where it has more than letters."""
    return column if re.fullmatch(r"\w+", column) else repr(column)
