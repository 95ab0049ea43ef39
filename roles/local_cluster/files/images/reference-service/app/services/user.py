"""Users, their passwords and their tokens."""

from __future__ import annotations

import asyncio
import secrets
import time
import typing as t

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.errors import ApiError, NotFoundError
from app.passwords import check_password, hash_password
from app.requests import path_id, read_json
from app.services.base import Handler, Parts, Service
from app.table import Table
from app.tokens import InvalidTokenError, Tokens
from app.validation import Field, email, mapping, text, validate

ADDRESS = (
    Field("street", text()),
    Field("city", text()),
    Field("postal_code", text(longest=20)),
    Field("country", text(longest=60)),
)
COMMON = (
    Field("username", text(longest=64)),
    Field("email", email),
    Field("full_name", text(), required=False, default=""),
    Field("address", mapping(ADDRESS), required=False),
)
CREDENTIALS = (Field("username", text(longest=64)), Field("password", text(longest=256)))


class UserService(Service):
    table = Table(
        name="users",
        singular="user",
        ddl="""
        CREATE TABLE IF NOT EXISTS users (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            username text NOT NULL UNIQUE,
            email text NOT NULL UNIQUE,
            full_name text NOT NULL,
            address jsonb,
            password_hash text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )""",
        create=(*COMMON, Field("password", text(shortest=8, longest=256))),
        replace=(*COMMON, Field("password", text(shortest=8, longest=256), required=False)),
        hidden=("password_hash",),
    )

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        settings = parts.settings
        self.tokens = Tokens(settings.jwt_secret, settings.jwt_issuer, settings.jwt_audience, settings.jwt_ttl_seconds)
        # Used in place of a hash if the user does not exist, so that the time of an answer does not reveal which users exist.
        self._unknown_user = hash_password(secrets.token_urlsafe())
        # A hash needs 16 MiB, so only this many run at once.
        self._hashing = asyncio.Semaphore(2)

    def routes(self) -> list[tuple[str, Handler, list[str]]]:
        return [
            ("/api/users/login", self.login, ["POST"]),
            ("/api/users/verify", self.verify, ["POST"]),
            ("/api/users/.well-known/jwks.json", self.jwks, ["GET"]),
            *super().routes(),
            ("/api/users/{id}/profile", self.profile, ["GET"]),
            ("/api/users/{id}/address", self.address, ["GET"]),
        ]

    async def prepare(self, values: dict[str, t.Any]) -> dict[str, t.Any]:
        password = values.pop("password")
        if password is not None:
            values["password_hash"] = await self._hash(hash_password, password)
        return values

    async def login(self, request: Request) -> Response:
        """A token for a user with the right password. The answer does not reveal whether the name or the password was wrong."""
        given = validate(CREDENTIALS, await read_json(request))
        user = await self._by_name(given["username"])
        stored = user["password_hash"] if user else self._unknown_user
        if not await self._hash(check_password, given["password"], stored) or user is None:
            raise ApiError(401, "login_failed", "the username or the password is wrong")
        token = self.tokens.sign(user, time.time())
        body = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.tokens.ttl_seconds,
            "user_id": user["id"],
        }
        return JSONResponse(body, headers={"cache-control": "no-store"})

    async def verify(self, request: Request) -> Response:
        """The claims of a valid token, 401 with the reason for any other."""
        given = validate((Field("token", text(longest=4096)),), await read_json(request))
        try:
            return JSONResponse({"valid": True, "claims": self.tokens.check(given["token"])})
        except InvalidTokenError as error:
            raise ApiError(401, "invalid_token", str(error), valid=False) from None

    async def jwks(self, _request: Request) -> Response:
        """The public key, for the check of tokens. It changes only with JWT_SECRET."""
        return JSONResponse(self.tokens.jwks(), headers={"cache-control": "public, max-age=300"})

    async def profile(self, request: Request) -> Response:
        """The part of a user that other services may read."""
        user = self.table.present(await self.row(path_id(request)))
        return JSONResponse({name: user[name] for name in ("id", "username", "full_name", "created_at")})

    async def address(self, request: Request) -> Response:
        user = await self.row(path_id(request))
        if user["address"] is None:
            raise NotFoundError("the address of user", user["id"])
        return JSONResponse({"user_id": user["id"], "address": user["address"]})

    async def _by_name(self, username: str) -> dict[str, t.Any] | None:
        found = await self.store.find({"username": username}, 1, 0)
        return found[0] if found else None

    async def _hash(self, function: t.Callable[..., t.Any], *arguments: str) -> t.Any:
        """Hash in a thread: it takes 50 ms and more, and other requests must not wait."""
        async with self._hashing:
            return await asyncio.to_thread(function, *arguments)
