"""Bad input gives a value with its reason, or one clear line: never a traceback, a warning or a silent number."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracles import close, panel_of, random_arrays

from runner.errors import DataError, EstimationError
from runner.models.fit import Fit
from runner.models.regression import Regression
from runner.numerics.least_squares import LARGEST
from runner.panels.panel import Panel

# Every way to estimate: over time, over assets, per group, pooled; from moments, from rows, beside effects.
WAYS: dict[str, dict[str, Any]] = {
    "asset": {},
    "asset HC3": {"cov": "HC3"},
    "asset HAC": {"cov": "HAC"},
    "date": {"by": "date"},
    "group": {"by": "sector"},
    "group, clusters": {"by": "sector", "cov": "cluster", "clusters": ["asset"]},
    "pooled": {"by": None},
    "pooled HC1": {"by": None, "cov": "HC1"},
    "two-way": {"by": None, "cov": "cluster", "clusters": ["asset", "date"]},
    "Driscoll-Kraay": {"by": None, "cov": "driscoll_kraay"},
    "effects": {"by": None, "effects": ["asset", "date"]},
    "effects, clusters": {"by": None, "effects": ["asset"], "cov": "cluster", "clusters": ["date"]},
}
OUTSIZED = r"is of size \de[+-]\d+; allowed: 1e-70 to 1e\+70"


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="The ``noload`` loader")  # of MLflow's own store
        yield


def panel(T: int = 60, N: int = 8) -> Panel:
    """Two regressors; sectors a and b of half of the assets each."""
    made = panel_of(*random_arrays(0, T, N, 2))
    return replace(
        made,
        groups=pd.DataFrame({"sector": ["a", "b"] * (N // 2) + ["a"] * (N % 2)}, index=made.assets),
    )


def fitted(of: Panel, way: str, **more: Any) -> Fit:
    return Regression(**WAYS[way], **more).fit(of, np.arange(len(of.dates)))


def refused(of: Panel, way: str, error: type[Exception] = EstimationError, **more: Any) -> str:
    """The one line, when nothing could be estimated."""
    with pytest.raises(error) as caught:
        fitted(of, way, **more)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def complete(fit: Fit) -> None:
    """Every unit has a reason, or finite estimates with errors, t, p and intervals."""
    sound = fit.quality.loc[fit.quality["reason"] == "", "unit"]
    table = fit.coefficients[fit.coefficients["unit"].isin(sound)]
    assert set(table["unit"]) == set(sound)
    numbers = table.drop(columns=["scope", "unit", "term"]).to_numpy(dtype=float)
    assert np.isfinite(numbers).all() and (table["std_error"] > 0.0).all()


# Whatever is done to all cells


@pytest.mark.parametrize("way", WAYS)
def test_collinear_columns(way: str) -> None:
    of = panel()
    of.X[:, :, 1] = -3.0 * of.X[:, :, 0]
    beside = " beside the effects" if "effects" in way else ""
    assert f"collinear{beside}: x0, x1" in refused(of, way)


@pytest.mark.parametrize("way", WAYS)
def test_a_constant_target(way: str) -> None:
    of = panel()
    of.y[:] = 0.1
    flat = "the target is absorbed by the effects" if "effects" in way else "the target is constant"
    assert flat in refused(of, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("power", [-300, -150, 150, 160, 300])
def test_outsized_columns_are_named(way: str, power: int) -> None:
    """Powers of 150 fit a float64, but not their fourth powers; of those of 160 not even squares do."""
    of = panel()
    of.valid[7, 0] = False
    of.X[:, :, 1] *= 10.0**power
    assert re.search(f"x1 {OUTSIZED}", refused(of, way))
    of = panel()
    of.valid[7, 0] = False
    of.y[:] *= 10.0**power
    assert re.search(f"the target {OUTSIZED}", refused(of, way))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scale", [LARGEST / 1e6, 1e6 / LARGEST])
def test_large_and_small_columns_within_the_limit(way: str, scale: float) -> None:
    """They are those of ordinary columns, scaled."""
    of, plain = panel(), fitted(panel(), way)
    of.X[:, :, 1] *= scale
    of.y[:] /= scale
    fit = fitted(of, way)
    complete(fit)
    back = np.where(fit.coefficients["term"] == "x1", scale**2, scale)
    close(fit.coefficients["estimate"] * back, plain.coefficients["estimate"], "estimates")
    close(fit.coefficients["std_error"] * back, plain.coefficients["std_error"], "errors")
    close(fit.quality["f_stat"], plain.quality["f_stat"], "F")


@pytest.mark.parametrize("way", WAYS)
def test_infinite_and_missing_cells_are_not_used(way: str) -> None:
    """The numbers are those of the panel with ordinary cells in the same places, not in use."""
    of, plain = panel(), panel()
    of.y[3, 2], of.X[4, 1, 0], of.X[5, 1, 1], of.y[6, 0] = np.inf, -np.inf, np.nan, np.nan
    valid = np.isfinite(of.y) & np.isfinite(of.X).all(axis=2)
    fit = fitted(replace(of, valid=valid), way)
    complete(fit)
    close(
        fit.coefficients["estimate"],
        fitted(replace(plain, valid=valid), way).coefficients["estimate"],
        "estimates",
        floor=1e-10,
    )


@pytest.mark.parametrize("way", WAYS)
def test_an_asset_without_any_cell(way: str) -> None:
    of = panel()
    of.y[:, 3], of.X[:, 3] = np.nan, np.nan
    of.valid[:, 3] = False
    fit = fitted(of, way)
    complete(fit)
    if way.startswith("asset"):
        assert fit.quality["reason"].iloc[3] == "0 rows for 3 terms; needs at least 4"
        assert (fit.quality["reason"] != "").sum() == 1
    else:
        rest = np.delete(np.arange(8), 3)
        alone = replace(
            of,
            assets=[of.assets[i] for i in rest],
            groups=of.groups.iloc[rest],
            y=of.y[:, rest],
            X=of.X[:, rest],
            valid=of.valid[:, rest],
        )
        close(fit.coefficients["std_error"], fitted(alone, way).coefficients["std_error"], "errors")


# Too little of it


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("T", "N"), [(1, 8), (2, 8), (3, 2), (60, 1), (60, 2), (2, 1), (1, 1)])
def test_few_dates_and_few_assets_give_numbers_or_a_reason(way: str, T: int, N: int) -> None:
    why = ""
    try:
        complete(fitted(panel(T, N), way))
    except (DataError, EstimationError) as error:
        why = "\n".join(error.mistakes)
    assert not why or re.fullmatch(".*(needs? at least|without variance|allowed: less than).*", why)


@pytest.mark.parametrize(
    "way", ["asset", "asset HAC", "date", "group", "pooled", "two-way", "effects"]
)
def test_fewer_rows_than_terms_everywhere(way: str) -> None:
    of = panel()
    of.valid[:] = False
    of.valid[0, 0] = True
    line = refused(of, way, DataError)
    assert (
        "1 rows for 2 terms and 1 effects; needs at least 4" in line
        if way == "effects"
        else "for 3 terms" in line
    )


def test_one_date_has_no_serial_errors() -> None:
    assert "1 date; Driscoll-Kraay errors need at least 2" in refused(panel(T=1), "Driscoll-Kraay")
    assert "1 cluster; clustered errors need at least 2" in refused(panel(T=1), "two-way")
    alone = fitted(panel(T=1), "date")
    assert set(alone.coefficients["scope"]) == {"date"}, "one date has no mean over dates"


def test_a_group_of_one_asset_has_its_reason_beside_the_others() -> None:
    of = panel()
    of.groups["sector"] = ["lone", *["rest"] * 7]
    fit = fitted(of, "group, clusters")
    complete(fit)
    assert fit.quality["reason"].tolist() == ["1 cluster; clustered errors need at least 2", ""]
    assert set(fit.coefficients["unit"]) <= {"rest", "all"}
    complete(fitted(of, "group"))


@pytest.mark.parametrize("lags", [59, 60, 500])
def test_lags_up_to_the_rows_and_beyond(lags: int) -> None:
    for way, what in (("asset HAC", "rows"), ("Driscoll-Kraay", "dates")):
        if lags < 60:
            complete(fitted(panel(), way, cov_lags=lags))
        else:
            assert f"cov_lags={lags} with 60 {what}; allowed: less than the {what}" in refused(
                panel(), way, cov_lags=lags
            )


def test_a_macro_column_only_by_date() -> None:
    of = panel()
    of.X[:, :, 1] = of.X[:, :1, 1]
    assert "x1 is the same for every asset on a date" in refused(of, "date", DataError)
    assert "x1 is absorbed by the effects" in refused(of, "effects")
    complete(fitted(of, "pooled"))


# On the command line

SPEC = """# @package _global_
# A file of returns and two signals.
defaults: [override /data: file, override /features: none, override /target: same_period_return]
data:
  path: panel.csv
  columns: {date: date, asset: asset, close: null, volume: null, ret: ret, z1: z1, z2: z2}
  groups: {sector: sector}
