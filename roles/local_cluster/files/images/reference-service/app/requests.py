"""Values that handlers read from a request."""

from __future__ import annotations

import json
import typing as t

from starlette.requests import Request

from app.errors import ApiError, BadRequestError
from app.validation import identifier

LONGEST_BODY = 64 * 1024


async def read_json(request: Request) -> t.Any:
    """The body as JSON. A body above 64 KiB is refused before all of it is read."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise ApiError(413, "too_large", f"the body has more than {LONGEST_BODY} bytes")
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadRequestError("the body is not JSON") from None


def path_id(request: Request) -> int:
    """The `{id}` of the path."""
    try:
        return identifier(request.path_params["id"])
    except ValueError as error:
        raise BadRequestError(f"id {error}", field="id") from None


def _refuse_constant(name: str) -> t.NoReturn:
    """Refuse NaN and Infinity: Python accepts them, JSON does not."""
    raise ValueError(f"{name} is not JSON")
