"""What tells files that this user wrote from those of a folder that others made."""

from __future__ import annotations

import contextlib
import os
import secrets
from functools import cache
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path

SIGNATURE_BYTES = 16
SECRET_BYTES = 32
OF_OTHERS = 0o077  # the bits of a mode that are not its owner's
Bytes = bytes | memoryview


def signature_of(*parts: Bytes) -> bytes:
    """What only who knows the secret of this user can write for these parts."""
    signature = blake2b(key=_secret(), digest_size=SIGNATURE_BYTES)
    for part in parts:
        signature.update(part)
    return signature.digest()


def is_signed(signature: Bytes, *parts: Bytes) -> bool:
    """Whether this user signed the parts."""
    expected = signature_of(*parts)
    return compare_digest(expected, bytes(signature))


@cache
def _secret() -> bytes:
    """Random bytes that this user alone reads, made once and kept in their home.

    Without a home that can be written, those of this process, which then knows its own files alone.
    """
    fresh = secrets.token_bytes(SECRET_BYTES)
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(home) / "factor-runner"
    path = folder / "secret.key"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}.new")
        with open(new, "wb", opener=_privately) as file:
            file.write(fresh)
        with contextlib.suppress(FileExistsError):
            os.link(new, path)  # of several processes the first makes it
        new.unlink()
        status = path.stat()
        is_secret = status.st_uid == os.getuid() and not status.st_mode & OF_OTHERS
        kept = path.read_bytes()
    except OSError:
        return fresh
    return kept if is_secret and len(kept) == SECRET_BYTES else fresh


def _privately(path: str, flags: int) -> int:
    """Opens a new file that only its owner may read and write."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
