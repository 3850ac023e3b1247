"""Names that stand for a patient, a series or a file without telling which."""

import hashlib
import hmac
from pathlib import Path

from ctmar.errors import InputError

PUBLIC_SALT = b"equiproj"
# hexadecimal: 64 bits, so that among a million patients two share a name once in 37 million studies
DIGITS = {"p": 16, "s": 16, "f": 16}


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
        18
    """
    # a file's name that is no UTF-8 reaches Python with lone surrogates in it
    message = f"{prefix}\0{identity}".encode("utf-8", "surrogatepass")
    return f"{prefix}-{hmac.new(salt, message, hashlib.sha256).hexdigest()[: DIGITS[prefix]]}"


class Pseudonyms:
    """Pseudonyms under one salt that are handed out to one identity each.

    Examples:
        >>> names = Pseudonyms(b"salt")
        >>> names.give("p", "Jan Citizen") == pseudonym("p", "Jan Citizen", b"salt")
        True
    """

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._identities: dict[str, str] = {}

    def give(self, prefix: str, identity: str) -> str:
        """The pseudonym of an identity.

        Raises:
            InputError: another identity was given the same: two patients would count as one.
        """
        name = pseudonym(prefix, identity, self._salt)
        if self._identities.setdefault(name, identity) != identity:
            raise InputError(f"two identities share the pseudonym '{name}'; write another salt into ingest.salt_file")
        return name
