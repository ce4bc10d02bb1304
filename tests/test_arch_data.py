"""The indices and the VIX as they ship with arch."""

from __future__ import annotations

import arch.data.nasdaq
import arch.data.sp500
import arch.data.vix
import numpy as np
import pandas as pd
import pytest

from runner.data.sources import arch_data
from runner.data.sources.arch_data import ArchData
from runner.errors import DataError


def test_the_numbers_are_those_of_the_package() -> None:
    market = ArchData(macro={"vix": "^VIX"}).load()
    assert market.assets == ["^GSPC", "^IXIC"] and len(market.dates) == 5031
    for name, module in (("^GSPC", arch.data.sp500), ("^IXIC", arch.data.nasdaq)):
        raw = module.load()["Adj Close"]
        np.testing.assert_array_equal(market.get("close")[name], raw)
        assert (market.dates == raw.index).all()
    raw = pd.to_numeric(arch.data.vix.load()["vix"], errors="coerce").reindex(market.dates)
    np.testing.assert_array_equal(market.shared("vix"), raw)
    assert (
        market.shared("vix").notna().sum() == 1257
        and str(market.shared("vix").first_valid_index())[:10] == "2014-01-03"
    )
    assert market.market_close is None


def test_spy_is_the_index_and_says_so() -> None:
    market = ArchData(["SPY"], "SPY", {"vix": "^VIX"}, "2014-01-01", "2025-05-15").load()
    raw = arch.data.sp500.load()["Adj Close"]["2014":]
    np.testing.assert_array_equal(market.get("close")["SPY"], raw)
    np.testing.assert_array_equal(market.index_close, raw)
    assert market.source == "arch.data sp500, vix; SPY is the index ^GSPC, without dividends"
    assert "dividends" not in ArchData(["^GSPC"]).load().source
    assert (
        str(market.dates[0].date()) == "2014-01-02" and str(market.dates[-1].date()) == "2018-12-31"
    )


def test_days_of_the_vix_without_trading_are_counted_within_the_range() -> None:
    def outside(**more: str) -> list[tuple[str, str, int]]:
        return [
            tuple(one)
            for one in ArchData(["^GSPC"], "^GSPC", {"vix": "^VIX"}, **more).load().dropped
        ]

    assert outside() == [
        ("source row", "date on which ^GSPC did not trade", 2)
    ]  # 2019-01-02 and 03
    assert outside(end="2018-12-31") == []
    assert outside(start="2014-01-01", end="2019-01-02") == [
        ("source row", "date on which ^GSPC did not trade", 1)
    ]


def test_days_outside_the_range_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    days = pd.DatetimeIndex(["2015-01-01", "2015-01-02", "2016-01-01", "2016-01-04", "2017-01-02"])
    series = {"^GSPC": pd.Series(1.0, days[[1, 3]]), "^VIX": pd.Series(2.0, days)}
    monkeypatch.setattr(arch_data, "_shipped", series.__getitem__)
    for start, end, rows in (
        (None, None, 3),
        ("2015-06-01", None, 2),
        ("2015-06-01", "2016-12-31", 1),
    ):
        market = ArchData(["^GSPC"], "^GSPC", {"vix": "^VIX"}, start, end).load()
        assert sum(one.rows for one in market.dropped) == rows


def test_what_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        ArchData(["SPX", "SPY", "SPY"], "^GSCP", {"vix": "VIX"}).load()
    market, macro, asset, twice = caught.value.mistakes
    assert market.startswith("data.market: '^GSCP' is unknown") and "did you mean '^GSPC'" in market
    assert macro.startswith("data.macro.vix: 'VIX' is unknown") and "did you mean '^VIX'" in macro
    assert asset.startswith("data.assets: 'SPX' is unknown")
    assert twice == "data.assets: 'SPY' is listed more than once; allowed: once"
    with pytest.raises(DataError, match=r"holds no row; the data runs 1999-01-04\.\.2018-12-31"):
        ArchData(start="2020-01-01").load()


def test_the_fingerprint_is_stable_and_sees_the_choice() -> None:
    assert ArchData().load().fingerprint == ArchData().load().fingerprint
    assert ArchData(["SPY"]).load().fingerprint != ArchData(["^IXIC"]).load().fingerprint
