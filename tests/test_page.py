"""The page and its pictures: self-contained, escaped, small, whatever the names of the units."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from conftest import call_cli
from test_words import NINE, french

from runner.experiment.report import Report
from runner.sinks import markup, page, plots
from runner.text import number

NASTY = [
    '<script>alert("x")</script>',
    'O\'Neil & "Söhne"',
    "株式会社",
    "$x_1$ {y} %s",
    "</td></table>",
    "a\u202eb",
]
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Checker(HTMLParser):
    """Collects text and pictures; every element must be closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.texts: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def checked(path: Path) -> Checker:
    checker = Checker()
    checker.feed(path.read_text(encoding="utf-8"))
    checker.close()
    assert not checker.wrong and not checker.open
    return checker


def renamed(report: Report, names: dict[str, str]) -> Report:
    """The same report with other names of units, everywhere."""

    def frame(table: pd.DataFrame, column: str = "unit") -> pd.DataFrame:
        return table.assign(**{column: table[column].astype(object).replace(names)})

    fit = replace(
        report.fit,
        coefficients=frame(report.fit.coefficients),
        quality=frame(report.fit.quality),
        hypotheses=frame(report.fit.hypotheses),
    )
    panel = replace(report.panel, assets=[names.get(name, name) for name in report.panel.assets])
    return replace(
        report,
        name=f"run {NASTY[0]}",
        source=NASTY[1],
        spec={**report.spec, "data": {"assets": list(names.values())}},
        panel=panel,
        fit=fit,
        diagnostics=frame(report.diagnostics),
        scores=frame(report.scores),
        predictions=frame(report.predictions, "asset"),
    )


def repeated(report: Report, units: int) -> Report:
    """The same report with so many units, all alike."""

    def frame(table: pd.DataFrame) -> pd.DataFrame:
        one = table[table["unit"] == NINE[0]]
        rest = table[table["unit"] == "all"]
        return pd.concat(
            [*(one.assign(unit=f"U{i:04d}") for i in range(units)), rest], ignore_index=True
        )

    fit = replace(
        report.fit,
        coefficients=frame(report.fit.coefficients),
        quality=frame(report.fit.quality),
        hypotheses=frame(report.fit.hypotheses),
    )
    return replace(
        report, fit=fit, diagnostics=frame(report.diagnostics), scores=frame(report.scores)
    )


@pytest.fixture(scope="module")
def nine() -> Report:
    return french(NINE, hypotheses=["const = 0"])


