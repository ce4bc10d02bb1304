"""The bytes of a file, wherever it lies and however it is compressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from runner.compute.memory import GIGABYTE, available
from runner.data.reading import buckets
from runner.errors import DataError, RunnerError, listed, unknown
from runner.progress import telling
from runner.record.secrets import USER, is_kept_without, missing
from runner.schema.forms import Form
from runner.text import one_line

if TYPE_CHECKING:
    import pyarrow as pa

HEAD = 1 << 16  # bytes of the beginning of a file, by which it is recognised
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
WESTERN = "cp1252"  # what a text that is not UTF-8 is taken for
REMOTE = ("http", "https", "s3")
TIMEOUT = 60  # seconds without an answer
# the beginning of a text is as long as it takes to have so many lines, within bounds
FEWEST_LINES = 20
LONGER = 8
MOST_HEAD = HEAD * LONGER**3
PART = 1 << 24  # bytes that are unpacked at a time
UNPACKED = 3  # memory that a text takes, in its bytes: parts, the whole, the table
MOST_LAYERS = 3  # of compression, one in the other
ZIP = b"PK\x03\x04"
# a zip archive that is one document
DOCUMENTS = {
    "xl/workbook.xml": "Excel",
    "xl/workbook.bin": "Excel binary",
    "content.xml": "OpenDocument",
    "word/document.xml": "Word",
}
NO_TABLE = "is not a table: neither text nor in a format that is read"
DATABASES = ("SQLite", "DuckDB")


class State(NamedTuple):
    """Size and time of the last change of a file."""

    size: int
    changed: int


@dataclass(frozen=True)
class Content:
    """A file: a local one by its path, or bytes.

    Attributes:
        where: place of its path in the spec.
        name: for people, without what a URL may hold of secrets.
        path: where it lies; None where it is not on this disk as it is.
        data: the bytes of a file that is remote or was compressed.
    """

    where: str
    name: str
    path: Path | None = None
    data: bytes = b""

    def refuse(self, reason: str) -> DataError:
        """The error on this file."""
        return DataError(f"{self.where}: {self.name!r} {reason}")

    def setting(self, name: str) -> str:
        """The place in the spec of another setting of the file, such as `data.sheet`."""
        return f"{self.where.rpartition('.')[0]}.{name}"

    def check_form(self, form: Form, kind: str) -> None:
        """Refuse a sheet or a query for a file of a kind that has none.

        Raises:
            DataError: it would be left aside in silence.
        """
        mistakes = []
        if form.sheet is not None and kind != "Excel":
            sheet = self.setting("sheet")
            mistakes.append(f"{sheet}: given for a {kind} file; allowed: {sheet}=null")
        if form.query is not None and kind not in DATABASES:
            query = self.setting("query")
            mistakes.append(f"{query}: given for a {kind} file; allowed: {query}=null")
        if mistakes:
            raise DataError(mistakes)

    @property
    def stem(self) -> str:
        """The name of the file without folders and suffixes."""
        return Path(self.name).name.split(".")[0]

    def head(self, size: int = HEAD) -> bytes:
        """The first bytes, so many or all."""
        if self.path is None:
            return self.whole()[:size]
        try:
            with self.path.open("rb") as file:
                return file.read(size)
        except OSError as error:
            raise self.refuse(f"cannot be read: {error.strerror or error}") from error

    def beginning(self) -> bytes:
        """The first bytes of a text, more where its lines are long, as of thousands of assets."""
        size = HEAD
        head = self.head(size)
        while len(head) == size < MOST_HEAD and _lines(head) < FEWEST_LINES:
            size *= LONGER
            head = self.head(size)
        return head

    def end(self) -> bytes:
        """The last bytes, without line ends after them."""
        if self.path is None:
            return self.data[-HEAD:].rstrip()
        with self.path.open("rb") as file:
            size = file.seek(0, SEEK_END)
            file.seek(max(size - HEAD, 0))
            return file.read().rstrip()

    def whole(self) -> bytes:
        """All bytes."""
        if self.path is not None:
            return self.path.read_bytes()
        return self.data

    def stream(self) -> pa.NativeFile:
        """The bytes as pyarrow reads them."""
        import pyarrow as pa

        if self.path is not None:
            return pa.OSFile(str(self.path))
        return pa.BufferReader(self.data)

    def state(self) -> State | None:
        """Size and time of the last change; None of what is in memory."""
        if self.path is None:
            return None
        status = self.path.stat()
        return State(status.st_size, status.st_mtime_ns)

    @contextmanager
    def as_whole(self, kind: str) -> Iterator[None]:
        """What libraries raise while they read the file as one of this kind, as one line.

        Raises:
            DataError: it is not whole. Libraries raise errors of any kind on what is not.
        """
        try:
            yield
        except RunnerError:
            raise
        except MemoryError as error:
            reason = f"takes more memory than there is, or is not whole: {one_line(error)}"
            raise self.refuse(reason) from error
        except Exception as error:
            raise self.refuse(f"is not a whole {kind} file: {one_line(error)}") from error

    def check_unchanged(self, before: State | None) -> None:
        """Whether the file is what it was.

        Raises:
            DataError: it was written to while it was read.
        """
        if before != self.state():
            raise self.refuse("changed while it was read; allowed: a file that nobody writes to")


class Codec(NamedTuple):
    """A compression: its name, the first bytes of its files, and what reads them unpacked."""

    name: str
    magic: bytes
    unpacking: Callable[[BytesIO], Any]


def _by_arrow(name: str) -> Callable[[BytesIO], Any]:
    """How pyarrow undoes a compression."""

    def unpacking(packed: BytesIO) -> Any:
        import pyarrow as pa

        return pa.CompressedInputStream(packed, name)

    return unpacking


CODECS = (
    Codec("gzip", b"\x1f\x8b", lambda packed: gzip.GzipFile(fileobj=packed)),
    Codec("bz2", b"BZh", bz2.BZ2File),
    Codec("xz", b"\xfd7zXZ\x00", lzma.LZMAFile),
    Codec("zstd", b"\x28\xb5\x2f\xfd", _by_arrow("zstd")),
    Codec("lz4", b"\x04\x22\x4d\x18", _by_arrow("lz4")),
)


def contents(where: str, path: str) -> Content:
    """The file at a path or URL, its compression undone.

    Raises:
        DataError: no such file, an empty one, one that cannot be fetched or is not whole.
    """
    check_whole(where, path)
    content = _fetched(where, path) if is_remote(path) else _local(where, Path(path))
    for _ in range(MOST_LAYERS):
        head = content.head()
        if not head:
            raise content.refuse("is empty")
        inner = _unpacked(content, head)
        if inner is content:
            return content
        content = inner
    raise content.refuse(f"is compressed more than {MOST_LAYERS} times")


def is_remote(path: str) -> bool:
    """Whether a path is the URL of a file elsewhere."""
    scheme, separator, _ = path.partition("://")
    return bool(separator) and scheme in REMOTE


def shown(path: str | Sequence[str]) -> str:
    """A path, or several, for people: of a URL without its user, password and query."""
    if not isinstance(path, str):
        return listed(map(shown, path))
    if not is_remote(path):
        return path
    if path.startswith(buckets.SCHEME):
        return buckets.SCHEME + buckets.address_of(path).path
    parts = urlsplit(USER.sub("://", path))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def _local(where: str, path: Path) -> Content:
    """A file of this disk.

    Raises:
        DataError: there is none, with the file of the nearest name.
    """
    if path.is_file():
        return Content(where, str(path), path)
    if path.exists():
        raise DataError(f"{where}: {str(path)!r} is a pipe or a device; allowed: a file")
    folder = path.parent
    siblings: list[str] = []
    if folder.is_dir():
        siblings = sorted(file.name for file in folder.iterdir())
    given = repr(str(path))
    if siblings:
        given = f"in {str(folder)!r}: {unknown(path.name, siblings)}"
    raise DataError(f"{where}: no such file {given}")


def check_whole(where: str, path: str) -> None:
    """Whether a path or an address still has its secrets.

    Raises:
        DataError: it comes from the record of a run, which keeps none.
    """
    if is_kept_without(path):
        raise DataError(missing(where, path))


def _fetched(where: str, url: str) -> Content:
    """A file from elsewhere, whole.

    Raises:
        DataError: it cannot be fetched.
    """
    content = Content(where, shown(url))
    try:
        in_bucket = url.startswith(buckets.SCHEME)
        data = buckets.fetched(url) if in_bucket else _from_web(url)
    except (OSError, ValueError) as error:
        # the message of a library may repeat the URL with its secrets
        reason = one_line(error).replace(url, content.name)
        query = urlsplit(url).query
        if query:
            reason = reason.replace(query, "...")
        raise content.refuse(f"cannot be fetched: {reason}") from None
    return replace(content, data=data)


def _from_web(url: str) -> bytes:
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310 only http and https come here
            return answer.read()
    except HTTPException as error:  # its message may repeat a part of the address, with a secret
        problem = "no address, or no answer, of the web"
        raise ValueError(f"{problem} ({type(error).__name__})") from None


def _unpacked(content: Content, head: bytes) -> Content:
    """The same with one compression undone, itself where it has none.

    Raises:
        DataError: it is not whole.
    """
    if head.startswith(ZIP):
        return _member(content)
    for codec in CODECS:
        if head.startswith(codec.magic):
            before = content.state()
            with content.as_whole(codec.name):
                packed = BytesIO(content.whole())
                with codec.unpacking(packed) as stream:
                    data = _unpacked_within(content, stream)
            content.check_unchanged(before)
            return replace(content, path=None, data=data)
    return content


def _unpacked_within(content: Content, stream: Any) -> bytes:
    """What a stream gives, in parts, as long as there is memory for it."""
    room = available()
    parts = []
    size = 0

    def far(seconds: float) -> str:
        gigabytes = f"{size / GIGABYTE:.1f} GB"
        return f"{content.where}: {content.name!r}: {gigabytes} unpacked in {seconds:.0f} s"

    with telling(far):
        part = stream.read(PART)
        while part:
            parts.append(part)
            size += len(part)
            refuse_large(content, size, UNPACKED, room)
            part = stream.read(PART)
    return b"".join(parts)


def refuse_large(content: Content, size: int, times: int, room: int | None) -> None:
    """Refuse a file that takes more memory than there is.

    Args:
        size: bytes that it has without compression, or has at least.
        times: memory that reading them takes, in such bytes.
        room: bytes that there were before it was read; None where the system does not say.

    Raises:
        DataError: it does.
    """
    if room is not None and times * size > room:
        takes = f"{size / GIGABYTE:.1f} GB or more without its compression"
        there = f"there are {room / GIGABYTE:.1f} GB for {times} times that"
        raise content.refuse(f"has {takes}; {there}; allowed: fewer rows, or parquet")


def _is_member(name: str) -> bool:
    """Whether an entry of a zip archive is a file, and none that macOS adds."""
    return not name.startswith("__MACOSX/") and not name.endswith("/")


def _member(content: Content) -> Content:
    """The one file of a zip archive; the archive itself where that is a document.

    Raises:
        DataError: not a whole archive, an encrypted one, none or several files in it.
    """
    before = content.state()
    with content.as_whole("zip"), zipfile.ZipFile(BytesIO(content.whole())) as archive:
        names = archive.namelist()
        if not DOCUMENTS.keys().isdisjoint(names):
            return content
        files = list(filter(_is_member, names))
        if len(files) != 1:
            given = f"is a zip archive of {len(files)} files: {listed(files)}"
            raise content.refuse(f"{given}; allowed: one, or data.path=FOLDER unpacked")
        with archive.open(files[0]) as stream:
            data = _unpacked_within(content, stream)
    content.check_unchanged(before)
    return replace(content, path=None, data=data)


def _lines(text: bytes) -> int:
    """How many lines end in a text."""
    return max(text.count(b"\n"), text.count(b"\r"))


def decoded(content: Content, form: Form) -> tuple[str, str]:
    """The beginning of the text, and its encoding.

    Raises:
        DataError: an encoding that does not fit.
    """
    head = content.beginning()
    encoding = form.encoding or _encoding(head)
    whole = head == content.head(len(head) + 1)
    try:
        # a character may be cut at the end
        text = head.decode(encoding, "strict" if whole else "ignore")
    except LookupError as error:
        allowed = "the name of an encoding, such as utf-8, utf-16 or cp1252"
        setting = content.setting("encoding")
        raise DataError(f"{setting}: {encoding!r} is unknown; allowed: {allowed}") from error
    except UnicodeError as error:
        if form.encoding is None and b"\0" in head:
            raise content.refuse(NO_TABLE) from error
        raise unreadable(content, encoding) from error
    return text.removeprefix("\ufeff"), encoding


def _encoding(head: bytes) -> str:
    """The encoding of a text by its first bytes."""
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    # Western letters of two bytes each have a zero in every second one
    if head[1:2] == b"\0" and head[3:4] == b"\0":
        return "utf-16-le"
    if head[0:1] == b"\0" and head[2:3] == b"\0":
        return "utf-16-be"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - len("\u20ac".encode()):
            return WESTERN
    return "utf-8"


def unreadable(content: Content, encoding: str) -> DataError:
    """The error on a text in another encoding."""
    setting = content.setting("encoding")
    return content.refuse(
        f"is not text in {encoding}; {setting}=NAME reads another, such as cp1252 or utf-16"
    )
