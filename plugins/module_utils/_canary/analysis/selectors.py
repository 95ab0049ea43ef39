# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which series a PromQL query selects: names of metrics, and matchers of labels. Pure.

Prometheus 3 takes a query apart itself (`selectors_of_tree`). For other servers `selectors_of_text` reads the text. It knows PromQL's
tokens (Prometheus, promql/parser/lex.go) and is made for queries that the server has accepted. What it does not understand is None.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

NAME = "__name__"
_SIMILAR = 4  # names that a finding offers

_AGGREGATORS = frozenset({
    "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "count_values", "quantile", "limitk",
    "limit_ratio",
})  # fmt: skip
_GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = frozenset({"and", "or", "unless", "atan2", "offset", "bool", "inf", "nan", "anchored", "smoothed"})
_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<number>0[xX][0-9a-fA-F_]+|(?:\d+(?:ms|[smhdwy]))+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<symbol>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){}\[\],:@])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Matcher:
    """`label op value`; `op` is one of = != =~ !~."""

    label: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """A selector of series. `name` is empty when it names no metric, or several by a regular expression."""

    name: str
    matchers: tuple[Matcher, ...] = ()


class _NotUnderstoodError(Exception):
    """A text that this file does not understand."""


def selectors_of_tree(tree: Any) -> list[Selector] | None:
    """The selectors in the answer of `/api/v1/parse_query`; None for an answer of another shape."""
    found: list[Selector] = []
    nodes: list[Any] = [tree]
    try:
        while nodes:
            node = nodes.pop()
            if isinstance(node, list):
                nodes += node
            elif isinstance(node, dict):
                if node.get("type") in ("vectorSelector", "matrixSelector"):
                    matchers = [Matcher(str(m["name"]), str(m["type"]), str(m["value"])) for m in node["matchers"]]
                    found.append(_selector(matchers))
                else:
                    nodes += node.values()
    except (KeyError, TypeError):
        return None
    return _ordered(found) if isinstance(tree, dict) and "type" in tree else None


def selectors_of_text(query: str) -> list[Selector] | None:
    """The selectors of a query that a server accepts; None when its text is not understood."""
    try:
        return _ordered(_read(_tokens(query)))
    except (_NotUnderstoodError, IndexError):
        return None


def _ordered(found: Iterable[Selector]) -> list[Selector]:
    return sorted(dict.fromkeys(found), key=lambda entry: (entry.name, [str(matcher) for matcher in entry.matchers]))


def _selector(matchers: Sequence[Matcher], name: str = "") -> Selector:
    named = [matcher.value for matcher in matchers if matcher.label == NAME and matcher.op == "="]
    others = tuple(matcher for matcher in matchers if matcher.label != NAME)
    return Selector(name or (named[0] if named else ""), others)


def _tokens(query: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while position < len(query):
        match = _TOKEN.match(query, position)
        if match is None or match.lastgroup is None:
            raise _NotUnderstoodError
        position = match.end()
        if match.lastgroup != "space":
            found.append((match.lastgroup, match.group()))
    return [*found, ("end", "")]


def _read(tokens: Sequence[tuple[str, str]]) -> Iterable[Selector]:
    position = 0
    while position < len(tokens):
        kind, text = tokens[position]
        following = tokens[position + 1][1] if position + 1 < len(tokens) else ""
        if kind == "symbol" and text == "{":
            selector, position = _braces(tokens, position + 1, "")
            yield selector
            continue
        if kind == "symbol" and text == "[":
            position = _closing(tokens, position)
        elif kind == "name" and text.lower() in _GROUPING and following == "(":
            position = _closing(tokens, position + 1)
        elif kind == "name" and following == "{":
            selector, position = _braces(tokens, position + 2, text)
            yield selector
            continue
        elif kind == "name" and not _is_word(text, following):
            yield Selector(text)
        position += 1


def _is_word(text: str, following: str) -> bool:
    """Whether a name belongs to the language here: a function, an aggregator, an operator."""
    lower = text.lower()
    if following == "(" or lower in _WORDS or lower in _GROUPING:
        return True
    return lower in _AGGREGATORS and following.lower() in ("by", "without")


def _closing(tokens: Sequence[tuple[str, str]], start: int) -> int:
    """Position of the bracket that closes the one at `start`."""
    closing = {"(": ")", "[": "]"}[tokens[start][1]]
    position = start + 1
    while tokens[position][1] != closing or tokens[position][0] != "symbol":
        if tokens[position][1] in ("(", "[", "{"):
            raise _NotUnderstoodError
        position += 1
    return position


def _braces(tokens: Sequence[tuple[str, str]], position: int, name: str) -> tuple[Selector, int]:
    """(selector, position after its braces). `position` is that of the first token in the braces."""
    matchers: list[Matcher] = []
    while tokens[position] != ("symbol", "}"):
        kind, text = tokens[position]
        if kind not in ("name", "string"):
            raise _NotUnderstoodError
        label = text if kind == "name" else _text(text)
        op = tokens[position + 1][1]
        if kind == "string" and op in (",", "}"):  # Prometheus 3: {"name", label="x"}
            matchers.append(Matcher(NAME, "=", label))
            position += 1
        elif op in ("=", "!=", "=~", "!~") and tokens[position + 2][0] == "string":
            matchers.append(Matcher(label, op, _text(tokens[position + 2][1])))
            position += 3
        else:  # Prometheus 3: `or` between sets of matchers
            raise _NotUnderstoodError
        if tokens[position] == ("symbol", ","):
            position += 1
    return _selector(matchers, name), position + 1


def _text(quoted: str) -> str:
    inner = quoted[1:-1]
    return inner if quoted[0] == "`" else _ESCAPE.sub(r"\1", inner)


# What a server has of them ---------------------------------------------------------------------------------------------


def unknown_name(selector: Selector, names: Collection[str]) -> str:
    """Why a selector's metric cannot be found: what is missing and what there is instead. Empty when the server has it."""
    if not selector.name or selector.name in names:
        return ""
    return f"Prometheus has no metric {selector.name}; {_instead(selector.name, names)}"


def unknown_labels(selector: Selector, labels_of: Callable[[str], Collection[str]]) -> list[str]:
    """The same for the labels that its matchers need. `labels_of` returns the names of a metric's labels."""
    wanted = {
        # label="" means that there is no such label.
        matcher.label
        for matcher in selector.matchers
        if (matcher.op, matcher.value) != ("=", "")
    }
    if not selector.name or not wanted:
        return []
    have = labels_of(selector.name)
    return [
        f"{selector.name} has no label {label}; {_instead(label, [name for name in have if name != NAME])}"
        for label in sorted(wanted - set(have))
    ]


def _instead(name: str, known: Collection[str]) -> str:
    similar = difflib.get_close_matches(name, sorted(known), n=_SIMILAR, cutoff=0.6)
    if similar:
        return f"similar: {', '.join(similar)}"
    if 0 < len(known) <= 2 * _SIMILAR:
        return f"there are: {', '.join(sorted(known))}"
    return f"none of the {len(known)} names there is similar"