features: {z1: z1, z2: z2}
"""
FAULTS = {
    "ABLE": "",
    "BAKER": "",
    "CLOSED": "0 rows for 3 terms; needs at least 4",
    "EXACT": "fits exactly: no errors, tests or diagnostics",
    "FLAT": "z1 is constant",
    "HUGE": "z1 is of size 3e+150; allowed: 1e-70 to 1e+70",
    "SHORT": "3 rows for 3 terms; needs at least 4",
    "STILL": "the target is constant",
    "TINY": "z1 is of size 3e-150; allowed: 1e-70 to 1e+70",
    "TWIN": "collinear: z1, z2",
    "WILD": "",
}


def spoiled(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of one asset with the fault of its name."""
    changed = {
        "CLOSED": {"ret": np.nan},
        "EXACT": {"ret": 0.01 * table["z1"] - 0.02 * table["z2"]},
        "FLAT": {"z1": 3.0},
        "HUGE": {"z1": np.clip(table["z1"], -3, 3) * 1e150},
        "SHORT": {"ret": table["ret"].where(table.index < 3)},
        "STILL": {"ret": 0.01},
        "TINY": {"z1": np.clip(table["z1"], -3, 3) * 1e-150},
        "TWIN": {"z2": 2.0 * table["z1"]},
        "WILD": {"z2": table["z2"].where(table.index != 5, np.inf)},
    }
    return table.assign(asset=name, **changed.get(name, {}))


