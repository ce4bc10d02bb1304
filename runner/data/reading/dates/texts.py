"""Every way to write a date whose right reading is the only one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pandas as pd

FIRST_YEAR = 1800  # of dates written without marks, such as 20200131
LAST_YEAR = 2200
# of days counted from some date: numbers of five digits that would be later are something else
EARLIEST_DAY = pd.Timestamp("1900-01-01")
LATEST_DAY = pd.Timestamp("2040-12-31")
# a date, with or without a time
DAY = r"\d{8}|\d{4}[-/]\d\d?[-/]\d\d?(?:[T ].+)?"
STATA = {"%tm": "M", "%tq": "Q", "%ty": "Y"}  # formats of months, quarters and years
WITH_DAY = re.compile("%[djxDuw]")  # directives of strptime
WITH_MONTH = re.compile("%[mbB]")
TIME = r"(?:[T :,]+(?P<time>\d\d?:\d\d.*))?"


class Reading(NamedTuple):
    """A column of texts as dates.

    Attributes:
        dates: NaT where a text is no such date.
        words: what the texts are, for people; empty of plain dates.
        format: the setting data.date_format that reads them so.
    """

    dates: pd.Series
    words: str
    format: str


class Way(NamedTuple):
    """A way to write dates.

    Attributes:
        pattern: of the texts, whole.
        read: gives the readings of texts of this pattern; several where it is open which is meant.
        counts: whether they are numbers of days or seconds from some date on.
    """

    pattern: str
    read: Callable[[pd.Series], list[Reading]]
    counts: bool = False


class Unclear(ValueError):
    """Dates with two readings."""


def read_texts(text: pd.Series, date_format: str | None) -> Reading:
    """Texts, missing where there is none, as dates; NaT where one is not a date.

    Args:
        date_format: null recognises it; a format of strptime, or one of UNITS.

    Raises:
        Unclear: the texts can be read in two ways.
    """
    if date_format is not None:
        return as_given(text, date_format)
    written = text.dropna()
    for way in WAYS:
        if not _all_match(written, way.pattern):
            continue
        readings = []
        for reading in way.read(text):
            if reading.dates[written.index].notna().all():
                readings.append(reading)
        distinct = _distinct(readings, written.index)
        if len(distinct) > 1:
            raise Unclear(_both(written, distinct))
        if distinct:
            return distinct[0]
    return _most(text)


def _all_match(written: pd.Series, pattern: str) -> bool:
    """Whether all texts, one at least, are of a pattern."""
    if not len(written):
        return False
    # the first text alone rules out most patterns
    if re.fullmatch(pattern, written.iloc[0]) is None:
        return False
    return bool(written.str.fullmatch(pattern).all())


def _most(text: pd.Series) -> Reading:
    """The texts as most of them are written, NaT for the others."""
    written = text.dropna()
    readings = _iso(text)
    most = 0
    for way in WAYS:
        alike = int(written.str.fullmatch(way.pattern).sum())
        if alike > most:
            most = alike
            matches = text.str.fullmatch(way.pattern)
            matching = text.where(matches)
            readings = way.read(matching)
    return max(readings, key=_known)


def _known(reading: Reading) -> int:
    """How many dates a reading gives."""
    has_date = reading.dates.notna()
    return int(has_date.sum())


def _distinct(readings: list[Reading], rows: pd.Index) -> list[Reading]:
    """Readings that give different dates."""
    kept: list[Reading] = []
    for reading in readings:
        dates = reading.dates[rows]
        if not any(dates.equals(other.dates[rows]) for other in kept):
            kept.append(reading)
    return kept


def _both(written: pd.Series, readings: list[Reading]) -> str:
    """The line on two readings."""
    first, second = readings[:2]
    differ = first.dates[written.index] != second.dates[written.index]
    at = differ.idxmax()
    given = written[at]
    date = f"{first.dates[at]:%Y-%m-%d} (data.date_format={first.format!r})"
    other = f"{second.dates[at]:%Y-%m-%d} (data.date_format={second.format!r})"
    return f"can be read in two ways: {given!r} is {date} or {other}"


def as_given(text: pd.Series, date_format: str) -> Reading:
    """Texts as dates of one format.

    A format without a day gives the last day of the month, one without a month that of the year.
    """
    if date_format in UNITS:
        numbers = pd.to_numeric(text, errors="coerce")
        return Reading(UNITS[date_format](numbers), "", date_format)
    dates = pd.to_datetime(text, format=date_format, errors="coerce")
    dates = dates.astype("datetime64[us]")
    if WITH_DAY.search(date_format) is None:
        by_month = WITH_MONTH.search(date_format) is not None
        dates = _last_days(dates, "M" if by_month else "Y")
    return Reading(dates, "", date_format)


def _last_days(dates: pd.Series, frequency: str) -> pd.Series:
    """The last day of the period of each date."""
    periods = dates.dt.to_period(frequency)
    return periods.dt.to_timestamp(how="end").dt.normalize().astype("datetime64[us]")


def of_stata(frame: pd.DataFrame, formats: Mapping[str, str]) -> list[str]:
    """Date the periods of a Stata file by their last day, as those of any file; a sentence each.

    Args:
        frame: as pandas reads it, the first day in the place of each period; written to.
        formats: of each column, as Stata displays it.
    """
    notes = []
    for name, written in formats.items():
        kind = written[:3]
        if kind in STATA:
            frame[name] = _last_days(frame[name], STATA[kind])
            notes.append(f"Periods of {name} ({written}) are dated by their last day.")
    return notes


def _iso(text: pd.Series) -> list[Reading]:
    """Year, month, day."""
    day = text.where(text.str.fullmatch(DAY))
    # 8 digits of another order would be a year such as 3101
    dashed = day.str.replace(r"^(\d{4})/(\d\d?)/", r"\1-\2-", regex=True)
    dates = pd.to_datetime(dashed, format="ISO8601", errors="coerce")
    return [Reading(dates.astype("datetime64[us]"), "", "%Y-%m-%d")]


def _by_formats(*formats: str) -> Callable[[pd.Series], list[Reading]]:
    """Dates of one of these formats, with or without a time of day after them."""

    def read(text: pd.Series) -> list[Reading]:
        parts = text.str.extract(rf"^(?P<day>.*?){TIME}$")
        times = _times(parts["time"])
        readings = []
        for date_format in formats:
            dates = pd.to_datetime(parts["day"], format=date_format, errors="coerce")
            words = f"dates are {date_format}"
            days = dates.astype("datetime64[us]")
            dates = days + times
            readings.append(Reading(dates, words, date_format))
        return readings

    return read


def _times(text: pd.Series) -> pd.Series:
    """Times of day as spans after midnight, zero without any, missing where it is no time."""
    spans = pd.Series(pd.Timedelta(0), text.index, dtype="timedelta64[us]")
    given = text.notna()
    if not given.any():
        return spans
    for clock in ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p"):
        moments = pd.to_datetime(text, format=clock, errors="coerce")
        if moments[given].notna().all():
            return (moments - moments.dt.normalize()).astype("timedelta64[us]").where(given, spans)
    return spans.mask(given)


def _named(*formats: str) -> Callable[[pd.Series], list[Reading]]:
    """Dates with the name of a month, of one of these formats without marks between the parts."""

    def read(text: pd.Series) -> list[Reading]:
        plain = text.str.replace(r"[\s,./-]+(?!\d\d?:)", "", regex=True)
        readings = []
        for reading in _by_formats(*formats)(plain):
            readings.append(reading._replace(words="dates have names of months"))
        return readings

    return read


def _months(pattern: str, *, named: bool = False) -> Callable[[pd.Series], list[Reading]]:
    """Months without a day: the last day of each."""

    def read(text: pd.Series) -> list[Reading]:
        parts = text.str.extract(f"^{pattern}$")
        joined = parts["year"] + parts["month"].str.zfill(2)
        date_format = "%Y%m"
        if named:
            joined = parts["year"] + parts["month"].str[:3]
            of_century = parts["year"].str.len().max() == 2
            date_format = "%y%b" if of_century else "%Y%b"
        months = pd.to_datetime(joined, format=date_format, errors="coerce")
        words = f"months such as {text.dropna().iloc[0]} are dated by their last day"
        return [Reading(_last_days(months, "M"), words, _format_of_months(text))]

    return read


def _format_of_months(text: pd.Series) -> str:
    """The format of strptime that reads the months."""
    first = str(text.dropna().iloc[0])
    known = {r"\d{6}": "%Y%m", r"\d{4}-\d\d?": "%Y-%m", r"\d\d?/\d{4}": "%m/%Y"}
    for pattern, date_format in known.items():
        if pd.Series([first]).str.fullmatch(pattern).all():
            return date_format
    return "%b %Y"


def _quarters(text: pd.Series) -> list[Reading]:
    """Quarters: the last day of each."""
    year_first = r"(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])"
    quarter_first = r"[Qq](?P<first_quarter>[1-4])[- ]?(?P<last_year>\d{4})"
    parts = text.str.extract(f"^(?:{year_first}|{quarter_first})$")
    year = parts["year"].fillna(parts["last_year"])
    quarter = parts["quarter"].fillna(parts["first_quarter"])
    quarters = pd.to_numeric(quarter)
    last_month = quarters * 3
    month = last_month.astype("Int64").astype("str").str.zfill(2)
    firsts = pd.to_datetime(year + month, format="%Y%m", errors="coerce")
    words = f"quarters such as {text.dropna().iloc[0]} are dated by their last day"
    return [Reading(_last_days(firsts, "Q"), words, "quarter")]


def _years(text: pd.Series) -> list[Reading]:
    """Years: the last day of each."""
    firsts = pd.to_datetime(text, format="%Y", errors="coerce")
    words = f"years such as {text.dropna().iloc[0]} are dated by their last day"
    return [Reading(_last_days(firsts, "Y"), words, "%Y")]


def _weeks(text: pd.Series) -> list[Reading]:
    """Weeks of ISO 8601: the Sunday of each."""
    plain = text.str.replace("-", "").str.upper() + "7"
    days = pd.to_datetime(plain, format="%GW%V%u", errors="coerce")
    words = f"weeks such as {text.dropna().iloc[0]} (ISO 8601) are dated by their Sunday"
    return [Reading(days.astype("datetime64[us]"), words, "week")]


def _days_since(origin: str) -> Callable[[pd.Series], pd.Series]:
    """Days, and parts of them, from a date on."""

    def read(numbers: pd.Series) -> pd.Series:
        spans = pd.to_timedelta(numbers, unit="D")
        return (pd.Timestamp(origin) + spans).dt.round("s").astype("datetime64[us]")

    return read


def _since_1970(unit: str) -> Callable[[pd.Series], pd.Series]:
    """Some unit of time from 1970 on."""

    def read(numbers: pd.Series) -> pd.Series:
        whole = numbers.astype("Int64")
        return pd.to_datetime(whole, unit=unit, errors="coerce").astype("datetime64[us]")

    return read


UNITS: Mapping[str, Callable[[pd.Series], pd.Series]] = {
    # Excel takes 1900 for a leap year, so that its days count from the day before
    "excel": _days_since("1899-12-30"),
    "sas": _days_since("1960-01-01"),
    "days": _days_since("1970-01-01"),
    "s": _since_1970("s"),
    "ms": _since_1970("ms"),
    "us": _since_1970("us"),
    "ns": _since_1970("ns"),
}
UNIT_NAMES = {
    "excel": "days of Excel (1 is 1900-01-01)",
    "sas": "days since 1960-01-01 (SAS, Stata)",
    "days": "days since 1970-01-01",
    "s": "seconds since 1970-01-01 UTC",
    "ms": "milliseconds since 1970-01-01 UTC",
    "us": "microseconds since 1970-01-01 UTC",
    "ns": "nanoseconds since 1970-01-01 UTC",
}


def _numbers(*units: str) -> Callable[[pd.Series], list[Reading]]:
    """Numbers of some unit of time from some date on."""

    def read(text: pd.Series) -> list[Reading]:
        numbers = pd.to_numeric(text, errors="coerce")
        readings = []
        for unit in units:
            dates = UNITS[unit](numbers)
            if len(units) > 1:
                dates = dates.where((dates >= EARLIEST_DAY) & (dates <= LATEST_DAY))
            readings.append(Reading(dates, f"dates are {UNIT_NAMES[unit]}", unit))
        return readings

    return read


def _eight_digits(text: pd.Series) -> list[Reading]:
    """Year, month, day; day, month, year; or month, day, year."""
    readings = []
    for date_format in ("%Y%m%d", "%d%m%Y", "%m%d%Y"):
        dates = pd.to_datetime(text, format=date_format, errors="coerce").astype("datetime64[us]")
        plausible = dates.dt.year.between(FIRST_YEAR, LAST_YEAR)
        words = "" if date_format == "%Y%m%d" else f"dates are {date_format}"
        readings.append(Reading(dates.where(plausible), words, date_format))
    return readings


MONTH_NAME = r"(?:[Jj][Aa][Nn]|[Ff][Ee][Bb]|[Mm][Aa][RrYy]|[Aa][Pp][Rr]|[Jj][Uu][NnLl]|[Aa][Uu][Gg]"
MONTH_NAME += r"|[Ss][Ee][Pp]|[Oo][Cc][Tt]|[Nn][Oo][Vv]|[Dd][Ee][Cc])[A-Za-z]*\.?"
AT_TIME = r"(?:[T :,]+\d\d?:\d\d.*)?"
YYYYMM = r"(?P<year>1[89]\d\d|2[01]\d\d)(?P<month>0[1-9]|1[0-2])"
YYYY_MM = r"(?P<year>\d{4})(?:-|/|\.|m|M)(?P<month>\d\d?)"
MM_YYYY = r"(?P<month>\d\d?)[-/.](?P<year>\d{4})"
NAME_YYYY = rf"(?P<month>{MONTH_NAME})[\s,./-]*(?P<year>\d{{4}})"
NAME_YY = rf"(?P<month>{MONTH_NAME})[\s,./'-]*(?P<year>\d\d)"
YYYY_NAME = rf"(?P<year>\d{{4}})[\s,./-]*(?P<month>{MONTH_NAME})"
# the likelier first; the first whose pattern all texts have, and that reads them, counts
WAYS = (
    Way(r"\d{8}", _eight_digits),
    Way(r"(?:\d{4}-\d\d?-\d\d?|\d{8}|\d{4}/\d\d?/\d\d?)(?:[T ].+)?", _iso),
    Way(YYYYMM, _months(YYYYMM)),
    Way(YYYY_MM, _months(YYYY_MM)),
    Way(MM_YYYY, _months(MM_YYYY)),
    Way(NAME_YYYY, _months(NAME_YYYY, named=True)),
    Way(YYYY_NAME, _months(YYYY_NAME, named=True)),
    Way(NAME_YY, _months(NAME_YY, named=True)),
    Way(rf"\d\d?/\d\d?/\d{{4}}{AT_TIME}", _by_formats("%m/%d/%Y", "%d/%m/%Y")),
    Way(rf"\d\d?\.\d\d?\.\d{{4}}{AT_TIME}", _by_formats("%d.%m.%Y", "%m.%d.%Y")),
    Way(rf"\d\d?-\d\d?-\d{{4}}{AT_TIME}", _by_formats("%d-%m-%Y", "%m-%d-%Y")),
    Way(rf"\d\d?/\d\d?/\d\d{AT_TIME}", _by_formats("%m/%d/%y", "%d/%m/%y", "%y/%m/%d")),
    Way(rf"\d\d?\.\d\d?\.\d\d{AT_TIME}", _by_formats("%d.%m.%y", "%m.%d.%y", "%y.%m.%d")),
    Way(rf"\d\d?-\d\d?-\d\d{AT_TIME}", _by_formats("%d-%m-%y", "%m-%d-%y", "%y-%m-%d")),
    Way(
        rf"\d\d?[\s,./-]*{MONTH_NAME}[\s,./-]*(?:\d{{4}}|\d\d){AT_TIME}",
        _named("%d%b%Y", "%d%B%Y", "%d%b%y", "%d%B%y"),
    ),
    Way(
        rf"{MONTH_NAME}[\s,./-]*\d\d?[\s,./-]+(?:\d{{4}}|\d\d){AT_TIME}",
        _named("%b%d%Y", "%B%d%Y", "%b%d%y", "%B%d%y"),
    ),
    Way(r"\d{4}[- ]?[Qq][1-4]|[Qq][1-4][- ]?\d{4}", _quarters),
    Way(r"\d{4}-?[Ww]\d\d", _weeks),
    Way(r"1[89]\d\d|2[01]\d\d", _years),
    Way(r"\d{5}(?:\.\d+)?", _numbers("excel", "sas", "days"), counts=True),
    Way(r"-?\d{9,10}", _numbers("s"), counts=True),
    Way(r"-?\d{12,13}", _numbers("ms"), counts=True),
    Way(r"-?\d{15,16}", _numbers("us"), counts=True),
    Way(r"-?\d{18,19}", _numbers("ns"), counts=True),
)
WRITTEN = [re.compile(way.pattern) for way in WAYS if not way.counts]


def is_written_date(text: str) -> bool:
    """Whether a text by itself has the form of a date: 2020-01-31, Jan-20, 202001, 2020Q1.

    Days and seconds that are counted from some date have not.
    """
    return any(pattern.fullmatch(text.strip()) for pattern in WRITTEN)
