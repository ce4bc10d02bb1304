"""Runs a paper's spec, sets its numbers beside the printed ones, and certifies the outcome."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from runner import __version__, api
from runner.errors import SpecError
from runner.record.identity import digest
from runner.record.rundir import REPLICATIONS, whole
from runner.replications.formulas import FORMULAS
from runner.replications.gallery import Paper, names, paper_of
from runner.text import count

if TYPE_CHECKING:
    from runner.session.report import Report
    from runner.sinks.machine import Form

KEYS = ("unit", "term", "over")  # columns of a table that the name of a number gives
QUICK = ("report=tables", "audit=off")  # a replication asks for numbers alone
BELOW = ("numpy", "scipy", "pandas", "statsmodels")


@dataclass(frozen=True, eq=False)
class Replication:
    """A paper's numbers beside ours.

    Attributes:
        paper: what was replicated.
        numbers: number, paper, ours, difference, within (the tolerance of the paper).
        source: data and their fingerprint; empty of a formula.
        spec: the resolved spec; empty of a formula.
        bits: digest of every bit of our numbers; a second run gave the same.
    """

    paper: Paper
    numbers: pd.DataFrame
    source: Mapping[str, str]
    spec: Mapping[str, Any]
    bits: str

    @property
    def agrees(self) -> bool:
        """Whether every number is within the tolerance."""
        return bool(self.numbers["within"].all())

    @property
    def verdict(self) -> str:
        """How many numbers agree, in a sentence."""
        agreeing = int(self.numbers["within"].sum())
        printed = len(self.numbers)
        total = count(printed, "number")
        tolerance = f"{self.paper.tolerance:g}"
        if self.paper.relative:
            tolerance += " (relative)"
        return f"{agreeing} of {total} within {tolerance} of the paper's."


def replicate(name: str, overrides: Sequence[str], form: Form) -> int:
    """Replicate a paper, print its numbers beside ours, and write its certificate.

    Returns:
        The exit code: 1 where a number lies outside of the tolerance.

    Raises:
        SpecError: an unknown paper; as `replicated`.
        RunnerError: what the run refuses.
    """
    paper = paper_of(name)
    replication = replicated(paper, overrides)
    now = datetime.now(UTC)
    directory = REPLICATIONS / f"{name}_{now:%Y-%m-%d_%H-%M-%S-%f}"
    certify(replication, directory)
    if form == "json":
        certificate = directory / "certificate.json"
        print(certificate.read_text(encoding="utf-8"))
    elif form != "quiet":
        print(in_words(replication))
        print(f"Certificate: {directory / 'certificate.md'}")
    return 0 if replication.agrees else 1


def replicated(paper: Paper, overrides: Sequence[str] = ()) -> Replication:
    """Compute the numbers of a paper, by two runs, and compare them with the printed ones.

    Args:
        overrides: further settings of its run, such as `data.path=FILE` of a file of your own.

    Raises:
        SpecError: overrides of a formula, or a file of your own that is not named.
        RunnerError: what the run refuses.
    """
    asked = tuple(overrides)
    lacking = paper.lacking(asked)
    if lacking:
        settings = " ".join(f"{setting}=FILE" for setting in lacking)
        raise SpecError(
            f"replicate {paper.name}: needs data that cannot be shipped ({paper.data}); "
            f"python -m runner replicate {paper.name} {settings}"
        )
    if paper.formula:
        return _by_formula(paper, overrides)
    words = [*paper.words, *QUICK, *overrides]
    report = api.run(*words)
    again = api.run(*words)
    ours = _ours(paper, report)
    bits = digest(ours)
    again_ours = _ours(paper, again)
    if digest(again_ours) != bits:
        raise SpecError(f"replicate {paper.name}: a second run gave other bits")
    source = {"data": str(report.about["source"]), "fingerprint": str(report.about["fingerprint"])}
    return Replication(paper, _beside(paper, ours), source, report.spec, bits)


def _by_formula(paper: Paper, overrides: Sequence[str]) -> Replication:
    """The numbers of a paper without data."""
    if overrides:
        given = " ".join(overrides)
        raise SpecError(f"replicate {paper.name}: given {given}; allowed: nothing, it has no run")
    computed = FORMULAS[paper.formula](**paper.inputs)
    ours = {name: computed[name] for name in paper.printed}
    return Replication(paper, _beside(paper, ours), {}, {}, digest(ours))


def _ours(paper: Paper, report: Report) -> dict[str, float]:
    """Our numbers of a run, by the names of the printed ones."""
    ours = {}
    for name in paper.printed:
        column, *keys = name.split(" ")
        table, _, of_table = column.partition(".")
        rows = report.tables[table]
        present = [key for key in KEYS if key in rows]
        for key, value in zip(present, keys, strict=False):
            rows = rows[rows[key] == value]
        ours[name] = float(rows[of_table].iloc[0]) if len(rows) else float("nan")
    return ours


def _beside(paper: Paper, ours: Mapping[str, float]) -> pd.DataFrame:
    """Printed numbers and ours, a row each."""
    printed = pd.Series(paper.printed, dtype=float)
    computed = pd.Series(ours, dtype=float)[printed.index]
    difference = computed - printed
    allowed = pd.Series(paper.tolerance, index=printed.index)
    if paper.relative:
        allowed *= printed.abs()
    table = {
        "number": printed.index,
        "paper": printed.to_numpy(),
        "ours": computed.to_numpy(),
        "difference": difference.to_numpy(),
        "within": (difference.abs() <= allowed).to_numpy(),
    }
    return pd.DataFrame(table)


def certify(replication: Replication, directory: Path) -> None:
    """Write certificate.json and certificate.md into a new directory.

    Raises:
        RunnerError: it cannot be written.
    """
    with whole(directory) as unfinished:
        text = json.dumps(_certificate(replication), indent=1)
        json_file = unfinished / "certificate.json"
        json_file.write_text(text, encoding="utf-8")
        page = unfinished / "certificate.md"
        page.write_text(_page(replication), encoding="utf-8")


def _certificate(replication: Replication) -> dict[str, Any]:
    """What the certificate holds, for programs."""
    paper = replication.paper
    now = datetime.now(UTC)
    verdict = {
        "paper": paper.name,
        "title": paper.title,
        "reference": paper.reference,
        "agrees": replication.agrees,
        "tolerance": paper.tolerance,
        "numbers": replication.numbers.to_dict("records"),
    }
    made_from = {
        "bits": replication.bits,
        **replication.source,
        "spec": dict(replication.spec),
        "formula": paper.formula,
        "inputs": dict(paper.inputs),
        "versions": _versions(),
        "made": now.isoformat(timespec="seconds"),
    }
    return verdict | made_from


def _versions() -> dict[str, str]:
    """What the numbers stand on."""
    below = {name: version(name) for name in BELOW}
    return {"factor-runner": __version__, "python": sys.version.split()[0], **below}


def _page(replication: Replication) -> str:
    """The certificate as Markdown."""
    paper = replication.paper
    lines = [f"# {paper.title}", "", f"{paper.reference}.", "", f"Data: {paper.data}."]
    if paper.differs:
        lines += ["", f"What may differ: {paper.differs}."]
    lines += ["", replication.verdict, "", "| number | paper | ours | difference | |"]
    lines.append("|---|---:|---:|---:|---|")
    for row in replication.numbers.itertuples():
        outside = "" if row.within else "outside"
        cells = [row.number, f"{row.paper:g}", f"{row.ours:.10g}", f"{row.difference:.2g}", outside]
        lines.append(f"| {' | '.join(cells)} |")
    versions = ", ".join(f"{name} {text}" for name, text in _versions().items())
    lines += ["", f"Bits of our numbers: {replication.bits}. {versions}."]
    if replication.source:
        source = replication.source
        data = f"Data read: {source['data']}, fingerprint {source['fingerprint']}"
        lines += ["", f"{data}; a second run gave the same bits."]
    return "\n".join(lines) + "\n"


def in_words(replication: Replication) -> str:
    """The replication for a terminal: the reference, a table, and how many numbers agree."""
    paper = replication.paper
    shown = replication.numbers[["number", "paper", "ours", "difference"]].copy()
    shown["paper"] = [f"{value:.10g}" for value in shown["paper"]]
    shown["ours"] = [f"{value:.10g}" for value in shown["ours"]]
    shown["difference"] = [f"{value:.1e}" for value in shown["difference"]]
    shown[""] = ["" if within else "outside" for within in replication.numbers["within"]]
    lines = [paper.title, paper.reference, "", shown.to_string(index=False), ""]
    if paper.differs:
        lines.append(f"What may differ: {paper.differs}.")
    lines.append(replication.verdict)
    return "\n".join(lines)


def listing() -> str:
    """Every paper with what it needs, for a terminal."""
    lines = []
    for name in names():
        paper = paper_of(name)
        needs = "".join(f" {setting}=FILE" for setting in paper.needs)
        lines += [f"{name}{needs}", f"    {paper.title}", f"    {paper.reference}"]
    lines.append("python -m runner replicate NAME runs one.")
    return "\n".join(lines)
