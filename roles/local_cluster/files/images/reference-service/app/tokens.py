"""Tokens (RFC 7519) signed with Ed25519.

The key pair is derived from JWT_SECRET, so every replica has the same one without a shared file, and the mesh checks tokens with only the
public key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import typing as t

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# RFC 8037; the only algorithm ever accepted, so a token cannot choose a weaker one.
ALGORITHM = "EdDSA"
# Separates this key from any other that might be derived from the same secret. A new one invalidates all tokens.
PURPOSE = b"ecommerce user-service token signing key 1"
REQUIRED_CLAIMS = ("iss", "aud", "sub", "iat", "exp")


class InvalidTokenError(ValueError):
    """The token is invalid; the message contains the reason, never the content."""


def derive_key(secret: str) -> Ed25519PrivateKey:
    """The private key that belongs to JWT_SECRET (HKDF-SHA256, RFC 5869)."""
    seed = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=PURPOSE).derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public key as JSON Web Key (RFC 8037); `kid` is its thumbprint (RFC 7638)."""
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    members = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}
    thumbprint = hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
    return {**members, "alg": ALGORITHM, "use": "sig", "kid": _base64url(thumbprint)}


def claims_of(
    user: t.Mapping[str, t.Any], issuer: str, audience: str, now: float, ttl_seconds: int
) -> dict[str, t.Any]:
    """The claims of a token: user, audience, and validity. No other data, because tokens leave the service."""
    return {
        "iss": issuer,
        "aud": audience,
        "sub": str(user["id"]),
        "preferred_username": user["username"],
        "iat": int(now),
        "exp": int(now) + ttl_seconds,
        "jti": secrets.token_hex(16),
    }


class Tokens:
    """Signs and checks tokens of one issuer for one audience."""

    def __init__(self, secret: str, issuer: str, audience: str, ttl_seconds: int) -> None:
        self._key = derive_key(secret)
        self._jwk = public_jwk(self._key)
        self.issuer, self.audience, self.ttl_seconds = issuer, audience, ttl_seconds

    def jwks(self) -> dict[str, t.Any]:
        return {"keys": [self._jwk]}

    def sign(self, user: t.Mapping[str, t.Any], now: float) -> str:
        claims = claims_of(user, self.issuer, self.audience, now, self.ttl_seconds)
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self._jwk["kid"]})

    def check(self, token: str) -> dict[str, t.Any]:
        """The token's claims, or InvalidTokenError."""
        try:
            return jwt.decode(
                token,
                self._key.public_key(),
                algorithms=[ALGORITHM],
                issuer=self.issuer,
                audience=self.audience,
                options={"require": list(REQUIRED_CLAIMS)},
            )
        except jwt.ExpiredSignatureError:
            raise InvalidTokenError("the token has expired") from None
        except jwt.InvalidIssuerError:
            raise InvalidTokenError(f"the token's issuer is not {self.issuer}") from None
        except jwt.InvalidAudienceError:
            raise InvalidTokenError(f"the token is not for {self.audience}") from None
        except jwt.PyJWTError:
            raise InvalidTokenError("the token is not one that this service signed") from None


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
