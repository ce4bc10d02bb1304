"""Columns of a file as dates and times of day."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from runner.data.reading.dates.texts import read_texts
from runner.data.reading.dates.times import clock
from runner.data.reading.parsing import (
    EMPTY,
    Coded,
    as_text,
    distinct_values,
    refuse_rows,
    sorted_codes,
)
from runner.errors import DataError, listed

if TYPE_CHECKING:
    import pyarrow as pa

# what stands in the place of a date in a row that sums up the others, in lower case
SUMMARIES = frozenset(
    {"mean", "average", "avg", "avg.", "median", "total", "sum", "count", "min", "max", "minimum"}
    | {"maximum", "std", "std.", "stdev", "std dev", "std. dev.", "standard deviation", "variance"}
    | {"mittelwert", "summe", "gesamt", "moyenne"}
)
# a time of day and the zone that it is in, at the end of a stamp
ZONE = r"([T ]\d\d[\d:.,]*) ?(?:Z|z|UTC|[+-]\d\d(?::?\d\d)?)$"
NOON = 12  # hours
FRIDAY = 4
SUNDAY = 6
FEWEST_DAYS = 20  # late moments by which it is told on which weekdays they lie
UTC_UNITS = frozenset({"s", "ms", "us", "ns"})  # moments counted from 1970 in UTC


def read_dates(
    column: pa.ChunkedArray, zone: str | None = None, date_format: str | None = None
) -> Coded:
    """Dates without time zone, as `runner.data.reading.dates` reads them.

    A stamp with a zone keeps its local date and time, or is turned into that of `zone`.

    Args:
        date_format: of texts and numbers; null recognises it.

    Raises:
        ValueError: values that are not dates, or that can be read in two ways.
    """
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType):
        column = _last_days(column)
    codes, distinct = distinct_values(column)
    kind = distinct.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        dates = pd.Series(distinct.to_pandas(date_as_object=False))
        moments = _of_stamps(dates, zone)
    else:
        moments = _of_texts(codes, distinct, zone, date_format)
    if moments.zoned and zone is None:
        _check_days(moments.dates)
    coded = sorted_codes(codes, moments.dates.dt.as_unit("us"))
    return coded._replace(words=moments.words)


class Moments(NamedTuple):
    """The distinct dates of a column.

    Attributes:
        dates: in local time, NaT where there is none.
        words: how they were recognised, for people; empty of plain ones.
        zoned: whether they were written with a time zone.
    """

    dates: pd.Series
    words: str = ""
    zoned: bool = False


def _of_stamps(stamps: pd.Series, zone: str | None) -> Moments:
    """Dates that the file has as such, in local time of `zone`, or of their own."""
    if not isinstance(stamps.dtype, pd.DatetimeTZDtype):
        return Moments(stamps)
    local = stamps.dt.tz_convert(zone) if zone else stamps
    return Moments(local.dt.tz_localize(None), zoned=True)


def _of_texts(
    codes: np.ndarray, distinct: pa.Array, zone: str | None, date_format: str | None
) -> Moments:
    """Dates of texts or numbers.

    A row that sums up the others, such as Mean, has no date.

    Raises:
        ValueError: values that are not dates, or that can be read in two ways.
    """
    written = _date_texts(distinct)
    plain = written.str.casefold()
    sums = plain.isin(SUMMARIES)
    stamps = written.mask(sums)
    has_zone = stamps.notna() & (_local(stamps) != stamps)
    moved = _moved(stamps, zone) if zone else stamps
    # 20211231.0, where the column has a gap
    text = _local(moved).str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)
    reading = read_texts(text, date_format)
    dates = reading.dates
    since_1970 = reading.format in UTC_UNITS
    if zone and since_1970:
        dates = dates.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    bad = (dates.isna() & text.notna()).to_numpy()
    example = "a date such as 2021-12-31"
    if date_format is not None:
        example = f"a date of data.date_format={date_format!r}"
    elif reading.words:
        example = f"a date as in most rows, or data.date_format; {reading.words}"
    refuse_rows(codes, distinct, bad, example)
    words = [reading.words]
    if sums.any():
        words.append(f"rows named {listed(written[sums])}, which sum up others, are not read")
    zoned = bool(has_zone.any()) or since_1970
    said = filter(None, words)
    note = "; ".join(said)
    return Moments(dates, note, zoned)


def _check_days(moments: pd.Series) -> None:
    """Whether stamps with a zone lie on the days that they mean.

    Midnight of Tokyo is 15:00 of the day before in London: such days go from Sunday to Thursday.

    Raises:
        ValueError: late moments on Sundays and none on Fridays.
    """
    late = moments[moments.dt.hour >= NOON]
    weekdays = set(late.dt.day_of_week)
    if len(late) < FEWEST_DAYS or SUNDAY not in weekdays or FRIDAY in weekdays:
        return
    first = late[late.dt.day_of_week == SUNDAY].iloc[0]
    raise ValueError(
        f"has Sundays ({first:%Y-%m-%d %H:%M}) and no Friday: its days begin on the evening before "
        "in this zone; data.time_zone=Asia/Tokyo, or that of the exchange, gives its own days "
        "(data.time_zone=UTC keeps them)"
    )


def _last_days(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Periods as pandas keeps them in Arrow, each as its last day.

    Raises:
        ValueError: another type of pandas or of somebody else.
    """
    import pyarrow as pa

    values = column.to_pandas()
    if not isinstance(values.dtype, pd.PeriodDtype):
        raise ValueError(f"holds {column.type}; allowed: dates")
    days = values.dt.to_timestamp(how="end").dt.normalize()
    return pa.chunked_array([pa.Array.from_pandas(days)])


