"""Files in buckets (s3://): which are at an address, and their bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, unquote

from runner.text import one_line

if TYPE_CHECKING:
    from pyarrow import fs

SCHEME = "s3://"
CONNECT = 10  # seconds until an endpoint answers
TIMEOUT = 60  # seconds without an answer to a request
ATTEMPTS = 2
REGION = "us-east-1"  # where an endpoint is given, which then says nothing of regions
OPTIONS = ("region", "endpoint_override", "scheme")  # of an address, as pyarrow has them
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
# what the library's message holds -> what it means, and what mends it
MEANINGS = {
    "NO_SUCH_BUCKET": "there is no such bucket",
    "NETWORK_CONNECTION": f"the endpoint does not answer; {ENDPOINTS[1]} sets it",
    "ACCESS_DENIED": f"access is denied; {KEYS} set who asks",
    "INVALID_ACCESS_KEY_ID": f"the access key is not known; {KEYS} set it",
    "SIGNATURE_DOES_NOT_MATCH": f"the secret key is not that of the access key; {KEYS} set them",
    "INVALID_CLIENT_TOKEN_ID": f"the access key is not known; {KEYS} set it",
}


class Address(NamedTuple):
    """A place in a bucket.

    Attributes:
        secret: user and password with their @, as written; empty where there are none.
        bucket: its name.
        key: the rest of the path: a file, a folder, or a pattern in the last part of it.
        query: options with their question mark, as written.
    """

    secret: str
    bucket: str
    key: str
    query: str

    @property
    def path(self) -> str:
        """Bucket and key, as the library takes them."""
        return f"{self.bucket}/{self.key}".rstrip("/")

    def at(self, path: str) -> str:
        """The address of another path, asked for in the same way."""
        return f"{SCHEME}{self.secret}{path}{self.query}"


def address_of(url: str) -> Address:
    """The parts of an address.

    A user and a password may hold slashes: a name of a bucket has no colon.
    """
    path, mark, options = url.removeprefix(SCHEME).partition("?")
    secret = ""
    bucket, _, key = path.partition("/")
    if "@" in bucket or ":" in bucket:
        user, at, place = path.rpartition("@") if ":" in bucket else path.partition("@")
        secret = user + at
        bucket, _, key = place.partition("/")
    return Address(secret, bucket, key, mark + options)


def fetched(url: str) -> bytes:
    """A file of a bucket, whole.

    Raises:
        OSError: it cannot be read, with what is not there in words.
    """
    address = address_of(url)
    with _plainly(address):
        system = _system(address)
        try:
            with system.open_input_stream(address.path) as stream:
                return stream.read()
        except FileNotFoundError:
            raise OSError(_absent(system, address)) from None


def files_at(url: str) -> list[tuple[str, str]]:
    """The files at an address: one, those of a folder and below it, or those that fit a pattern.

    Returns:
        The address of each and its path in the folder, in order of their names; none of an empty
        folder or a pattern that nothing fits.

    Raises:
        OSError: it cannot be listed.
    """
    from pyarrow import fs

    address = address_of(url)
    folder, _, name = address.path.rpartition("/")
    pattern = name if "*" in name else None
    place = folder if pattern else address.path
    with _plainly(address):
        system = _system(address)
        if system.get_file_info(place).type != fs.FileType.Directory:
            return [(url, "")]
        selector = fs.FileSelector(place, recursive=pattern is None)
        infos = system.get_file_info(selector)
    paths = sorted(info.path for info in infos if info.type == fs.FileType.File)
    if pattern:
        paths = [path for path in paths if fnmatchcase(path.rpartition("/")[2], pattern)]
    files = []
    for path in paths:
        inside = path.removeprefix(f"{place}/")
        files.append((address.at(path), inside))
    return files


def _system(address: Address) -> fs.FileSystem:
    """The library's view of the bucket, by the address and the environment.

    Raises:
        OSError: options that it does not have, a bucket whose region nobody knows.
    """
    from pyarrow import fs

    given = {name: values[-1] for name, values in parse_qs(address.query[1:]).items()}
    strange = sorted(set(given).difference(OPTIONS))
    if strange:
        raise OSError(f"option {strange[0]!r}; allowed: {', '.join(OPTIONS)}")
    settings = {}
    if address.secret:
        user, _, password = address.secret.removesuffix("@").partition(":")
        settings = {"access_key": unquote(user), "secret_key": unquote(password)}
    endpoint = given.get("endpoint_override") or _of_environment(ENDPOINTS)
    scheme = given.get("scheme", "https")
    region = given.get("region") or _of_environment(REGIONS)
    if endpoint:
        before, mark, host = endpoint.rpartition("://")
        settings["endpoint_override"] = host.rstrip("/")
        scheme = before if mark else scheme
        region = region or REGION
    return fs.S3FileSystem(
        region=region or fs.resolve_s3_region(address.bucket),
        scheme=scheme,
        connect_timeout=CONNECT,
        request_timeout=TIMEOUT,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        **settings,
    )


def _of_environment(names: tuple[str, ...]) -> str | None:
    """The first of these variables that is set."""
    for name in names:
        if os.environ.get(name):
            return os.environ[name]
    return None


def _absent(system: fs.FileSystem, address: Address) -> str:
    """What is not there: the bucket, or the file in it."""
    from pyarrow import fs

    if system.get_file_info(address.bucket).type == fs.FileType.NotFound:
        return MEANINGS["NO_SUCH_BUCKET"]
    return f"the bucket {address.bucket!r} has no such file"


@contextmanager
def _plainly(address: Address) -> Iterator[None]:
    """The library's errors in words, without what may be secret."""
    try:
        yield
    except OSError as error:
        reason = one_line(error)
        for code, meaning in MEANINGS.items():
            if f"AWS Error {code}" in reason:
                raise OSError(meaning) from None
        if address.secret:
            reason = reason.replace(address.secret, "")
        raise OSError(reason) from None
