"""Names that stand for a patient, a series or a file without telling which."""

import hashlib
import hmac
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

from ctmar.errors import InputError
from ctmar.store.atomic import temporary_path

_OWN_SALT = "equiproj/salt"  # below the user's folder of settings
_SALT_BYTES = 32
# hexadecimal: 64 bits, so that among a million patients two share a name once in 37 million studies
DIGITS = {"p": 16, "s": 16, "f": 16}


def read_salt(path: Path | None) -> bytes:
    """The salt that a file holds, without white space at its ends; None stands for the user's own, made when missing.

    Raises:
        InputError: the file is missing, unreadable or empty, or the user's own cannot be made.
    """
    if path is None:
        path = own_salt_file()
        _make_salt(path)
    if not path.is_file():
        raise InputError(f"ingest.salt_file: {path}: file not found; write a random line into it and keep it secret")
    try:
        salt = path.read_bytes().strip()
    except OSError as error:
        raise InputError(f"ingest.salt_file: {path}: the file cannot be read ({type(error).__name__})") from None
    if not salt:
        raise InputError(f"ingest.salt_file: {path}: expected a random line, found an empty file")
    return salt


def own_salt_file() -> Path:
    """Where a user's own salt lies: outside every checkout, so that no commit or bundle takes it along."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / _OWN_SALT


def _make_salt(path: Path) -> None:
    """Write a random salt that this user alone may read, unless one is there; of several writers one wins."""
    if path.exists():
        return
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(_SALT_BYTES) + "\n")
        with suppress(FileExistsError):
            os.link(temporary, path)
            print(
                f"made a secret salt for the names that stand for patients: {path}\n"
                "keep it: with another one the same patients get other names; share it with nobody",
                file=sys.stderr,
            )
    except OSError as error:
        raise InputError(
            f"ingest.salt_file: a secret salt cannot be written to {path} ({type(error).__name__}); name a file with"
            " a random line"
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink()


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
