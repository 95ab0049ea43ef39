"""Users' passwords: scrypt with one salt for each, stored as text together with the parameters."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

# About 16 MiB and 50 ms per hash: expensive for an attacker, acceptable for a small pod.
COST, BLOCK, PARALLEL = 2**14, 8, 1


def hash_password(password: str) -> str:
    """`scrypt$<n>$<r>$<p>$<salt>$<key>`, salt and key in base64."""
    salt = secrets.token_bytes(16)
    return "$".join(
        [
            "scrypt",
            str(COST),
            str(BLOCK),
            str(PARALLEL),
            _encode(salt),
            _encode(_derive(password, salt, COST, BLOCK, PARALLEL)),
        ]
    )


def check_password(password: str, stored: str) -> bool:
    """Whether `password` matches `stored`, in constant time."""
    _, cost, block, parallel, salt, key = stored.split("$")
    derived = _derive(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(derived, base64.b64decode(key))


def _derive(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, dklen=32)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