@pytest.fixture(scope="module")
def nasty(nine: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("nasty")
    report = renamed(nine, dict(zip(NINE, NASTY, strict=False)))
    page.write(report, directory, plots.draw(report, directory))
    return directory


def test_pictures_are_written_in_order(nine: Report, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    paths = [drawn.path for drawn in plots.draw(nine, tmp_path)]
    names = [
        f"{name}.png"
        for name in (
            "coefficients",
            "t_stats",
            "actual_fitted",
            "residuals",
            "actual_predicted",
            "folds",
        )
    ]
    assert [path.name for path in paths] == names
    assert all(
        path.parent == tmp_path / "plots" and path.read_bytes().startswith(b"\x89PNG")
        for path in paths
    )
    assert dict(mpl.rcParams) == before


def test_pictures_without_predictions(tmp_path: Path) -> None:
    names = [drawn.path.stem for drawn in plots.draw(french(["S1V1"], held_out=False), tmp_path)]
    assert names == ["coefficients", "t_stats", "actual_fitted", "residuals"]


def test_pictures_of_many_units_show_a_distribution(nine: Report, tmp_path: Path) -> None:
    assert len(plots.draw(repeated(nine, 500), tmp_path)) == 5


def test_a_unit_without_errors_or_estimates_is_still_drawn(nine: Report, tmp_path: Path) -> None:
    table = nine.fit.coefficients.copy()
    table.loc[:3, ["std_error", "t_stat", "p_value", "ci_low", "ci_high"]] = np.nan
    table.loc[4:7, "estimate"] = np.nan
    report = replace(nine, fit=replace(nine.fit, coefficients=table))
    page.write(report, tmp_path, plots.draw(report, tmp_path))
    checked(tmp_path / "report.html")


def test_names_are_text_never_markup(nasty: Path) -> None:
    checker = checked(nasty / "report.html")
    assert "script" not in checker.seen
    for name in NASTY:
        assert any(name.replace("\u202e", "\ufffd") in text for text in checker.texts), name


def test_nothing_is_fetched(nasty: Path) -> None:
    text = (nasty / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<link|@import|url\(", text)
    assert set(re.findall(r'src="([^,"]*)', text)) == {"data:image/png;base64"}


def test_every_part_is_there(nasty: Path) -> None:
    text = (nasty / "report.html").read_text(encoding="utf-8")
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings == [
        "Coefficients",
        "Reading",
        "Fit",
        "Hypotheses",
        "Out of sample",
        "Diagnostics",
        "Descriptive statistics",
        "Look-ahead audit",
        "Rows",
        "Reproduce it",
    ]
    assert 'class="badge explanatory"' in text and text.count("<figure>") == 6


def test_tables_hold_the_estimates(nine: Report, tmp_path: Path) -> None:
    page.write(nine, tmp_path, [])
    texts = [
        text.strip(markup.FIGURE_SPACE + markup.POINT_SPACE)
        for text in checked(tmp_path / "report.html").texts
    ]
    for row in nine.fit.coefficients.itertuples():
        assert number(row.estimate) in texts


def test_many_units_stay_small_and_say_what_is_cut(nine: Report, tmp_path: Path) -> None:
    report = repeated(nine, 500)
    page.write(report, tmp_path, plots.draw(report, tmp_path))
    path = tmp_path / "report.html"
    assert path.stat().st_size < 1_000_000
    text = "".join(checked(path).texts)
    assert f"{500 * 4 - markup.MOST_ROWS:,} more rows are in coefficients.csv" in text
    assert f"{500 - markup.MOST_ROWS:,} more rows are in diagnostics.csv" in text


def test_without_anything_out_of_sample(tmp_path: Path) -> None:
    page.write(french(["S1V1"], held_out=False), tmp_path, [])
    assert "<h2>Out of sample</h2>" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_command_that_repeats_the_run(nine: Report, tmp_path: Path) -> None:
    page.write(replace(nine, overrides=("model.cov=HC3", "data.path=/a b.csv")), tmp_path, [])
    assert (
        "python -m runner model.cov=HC3 'data.path=/a b.csv'"
        in checked(tmp_path / "report.html").texts
    )


def test_the_contents_lead_to_sections_that_fold(nasty: Path) -> None:
    text = (nasty / "report.html").read_text(encoding="utf-8")
    links = re.findall(r'<li><a href="#(s\d+)">(.*?)</a></li>', text)
    sections = re.findall(
        r'<section id="(s\d+)"><details open><summary><h2>(.*?)</h2></summary>', text
    )
    assert links == sections and len(links) == len(set(links)) == text.count("<h2>")


def test_the_page_opens_with_the_answer(nine: Report, tmp_path: Path) -> None:
    page.write(nine, tmp_path, [])
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    answer = text.split('<p class="answer">')[1].split("</p>")[0]
    assert answer.startswith("Out-of-sample R2 is 0.903")
    assert text.index('class="answer"') < text.index("<h2>Coefficients</h2>")
    adjusted = number(nine.metrics["fit/r2_adj"], 3)
    assert f"mean R2 in sample (adjusted {adjusted})" in text


def test_a_job_leads_back_to_the_page_of_its_sweep(tmp_path: Path) -> None:
    done = call_cli(
        tmp_path,
        *("-m", "model.cov=HC1,HC3", "data.assets=[S1V1]", "sweep.report=full", "audit=off"),
        "hydra.sweep.dir=outputs/sweeps/a & <b>",
    )
    assert done.code == 0, done.err
    job = tmp_path / "outputs/sweeps/a & <b>/1/report.html"
    checker = checked(job)
    assert "sweep a & <b>" in checker.texts
    [link] = re.findall(r'<a href="(\.\./[^"]*)"', job.read_text())
    assert (job.parent / link).resolve().exists()


def test_a_run_by_itself_leads_to_no_sweep(nine: Report, tmp_path: Path) -> None:
    page.write(nine, tmp_path, [])
    assert "../" not in (tmp_path / "report.html").read_text()


def test_numbers_stay_on_the_line_of_their_names() -> None:
    text = markup.unbroken("not significant (p = 0.433), 5 % (t 2.1; p < 0.001)")
    assert text == "not significant (p\xa0=\xa00.433), 5\xa0% (t\xa02.1; p\xa0<\xa00.001)"


def test_units_are_headed_by_what_they_are_and_one_pool_by_nothing() -> None:
    table = pd.DataFrame({"scope": "asset", "unit": ["A", "B"], "n_obs": 2})
    of_assets = markup.framed(table, "Fit", "quality.csv")
    assert ">asset</th>" in of_assets and ">unit</th>" not in of_assets
    assert ">scope</th>" not in of_assets
    of_pool = markup.framed(table.assign(scope="pooled", unit="all"), "Fit", "quality.csv")
    assert of_pool.count("<th") == 2 and ">rows</th>" in of_pool  # of the head: thead, th
    of_both = markup.framed(table.assign(scope=["pooled", "asset"]), "Fit", "quality.csv")
    assert ">scope</th>" in of_both and ">pooled</td>" in of_both and ">A</td>" in of_both
