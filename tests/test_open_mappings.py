"""Overrides as people type them: new keys without a plus, paths and names with any characters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import runner
from runner.__main__ import main
from runner.cli.composition import Composer
from runner.cli.overrides import distance, may_be_new, readable
from runner.errors import SpecError
from runner.sweeps.plan import Plan

FILE = ("experiment=none", "data=file", "data.path=x.csv", "features=none")


@pytest.mark.parametrize(
    ("word", "typed"),
    [
        ("data.path=dir/date=2021/prices(1).csv", "data.path='dir/date=2021/prices(1).csv'"),
        ("data.path=~/x.csv", "data.path='~/x.csv'"),
        ("data.market=^GSPC", "data.market='^GSPC'"),
        ("data.assets=[ES=F,A]", "data.assets=['ES=F','A']"),
        ("data.assets=[RDS/A]", "data.assets=[RDS/A]"),
        ("data.path=it's (1).csv", 'data.path="it\'s (1).csv"'),
        ("data.path=plain.csv", "data.path=plain.csv"),
        ("model.cov=HC3,HAC", "model.cov=HC3,HAC"),
        ("features.m='lag(close, 1)'", "features.m='lag(close, 1)'"),
    ],
)
def test_what_hydra_cannot_read_is_quoted(word: str, typed: str) -> None:
    assert readable(word) == typed


@pytest.mark.parametrize(
    ("one", "other", "letters"),
    [("vix", "vix", 0), ("vix", "vixx", 1), ("sector", "secotr", 2), ("", "abc", 3)],
)
def test_letters_between_two_names(one: str, other: str, letters: int) -> None:
    assert distance(one, other) == distance(other, one) == letters


@pytest.mark.parametrize(
    ("word", "new"),
    [
        ("data.macro.vix=VIX", True),
        ("+data.macro.vix=VIX", False),
        ("data.macro={vix: VIX}", True),
        ("data.macro=null", False),
        ("features=ff3", False),
        ("model.cov=HC3", False),
    ],
)
def test_where_a_key_may_be_new(word: str, new: bool) -> None:
    assert may_be_new(word) is new


def test_new_keys_of_open_mappings_need_no_plus() -> None:
    added = (
        "data.macro.vix=^VIX",
        "data.groups.sector=Sector",
        "data.columns.market_cap=Cap",
        "data.series.factors.path=f.csv",
        "data.series.factors.percent=true",
        "features.size={_target_: runner.features.field, name: market_cap}",
        "analyses.sharpe={_target_: runner.analyses.sharpe}",
    )
    spec = runner.compose(*FILE, *added).spec
    assert spec["data"]["macro"] == {"vix": "^VIX"}
    assert spec["data"]["groups"] == {"sector": "Sector"}
    assert spec["data"]["columns"]["market_cap"] == "Cap"
    assert spec["data"]["series"] == {"factors": {"path": "f.csv", "percent": True}}
    assert list(spec["features"]) == ["size"] and list(spec["analyses"]) == ["sharpe"]


def test_a_mapping_merges_and_null_empties_it() -> None:
    merged = runner.compose(*FILE, "data.macro={a: A}", "data.macro.b=B").spec
    assert merged["data"]["macro"] == {"a": "A", "b": "B"}
    for name in ("columns", "groups", "macro", "fields", "series", "labels"):
        assert runner.compose(*FILE, f"data.{name}=null").spec["data"][name] == {}
    assert runner.compose(*FILE, "analyses=null").spec["analyses"] == {}
    with pytest.raises(SpecError) as caught:
        runner.compose(*FILE, "features=null")
    [line] = caught.value.mistakes
    assert line.startswith("features: given null; allowed: candidates, capm, ")


def test_the_last_of_two_values_of_a_new_key_counts() -> None:
    twice = ["data.series.f.path=a.csv", "data.series.f.path=b.csv"]
    assert runner.compose(*FILE, *twice).spec["data"]["series"]["f"]["path"] == "b.csv"


def test_a_slip_of_the_pen_is_refused_with_the_name() -> None:
    slip = "data.columns.volumee=V"
    with pytest.raises(SpecError) as caught:
        runner.compose(*FILE, slip)
    assert caught.value.mistakes == (
        "data.columns.volumee: 'volumee' is new, and nearly volume; +data.columns.volumee=... "
        "adds it",
    )
    forced = runner.compose(*FILE, f"+{slip}").spec
    assert forced["data"]["columns"]["volumee"] == "V"


@pytest.mark.parametrize(
    ("name", "known"), [("SBM", "SMB"), ("smb", "SMB"), ("SMP", "SMB"), ("mktrf", "MktRF")]
)
def test_a_slip_in_a_name_of_three_letters_is_refused(name: str, known: str) -> None:
    with pytest.raises(SpecError, match=f"'{name}' is new, and nearly {known}"):
        runner.compose("features=ff3", f"features.{name}=close")


@pytest.mark.parametrize("name", ["UMD", "RMW", "CMA", "mom", "x", "me"])
def test_other_names_of_three_letters_are_new(name: str) -> None:
    assert name in runner.compose("features=ff3", f"features.{name}=close").spec["features"]


@pytest.mark.parametrize("wrong", ["features=null", "experiment=null", "experiment=[ff3,capm]"])
def test_of_a_spec_without_an_option_nothing_else_is_said(wrong: str) -> None:
    words = ["data=file", "data.path=x.csv", "data.macro.vix=^VIX", "features.x=high"]
    with pytest.raises(SpecError) as caught:
        runner.compose(wrong, *words)
    [line] = caught.value.mistakes
    group, _, given = wrong.partition("=")
    assert line.startswith(f"{group}: given {given}; allowed: ")


def test_what_is_wrong_elsewhere_makes_no_new_key_wrong() -> None:
    with pytest.raises(SpecError) as caught:
        runner.compose(*FILE, "data.macro.vix=^VIX", "features.x=close", "modl.cov=HC3")
    [line] = caught.value.mistakes
    assert line.startswith("modl: 'modl' is unknown")


def test_a_slip_inside_a_mapping_is_refused_too() -> None:
    with pytest.raises(SpecError) as caught:
        runner.compose(*FILE, "data.columns={volumee: V, market_cap: Cap}")
    assert caught.value.mistakes == (
        "data.columns.volumee: 'volumee' is new, and nearly volume; +data.columns.volumee=... "
        "adds it",
    )


def test_a_slip_in_the_name_of_a_table_names_the_table() -> None:
    tables = ("+data.series.factors.path=f.csv", "data.series.factorz.path=g.csv")
    with pytest.raises(SpecError, match=r"^data.series.factorz: 'factorz' is new, and nearly fac"):
        runner.compose(*FILE, *tables)


def test_new_keys_beside_others_are_printed_without_their_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    added = ["analyses={s: {_target_: runner.analyses.sharpe}}", "features.own=MktRF"]
    assert main([*added, "--cfg", "job"]) == 0
    assert capsys.readouterr().err == "added to the spec: features.own\n"


def test_new_keys_that_can_be_meant_for_no_other_are_not_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    added = ["analyses={s: {_target_: runner.analyses.sharpe}}", "data.macro.vix=^VIX"]
    assert main([*FILE, *added, "data.columns.ret=r", "--cfg", "job"]) == 0
    assert capsys.readouterr().err == ""


def test_settings_of_what_is_there_stay_closed() -> None:
    with pytest.raises(SpecError, match=r"features.MktRF.serie: 'serie' is unknown"):
        runner.compose("features.MktRF.serie=SMB")


def test_new_keys_in_a_sweep() -> None:
    swept = runner.sweep(
        "data.assets=[S1V5]",
        "features=none",
        "features.x=SMB,HML",
        "model.hypotheses=[]",
        "report=tables",
    )
    assert len(swept.reports) == 2


def planned(*overrides: str) -> Plan:
    return Composer(None, None, None).plan([*FILE, *overrides])


def test_jobs_of_a_sweep_are_typed_as_a_run_is() -> None:
    plan = planned(
        'sweep.jobs=[["data.groups.g=Ticker"],["data.path=date=2021/x.csv"],["data.market=^GSPC"]]'
    )
    grouped, elsewhere, market = [job.spec["data"] for job in plan.jobs]
    assert grouped["groups"] == {"g": "Ticker"}
    assert elsewhere["path"] == "date=2021/x.csv"
    assert market["market"] == "^GSPC"
    with pytest.raises(SpecError, match="'volumee' is new, and nearly volume"):
        planned('sweep.jobs=[["data.columns.volumee=V"],[]]')


def test_jobs_with_the_same_mappings_compose_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    composer = Composer(None, None, None)
    composer.typed([*FILE, "data.groups.a=A"])
    monkeypatch.setattr(composer, "_compose", None)
    assert composer.typed([*FILE, "model.cov=HC3", "data.groups.b=B"])[-1] == "+data.groups.b=B"


def test_any_path_and_names_with_slashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2020-01-01", periods=120)
    names = ["BRK/B", "ES=F", "BTC/USD"]
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (len(days), 3)), axis=0))
    folder = tmp_path / "date=2021"
    folder.mkdir()
    pd.DataFrame(closes, days.rename("Date"), names).to_csv(folder / "prices(1).csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    common = ["experiment=none", "data=file", "features=market", "target=same_period_return"]
    common += ["data.market=BTC/USD", "data.assets=[BRK/B,ES=F]", "report=tables"]
    assert main([*common, "data.path=date=2021/prices(1).csv"]) == 0
    [table] = tmp_path.glob("outputs/runs/*/coefficients.csv")
    assert set(pd.read_csv(table)["unit"]) >= {"BRK/B", "ES=F"}
    assert main([*common, "data.path=~/date=2021/prices(1).csv"]) == 0
    assert main([*common, "data.path=~/x.csv"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: data.path: no such file")
