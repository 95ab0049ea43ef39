"""Error answers. All have the form {"error": {"code", "message", …}}."""

from __future__ import annotations

import typing as t


class ApiError(Exception):
    """An answer with a status of 4xx or 5xx. The body contains `details` beside `code` and `message`."""

    def __init__(self, status: int, code: str, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details

    def body(self) -> dict[str, t.Any]:
        return {"error": {"code": self.code, "message": self.message, **self.details}}


class NotFoundError(ApiError):
    def __init__(self, what: str, identifier: object) -> None:
        super().__init__(404, "not_found", f"{what} {identifier} does not exist")


class BadRequestError(ApiError):
    """The request cannot be parsed."""

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(400, "bad_request", message, **details)


class InvalidError(ApiError):
    """The request can be parsed but is not accepted; `fields` ({name: reason}) says why."""

    def __init__(self, fields: t.Mapping[str, str]) -> None:
        super().__init__(
            422, "invalid", "; ".join(f"{name} {why}" for name, why in fields.items()), fields=dict(fields)
        )


class ConflictError(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(409, "conflict", message)


class DatabaseUnavailableError(ApiError):
    def __init__(self, reason: str) -> None:
        super().__init__(503, "database_unavailable", f"the database does not answer: {reason}")


class CalleeFailedError(ApiError):
    """Another service did not answer as expected."""

    def __init__(self, callee: str, reason: str) -> None:
        super().__init__(502, "callee_failed", f"{callee} {reason}", callee=callee)
