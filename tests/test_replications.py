"""Papers as specs: their printed numbers, the certificate, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import SHARED, STOCKS

import runner
from runner.errors import SpecError
from runner.replications.gallery import names, paper_of
from runner.replications.replicate import replicated

SHIPPED = [name for name in names() if not paper_of(name).needs]
OWN = [name for name in names() if paper_of(name).needs]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_paper_on_shipped_data_agrees(name: str) -> None:
    replication = replicated(paper_of(name))
    assert replication.agrees, replication.numbers


VOLATILITY = SHARED / "sp500_mini_55stocks_2010_2021.parquet"
COPIES = {  # of the reader, by what they are asked for as
    "apple_hold_out": [STOCKS],
    "apple_nine_signals": [STOCKS],
    "minute_fit": [SHARED / "us_minute_2019-12-18_19.parquet"],
    "thirty_industries": [
        SHARED / "ff_ind30_vw_monthly_192607_201812_pct.csv.gz",
        SHARED / "ff3_monthly_192607_201812_pct.csv.gz",
    ],
    "volatility_by_asset": [VOLATILITY],
    "volatility_global": [VOLATILITY],
    "weekly_premia": [STOCKS],
}


@pytest.mark.parametrize("name", OWN)
def test_a_paper_on_data_of_the_reader_agrees(name: str) -> None:
    paper = paper_of(name)
    copies = dict(zip(paper.needs, COPIES[name], strict=True))
    for path in copies.values():
        if not path.exists():
            pytest.skip(f"no {path}: the real data is not part of the project")
    replication = replicated(paper, [f"{setting}={path}" for setting, path in copies.items()])
    assert replication.agrees, replication.numbers


@pytest.mark.parametrize("name", OWN)
def test_data_that_cannot_be_shipped_are_asked_for(name: str) -> None:
    with pytest.raises(SpecError, match=rf"replicate {name} data\.path=FILE"):
        replicated(paper_of(name))


def test_a_number_that_is_not_the_printed_one_is_shown_and_fails() -> None:
    paper = paper_of("harvey_liu_zhu_2016")
    wrong = replace(paper, printed={**paper.printed, "holm": 5.0})
    replication = replicated(wrong)
    assert not replication.agrees
    assert replication.verdict == "3 of 4 numbers within 0.5 of the paper's."


def test_a_tolerance_may_be_a_share_of_the_number() -> None:
    paper = paper_of("nist_longley")
    off = {**paper.printed, "estimate const": paper.printed["estimate const"] + 0.01}
    replication = replicated(replace(paper, printed=off))
    assert replication.verdict == "15 of 16 numbers within 1e-09 (relative) of the paper's."


def test_the_certificate_says_what_was_computed_on_what(cli, tmp_path: Path) -> None:
    page = Path(runner.__file__).parent / "docs" / "replications.md"
    assert "python -m runner replicate fama_french_1993\n" in page.read_text()
    done = cli("replicate", "fama_french_1993")
    assert done.code == 0, done.err
    assert "33 of 33 numbers within 0.065 of the paper's." in done.out
    [path] = tmp_path.glob("outputs/replications/fama_french_1993_*/certificate.json")
    certificate = json.loads(path.read_text())
    assert certificate["agrees"]
    assert certificate["spec"]["data"]["start"] == "1963-07-01"
    assert len(certificate["fingerprint"]) == 32
    assert certificate["versions"]["factor-runner"]
    [slope] = [row for row in certificate["numbers"] if row["number"].endswith("S1V1 HML")]
    assert slope["paper"] == -0.29
    assert slope["ours"] == pytest.approx(-0.288, abs=5e-4)
    page = path.with_suffix(".md").read_text()
    assert "What may differ: the library has revised" in page


def test_papers_are_listed_and_unknown_ones_refused(cli) -> None:
    listed = cli("replicate")
    assert listed.code == 0
    assert set(names()) <= set(listed.out.split())
    refused = cli("replicate", "fama_french_1994")
    assert refused.code == 2
    assert "did you mean 'fama_french_1993'?" in refused.errors[0]
    assert cli("replicate", "lo_2002", "data.start=2000-01-01").code == 2
