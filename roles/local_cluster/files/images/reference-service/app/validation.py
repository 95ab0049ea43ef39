"""Validation of a request's body and query. Pure: returns the validated values or raises one error that lists every invalid field."""

from __future__ import annotations

import dataclasses
import decimal
import re
import typing as t

from app.errors import BadRequestError, InvalidError

Parser = t.Callable[[t.Any], t.Any]
BIGGEST_ID = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a body. `parse` returns the validated value or raises ValueError("must be …")."""

    name: str
    parse: Parser
    required: bool = True
    default: t.Any = None


def validate(fields: t.Sequence[Field], payload: t.Any) -> dict[str, t.Any]:
    """Validated values of all fields. Raises InvalidError with all findings, unknown fields included."""
    if not isinstance(payload, dict):
        raise BadRequestError("the body must be a JSON object")
    values: dict[str, t.Any] = {}
    findings = {name: "is not a field here" for name in payload if name not in {field.name for field in fields}}
    for field in fields:
        given = payload.get(field.name)
        if given is None:
            values[field.name] = field.default
            if field.required:
                findings[field.name] = "is missing"
            continue
        try:
            values[field.name] = field.parse(given)
        except ValueError as error:
            findings[field.name] = str(error)
    if findings:
        raise InvalidError(findings)
    return values


def text(shortest: int = 1, longest: int = 200) -> Parser:
    """A string with a length in this range. PostgreSQL's text cannot contain NUL."""

    def parse(value: t.Any) -> str:
        if not isinstance(value, str) or not shortest <= len(value) <= longest or "\x00" in value:
            raise ValueError(f"must be a text of {shortest} to {longest} characters")
        # Half of a surrogate pair is valid JSON ("\ud800") but not valid text.
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("must be valid Unicode")
        return value

    return parse


def email(value: t.Any) -> str:
    """An address of valid form. The check does not tell whether it exists."""
    address = text(3, 254)(value)
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address):
        raise ValueError("must be an e-mail address")
    return address


def integer(lowest: int, highest: int = BIGGEST_ID) -> Parser:
    def parse(value: t.Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return value

    return parse


def identifier(value: t.Any) -> int:
    """An id, also from a path or a query."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value, re.ASCII):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= BIGGEST_ID:
        raise ValueError("must be an id, a whole number from 1")
    return value


def money(value: t.Any) -> decimal.Decimal:
    """An amount with at most two decimals, from a JSON number or a text."""
    wrong = ValueError("must be an amount from 0 to 9999999999.99 with at most two decimals")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise wrong
    try:
        amount = decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        raise wrong from None
    if not amount.is_finite() or not 0 <= amount < 10**10 or amount != round(amount, 2):
        raise wrong
    return round(amount, 2)


def choice(*choices: str) -> Parser:
    def parse(value: t.Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return parse


def mapping(fields: t.Sequence[Field]) -> Parser:
    """An object inside the body; its findings contain the name of the inner field."""

    def parse(value: t.Any) -> dict[str, t.Any]:
        if not isinstance(value, dict):
            raise ValueError("must be an object")
        try:
            return validate(fields, value)
        except InvalidError as error:
            raise ValueError(f"is wrong: {error.message}") from None

    return parse


def query_number(query: t.Mapping[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    """A whole number of the query string."""
    value = query.get(name)
    if value is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) or not lowest <= int(value) <= highest:
        raise InvalidError({name: f"must be a whole number from {lowest} to {highest}"})
    return int(value)


def query_id(query: t.Mapping[str, str], name: str) -> int | None:
    """An id of the query string, None if it is absent."""
    value = query.get(name)
    if value is None:
        return None
    try:
        return identifier(value)
    except ValueError as error:
        raise InvalidError({name: str(error)}) from None
