# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a text is PromQL, by its grammar (Prometheus, promql/parser/generated_parser.y and lex.go). Pure.

What a grammar cannot know is left to Prometheus: which functions there are, how many arguments they take, and types. What it does not take,
Prometheus does not take either; tests compare both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNIT = r"[0-9]+(?:ms|[smhdwy])"
_TOKENS = re.compile(
    rf"""(?P<space>\s+|\#[^\n]*)
    |(?P<duration>(?:{_UNIT})+(?![A-Za-z0-9_]))
    |(?P<number>(?:0[xX][0-9a-fA-F_]+|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_]))
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<sign>=~|!~|==|!=|<=|>=|[-+*/%^<>=(){{}}\[\],:@])""",
    re.VERBOSE,
)
_AGGREGATORS = frozenset(
    {"sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk"}
    | {"count_values", "quantile", "limitk", "limit_ratio"}
)
# Operators from the weakest to the strongest; `^` and the signs before a value are apart.
_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"or"}),
    frozenset({"and", "unless"}),
    frozenset({"==", "!=", "<=", ">=", "<", ">"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%", "atan2"}),
)
# The words of PromQL that are no names of series; all others are (metric_identifier in the grammar).
_WORDS = frozenset({"atan2", "bool", "on", "ignoring", "group_left", "group_right"})
_OF_SPANS = ("step", "range", "min", "max")  # functions of durations
_DEEPEST = 200  # parentheses in each other


class NotPromqlError(ValueError):
    """The text is no PromQL; the message says where and what was expected."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int

    @property
    def word(self) -> str:
        """Its text as keywords are compared: not by case."""
        return self.text.lower() if self.kind == "name" else self.text


def check(text: str) -> str | None:
    """What is wrong with an expression; None when it is PromQL."""
    try:
        parser = _Parser(_read(text))
        parser.expression()
        parser.end()
    except NotPromqlError as error:
        return str(error)
    return None


def _read(text: str) -> list[_Token]:
    """The tokens. Between brackets a colon is that of a subquery; elsewhere the name of a recorded series may begin with one."""
    found, place, in_brackets = [], 0, False
    while place < len(text):
        match = _TOKENS.match(text, place)
        if match is None:
            raise NotPromqlError(f"{text[place : place + 12]!r} at character {place + 1} is no part of PromQL")
        token = _Token(str(match.lastgroup), match[0], place)
        if in_brackets and token.kind == "name" and token.text.startswith(":"):
            token = _Token("sign", ":", place)
        if token.kind == "sign" and token.text in "[]":
            in_brackets = token.text == "["
        if token.kind != "space":
            found.append(token)
        place += len(token.text)
    return [*found, _Token("end", "", len(text))]


class _Parser:
    """Goes through the tokens once. Each method reads one rule of the grammar, or raises."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _is(self, *words: str) -> bool:
        return self._next.kind in ("name", "sign") and self._next.word in words

    def _take(self, *words: str) -> bool:
        if self._is(*words):
            self._at += 1
            return True
        return False

    def _kind(self, *kinds: str) -> bool:
        if self._next.kind in kinds:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._take(word):
            self._wrong(repr(word))

    def _wrong(self, expected: str) -> None:
        token = self._next
        where = "at the end" if token.kind == "end" else f"instead of {token.text!r} at character {token.place + 1}"
        raise NotPromqlError(f"expected {expected} {where}")

    def end(self) -> None:
        """Nothing is left."""
        if self._next.kind != "end":
            self._wrong("an operator or the end")

    def expression(self, level: int = 0) -> None:
        """Operands of one level of operators, all of the levels above it among them."""
        if level == len(_LEVELS):
            self._signed()
            return
        self.expression(level + 1)
        while self._is(*_LEVELS[level]):
            self._at += 1
            self._modifiers()
            self.expression(level + 1)

    def _modifiers(self) -> None:
        """What may stand behind an operator: bool, and how series are matched."""
        self._take("bool")
        if self._take("on", "ignoring"):
            self._labels()
            if self._take("group_left", "group_right") and self._is("("):
                self._labels()
        while self._take("fill", "fill_left", "fill_right"):
            self._arguments()

    def _signed(self) -> None:
        """`^` binds more than the sign before it, and to the right."""
        while self._take("+", "-"):
            pass
        self._value()
        if self._take("^"):
            self._modifiers()
            self._signed()

    def _value(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotPromqlError(f"more than {_DEEPEST} parentheses stand in each other")
        if self._take("("):
            self.expression()
            self._expect(")")
        elif self._is("{"):
            self._matchers()
        elif self._next.kind == "name" and self._next.word not in _WORDS:
            self._named()
        elif not self._kind("number", "string", "duration"):
            self._wrong("a value: a series, a number, a function or '('")
        self._depth -= 1
        self._suffixes()

    def _named(self) -> None:
        """A series, a call or an aggregation."""
        word = self._next.word
        self._at += 1
        if word in _AGGREGATORS and self._is("(", "by", "without"):
            grouped = self._grouping()
            self._arguments()
            if not grouped:
                self._grouping()
        elif self._is("("):
            self._arguments()
        elif self._is("{"):
            self._matchers()

    def _grouping(self) -> bool:
        if not self._take("by", "without"):
            return False
        self._labels()
        return True

    def _arguments(self) -> None:
        self._expect("(")
        if self._take(")"):
            return
        self.expression()
        while self._take(","):
            self.expression()
        self._expect(")")

    def _labels(self) -> None:
        """Names of labels in parentheses; the last one may have a comma behind it."""
        self._expect("(")
        while not self._is(")"):
            if not self._kind("name", "string"):
                self._wrong("the name of a label")
            if not self._take(","):
                break
        self._expect(")")

    def _matchers(self) -> None:
        self._expect("{")
        while not self._is("}"):
            quoted = self._next.kind == "string"
            if not self._kind("name", "string"):
                self._wrong("the name of a label or '}'")
            # A name in quotes alone is that of the series.
            if not (quoted and self._is(",", "}")):
                if not self._take("=", "!=", "=~", "!~"):
                    self._wrong("=, !=, =~ or !~")
                if not self._kind("string"):
                    self._wrong("a text in quotes")
            if not self._take(","):
                break
        self._expect("}")

    def _suffixes(self) -> None:
        """A range or a subquery, offset and @, in any order; Prometheus refuses what is twice."""
        while True:
            if self._take("["):
                self._span()
                if self._take(":") and not self._is("]"):
                    self._span()
                self._expect("]")
            elif self._take("offset"):
                self._part_of_span()
            elif self._take("@"):
                self._moment()
            elif not self._take("anchored", "smoothed"):
                return

    def _span(self) -> None:
        """A duration, or what newer versions compute from durations."""
        self._part_of_span()
        while self._take("+", "-", "*", "/", "%", "^"):
            self._part_of_span()

    def _part_of_span(self) -> None:
        while self._take("+", "-"):
            pass
        if self._take("("):
            self._span()
            self._expect(")")
        elif self._take(*_OF_SPANS):
            self._expect("(")
            while not self._take(")"):
                self._span()
                self._take(",")
        elif not self._kind("duration", "number"):
            self._wrong("a duration such as 5m")

    def _moment(self) -> None:
        if self._take("start", "end"):
            self._expect("(")
            self._expect(")")
            return
        self._take("+", "-")
        if not self._kind("number", "duration"):
            self._wrong("a time in seconds, start() or end()")
