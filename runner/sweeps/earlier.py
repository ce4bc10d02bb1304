"""What a sweep said of its executor before that was a setting of its own: still read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from runner.errors import SpecError, unknown
from runner.experiment.settings import INLINE

EXECUTORS = {
    "inline": "runner.compute.Inline",
    "processes": "runner.compute.Processes",
    "slurm": "runner.compute.Slurm",
}
NAMES = ("launcher", "workers", "slurm")


def without_earlier(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a sweep that it has now."""
    return {key: value for key, value in sweep.items() if key not in NAMES}


def executor_in(
    sweep: Mapping[str, Any], executor: Mapping[str, Any], given: Collection[str] = ()
) -> dict[str, Any]:
    """The executor, with what the sweep says of it by earlier names.

    A launcher counts where no executor was chosen; its settings where they were not given.

    Args:
        sweep: settings of a sweep, with earlier names or without.
        executor: its node.
        given: keys of overrides.

    Raises:
        SpecError: a launcher that there is not.
    """
    node = dict(executor)
    launcher = sweep.get("launcher")
    is_chosen = node != INLINE or "executor" in given
    if launcher is not None and not is_chosen:
        node = _of_launcher(launcher)
    ours = node.get("_target_") in EXECUTORS.values() and node != INLINE
    if ours and "workers" in sweep and "executor.workers" not in given:
        node["workers"] = sweep["workers"]
    if node.get("_target_") == EXECUTORS["slurm"] and sweep.get("slurm"):
        node["parameters"] = {**sweep["slurm"], **node.get("parameters", {})}
    return node


def _of_launcher(launcher: Any) -> dict[str, Any]:
    """The node of an executor that was called a launcher."""
    if isinstance(launcher, Mapping):
        return dict(launcher)
    if launcher not in EXECUTORS:
        raise SpecError(f"sweep.launcher: {unknown(launcher, EXECUTORS)}")
    return {"_target_": EXECUTORS[launcher]}


def sentence(sweep: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    """What to write in place of earlier names; empty where none is used."""
    used = [f"sweep.{name}" for name in NAMES if name in sweep]
    if not used:
        return ""
    options = {target: name for name, target in EXECUTORS.items()}
    words = [f"executor={options.get(str(node['_target_']), '{_target_: ...}')}"]
    if "workers" in node:
        words.append(f"executor.workers={node['workers']}")
    if node.get("parameters"):
        words.append("executor.parameters={...}")
    return f"earlier names: {', '.join(used)}; now: {' '.join(words)}"
