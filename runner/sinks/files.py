"""The tables of a report as files: the run directory that scripts and people may rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import yaml

from runner.report import Report

DIGITS = "%.17g"  # every bit of a float64


def write(report: Report, directory: Path) -> None:
    """spec.yaml, metrics.json and the tables of the report, in `directory`."""
    (directory / "spec.yaml").write_text(yaml.safe_dump(dict(report.spec), sort_keys=False, allow_unicode=True))
    (directory / "metrics.json").write_text(json.dumps(report.metrics, indent=1, allow_nan=False))
    (directory / "run.json").write_text(json.dumps(about(report), indent=1))
    for name, table in tables(report).items():
        table.to_csv(directory / f"{name}.csv", index=False, float_format=DIGITS)
    report.predictions.to_parquet(directory / "predictions.parquet", index=False)


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
        **({} if report.audit is None else {"audit": report.audit.table}),
        **{name: finding.table for name, finding in report.findings.items()},
    }


def about(report: Report) -> dict[str, object]:
    """What the run was: its kind, data, code and conventions."""
    return {
        "name": report.name,
        "overrides": list(report.overrides),
        "kind": report.kind,
        "source": report.source,
        "fingerprint": report.fingerprint,
        "code": report.code,
        "started": report.started.isoformat(timespec="seconds"),
        "errors": report.fit.errors,
        "benchmark": f"oos/r2 is against the {report.benchmark}",
    }
