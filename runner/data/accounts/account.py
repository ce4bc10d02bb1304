"""The account of the data of a spec: what was read, as tables and in a few sentences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.data.accounts.coverage import (
    assets_by_date,
    coverage_of,
    follows_weekdays,
    gaps_of,
    raster_of,
    values_known,
)
from runner.data.accounts.values import (
    columns_of,
    distribution_of,
    joined_readings,
    joins_of,
    labels_of,
    moves_of,
    units_of,
)
from runner.data.calendar import WHOLE_WEEK, span
from runner.data.columns.column import Column
from runner.data.columns.sizes import amounts, largest_values, median_size
from runner.data.factor_names import RISK_FREE, canonical
from runner.data.market import Market
from runner.data.notices import CELLS, HEADINGS
from runner.data.stored.folder import remembered
from runner.data.suspicions import returns_of, stamp
from runner.errors import listed
from runner.text import count, percent

MANY_ZEROS = 0.1  # share of returns that are zero from which on it is said


@dataclass(frozen=True, eq=False)
class Account:
    """What a source gave, read and not run.

    Attributes:
        source, fingerprint: the data in words, and the digest of its content.
        span: first and last date, for people.
        calendar: how often rows come, in words.
        columns: table, column, name, taken_for, how (given, guessed, named), values, missing.
        gaps: after, before, days, missing: rows of the calendar that are not there.
        coverage: asset, first, last, values, inside (missing from first to last), share.
        by_date: date, assets (with a value).
        raster: share of rows with a value, some assets x periods.
        joins: name, table, met, missed, share: of tables beside the first.
        moves: asset, date, return, median_size: the largest returns.
        units: name, taken_for, values, median, median_size, least, greatest, zero, remark.
        distribution: low, high, values: counts of returns.
        labels: group, label, assets.
        dropped: what, reason, rows.
        series: date, and a column per series (F) that all assets share.
        notes: sentences on what was guessed, and on what looks wrong.
        words: the account in a few sentences.
    """

    source: str
    fingerprint: str
    span: str
    calendar: str
    columns: pd.DataFrame
    gaps: pd.DataFrame
    coverage: pd.DataFrame
    by_date: pd.DataFrame
    raster: pd.DataFrame
    joins: pd.DataFrame
    moves: pd.DataFrame
    units: pd.DataFrame
    distribution: pd.DataFrame
    labels: pd.DataFrame
    dropped: pd.DataFrame
    series: pd.DataFrame
    notes: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether every asset has a value on every date."""
        return bool((self.coverage["values"] == len(self.by_date)).all())

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by the names of their files."""
        return {
            "columns": self.columns,
            "gaps": self.gaps,
            "coverage": self.coverage,
            "by_date": self.by_date,
            "joins": self.joins,
            "moves": self.moves,
            "units": self.units,
            "distribution": self.distribution,
            "labels": self.labels,
            "dropped": self.dropped,
        }


def account_of(market: Market) -> Account:
    """The account of a market (T, N) that the rules for values let in."""
    known = values_known(market)
    returns = _returns(market)
    gaps = gaps_of(market.calendar)
    dropped = pd.DataFrame(market.dropped, columns=["what", "reason", "rows"])
    by_date = market.series.rename_axis("date")
    return Account(
        source=market.source,
        fingerprint=market.fingerprint,
        span=span(market.dates),
        calendar=market.calendar.words,
        columns=columns_of(market, known),
        gaps=pd.DataFrame(gaps._asdict()),
        coverage=coverage_of(market, known),
        by_date=assets_by_date(market, known),
        raster=raster_of(market, known),
        joins=joins_of(market, known),
        moves=moves_of(market, returns),
        units=units_of(market, returns),
        distribution=distribution_of(returns),
        labels=labels_of(market),
        dropped=dropped,
        series=by_date.reset_index(),
        notes=market.notes,
        words=in_short(market),
    )


def in_short(market: Market) -> tuple[str, ...]:
    """The account in a few sentences: dates, coverage, sizes of returns, and what was taken."""
    known = values_known(market)
    returns = _returns(market)
    sums = _sums(market, known, returns)
    general = [_dates(market), _coverage(market, sums), *_returned(market, sums)]
    all_taken = taken(market)
    return (*general, *all_taken)


def taken(market: Market) -> list[str]:
    """What was taken for what: joins, the risk-free rate, guesses, and columns that are named."""
    return [*_joined(market), *_risk_free(market), *_guessed(market), *_named(market)]


def _returns(market: Market) -> Column | None:
    """Returns of a row, decimals; None of data without prices and returns."""
    if not {"close", "ret"} & set(market.fields):
        return None
    return returns_of(market)


def _dates(market: Market) -> str:
    """How many dates there are, and the longest gap between them."""
    calendar = market.calendar
    dates = len(market.dates)
    text = count(dates, "date")
    gaps = gaps_of(calendar)
    if not len(gaps.days):
        return f"{text}, none missing in between."
    last_before = gaps.after[0]
    first_after = gaps.before[0]
    between = f"between {last_before:%Y-%m-%d} and {first_after:%Y-%m-%d}"
    if calendar.rows_per_year is None:
        return f"{text}; the longest time without one is {gaps.days[0]:,} days, {between}."
    dates_missing = gaps.missing.sum()
    missing = int(dates_missing)
    missing_dates = count(missing, "date")
    absent = f"{missing_dates} missing in between"
    if follows_weekdays(calendar):
        noun = "day" if calendar.weekdays == WHOLE_WEEK else "weekday"
        missing_days = count(missing, noun)
        absent = f"{missing_days} without a row in between (holidays among them)"
    longest = gaps.missing[0]
    if longest == 1:
        return f"{text}; {absent}, never two in a row."
    return f"{text}; {absent}, at most {longest:,} in a row, {between}."


class Sums(NamedTuple):
    """What the sentences say of all values, of which there may be more than fit into memory.

    Attributes:
        values: asset-dates with a value.
        whole: assets with a value on every date.
        least, fewest: position of the asset with the fewest values, and how many these are.
        largest: the largest return by size, None of data without returns.
        asset, row: its positions.
        median: median absolute return.
        zero: share of returns that are zero.
    """

    values: int
    whole: int
    least: int
    fewest: int
    largest: float | None = None
    asset: int = 0
    row: int = 0
    median: float = np.nan
    zero: float = 0.0


def _sums(market: Market, known: Column, returns: Column | None) -> Sums:
    """Those of a market; those of one on disk are kept there."""
    home = market.fields.folder
    if home is None:
        return _summed(market, known, returns)

    def made() -> str:
        return json.dumps(_summed(market, known, returns))

    return Sums(*json.loads(remembered(home, f"{market.fingerprint}-sums", made)))


def _summed(market: Market, known: Column, returns: Column | None) -> Sums:
    """Those of a market, all values of which are read."""
    counts = known.counts()
    of_assets = counts.of_assets
    least = int(of_assets.argmin())
    whole = int(np.count_nonzero(of_assets == len(market.dates)))
    sums = Sums(counts.total, whole, least, int(of_assets[least]))
    moves = largest_values(returns, 1) if returns is not None else None
    if returns is None or moves is None or not len(moves.values):
        return sums
    return sums._replace(
        largest=float(moves.values[0]),
        asset=int(moves.assets[0]),
        row=int(moves.rows[0]),
        median=median_size(returns),
        zero=amounts(returns).share_zero,
    )


def _coverage(market: Market, sums: Sums) -> str:
    """How many asset-dates have a value, and how many assets have all."""
    T = len(market.dates)
    N = len(market.assets)
    observations = count(T * N, "asset-date")
    if sums.whole == N:
        return f"{count(N, 'asset')}: {observations}, none missing."
    share = percent(sums.values / (T * N))
    text = f"{count(N, 'asset')}: {share} of the {observations} have a value"
    some = count(sums.whole, "asset") if sums.whole else "none"
    fewest = f"fewest in {market.assets[sums.least]} ({sums.fewest:,} of {T:,})"
    return f"{text}; {some} on every date, {fewest}."


def _joined(market: Market) -> list[str]:
    """How much of what joined tables give has met a row."""
    if not joined_readings(market):
        return []
    known = values_known(market)
    joins = joins_of(market, known)
    shares = []
    for name, share in zip(joins["name"], joins["share"], strict=True):
        shares.append(f"{name} {percent(share)}")
    if not shares:  # labels alone: the groups of assets tell how many have one
        return []
    shares_text = listed(shares)
    return [f"Coverage of joined tables: {shares_text}."]


def _returned(market: Market, sums: Sums) -> list[str]:
    """The usual size of a return and the largest one."""
    if sums.largest is None:
        return []
    date = stamp(market.dates[sums.row])
    largest = f"largest {percent(sums.largest)} ({market.assets[sums.asset]}, {date})"
    text = f"Median absolute return {percent(sums.median)} per row; {largest}"
    if sums.zero > MANY_ZEROS:
        text += f"; {percent(sums.zero)} of returns are zero"
    return [f"{text}."]


def _risk_free(market: Market) -> list[str]:
    """The usual risk-free rate, a row and a year: a rate a year taken for one of a row is seen."""
    sentences = []
    a_year = market.calendar.rows_per_year
    for name in market.series.columns:
        rate = float(market.series[name].median())
        if canonical(str(name)) != RISK_FREE or np.isnan(rate):
            continue
        text = f"Risk-free rate {name}: median {percent(rate)} per row"
        if a_year is not None:
            text += f" ({percent(rate * a_year)} a year)"
        sentences.append(f"{text}.")
    return sentences


def _guessed(market: Market) -> list[str]:
    """Which columns were taken by a guess."""
    guesses = []
    for reading in market.readings:
        if reading.guessed and reading.column not in (reading.name, HEADINGS, CELLS):
            guesses.append(f"{reading.name} = {reading.column}")
    if not guesses:
        return []
    return [f"Recognised by name or content: {listed(guesses)} (change by data.columns)."]


def _named(market: Market) -> list[str]:
    """Which columns are read because features, the model or another part of the spec name them."""
    if not market.asked:
        return []
    asked = listed(market.asked)
    return [f"Columns read because the spec names them: {asked}."]
