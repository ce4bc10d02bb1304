"""The tables of a report as files: the run directory that scripts and people may rely on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from runner.experiment.reading import reading
from runner.experiment.report import Report
from runner.experiment.series import series_of
from runner.panels.rows import digest_of
from runner.record.identity import job_key
from runner.record.version import source_commit

DIGITS = "%.17g"  # every bit of a float64


def write(report: Report, directory: Path) -> None:
    """spec.yaml, metrics.json, run.json and the tables of the report, in `directory`."""
    spec = yaml.dump(
        dict(report.spec), Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True
    )
    (directory / "spec.yaml").write_text(spec, encoding="utf-8")
    (directory / "metrics.json").write_text(
        json.dumps(report.metrics, indent=1, allow_nan=False), encoding="utf-8"
    )
    (directory / "run.json").write_text(json.dumps(about(report), indent=1), encoding="utf-8")
    for name, table in tables(report).items():
        table.to_csv(directory / f"{name}.csv", index=False, float_format=DIGITS)
    (directory / "coefficients.json").write_text(
        _comparable(report.fit.coefficients), encoding="utf-8"
    )
    report.predictions.to_parquet(directory / "predictions.parquet", index=False)
    if report.influence.contributions is not None:
        report.influence.contributions.to_parquet(directory / "influence.parquet")
    wealth = {
        name: finding.wealth
        for name, finding in report.findings.items()
        if finding.wealth is not None
    }
    if wealth:
        pd.concat(wealth, names=["strategy", "date"]).rename("wealth").reset_index().to_parquet(
            directory / "wealth.parquet", index=False
        )


def tables(report: Report) -> dict[str, pd.DataFrame]:
    """The tables that are written as CSV, by name."""
    return {
        "coefficients": report.fit.coefficients,
        "quality": report.fit.quality,
        "hypotheses": report.fit.hypotheses,
        "diagnostics": report.diagnostics,
        "folds": report.folds,
        "scores": report.scores,
        "dropped": pd.DataFrame(report.dropped, columns=["what", "reason", "rows"]),
        "series": series_of(report),
        **({} if report.audit is None else {"audit": report.audit.table}),
        **{name: finding.table for name, finding in report.findings.items()},
    }


def about(report: Report) -> dict[str, object]:
    """What the run was: its kind, data, code and conventions, and its reading."""
    return {
        "name": report.name,
        "overrides": list(report.overrides),
        "chosen": dict(report.chosen),
        "kind": report.kind,
        "model": _of(report.spec["model"]),
        "validation": _of(report.spec["validation"]),
        "source": report.source,
        "fingerprint": report.fingerprint,
        "code": report.code,
        "commit": source_commit(),
        "horizon": report.panel.horizon,
        "job": job_key(report.spec, report.fingerprint, report.code),
        "started": report.started.isoformat(timespec="milliseconds"),
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "rows": _rows(report),
        "errors": report.fit.errors,
        "doubts": {term: why for term, why in report.influence.doubts.items() if why},
        "no_influence": report.influence.reason,
        "benchmark": f"oos/r2 is against the {report.benchmark}",
        "trains_on_later_rows": report.trains_on_later_rows,
        "leaks": report.leaks,
        "notes": list(report.panel.notes),
        "reading": reading(report),
    }


def _rows(report: Report) -> dict[str, object] | None:
    """Which cells (date x asset) the model was fitted and judged on, and how many either kind
    has.
    """
    rows = report.rows
    if rows is None:
        return None
    counts = {
        "used": rows.used,
        "own": rows.own,
        "common": rows.common,
        "lacking": dict(rows.lacking),
    }
    return {"kind": rows.kind, **counts, "digest": digest_of(report.panel)}


def _of(node: Mapping[str, Any]) -> str:
    """The class that a node names, for people."""
    return str(node["_target_"]).rpartition(".")[2]


def _comparable(coefficients: pd.DataFrame) -> str:
    """The table as MLflow's artifact view compares it over runs: rows by their first column,
    values in the second.
    """
    several = coefficients["unit"].nunique() > 1
    key = coefficients["unit"] + " " + coefficients["term"] if several else coefficients["term"]
    table = coefficients.drop(columns=["scope", "unit", "term"])
    table.insert(0, "term", key)
    return str(table.to_json(orient="split", index=False, double_precision=15))
