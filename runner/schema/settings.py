"""Types of settings: what a value in a spec may be.

Each is an `Annotated` type whose last argument takes the value and raises ValueError with what is
allowed. The spec check calls it; the annotated signature is thereby the whole schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal


def parse_date(value: str) -> datetime:
    """An ISO date or date with time, without time zone.

    Raises:
        ValueError: not an ISO date.
    """
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("allowed: a date such as 2021-12-31") from None
    if moment.tzinfo:
        raise ValueError("allowed: a date or time without time zone")
    return moment


SPANS = {"y": "years", "m": "months", "w": "weeks", "d": "days"}
SPAN = re.compile(r"([1-9][0-9]{0,2})([ymwd])")
HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
LONGEST_TICKER = 64  # characters
NOT_IN_NAMES = frozenset("\\\n\r\t\0")
UNBOUNDED = float("inf")
MILLION = 10**6
MOST_PENALTIES = 10_000  # on a grid: more are a slip of the keyboard
MOST_COMPONENTS = 1_000


def parse_hours(value: str) -> tuple[int, int]:
    """First and last bar of a session, in minutes after midnight.

    Raises:
        ValueError: not two times of one day, the first before the last.
    """
    times = HOURS.fullmatch(value)
    if times:
        first = 60 * int(times[1]) + int(times[2])
        last = 60 * int(times[3]) + int(times[4])
        if first < last:
            return first, last
    raise ValueError("allowed: the first and the last bar of a day, such as 09:31-16:00")


def check_zone(value: str) -> None:
    """A time zone by its name.

    Raises:
        ValueError: there is none of that name.
    """
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("allowed: a name such as America/New_York") from None


def parse_span(value: int | str, least: int = 1) -> tuple[int, str]:
    """How many of which unit: `rows`, or one of SPANS of the calendar.

    Raises:
        ValueError: neither rows from `least` on nor a time such as 2y.
    """
    if isinstance(value, str):
        time = SPAN.fullmatch(value)
        if time:
            return int(time[1]), SPANS[time[2]]
    elif value >= least:
        return value, "rows"
    rows = f"rows, a whole number from {least}"
    raise ValueError(f"allowed: {rows}, or a time such as 2y, 6m, 3w or 10d")


def check_time(value: str) -> None:
    """A time of the calendar such as 3m, not rows.

    Raises:
        ValueError: it is not.
    """
    if not SPAN.fullmatch(value):
        raise ValueError("allowed: a time such as 2y, 6m, 3w or 400d")


def check_hold_out(value: int | str) -> None:
    """A span, or 0 for none.

    Raises:
        ValueError: neither.
    """
    parse_span(value, 0)


def check_train_end(value: int | str) -> None:
    """Rows before a test part, or the date of the last of them.

    Raises:
        ValueError: neither rows from 1 on nor an ISO date.
    """
    if isinstance(value, str):
        parse_date(value)
    elif value < 1:
        raise ValueError("allowed: rows, a whole number from 1, or a date such as 2021-12-31")


def check_ticker(value: str) -> None:
    """A name of an asset as its source writes it, such as BRK/B or BTC/USD.

    Raises:
        ValueError: empty, long, or with a line break, a backslash or two dots in a row.
    """
    unsafe = ".." in value or not NOT_IN_NAMES.isdisjoint(value)
    if not value or len(value) > LONGEST_TICKER or unsafe:
        raise ValueError("allowed: 1 to 64 characters, without backslashes, line breaks or '..'")


def check_symbol(value: str) -> None:
    """A ticker that becomes part of an address on the web.

    Raises:
        ValueError: as `check_ticker`, or with a slash.
    """
    check_ticker(value)
    if "/" in value:
        raise ValueError("allowed: a ticker without slashes, such as BRK-B")


def check_field(value: str) -> None:
    """The name of a field of the data, numbers by date and asset.

    Raises:
        ValueError: an empty name.
    """
    if not value.strip():
        raise ValueError("allowed: the name of a field of the data")


def check_label(value: str) -> None:
    """The name of a label of the assets, such as sector.

    Raises:
        ValueError: an empty name.
    """
    if not value.strip():
        raise ValueError("allowed: the name of a label of the data, such as sector")


def check_module(value: str) -> None:
    """A module by its dotted name.

    Raises:
        ValueError: it could not be imported under that name.
    """
    if not all(part.isidentifier() for part in value.split(".")):
        raise ValueError("allowed: the dotted name of a module, such as package.module")


def _between(low: float, high: float, inclusive: bool) -> Callable[[float], None]:
    """A check of numbers from low to high or, not inclusive, above low and below high."""
    above = "from" if inclusive else "above"
    below = "to" if inclusive else "and below"
    allowed = f"{above} {low:g}"
    if high != UNBOUNDED:
        allowed += f" {below} {high:,.15g}"

    def check(value: float) -> None:
        inside = low < value < high
        if inclusive:
            inside = low <= value <= high
        if not inside:
            raise ValueError(f"allowed: a number {allowed}")

    return check


Date = Annotated[str, parse_date]
Hours = Annotated[str, parse_hours]
ModuleName = Annotated[str, check_module]
TimeZone = Annotated[str, check_zone]
Ticker = Annotated[str, check_ticker]
Symbol = Annotated[str, check_symbol]
Rows = Annotated[int, _between(1, UNBOUNDED, inclusive=True)]
Count = Annotated[int, _between(0, UNBOUNDED, inclusive=True)]
Several = Annotated[int, _between(2, UNBOUNDED, inclusive=True)]
Draws = Annotated[int, _between(1, MILLION, inclusive=True)]
Penalties = Annotated[int, _between(1, MOST_PENALTIES, inclusive=True)]
SeveralPenalties = Annotated[int, _between(2, MOST_PENALTIES, inclusive=True)]
Components = Annotated[int, _between(0, MOST_COMPONENTS, inclusive=True)]
Span = Annotated[int | str, parse_span]
TimeSpan = Annotated[str, check_time]
HoldOutSpan = Annotated[int | str, check_hold_out]
TrainEnd = Annotated[int | str, check_train_end]
Window = Annotated[int, _between(2, UNBOUNDED, inclusive=True)]
Share = Annotated[float, _between(0.0, 1.0, inclusive=False)]
NotNegative = Annotated[float, _between(0.0, UNBOUNDED, inclusive=True)]
UpToOne = Annotated[float, _between(0.0, 1.0, inclusive=True)]
Positive = Annotated[float, _between(0.0, UNBOUNDED, inclusive=False)]
FieldName = Annotated[str, check_field]
LabelName = Annotated[str, check_label]
# columns of the table of assets that a spec names beside those of `data`: what each is taken for
# (either: numbers or, where it holds text, labels) -> names
AskedFor = Literal["number", "label", "either"]
Asked = dict[AskedFor, list[str]]
# what rows of a table have in a column: a text, or one of several
Texts = str | int | float | list[str | int | float]
Frequency = Literal["week", "month"]
# the cells of a model: its own regressors are known, or every feature of the spec
RowsOf = Literal["own", "common"]
OWN: RowsOf = "own"
COMMON: RowsOf = "common"
Partial = Literal["drop", "keep"]
# what the numbers of a column are: a price is positive, a simple return is not below -1, a level
# (an index, a rate that may cross zero) and an amount are any finite number
Kind = Literal["price", "return", "level", "rate", "amount"]

# share of the values of a column that rules may blank, where data.allow_loss does not say
MOST_LOST = 0.02