@pytest.fixture
def bad(cli: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Run the command line on a file of these assets, each with its fault."""

    def run(
        *words: str, assets: tuple[str, ...] = ("ABLE", "BAKER", "CHARLIE", "DOG"), **columns: Any
    ) -> Any:
        rng = np.random.default_rng(0)
        (tmp_path / "mine" / "experiment").mkdir(parents=True)
        (tmp_path / "mine" / "experiment" / "bad.yaml").write_text(SPEC)
        parts = []
        for name in assets:
            z1, z2, noise = rng.normal(size=(3, 40))
            z1[0] = 3.5  # beyond the others, so that sizes are known
            dates = pd.bdate_range("2020-01-01", periods=40)
            table = pd.DataFrame(
                {"date": dates, "ret": 0.01 * (z1 - z2 + noise), "z1": z1, "z2": z2}
            )
            sector = "lone" if name == "ABLE" else "rest"
            parts.append(spoiled(name, table.assign(sector=sector, **columns)))
        pd.concat(parts).to_csv(tmp_path / "panel.csv", index=False)
        return cli("--config-dir", "mine", "experiment=bad", *words)

    return run


def one_line(outcome: Any, code: int, *texts: str) -> None:
    assert outcome.code == code, outcome.out + outcome.err
    assert len(outcome.errors) == len(outcome.err.splitlines()) == 1, outcome.err
    for text in texts:
        assert text in outcome.errors[0]
    assert "Traceback" not in outcome.out


def test_every_fault_at_once_beside_assets_that_live(bad: Callable[..., Any]) -> None:
    outcome = bad(assets=tuple(FAULTS))
    assert (outcome.code, outcome.err) == (0, "")
    quality = outcome.table("quality").set_index("unit")
    assert quality["reason"].fillna("").to_dict() == FAULTS
    assert quality.loc["WILD", "n_obs"] == 39
    table = outcome.table("coefficients").query("scope == 'asset'").set_index("unit")
    assert set(table.index) == {
        name for name, reason in FAULTS.items() if not reason or name == "EXACT"
    }
    assert table.loc["EXACT", ["std_error", "t_stat", "p_value"]].isna().all(axis=None)
    dropped = outcome.table("dropped")
    assert dropped[["reason", "rows"]].to_numpy().tolist() == [
        ["z2 is infinite", 1],
        ["target is missing", 77],
        ["z2 has no value where z2 was infinite", 1],
    ]
    for name, reason in FAULTS.items():
        assert not reason or name in outcome.out


def test_a_macro_column_by_date_is_one_line(bad: Callable[..., Any]) -> None:
    outcome = bad("model=fama_macbeth", z2=np.arange(40.0) ** 2)
    one_line(outcome, 2, "model.by: date, but z2 is the same for every asset on a date")


def test_one_cluster_is_one_line(bad: Callable[..., Any]) -> None:
    one_line(
        bad("model=pooled", "model.clusters=[sector]", assets=("BAKER", "DOG")),
        1,
        "1 cluster; clustered errors",
    )


def test_a_lag_longer_than_the_sample_is_one_line(bad: Callable[..., Any]) -> None:
    one_line(
        bad("model.cov=HAC", "model.cov_lags=500"),
        1,
        "cov_lags=500 with 40 rows; allowed: less than the rows",
    )


def test_dates_that_contradict_each_other_are_one_line(bad: Callable[..., Any]) -> None:
    one_line(
        bad(date=np.repeat(pd.bdate_range("2020-01-01", periods=20), 2)), 2, "2020-01-01", "ABLE"
    )


def test_one_date_is_one_line(bad: Callable[..., Any]) -> None:
    one_line(
        bad("data.start=2020-01-02", "data.end=2020-01-02"),
        2,
        "1 rows for 3 terms; needs at least 4",
    )


def test_one_asset_by_date_is_one_line(bad: Callable[..., Any]) -> None:
    one_line(bad("model=fama_macbeth", assets=("ABLE",)), 2, "1 rows for 3 terms; needs at least 4")


def test_a_group_of_one_asset_is_a_reason(bad: Callable[..., Any]) -> None:
    outcome = bad("model.by=sector", "model.cov=cluster", "model.clusters=[asset]")
    assert (outcome.code, outcome.err) == (0, "")
    quality = outcome.table("quality").set_index("unit")["reason"].fillna("")
    assert quality.to_dict() == {"lone": "1 cluster; clustered errors need at least 2", "rest": ""}


def test_no_cell_at_all_is_one_line(bad: Callable[..., Any]) -> None:
    one_line(bad(assets=("CLOSED",)), 2, "ret: no asset-date has a value")


def test_every_asset_at_fault_is_one_line(bad: Callable[..., Any]) -> None:
    one_line(
        bad(assets=("STILL", "TWIN")), 1, "STILL: the target is constant", "TWIN: collinear: z1, z2"
    )
