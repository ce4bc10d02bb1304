"""Tables from files, as they are written: names of columns and values, nothing made of them yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner.data.reading import buckets, shapes
from runner.data.reading.content import (
    Content,
    check_whole,
    contents,
    is_remote,
    shown,
)
from runner.data.reading.formats.kinds import opened
from runner.data.reading.formats.opened import Opened
from runner.data.reading.usual import ASSET, find
from runner.errors import DataError, listed, unknown
from runner.schema.forms import Form
from runner.text import one_line

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.data.reading.delimited.text import Text

Paths = str | Path | Sequence[str]
OWN_COLUMN = "Ticker"  # of the assets, where a file is one asset
# text files that are cut into columns together: how many, and of how many bytes each at most
FEWEST_TOGETHER = 4
MOST_TOGETHER = 256
LARGEST_TOGETHER = 1 << 20


class Batch(NamedTuple):
    """Files that were to be read together: their rows, None where each is read by itself."""

    table: pa.Table | None
    files: int


class Part(NamedTuple):
    """A file of the table, and what its path says: name -> text."""

    path: str
    said: Mapping[str, str]

    def as_asset(self) -> Part:
        """The same with the name of the file, without folders and suffixes, as that of an asset."""
        stem = Content("", shown(self.path)).stem
        return self._replace(said={**self.said, OWN_COLUMN: stem})


@dataclass(frozen=True)
class Files:
    """One table in one file or in several, its columns known.

    Attributes:
        where: place of the path in the spec.
        shown: the path for people.
        names: of the columns, as written, without spaces around them.
        notes: sentences on how the files were read; more are added while the rows are.
    """

    where: str
    shown: str
    parts: Sequence[Part]
    form: Form
    first: Opened
    names: list[str]
    notes: list[str] = field(default_factory=list)

    def load(
        self, wanted: Mapping[str, str], text: set[str], optional: Collection[str] = ()
    ) -> pa.Table:
        """The wanted columns, named as they are wanted.

        Args:
            wanted: place in the spec -> column.
            text: the columns among them that are read as text.
            optional: those that some files may lack; their rows have no value there.

        Raises:
            DataError: columns that are not there, or there more than once; a file that is not
                whole or without rows.
        """
        import pyarrow as pa

        columns = list(dict.fromkeys(wanted.values()))
        tables = []
        notes: dict[str, list[str]] = {}
        unread: set[str] = set()  # columns that the first file lacks
        done = 0
        alone = 0  # the parts before this one are read by themselves
        while done < len(self.parts):
            part = self.parts[done]
            opened = self.opened(done, part)
            file = Path(opened.content.name).name
            present = list(map(str.strip, opened.names))
            lacking = set(optional).difference(present)
            said_or_lacking = lacking.union(part.said)
            own = {where: name for where, name in wanted.items() if name not in said_or_lacking}
            check(own, present, file, list(part.said))
            unread.update(set(present).difference(self.names, columns))
            there = [name for name in columns if name not in lacking]
            batch = Batch(None, 1)
            if done >= alone:
                batch = self._batch(done, opened, there, text)
                alone = done + batch.files
            if batch.table is None:
                tables.append(_with_said(opened, part, there, text))
                done += 1
            else:
                tables.append(batch.table)
                done += batch.files
            if opened is self.first:
                self.notes.extend(opened.notes)
                continue
            for note in opened.notes:
                if note not in self.notes:
                    notes.setdefault(note, []).append(file)
        self.notes.extend(_of_files(notes))
        self.notes.extend(on_unread(unread))
        if len(tables) == 1:
            return tables[0]
        return pa.concat_tables(tables, promote_options="permissive")

    def _batch(self, first: int, opened: Opened, columns: Sequence[str], text: set[str]) -> Batch:
        """Small text files from the part of this number on, cut into columns together.

        To open each by itself costs more than to read it.

        Args:
            opened: the file of that part; columns: the wanted ones; text: those read as text.
        """
        import pyarrow as pa

        if opened.text is None or not opened.text.is_plain:
            return Batch(None, 1)
        rows = self._rows_of_small(first, opened.content, opened.text)
        if len(rows) < FEWEST_TOGETHER:
            return Batch(None, max(len(rows), 1))
        own, at, texts = places(opened, self.parts[first].said, columns, text)
        try:
            cut = opened.text.cut(b"".join(rows), at, texts)
        except (pa.ArrowException, DataError):
            return Batch(None, len(rows))
        # of text in quotes with a break of the line a row has several lines
        counts = [lines.count(b"\n") for lines in rows]
        if len(cut) != sum(counts):
            return Batch(None, len(rows))
        parts = self.parts[first : first + len(rows)]
        arrays = dict(zip(own, cut.columns, strict=True))
        for name in parts[0].said:
            arrays[name] = repeated([part.said[name] for part in parts], counts)
        return Batch(pa.table({name: arrays[name] for name in columns}), len(rows))

    def _rows_of_small(self, first: int, content: Content, text: Text) -> list[bytes]:
        """The lines of small files with the layout of this one, from the part of this number on."""
        said = self.parts[first].said
        rows: list[bytes] = []
        for part in self.parts[first : first + MOST_TOGETHER]:
            if rows:
                if is_remote(part.path):
                    break
                content = contents(self.where, part.path)
            lines = _rows_of(content, text)
            if lines is None or part.said.keys() != said.keys():
                break
            rows.append(lines)
        return rows

    def everything(self, text: set[str]) -> pa.Table:
        """All columns of all files, those of `text` read as text.

        A column that a file lacks has no value in its rows: assets come and go.

        Raises:
            DataError: two columns of one name; as `load`.
        """
        for name, times in Counter(self.names).items():
            if times > 1:
                given = f"column {name!r} is there {times} times (in {self.shown})"
                raise DataError(f"{self.where}: {given}; allowed: once")
        files_with = self._files_with()
        absent = [name for name, files in files_with.items() if files < len(self.parts)]
        if absent:
            first = absent[0]
            in_some = f"{first} is in {files_with[first]} of {len(self.parts)} files"
            others = "" if len(absent) == 1 else f", and {len(absent) - 1} more are not in all"
            self.notes.append(f"{in_some}{others}: they have no value in the other files.")
        wanted = {f"{self.where} column {name!r}": name for name in files_with}
        return self.load(wanted, text, set(absent) - text)

    def _files_with(self) -> Counter[str]:
        """Name of a column -> how many files have it, in the order in which they are met."""
        files: Counter[str] = Counter()
        for number, part in enumerate(self.parts):
            names = map(str.strip, self.opened(number, part).names)
            once = dict.fromkeys([*names, *part.said])
            files.update(list(once))
        return files

    def opened(self, number: int, part: Part) -> Opened:
        """The file of a part, the first of which is open already."""
        if number == 0:
            return self.first
        content = contents(self.where, part.path)
        alike = self.first.again(content) if self.first.again else None
        return alike or _opened(content, self.form)


def open_files(where: str, path: Paths, form: Form | None = None) -> Files:
    """The table at a path: a file, a folder, a pattern or a list of files.

    A folder with parts such as year=2020 gives columns of them. Of several files without a column
    of assets each is one asset, by its name.

    Args:
        where: place of the path in the spec, such as `data.path`.

    Raises:
        DataError: no such file, one that is not a whole table.
    """
    form = form or Form()
    paths = [path] if isinstance(path, str | Path) else list(path)
    parts: list[Part] = []
    for given in paths:
        parts += _expanded(where, str(given))
    first = _opened(contents(where, parts[0].path), form)
    names = list(map(str.strip, first.names))
    given = f"{len(paths)} paths"
    if len(paths) == 1:
        given = shown(str(paths[0]))
    several = len(parts) > 1
    notes = []
    beside = parts[0].said
    with_assets = find(ASSET, [*names, *beside])
    if several:
        notes.append(f"{len(parts):,} files are one table ({where}).")
    if several and not with_assets and shapes.is_of_one_asset(names):
        parts = [part.as_asset() for part in parts]
        notes.append(f"Each file is one asset, {OWN_COLUMN}, by the name of the file.")
    names += parts[0].said
    return Files(where, given, parts, form, first, names, notes)


def header(where: str, path: Paths, form: Form | None = None) -> list[str]:
    """The names of all columns, index levels included, without spaces around them.

    Raises:
        DataError: no such file, one that is not a whole table.
    """
    return open_files(where, path, form).names


def read(
    where: str, path: Paths, wanted: Mapping[str, str], text: set[str], form: Form | None = None
) -> pa.Table:
    """The wanted columns of the table at a path, index levels included.

    Args:
        where: place of the path in the spec, such as `data.path`.
        wanted: place in the spec -> column.
        text: the columns among them that are read as text.

    Raises:
        DataError: no such file, one that is not whole, or one without rows.
    """
    return open_files(where, path, form).load(wanted, text)


def _opened(content: Content, form: Form) -> Opened:
    """One file with its columns known, assets and fields of two header rows apart."""
    table = opened(content, form)
    if table.upper:
        return shapes.of_two_rows(table)
    turned = shapes.dates_in_columns(table.names)
    if turned is not None:
        return shapes.of_dates_in_columns(table, turned)
    return shapes.of_date_parts(table)


def _expanded(where: str, path: str) -> list[Part]:
    """The files at a path, each with what its folders say.

    Raises:
        DataError: a folder or a pattern without files.
    """
    if path.startswith(buckets.SCHEME):
        return _in_bucket(where, path)
    if is_remote(path):
        return [Part(path, {})]
    place = Path(path).expanduser()
    if place.is_dir():
        files = _files_below(place)
        if not files:
            raise DataError(f"{where}: the folder {path!r} has no file")
        parts = []
        for file in files:
            said = _partitions(file.relative_to(place))
            parts.append(Part(str(file), said))
        return parts
    if has_magic(path) and not place.exists():
        matches = sorted(glob(str(place), recursive=True))
        files = list(filter(Path.is_file, map(Path, matches)))
        if not files:
            given = f"no file matches the pattern {path!r}"
            raise DataError(f"{where}: {given}; allowed: a pattern of files that are there")
        return [Part(str(file), _partitions(file)) for file in files]
    return [Part(str(place), {})]


def _in_bucket(where: str, path: str) -> list[Part]:
    """The files at an address of a bucket, each with what its folders say.

    Raises:
        DataError: a folder or a pattern without files, an address that cannot be read.
    """
    check_whole(where, path)
    try:
        files = buckets.files_at(path)
    except OSError as error:
        reason = one_line(error)
        raise DataError(f"{where}: {shown(path)!r} cannot be fetched: {reason}") from None
    parts = []
    for url, inside in files:
        place = Path(inside)
        if not _is_aside(place):
            parts.append(Part(url, _partitions(place)))
    if not parts:
        raise DataError(f"{where}: no file at {shown(path)!r}")
    return parts


def _is_aside(file: Path) -> bool:
    """Whether a file is hidden, or one of those that writers of tables leave beside them."""
    return any(part.startswith((".", "_")) for part in file.parts)


def _files_below(folder: Path) -> list[Path]:
    """The files of a folder and of the folders in it, in order of their names.

    Hidden ones and those that writers of tables leave beside them are no tables.
    """
    files = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not _is_aside(file.relative_to(folder)):
            files.append(file)
    return files


def _partitions(file: Path) -> dict[str, str]:
    """What folders such as year=2020 say of the file."""
    said = {}
    for folder in file.parts[:-1]:
        name, mark, text = folder.partition("=")
        if mark:
            said[name] = text
    return said


def check(
    wanted: Mapping[str, str], present: Sequence[str], file: str, beside: Sequence[str] = ()
) -> None:
    """Whether the wanted columns (place in the spec -> column) are there once.

    Raises:
        DataError: columns that are not there, or there more than once.
    """
    names = list(map(str.strip, present))
    often = Counter(names)
    mistakes = []
    for where, column in wanted.items():
        times = often[column]
        if times == 0:
            absent = unknown(column, [*names, *beside])
            mistakes.append(f"{where}: column {absent} (in {file})")
        elif times > 1:
            given = f"column {column!r} is there {times} times (in {file})"
            mistakes.append(f"{where}: {given}; allowed: once")
    if mistakes:
        raise DataError(mistakes)


def _rows_of(content: Content, text: Text) -> bytes | None:
    """The lines of a small file of this layout below its header; None of any other file."""
    before = content.state()
    size = len(content.data) if before is None else before.size
    if size > LARGEST_TOGETHER:
        return None
    data = content.whole()
    content.check_unchanged(before)
    return text.rows_of(data)


def _of_files(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """The sentences on files other than the first (sentence -> files), with their names."""
    sentences = []
    for note, files in notes.items():
        sentences.append(f"{note.removesuffix('.')} ({listed(files)}).")
    return sentences


def on_unread(names: Collection[str]) -> list[str]:
    """The sentence on columns of other files that the first file lacks."""
    if not names:
        return []
    return [f"The first file has no column {listed(sorted(names))}: that of others is not read."]


def places(
    table: Opened, said: Mapping[str, str], columns: Sequence[str], text: set[str]
) -> tuple[list[str], list[int], list[int]]:
    """The columns that a file has itself, their positions, and those of them read as text."""
    names = list(map(str.strip, table.names))
    own = [name for name in columns if name not in said]
    position = {name: number for number, name in reversed([*enumerate(names)])}
    at = [position[name] for name in own]
    texts = [position[name] for name in own if name in text]
    return own, at, texts


def repeated(words: Sequence[str], counts: Sequence[int]) -> pa.DictionaryArray:
    """A column with each word in so many rows."""
    import numpy as np
    import pyarrow as pa

    distinct = list(dict.fromkeys(words))
    position = {word: code for code, word in enumerate(distinct)}
    codes = np.array([position[word] for word in words], dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(np.repeat(codes, counts)), distinct)


def _with_said(table: Opened, part: Part, columns: Sequence[str], text: set[str]) -> pa.Table:
    """The columns of a file and of its path, by name."""
    import pyarrow as pa

    own, at, texts = places(table, part.said, columns, text)
    loaded = table.load(at, texts)
    arrays = dict(zip(own, loaded.columns, strict=True))
    for name, word in part.said.items():
        arrays[name] = repeated([word], [len(loaded)])
    return pa.table({name: arrays[name] for name in columns})
