# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Checks of single values. Each returns what was expected, or None when the value is valid."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.paths import is_ambiguous

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# Envoy's retry policies that Istio's pkg/config/validation accepts; it accepts status codes too.
RETRY_POLICIES = (
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream",
    "retriable-status-codes", "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure",
    "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
)  # fmt: skip

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@sha256:[0-9a-f]{64})?"
)
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|h|m|s))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)")
_SECONDS = {"h": Decimal(3600), "m": Decimal(60), "s": Decimal(1), "ms": Decimal("0.001")}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_FACTORS = {
    "m": Decimal("0.001"), "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18), "Ki": Decimal(2**10), "Mi": Decimal(2**20),
    "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_SECRET_KEY = re.compile(r"[-A-Za-z0-9_.]{1,253}")
_PATH = re.compile(r"/[A-Za-z0-9\-._~%!$&'()+,;:@=/]*")
_CODE = re.compile(r"%..")
_SPELLING = " without '//', ';' and dot segments, and with percent codes in upper case and only where they are needed"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_URI = re.compile(r"https?://[^\s]+")


def label(value: str) -> str | None:
    """RFC 1123 label: name of a namespace."""
    return None if _LABEL.fullmatch(value) else "an RFC 1123 label (a-z, 0-9 and '-', at most 63 characters)"


def service_name(value: str) -> str | None:
    """RFC 1123 label that starts with a letter: name of a Service."""
    expected = "an RFC 1123 label that starts with a letter (a-z, 0-9 and '-', at most 63 characters)"
    return None if _LABEL_1035.fullmatch(value) else expected


def subdomain(value: str) -> str | None:
    """RFC 1123 subdomain: name of a Secret or a ServiceAccount."""
    good = len(value) <= 253 and _SUBDOMAIN.fullmatch(value)
    return None if good else "an RFC 1123 subdomain (a-z, 0-9, '-' and '.', at most 253 characters)"


def service_account(value: str) -> str | None:
    """Name of a ServiceAccount, or ``*`` for all of the namespace."""
    return None if value == "*" else subdomain(value)


def label_value(value: str) -> str | None:
    """Value of a Kubernetes label."""
    good = not value or _LABEL_VALUE.fullmatch(value)
    return None if good else "a label value (letters, digits, '-', '_', '.', at most 63 characters)"


def image(value: str) -> str | None:
    """Reference of a container image."""
    expected = "an image reference such as registry.example.com/shop/user-service:v1.0"
    if not value:
        expected += "; give one, or platform_image_registry (playbooks/images.yml builds the reference services)"
    return None if _IMAGE.fullmatch(value) else expected


def image_tag(value: str) -> str:
    """Return the tag of an image reference, or an empty string."""
    match = _IMAGE.fullmatch(value)
    return (match.group("tag") or "") if match else ""


@dataclass(frozen=True, slots=True)
class Between:
    """A check for whole numbers from ``low`` to ``high``."""

    low: int
    high: int
    what: str = "a number"

    def __call__(self, value: int) -> str | None:
        return None if self.low <= value <= self.high else f"{self.what} from {self.low} to {self.high}"


def between(low: int, high: int, what: str = "a number") -> Between:
    """Return a check for whole numbers from ``low`` to ``high``."""
    return Between(low, high, what)


port = between(1, 65535, "a port")

# Upper bounds in milliseconds of the histogram of requests that are scraped (Envoy's, source/common/stats/histogram_impl.cc, without the
# ends that the role observability drops). What lies between two of them cannot be counted.
LATENCY_BOUNDS = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
LEAST_OBJECTIVE = 90.0  # below it, even the second fastest alert on the error budget could never fire


def objective(value: float) -> str | None:
    """Share of good requests in percent that leaves an error budget to spend."""
    if LEAST_OBJECTIVE <= value < 100:
        return None
    return (
        "a percentage from 90 to below 100, such as 99.9: 100 leaves no error budget, so that every failed request would be an alert, and "
        "with less than 90 no alert on its budget could fire"
    )


def latency_bound(value: int) -> str | None:
    """A time that the histogram of requests tells apart."""
    if value in LATENCY_BOUNDS:
        return None
    bounds = ", ".join(str(bound) for bound in LATENCY_BOUNDS)
    return f"one of {bounds} milliseconds, the bounds of the proxies' histogram: requests are counted up to these times only"


@dataclass(frozen=True, slots=True)
class OneOf:
    """A check for one of the given strings."""

    choices: tuple[str, ...]

    def __call__(self, value: str) -> str | None:
        return None if value in self.choices else f"one of {', '.join(self.choices)}"


def one_of(*choices: str) -> OneOf:
    """Return a check for one of the given strings."""
    return OneOf(choices)


method = one_of(*METHODS)


def seconds(value: str) -> Decimal | None:
    """Return the seconds of a duration such as ``1m30s`` or ``500ms``, or None when ``value`` is not one."""
    if not _DURATION.fullmatch(value):
        return None
    return sum((Decimal(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(value)), Decimal(0))


def duration(value: str) -> str | None:
    """Duration of Go, at least one millisecond, as Istio's CRDs require."""
    length = seconds(value)
    return None if length is not None and length >= Decimal("0.001") else "a duration such as 500ms, 10s or 1m30s"


def quantity(value: str) -> Decimal | None:
    """Return the number of a Kubernetes quantity such as ``50m`` or ``128Mi``, or None when ``value`` is not one."""
    match = _QUANTITY.fullmatch(value)
    if not match:
        return None
    try:
        return Decimal(match.group(1)) * _FACTORS[match.group(2) or ""]
    except InvalidOperation:  # pragma: no cover - the pattern lets only numbers through
        return None


def positive_quantity(value: str) -> str | None:
    """Kubernetes quantity above zero."""
    amount = quantity(value)
    return None if amount is not None and amount > 0 else "a quantity such as 50m, 0.5, 128Mi or 1Gi"


def count_or_percent(value: str) -> str | None:
    """Number of pods or a percentage of them, as text."""
    text = value[:-1] if value.endswith("%") else value
    good = text.isascii() and text.isdecimal() and (not value.endswith("%") or int(text) <= 100)
    return None if good else "a number of pods or a percentage such as 25%"


def prefix(value: str) -> str | None:
    """Path prefix of a route: literal, no wildcard, as Envoy compares it after its normalisation."""
    expected = "a path prefix such as /api/users (begins with '/', no wildcard, no query)"
    if not _PATH.fullmatch(value):
        return expected
    return None if _is_one_path(value) else expected + _SPELLING


def _is_one_path(value: str) -> bool:
    dots = {".", ".."} & set(value.split("/"))
    return not dots and not is_ambiguous(value) and all(code == code.upper() for code in _CODE.findall(value))


def path(value: str) -> str | None:
    """Path of a probe or of the metrics."""
    return None if _PATH.fullmatch(value) else "a path such as /health"


def pattern(value: str) -> str | None:
    """Path of an allow rule; ``*`` stands for a whole segment, or at the end for any rest."""
    parts = value.split("/")
    inner, last = parts[1:-1], parts[-1]
    # A star ends a name only where no other segment is one: Istio has two kinds of patterns (template).
    stars = all(part == "*" or "*" not in part for part in inner) and "*" not in last[:-1]
    stars = stars and (last in ("*", "") or not last.endswith("*") or "*" not in inner)
    literal = "/".join("x" if part == "*" else part for part in (*parts[:-1], last.removesuffix("*") or "x"))
    variables = any(map(_is_variable, parts))
    if value.startswith("/") and stars and prefix(literal) is None and not variables:
        return None
    expected = "a path such as /api/users/*/profile ('*' for one segment, or at the end for any rest)"
    meant = _meant(value)
    if meant != value and pattern(meant) is None:
        return f"{expected}; write {meant}"
    return expected + (_SPELLING if stars and not variables and _PATH.fullmatch(literal) else "")


def _is_variable(part: str) -> bool:
    """Whether a segment is a variable or a regular expression of some framework, which Istio takes literally."""
    return bool(re.fullmatch(r":\w+|<.+>|\{.+\}|\(.+\)|\[.+\][*+?]?|\.[*+]|\*\*", part))


def _meant(value: str) -> str:
    """The pattern that a path with such segments means; empty when there is none, as for any number of segments in the middle."""
    parts = value.lstrip("^").rstrip("$").split("/")
    if any("**" in part for part in parts[:-1]):
        return ""
    return "/".join("*" if _is_variable(part) else part for part in parts)


def template(value: str) -> str:
    """Return a pattern in the form of an AuthorizationPolicy.

    Istio treats ``*`` as a wildcard only at the start or the end of a path, elsewhere as the character itself
    (pilot/pkg/security/authz/matcher/string.go). A segment in the middle is ``{*}``, and a path with such a template
    ends with ``{**}`` instead of ``*`` (pkg/config/security/security.go, CheckValidPathTemplate).
    """
    if "*" not in value[:-1]:
        return value
    parts = value.split("/")
    last = parts.pop()
    middle = ["{*}" if part == "*" else part for part in parts]
    return "/".join([*middle, "{**}" if last == "*" else last])


def retry_on(value: str) -> str | None:
    """Comma-separated retry policies."""
    parts = [part.strip() for part in value.split(",")]
    good = all(part in RETRY_POLICIES or (part.isdecimal() and 400 <= int(part) <= 599) for part in parts)
    return None if good else f"a comma-separated list of status codes and of {', '.join(RETRY_POLICIES)}"


def origin(value: str) -> str | None:
    """Origin of a web page, or ``*``."""
    return None if value == "*" or _ORIGIN.fullmatch(value) else "an origin such as https://ecommerce.example.com, or *"


def header(value: str) -> str | None:
    """Name of an HTTP header, or ``*``."""
    return None if _HEADER.fullmatch(value) else "the name of an HTTP header"


def uri(value: str) -> str | None:
    """Address that starts with http or https."""
    return None if not value or _URI.fullmatch(value) else "an address that begins with http:// or https://"


def nonempty(value: Any) -> str | None:
    """Any value that is not empty."""
    return None if value else "set: it must not be empty"


def absolute(value: str) -> str | None:
    """Absolute path of a directory in the container."""
    return None if re.fullmatch(r"(/[A-Za-z0-9._-]+)+", value) else "an absolute path such as /tmp"


def env_names(values: Iterable[str]) -> str | None:
    """Names of environment variables (keys of a map)."""
    bad = [name for name in values if not _ENV_NAME.fullmatch(name)]
    return f"a set of environment variables: {', '.join(map(repr, bad))} cannot be a name" if bad else None


def env_name(value: str) -> str | None:
    """Name of an environment variable."""
    return None if _ENV_NAME.fullmatch(value) else "the name of an environment variable"


def secret_key(value: str) -> str | None:
    """Key of a Secret or a ConfigMap."""
    return None if _SECRET_KEY.fullmatch(value) else "a key of a Secret (letters, digits, '-', '_', '.')"


def annotation_keys(values: Iterable[str]) -> str | None:
    """Keys of annotations."""
    bad = [key for key in values if not _annotation_key(key)]
    return f"a set of annotations: {', '.join(map(repr, bad))} cannot be a key" if bad else None


def _annotation_key(key: str) -> bool:
    domain, slash, name = key.rpartition("/")
    return bool(_LABEL_VALUE.fullmatch(name)) and (not slash or bool(_SUBDOMAIN.fullmatch(domain)))
