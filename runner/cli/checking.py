"""What `check` reads: the data of a spec, whatever its other parts are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.cli.composition import Composer
from runner.experiment.spec import Data, build_data
from runner.record.rundir import CHECKS

DIRECTORY = "hydra.run.dir"


def data_of(composer: Composer, overrides: Sequence[str]) -> tuple[Data, Path]:
    """The data of the spec that the overrides make, and the directory for its account.

    With other data than that of the default experiment, and without an experiment, no experiment is
    taken: dates and assets of the shipped example are not those of other data.

    Raises:
        SpecError: what does not compose, and the mistakes of the node `data`, one line each.
    """
    words = list(overrides)
    keys = {word.partition("=")[0] for word in words}
    options = [word.removeprefix("data=") for word in words if word.startswith("data=")]
    if options and "experiment" not in keys:
        words.append("experiment=none")
        if "name" not in keys:
            words.append(f"name={options[-1]}")
    config, directory = composer.places(words)
    if DIRECTORY not in keys:
        directory = CHECKS / directory.name
    return build_data(config), directory
