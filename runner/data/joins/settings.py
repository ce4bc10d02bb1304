"""Settings of the tables that are joined to the table of assets, whatever source that has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from runner.errors import listed
from runner.schema.forms import Form
from runner.schema.settings import MOST_LOST, Asked, Kind, Texts, TimeSpan, TimeZone, UpToOne

Columns = str | list[str] | dict[str, str] | None
RATES = ("return", "rate")  # kinds that are written in per cent
OF_AS_OF = ("available", "lag", "stale", "timing")  # settings of a join as of a date


@dataclass(frozen=True)
class SeriesTable(Form):
    """A table by date: given factors, a risk-free rate, macro series. The same for every asset.

    A row counts on the dates of the assets that it meets (`on: equal`), or on every date from the
    one on which it is known (`on: asof`): of the rows known on a date the latest date counts, of
    that the latest published, so that a late restatement of an old quarter never displaces a newer
    quarter. A cell without a number is no row.

    Attributes:
        path: a file, a folder, a pattern, a list of them, or an address (https://, s3://); relative
            paths start at the working directory.
        columns: what is read: {name here: column in the file}, a list of columns, or patterns such
            as "c*"; null takes every column of numbers under its own name. Factors that French's
            library and WRDS spell otherwise (Mkt-RF, mktrf) are called MktRF, SMB, HML, RMW, CMA,
            Mom, RF unless a mapping names them.
        kind: price (positive), return (not below -1), level, rate or amount (any finite number), of
            all columns or as {name here: kind}; null: any finite number.
        percent: true: the file is in per cent, and returns, rates and columns without a kind are
            divided by 100; false: it is in decimals; null: decimals too, but returns whose median
            size is above .2 a row are refused.
        annual: true: rates a year, such as yields of bills: rates, and columns without a kind that
            are no factor returns, are divided by the rows of a year of the assets (12 of months,
            252 of days); false: rates of the row; null: of the row too, but a risk-free rate above
            15 % a year is refused, except with percent: false.
        where: {column: text}, only the rows with this text (or one of a list) in that column, such
            as one series of a file with several below each other; null: all rows.
        stamp: as_is, or where a date stands for a period (month, quarter, year): end moves it to
            the last day of that period, start to the first. Null: as it is; months without a day
            (yyyymm) are moved to their end.
        on: equal joins on equal dates, where both sides have one row a month on the same month end
            (last trading day and last calendar day); asof takes the last row known. Null: asof
            where available, lag, stale or timing is given, else equal.
        available: column of the dates of publication, from which on a row is known.
        available_format: of those dates, where they are written otherwise than `date`; null:
            `date_format`.
        lag: time after its date at which a row is known, such as 3m; null: on its date.
        stale: longest age of a row, counted from its date, such as 400d; older ones are no value.
        timing: same_day: a row is known on the date that `available`, or its date and lag, give;
            next_day: from the next day on. Null: same_day; with bars within the day, next_day for
            dates without a time of day.
        date: column of the dates; null: date, month and the like, or a column without a name.
        time_zone: stamps with a zone are turned into local time of this one; null keeps theirs.
    """

    path: str | list[str]
    columns: Columns = None
    kind: Kind | dict[str, Kind] | None = None
    percent: bool | None = None
    annual: bool | None = None
    where: dict[str, Texts] | None = None
    stamp: Literal["as_is", "end", "start"] | None = None
    on: Literal["equal", "asof"] | None = None
    available: str | None = None
    available_format: str | None = None
    lag: TimeSpan | None = None
    stale: TimeSpan | None = None
    timing: Literal["same_day", "next_day"] | None = None
    date: str | None = None
    time_zone: TimeZone | None = None

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            ValueError: a line for each contradiction.
        """
        mistakes = []
        if self.on == "equal":
            for name in OF_AS_OF:
                if getattr(self, name) is not None:
                    mistakes.append(f"{name}: given with on=equal; allowed: with on=asof")
        if self.available is not None and self.lag is not None:
            mistakes.append(
                "lag: given beside available, which says when a row is known; allowed: one of them"
            )
        if self.available_format is not None and self.available is None:
            mistakes.append("available_format: given without available; allowed: beside it")
        mistakes += _of_wide(self)
        if self.percent and not self._in_per_cent():
            mistakes.append(
                f"percent: given, but no column is of a kind written in per cent; "
                f"allowed: with kind {listed(RATES)} or null"
            )
        if mistakes:
            raise ValueError("\n".join(mistakes))

    def _in_per_cent(self) -> bool:
        """Whether a column may be a return or a rate."""
        if isinstance(self.kind, Mapping):
            named = set(self.kind.values())
            others = not isinstance(self.columns, Mapping) or set(self.columns) - set(self.kind)
            return bool(others) or not named.isdisjoint(RATES)
        return self.kind is None or self.kind in RATES

    @property
    def as_of(self) -> bool:
        """Whether a row counts from the date on which it is known until a later one."""
        if self.on is not None:
            return self.on == "asof"
        given = [name for name in OF_AS_OF if getattr(self, name) is not None]
        return bool(given)

    def kind_of(self, name: str) -> Kind | None:
        """What the numbers of the column of this name are; None where nothing is said."""
        if isinstance(self.kind, Mapping):
            return self.kind.get(name)
        return self.kind


@dataclass(frozen=True)
class FieldTable(SeriesTable):
    """A table by date and asset: fundamentals, characteristics, forecasts. Joined as a series is.

    Attributes:
        asset: column of the assets, as the table of assets names them; null: asset, ticker, permno
            and the like.
    """

    asset: str | None = None


@dataclass(frozen=True)
class LabelTable(Form):
    """A table of labels of the assets: industry, exchange, country.

    Attributes:
        path: a file, a folder, a pattern, a list of them, or an address (https://, s3://); relative
            paths start at the working directory.
        columns: {name here: column in the file}, a list of columns, or patterns such as "sic*";
            null takes every column beside the keys under its own name.
        asset: column of the assets, as the table of assets names them; null: asset, ticker, permno
            and the like.
        date: column of the dates from which on a label holds; null: date and the like, or labels
            that hold at all times where the file has no such column.
        until: column of the last dates on which a label holds, themselves included; an empty cell:
            it goes on. A table without other columns is then of members: its own name is the label.
    """

    path: str | list[str]
    columns: Columns = None
    asset: str | None = None
    date: str | None = None
    until: str | None = None

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            ValueError: a line for each contradiction.
        """
        mistakes = _of_wide(self)
        if mistakes:
            raise ValueError("\n".join(mistakes))


Table = SeriesTable | FieldTable | LabelTable
# settings of columns that a wide table does not have
OF_ROWS = ("asset", "available", "where", "until")


def _of_wide(table: Table) -> list[str]:
    """Mistakes of settings that a table of dates x assets does not have."""
    if table.form != "wide":
        return []
    if not isinstance(table, FieldTable | LabelTable):
        return ["form: wide, but a series is the same for every asset; allowed: in data.fields"]
    mistakes = []
    for name in OF_ROWS:
        if getattr(table, name, None) is not None:
            mistakes.append(f"{name}: given with form=wide, which has dates and assets alone")
    if table.columns is not None and not isinstance(table.columns, str):
        mistakes.append("columns: of a wide table one name for all its cells; allowed: a text")
    return mistakes


ROLES: Mapping[str, type[Table]] = {
    "fields": FieldTable,
    "series": SeriesTable,
    "labels": LabelTable,
}


@dataclass(frozen=True)
class OfAnySource:
    """Settings of `data` that any source has beside its own.

    Attributes:
        allow_loss: share of the values of a column that break a rule for its kind, up to which the
            run goes on without them.
        delisting: field of decimal returns after delisting, which enter the returns: (1 + r)(1 + d)
            - 1 with the return r of the row, d alone where there is none.
        members: label of the assets, such as one of data.labels; the panel has the assets of each
            date that have it on that date.
        fields: tables by date and asset joined to the assets, {a name of your own: settings}.
        series: tables by date: factors, a risk-free rate, macro series, {name: settings}.
        labels: tables of labels by asset: industry, exchange, {name: settings}.
        borrowed: settings of the source that an experiment gives for data of its own, where other
            data are chosen; they count where these data have all that they name.
        asked: what features, target, model, weights and groups of the spec name beside these
            settings, noted by the run itself: columns of these names are read from a table of
            assets that has them. A name that is null in `columns` is not.
    """

    allow_loss: UpToOne = MOST_LOST
    delisting: str | None = None
    members: str | None = None
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    series: dict[str, dict[str, Any]] = field(default_factory=dict)
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    borrowed: list[str] = field(default_factory=list)
    asked: Asked = field(default_factory=dict)


class Joined(NamedTuple):
    """A table and its place in the spec, such as `data.series.factors`."""

    where: str
    table: Table
