"""Pictures of a run, drawn when they are first looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.experiment.report import Report as RunReport
    from runner.sinks.drawings.hover import Drawn


@dataclass(frozen=True, repr=False)
class Picture:
    """One picture; a notebook shows it.

    Attributes:
        name: such as `coefficients`.
        png: the file's bytes.
    """

    name: str
    png: bytes

    def save(self, path: str | Path) -> None:
        """Write the PNG file."""
        file = Path(path)
        file.write_bytes(self.png)

    def __repr__(self) -> str:
        return f"Picture({self.name!r}, {len(self.png) / 1000:.0f} kB)"

    def _repr_png_(self) -> bytes:
        return self.png


class Pictures(Mapping[str, Picture]):
    """Pictures by name, in the order of the page."""

    def __init__(self, draw: Callable[[], dict[str, Picture]]) -> None:
        self._draw = draw
        self._drawn: dict[str, Picture] | None = None

    def __getitem__(self, name: str) -> Picture:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return f"Pictures({', '.join(self)})"

    def _all(self) -> dict[str, Picture]:
        if self._drawn is None:
            self._drawn = self._draw()
        return self._drawn


def drawn(report: RunReport) -> dict[str, Picture]:
    """The pictures of a run that was made in this session."""
    from runner.sinks import plots

    return drawn_of(partial(plots.draw, report))


def drawn_of(draw: Callable[[Path], list[Drawn]]) -> dict[str, Picture]:
    """The pictures that a function writes below a folder, by name."""
    with TemporaryDirectory() as folder:
        pictures = draw(Path(folder))
        return _read([drawn.path for drawn in pictures])


def written(directory: Path) -> dict[str, Picture]:
    """The pictures that a run directory holds."""
    return _read(sorted((directory / "plots").glob("*.png")))


def _read(paths: list[Path]) -> dict[str, Picture]:
    return {path.stem: Picture(path.stem, path.read_bytes()) for path in paths}
