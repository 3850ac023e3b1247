"""Names that stand for a patient, a series or a file without telling which."""

import hashlib
import hmac

DIGITS = {"p": 8, "s": 16, "f": 12}


def pseudonym(prefix: str, identity: str, salt: str) -> str:
    """Salted hash (HMAC-SHA-256) of an identity, short enough for a table.

    Args:
        prefix: ``p`` patient, ``s`` series, ``f`` file; the three never share a hash.
        identity: what must not be shown.
        salt: the key; who knows it can test guesses of an identity.

    Examples:
        >>> pseudonym("p", "Jan Citizen", "salt") == pseudonym("p", "Jan Citizen", "salt")
        True
        >>> len(pseudonym("p", "Jan Citizen", "salt"))
        10
    """
    digest = hmac.new(salt.encode(), f"{prefix}\0{identity}".encode(), hashlib.sha256).hexdigest()
    return f"{prefix}-{digest[: DIGITS[prefix]]}"
