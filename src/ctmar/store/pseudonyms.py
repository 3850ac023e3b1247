"""Names that stand for a patient, a series or a file without telling which."""

import hashlib
import hmac
from pathlib import Path

from ctmar.errors import InputError

PUBLIC_SALT = b"equiproj"
DIGITS = {"p": 8, "s": 16, "f": 12}


def read_salt(path: Path | None) -> bytes:
    """The salt that a file holds, without white space at its ends; None stands for the public salt.

    Raises:
        InputError: the file is missing, unreadable or empty.
    """
    if path is None:
        return PUBLIC_SALT
    if not path.is_file():
        raise InputError(f"ingest.salt_file: {path}: file not found; write a random line into it and keep it secret")
    try:
        salt = path.read_bytes().strip()
    except OSError as error:
        raise InputError(f"ingest.salt_file: {path}: the file cannot be read ({type(error).__name__})") from None
    if not salt:
        raise InputError(f"ingest.salt_file: {path}: expected a random line, found an empty file")
    return salt


def pseudonym(prefix: str, identity: str, salt: bytes) -> str:
    """Salted hash (HMAC-SHA-256) of an identity, short enough for a table.

    Args:
        prefix: ``p`` patient, ``s`` series, ``f`` file; the three never share a hash.
        identity: what must not be shown.
        salt: the key; who knows it can test guesses of an identity.

    Examples:
        >>> pseudonym("p", "Jan Citizen", b"salt") == pseudonym("p", "Jan Citizen", b"salt")
        True
        >>> len(pseudonym("p", "Jan Citizen", b"salt"))
        10
    """
    digest = hmac.new(salt, f"{prefix}\0{identity}".encode(), hashlib.sha256).hexdigest()
    return f"{prefix}-{digest[: DIGITS[prefix]]}"
