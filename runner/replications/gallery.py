"""The papers that can be replicated: what each printed, and the spec or formula that gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from runner.errors import SpecError, unknown

FOLDER = Path(__file__).parent / "papers"


@dataclass(frozen=True)
class Paper:
    """A paper with some of its numbers.

    Attributes:
        name: of the file, as the command line names it.
        title: what is replicated.
        reference: authors, year, journal, and the table or page of the numbers.
        data: which data, and where they come from.
        tolerance: how far ours may be from the printed number: half a unit of its last digit, or
            more where the data was revised since.
        relative: whether the tolerance is a share of the printed number.
        differs: why more than rounding may lie between the two; empty where nothing does.
        spec: overrides of the run.
        ships: the file of its data in an installed package, such as statsmodels/datasets/x/x.csv.
        needs: settings of the run that name a file of the reader's own, which cannot be shipped.
        formula: name of the calculation of a paper without data (`runner.replications.formulas`).
        inputs: its inputs.
        printed: name of a number -> what the paper prints. Of a run, `coefficients.estimate S1V1
            SMB`: table, column, and the first columns of the row.
    """

    name: str
    title: str
    reference: str
    data: str
    tolerance: float
    printed: Mapping[str, float]
    relative: bool = False
    differs: str = ""
    ships: str = ""
    spec: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    formula: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """The overrides of its run, with the place of the file that an installed package ships."""
        if not self.ships:
            return [*self.spec]
        package, _, path = self.ships.partition("/")
        place = str(files(package).joinpath(path)).replace("'", r"\'")
        return [*self.spec, f"data.path='{place}'"]

    def lacking(self, overrides: tuple[str, ...]) -> list[str]:
        """The settings of files of the reader's own that no override gives."""
        given = {override.partition("=")[0] for override in overrides}
        return [setting for setting in self.needs if setting not in given]


def names() -> list[str]:
    """The names of all papers."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def paper_of(name: str) -> Paper:
    """The paper of this name.

    Raises:
        SpecError: there is none.
    """
    if name not in names():
        stranger = unknown(name, names())
        raise SpecError(f"replicate: {stranger}")
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    numbers_of_paper = content.pop("printed")
    printed = _numbers(numbers_of_paper)
    for several in ("spec", "needs"):
        content[several] = tuple(content.get(several, ()))
    return Paper(name=name, printed=printed, **content)


def _numbers(printed: Mapping[str, Any], before: str = "") -> dict[str, float]:
    """Names and numbers of nested mappings: {a: {b: 1.0}} is {"a b": 1.0}."""
    numbers: dict[str, float] = {}
    for name, value in printed.items():
        longer = f"{before} {name}"
        whole = longer.strip()
        if isinstance(value, Mapping):
            numbers |= _numbers(value, whole)
        else:
            numbers[whole] = float(value)
    return numbers
