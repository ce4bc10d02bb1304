"""Words about one report: its target, its calendar and its standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.text import count

if TYPE_CHECKING:
    from runner.experiment.report import Report


def target_text(report: Report) -> str:
    """The target with its unit, as an axis or a column says it."""
    settings, ahead = report.spec.get("target") or {}, report.panel.horizon
    module, _, name = str(settings.get("_target_", "")).rpartition(".")
    if module != "runner.targets":
        return f"{name or 'target'} (its own unit)"
    if name == "up":
        return f"up (1 or 0, over {count(ahead, 'row')} ahead)"
    if name == "forward_volatility":
        return f"volatility (over {count(ahead, 'row')} ahead, decimals a year)"
    over = f"over {count(ahead, 'row')} ahead, decimals" if ahead else "decimals per row"
    return f"{'excess return' if settings.get('risk_free') else 'return'} ({over})"


def calendar_text(report: Report) -> str:
    """The calendar of the rows with its rows a year; that of the data too where the target has
    fewer rows.
    """
    own, raw = report.panel.calendar, report.study.market.calendar
    of_data = "" if own.words == raw.words else f" (data: {raw.words})"
    return f"{own.words}{of_data}"


def errors_in_force(report: Report) -> str:
    """The name of the covariance, nothing where it is unknown or differs by unit."""
    quality = report.fit.quality
    names = (
        {name for name in quality["cov"].tolist() if isinstance(name, str) and name}
        if "cov" in quality
        else set()
    )
    return names.pop() if len(names) == 1 else ""
