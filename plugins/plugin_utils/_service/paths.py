# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Paths that two servers may read differently: what proxies compare as text, and what a service may make of it.

Envoy resolves dot segments, decodes what needs no percent code, and turns ``\\`` into ``/`` (Istio's normalisation BASE); it merges slashes
with MERGE_SLASHES and decodes ``%2F`` and ``%5C`` with DECODE_AND_MERGE_SLASHES (pilot/pkg/networking/core/listener_builder.go). It never
looks at parameters (``;x``), at codes of codes (``%252F``) or at the case of a percent code.

The regular expressions are in the syntax of RE2, and match the whole of ``:path``, which includes the query.
"""

from __future__ import annotations

import re

# A separator of segments, a dot and the start of a parameter, plain or coded once or more often.
_SEPARATOR = r"(?:[/\\]|%(?:25)*(?:2[Ff]|5[Cc]))"
_DOT = r"(?:\.|%(?:25)*2[Ee])"

# A dot segment that normalisation leaves, because a separator is coded or a parameter or code follows: /api/users/..%2Fmetrics.
HIDDEN_DOTS = rf"[^?]*{_SEPARATOR}{_DOT}{{1,2}}(?:[/\\;%?].*)?"

_CODES = (
    "[01][0-9A-Fa-f]|7[Ff]",  # control characters
    "2[35EFef]|3[BFbf]|5[Cc]",  # # % . / ; ? and the backslash: separators, and the start of another code
    "2[Dd]|3[0-9]|4[1-9A-Fa-f]|5[0-9AFaf]|6[1-9A-Fa-f]|7[0-9AEae]",  # what needs no code: letters, digits, - _ ~
    "[Cc][01]|[Ee]0%[89]|[Ff]0%8",  # ASCII in more bytes than UTF-8 has for it
    "[^0-9A-Fa-f]|[0-9A-Fa-f](?:[^0-9A-Fa-f]|$)|$",  # no code at all
)
_AMBIGUOUS = rf"//|[;\\]|%(?:{'|'.join(_CODES)})"

# Anything that a service may read as another path than Envoy does.
AMBIGUOUS = rf"[^?]*(?:{_AMBIGUOUS}).*"

# Where the name in a segment may end. Parameters, formats and actions follow the other characters: /admin;x, /admin.json, /admin:list.
_ENDS = "/;%.,:!$&'()+=@"


def is_ambiguous(path: str) -> bool:
    """Whether a path, without a query, may be read as another one than Envoy does."""
    return bool(re.search(_AMBIGUOUS, path)) or bool(re.fullmatch(HIDDEN_DOTS, path))


def below(prefix: str) -> list[str]:
    """The path of a route and all below it, in the form of an AuthorizationPolicy."""
    return ["/*"] if prefix == "/" else [prefix, f"{prefix}/*"]


def spellings(prefix: str) -> list[str]:
    """The same with everything that a service may take for it: parameters, a format, percent codes after the name."""
    return [prefix, *(f"{prefix}{end}*" for end in _ENDS)]


def in_any_case(prefix: str) -> str:
    """Regular expression of the same, in upper and lower case: some servers do not tell them apart."""
    literal = re.sub(r"[][.^$*+?(){}|\\]", r"\\\g<0>", prefix)
    return rf"(?i){literal}(?:[?{re.escape(_ENDS)}].*)?"