def _date_texts(distinct: pa.Array) -> pd.Series:
    """Texts of dates as written, absent where they say so."""
    words = [as_text(value) for value in distinct.to_pylist()]
    text = pd.Series(words, dtype="str").str.strip()
    return text.mask(text.isin(EMPTY))


def _local(text: pd.Series) -> pd.Series:
    """Stamps without the zone at their end."""
    return text.str.replace(ZONE, r"\1", regex=True)


def _moved(text: pd.Series, zone: str) -> pd.Series:
    """The same with every stamp that has a zone written in local time of this one."""
    zoned = text.where(text.notna() & (_local(text) != text))
    stamps = pd.to_datetime(zoned, format="ISO8601", utc=True, errors="coerce")
    moved = stamps.dt.tz_convert(zone)
    return text.mask(moved.notna(), moved.dt.strftime("%Y-%m-%dT%H:%M:%S.%f"))


def read_times(column: pa.ChunkedArray) -> Coded:
    """The column as seconds after midnight.

    Raises:
        ValueError: values that are not times of day.
    """
    codes, distinct = distinct_values(column)
    values = distinct.to_pylist()
    empty = np.array([_says_nothing(value) for value in values], dtype=bool)
    seconds = pd.Series(clock(values), dtype="Int64")
    unread = seconds.isna().to_numpy()
    bad = unread & ~empty
    refuse_rows(codes, distinct, bad, "a time such as 09:31")
    return sorted_codes(codes, seconds)


def joined(day: Coded, at: Coded) -> Coded:
    """Dates with a time of day from a column of days and one of seconds after midnight.

    Raises:
        DataError: a day that has a time of day by itself.
    """
    days = pd.DatetimeIndex(day.values)
    if not (days == days.normalize()).all():
        raise DataError(
            "data.columns.time: given beside dates that have a time of day; allowed: null"
        )
    # a number for each pair of day and time, increasing with both
    number_of_times = len(at.values)
    span = number_of_times + 1
    day_codes = day.codes.astype(np.int64)
    pair = day_codes * span + at.codes
    has_no_day = day.codes < 0
    has_no_time = at.codes < 0
    absent = has_no_day | has_no_time
    pair = np.where(absent, -1, pair)
    distinct, codes = np.unique(pair, return_inverse=True)
    any_absent = len(distinct) > 0 and distinct[0] < 0
    missing = int(any_absent)
    pairs = distinct[missing:]
    times = pd.to_timedelta(at.values[pairs % span], unit="s")
    moments = pd.DatetimeIndex(days[pairs // span] + times)
    return Coded((codes - missing).astype(np.int32), moments.as_unit("us"))


def _says_nothing(value: object) -> bool:
    """Whether the value stands for a missing one."""
    return value is None or str(value).strip() in EMPTY
