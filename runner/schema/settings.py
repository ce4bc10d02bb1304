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


def parse_hours(value: str) -> tuple[int, int]:
    """First and last bar of a session, in minutes after midnight.

    Raises:
        ValueError: not two times of one day, the first before the last.
    """
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", value)
    first, last = (60 * int(found[i]) + int(found[i + 1]) for i in (1, 3)) if found else (0, 0)
    if first >= last:
        raise ValueError("allowed: the first and the last bar of a day, such as 09:31-16:00")
    return first, last


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
    found = re.fullmatch(r"([1-9][0-9]{0,2})([ymwd])", value) if isinstance(value, str) else None
    if found:
        return int(found[1]), SPANS[found[2]]
    if isinstance(value, str) or value < least:
        raise ValueError(
            f"allowed: rows, a whole number from {least}, or a time such as 2y, 6m, 3w or 10d"
        )
    return value, "rows"


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
    """A name of an asset as its source writes it.

    Raises:
        ValueError: empty, or with characters that no exchange uses (a path, a line break).
    """
    if not value or len(value) > 64 or any(c in "/\\\n\r\t\0" for c in value) or ".." in value:
        raise ValueError("allowed: a name of 1 to 64 characters without slashes or line breaks")


def _between(low: float, high: float, inclusive: bool) -> Callable[[float], None]:
    def check(value: float) -> None:
        inside = low <= value <= high if inclusive else low < value < high
        if not inside:
            above = f"from {low:g}" if inclusive else f"above {low:g}"
            below = (
                ""
                if high == float("inf")
                else f" to {high:g}"
                if inclusive
                else f" and below {high:g}"
            )
            raise ValueError(f"allowed: a number {above}{below}")

    return check


Date = Annotated[str, parse_date]
Hours = Annotated[str, parse_hours]
TimeZone = Annotated[str, check_zone]
Ticker = Annotated[str, check_ticker]
Rows = Annotated[int, _between(1, float("inf"), inclusive=True)]
Count = Annotated[int, _between(0, float("inf"), inclusive=True)]
Several = Annotated[int, _between(2, float("inf"), inclusive=True)]
Span = Annotated[int | str, parse_span]
HoldOutSpan = Annotated[int | str, check_hold_out]
TrainEnd = Annotated[int | str, check_train_end]
Window = Annotated[int, _between(2, float("inf"), inclusive=True)]
Share = Annotated[float, _between(0.0, 1.0, inclusive=False)]
NotNegative = Annotated[float, _between(0.0, float("inf"), inclusive=True)]
UpToOne = Annotated[float, _between(0.0, 1.0, inclusive=True)]
Positive = Annotated[float, _between(0.0, float("inf"), inclusive=False)]
Frequency = Literal["week", "month"]
RowsOf = Literal[
    "own", "common"
]  # the cells of a model: its own regressors are known, or every feature of the spec
OWN: RowsOf = "own"
COMMON: RowsOf = "common"
Partial = Literal["drop", "keep"]

MOST_LOST = (
    0.02  # share of the values of a column that rules may blank, where data.allow_loss does not say
)
