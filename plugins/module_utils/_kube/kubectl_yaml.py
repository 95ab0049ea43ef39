# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML and JSON texts, read as kubectl reads them: `read(text)` gives the JSON of `kubectl create --dry-run=client -o json`. No I/O.

kubectl splits a text into documents first (apimachinery, pkg/util/yaml/decoder.go), parses each with a port of libyaml, and makes values of
its nodes by its own rules (go.yaml.in/yaml/v2, resolve.go and decode.go), JSON of them (sigs.k8s.io/yaml, yaml.go), and numbers of that
JSON (sigs.k8s.io/json: an integer of 64 bits, else a float). PyYAML's C parser is libyaml itself, so only what follows the parser is here.
"""

from __future__ import annotations

import base64
import contextlib
import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.documents import (
    Document,
    Path,
    place,
    told,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.kubectl_json import (
    SPACES,
    SURROGATE,
    json_documents,
    of_float,
    twice,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.lines import line_of

with contextlib.suppress(ImportError):  # config.IMPORT_ERROR holds the error; Client reports it
    import yaml

_TAG = "tag:yaml.org,2002:"
_RESOLVED_TAGS = frozenset(_TAG + name for name in ("str", "bool", "int", "float", "null", "timestamp"))
_PLAIN: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_NUMERIC = frozenset("+-.0123456789")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]*)|([1-9][0-9]*))\Z")
_SIGNED_BINARY = re.compile(r"0b([-+][01]+)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_FRACTION = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?\Z")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])"
    r"(?:[Tt][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}([.,][0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})"
    r"| [0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}([.,][0-9]+)?)?\Z"
)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")
_INFINITE = re.compile(r"\.(?:inf|nan)", re.IGNORECASE)
_SEPARATOR = re.compile(r"^---(.*)\n", re.MULTILINE)
_UNKNOWN, _NO_KEY, _MERGE = object(), object(), object()


class _ReadError(Exception):
    """A document that kubectl refuses. `line`: lines of the document before it; `value`: what was read of it before.

    `scalar`: where the scalar begins in which the parser stopped, and where it stopped; -1 for another error.
    """

    def __init__(self, text: str, line: int, value: Any = None, scalar: tuple[int, int] = (-1, -1)) -> None:
        self.line, self.value, self.scalar = line, value, scalar
        super().__init__(text)


# Texts and documents -------------------------------------------------------------------------------------------------


def read(text: str, name: str) -> list[Document]:
    """Documents of a text without the empty ones. `name`: file or option, for messages.

    Raises KubeError that names the text, the document, its line, and its object as far as it was read.
    """
    text = SURROGATE.sub("\ufffd", text.removeprefix("\ufeff"))
    found: list[Document] = []
    rest, line = text, 1
    if text[:4096].lstrip(SPACES).startswith("{"):
        rest, line = json_documents(text, name, found)
    for chunk, start in _chunks(rest, line, name):
        number = len(found) + 1
        try:
            parsed, value, notes = _built(chunk)
        except _ReadError as error:
            raise KubeError(f"{place(name, number, start + error.line)}{told(error.value)}: {error}") from None
        if value is not None:
            told_notes = tuple(f"{place(name, number, start + at)}{told(value)}: {note}" for at, note in notes)
            found.append(Document(name, number, start, partial(line_of, parsed), value, told_notes))
    return found


def value(text: str) -> Any:
    """The value of a text that is one document, None for an empty one: a MeshConfig in a ConfigMap, a ProxyConfig in an annotation.

    Istio and kubeadm read them as kubectl does (sigs.k8s.io/yaml, YAMLToJSON), so `y` is true. Raises KubeError that names the line.
    """
    try:
        return _built(SURROGATE.sub("\ufffd", text.removeprefix("\ufeff")))[1]
    except _ReadError as error:
        raise KubeError(f"line {error.line + 1}: {error}") from None


def _built(text: str) -> tuple[str, Any, list[tuple[int, str]]]:
    """A document's text, its value and its warnings. Raises _ReadError.

    The port of libyaml below kubectl takes two notations that libyaml does not. In double quotes, `\\'` is a quote: the backslash is left
    out. In a flow collection, a plain scalar may end with a colon, `[a:]`: it is quoted.
    """
    while True:
        try:
            return text, *_Builder(text).document()
        except _ReadError as error:
            start, stop = error.scalar
            if stop >= 0 and text[stop : stop + 2] == "\\'":
                text = text[:stop] + text[stop + 1 :]
            elif 0 <= start < stop and text[stop : stop + 1] == ":" and text[stop + 1 : stop + 2] in tuple(",?[]{}"):
                quoted = text[start : stop + 1].replace("'", "''")
                text = f"{text[:start]}'{quoted}'{text[stop + 1 :]}"
            else:
                raise


def _chunks(text: str, line: int, name: str) -> Iterator[tuple[str, int]]:
    """The parts of a text between its lines of `---`, each with its first line (decoder.go, YAMLReader).

    The first separator stays in its part, where it is harmless. A line ends as bufio.ReadLine has it.
    """
    text = text.replace("\r\n", "\n")
    if text and not text.endswith("\n"):
        text = text.removesuffix("\r") + "\n"
    start, first = 0, line
    for match in _SEPARATOR.finditer(text):
        if (tail := match[1].strip(SPACES)) and not tail.startswith("#"):
            at = first + text.count("\n", start, match.start())
            words = "this line begins with '---', which separates documents. Expected '---' alone, or an indented line"
            raise KubeError(f"{name}, line {at}: {words}.")
        if match.start() == start:
            continue
        yield text[start : match.start()], first
        first += text.count("\n", start, match.end())
        start = match.end()
    if start < len(text):
        yield text[start:], first


# Scalars -------------------------------------------------------------------------------------------------------------


def _integer(text: str) -> int | None:
    """strconv.ParseInt and ParseUint with base 0; None when both fail."""
    match = _INTEGER.match(text)
    if match is None:
        binary = _SIGNED_BINARY.match(text)
        return int(binary[1], 2) if binary and abs(int(binary[1], 2)) < 2**63 else None
    sign, hexadecimal, binary_digits, octal, decimal = match.groups()
    if hexadecimal is not None:
        number = int(hexadecimal, 16)
    elif binary_digits is not None:
        number = int(binary_digits, 2)
    elif octal is not None:
        number = int(octal or "0", 8)
        if not octal and text[-1] != "0":  # 0o
            return None
    else:
        number = int(decimal) if len(decimal) < 32 else 2**64
    if sign == "-":
        return -number if number <= 2**63 else None
    return number if number < (2**63 if sign else 2**64) else None


def _number(text: str) -> int | float | str:
    """The number that a plain scalar is for resolve.go, or the text. An integer of more than 63 bits is a uint64 there."""
    if text[0] == ".":
        number = float(text) if _FRACTION.match(text) else math.inf
        return text if math.isinf(number) else number
    plain = text.replace("_", "")
    integer = _integer(plain)
    if integer is not None:
        return integer
    if _FLOAT.match(plain):
        number = float(plain)
        return text if math.isinf(number) else number
    return text


def _resolved(text: str) -> Any:
    """What resolve.go makes of a plain scalar, before it becomes JSON."""
    found = _PLAIN.get(text, _UNKNOWN)
    if found is _UNKNOWN:
        return _number(text) if text[0] in _NUMERIC else text
    return found


def _as_json(value: Any) -> Any:
    """What becomes of a resolved scalar in JSON. An infinite number stays, and is refused at the end."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**63 else of_float(float(value))
    return of_float(value) if isinstance(value, float) and math.isfinite(value) else value


def _tagged(tag: str, text: str) -> Any:
    """A scalar with a tag (resolve.go). Other tags than those of scalars are ignored. Raises ValueError."""
    if tag == _TAG + "binary":
        packed = text.replace("\r", "").replace("\n", "")
        if not _BASE64.match(packed):
            raise ValueError("the value of !!binary is no base64")
        return _text_of(base64.b64decode(packed))
    if tag not in _RESOLVED_TAGS or tag == _TAG + "str":
        return text
    wanted = tag.removeprefix(_TAG)
    found: Any = text
    if wanted == "timestamp" and _TIMESTAMP.match(text):
        return text
    found = _resolved(text)
    kinds: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str", type(None): "null"}
    kind = kinds[type(found)]
    if kind == wanted:
        return found
    if kind == "int" and wanted == "float" and found < 2**63:
        return float(found)
    raise ValueError(f"a value of the type !!{kind} has the tag !!{wanted}. Expected a !!{wanted}, or another tag")


def _text_of(data: bytes) -> str:
    """Bytes as text, each byte that is no UTF-8 as U+FFFD (encoding/json)."""
    parts: list[str] = []
    while data:
        try:
            return "".join([*parts, data.decode()])
        except UnicodeDecodeError as error:
            parts += [data[: error.start].decode(), "\ufffd" * (error.end - error.start)]
            data = data[error.end :]
    return "".join(parts)


def _key_text(value: Any) -> str:
    """The string that a key becomes (sigs.k8s.io/yaml, convertToJSONableObject). Raises ValueError."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() if -(2**63) <= value < 2**63:
            return str(value)
        case float():
            return _short_float(value)
        case None:
            raise ValueError("a key is null. Expected a text")
        case int():
            raise ValueError("a key is a number of more than 63 bits. Expected a text (quote it)")
        case _:
            raise ValueError("a key is a list or a mapping. Expected a text")


def _short_float(number: float) -> str:
    """strconv.FormatFloat(number, 'g', -1, 32): the fewest digits that tell a float of 32 bits."""
    if math.isnan(number):
        return ".nan"
    try:
        wanted = struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        wanted = math.copysign(math.inf, number)
    if math.isinf(wanted):
        return ".inf" if wanted > 0 else "-.inf"
    text = next(t for n in range(9) if struct.unpack("f", struct.pack("f", float(t := f"{wanted:.{n}e}")))[0] == wanted)
    digits, exponent = text.split("e")
    if not -4 <= int(exponent) < 6:
        return f"{digits}e{int(exponent):+03d}"
    return format(Decimal(text), "f")


# Documents out of the parser's events --------------------------------------------------------------------------------


class _Plain(dict[str, Any]):
    """JSON values of plain scalars, each made once."""

    def __missing__(self, text: str) -> Any:
        value = self[text] = _as_json(_resolved(text))
        return value


@dataclass(slots=True)
class _Anchor:
    """A node with an anchor. `begin`: nodes before it; `size`: nodes that it has, 0 while it is open; `event`: of a scalar."""

    value: Any
    begin: int
    size: int
    event: Any


class _Builder:
    """Makes the value of the first document of a text: kubectl does not read what follows a line of `...`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._anchors: dict[str, _Anchor] = {}
        # Of each open collection: the one around it, whether that is a mapping, the key in it, and the collection's anchor.
        self._stack: list[tuple[Any, bool, Any, _Anchor | None]] = []
        self._merged: dict[int, set[str]] = {}  # keys of a mapping that come from merges
        self._holder: list[Any] = []
        self._notes: list[tuple[int, str]] = []
        self._aliased = 0  # nodes that aliases stand for

    def document(self) -> tuple[Any, list[tuple[int, str]]]:
        """The value, None for a document without one, and the warnings with their lines in the document. Raises _ReadError."""
        try:
            parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self._text)
            parser.get_event()
            if isinstance(parser.get_event(), yaml.StreamEndEvent):
                return None, []
            self._build(parser.get_event)
        except yaml.YAMLError as error:
            line, text = _described(error, self._text)
            marks = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
            start, stop = (getattr(mark, "index", -1) for mark in marks)
            raise _ReadError(text, line, self._value(), (start, stop)) from None
        if _INFINITE.search(self._text):
            self._refuse_infinite()
        self._note_rest(parser)
        return self._value(), self._notes

    def _value(self) -> Any:
        return self._holder[0] if self._holder else None

    def _build(self, get_event: Callable[[], Any]) -> None:
        """Takes the events of a document and puts each value where it belongs. This loop decides how fast a text is read."""
        known, stack, event = _Plain(_PLAIN), self._stack, None
        scalar, mapping_start, alias = yaml.ScalarEvent, yaml.MappingStartEvent, yaml.AliasEvent
        mapping_end, sequence_end, document_end = yaml.MappingEndEvent, yaml.SequenceEndEvent, yaml.DocumentEndEvent
        container: Any = self._holder
        mapping, nodes = False, 1
        key: Any = _NO_KEY
        try:
            while (kind := type(event := get_event())) is not document_end:
                if kind is mapping_end or kind is sequence_end:
                    closed = container
                    container, mapping, key, anchor = stack.pop()
                    if anchor is not None:
                        anchor.size = nodes + self._aliased - anchor.begin
                    if key is _MERGE:
                        self._merge(container, closed, event)
                    key = _NO_KEY
                    continue
                nodes += 1
                if kind is scalar:
                    value, tag = event.value, event.tag
                    if tag is not None:
                        value = _as_json(_tagged(tag, value))
                    elif event.implicit[0]:
                        value = known[value]
                elif kind is alias:
                    value = self._alias(event, nodes)
                else:
                    value = {} if kind is mapping_start else []
                anchor = None if event.anchor is None or kind is alias else self._anchor(event, value, nodes)
                if not mapping:
                    container.append(value)
                elif key is _NO_KEY:
                    key = value if isinstance(value, str) and value != "<<" else self._key(value, event)
                    continue
                elif key is _MERGE:
                    if kind is scalar or kind is alias:
                        self._merge(container, value if isinstance(value, dict) else None, event)
                else:
                    if key in container:
                        self._note_twice(container, key, event)
                    container[key] = value
                if kind is scalar or kind is alias:
                    key = _NO_KEY
                else:
                    stack.append((container, mapping, key, anchor))
                    container, mapping, key = value, kind is mapping_start, _NO_KEY
            self._check_aliases(nodes)
        except ValueError as error:
            raise _ReadError(str(error), event.start_mark.line if event else 0, self._value()) from None

    # Anchors, aliases and merges: decode.go -------------------------------------------------------------------------

    def _anchor(self, event: Any, value: Any, nodes: int) -> _Anchor:
        """A name may be given again; an alias means the last node of its name before it."""
        closed = isinstance(event, yaml.ScalarEvent)
        anchor = _Anchor(value, nodes + self._aliased - 1, int(closed), event if closed else None)
        self._anchors[event.anchor] = anchor
        return anchor

    def _alias(self, event: Any, nodes: int) -> Any:
        anchor = self._anchors.get(event.anchor)
        if anchor is None:
            raise ValueError(f"the alias *{event.anchor} has no anchor &{event.anchor} before it")
        if not anchor.size:
            raise ValueError(f"the anchor &{event.anchor} contains itself")
        self._check_aliases(nodes)
        self._aliased += anchor.size
        self._check_aliases(nodes)
        return anchor.value

    def _check_aliases(self, nodes: int) -> None:
        """Refuses what would become far larger than its text: from 99 % of all nodes, and 10 % of four millions (allowedAliasRatio)."""
        every = nodes + self._aliased
        low, high = 400_000, 4_000_000
        allowed = 0.99 - 0.89 * (min(max(every, low), high) - low) / (high - low)
        if self._aliased > 100 and every > 1000 and self._aliased / every > allowed:
            raise ValueError("aliases make too much of this document. Expected a document without such a growth")

    def _merge(self, container: dict[str, Any], value: Any, event: Any) -> None:
        """Sets the keys of a mapping, or of a list of them, here and now: a key that was set before gets the merged value."""
        parts = value[::-1] if isinstance(value, list) else [value]
        for part in parts:
            if not isinstance(part, dict):
                raise ValueError("'<<' merges no mapping. Expected a mapping, an alias of one, or a list of these")
            merged = self._merged.setdefault(id(container), set())
            for key, item in part.items():
                if key in container and key not in merged and container[key] != item:
                    self._note_twice(container, key, event)
                container[key] = item
                merged.add(key)

    # Keys, warnings, errors -----------------------------------------------------------------------------------------

    def _key(self, value: Any, event: Any) -> Any:
        """The key that a node is; _MERGE for the one that merges. Raises ValueError."""
        if isinstance(event, yaml.AliasEvent):
            meant = self._anchors[str(event.anchor)].event
            return _key_text(value if meant is None else _raw(meant))
        if value == "<<" and (event.implicit[0] or event.tag == _TAG + "merge"):
            return _MERGE
        return _key_text(_raw(event) if isinstance(event, yaml.ScalarEvent) else value)

    def _note_twice(self, container: dict[str, Any], key: str, event: Any) -> None:
        """A key that is set again, except where it replaces a merged value, which is what merges are for."""
        merged = self._merged.get(id(container), set())
        if key in merged:
            merged.discard(key)
            return
        parts = [part for _container, mapping, part, _anchor in self._stack[1:] if mapping and part is not _MERGE]
        self._notes.append((event.start_mark.line, twice(".".join([*parts, key]))))

    def _refuse_infinite(self) -> None:
        left: list[tuple[Path, Any]] = [((), self._value())]
        for path, value in left:
            if isinstance(value, float) and not math.isfinite(value):
                name = ".".join(map(str, path))
                text = f"{name} is infinite or no number. Expected a number that JSON has, or a text (quote it)"
                raise _ReadError(text, line_of(self._text, path), self._value())
            items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            left += [((*path, key), item) for key, item in items]

    def _note_rest(self, parser: Any) -> None:
        """Warns of text after the end of the document, which is not read."""
        line = -1
        try:
            event = parser.get_event()
            if not isinstance(event, yaml.StreamEndEvent):
                line = event.start_mark.line
        except yaml.YAMLError as error:
            line = _described(error, self._text)[0]
        if line >= 0:
            self._notes.append(
                (line, "the document ends before this line, and what follows is not read, as with kubectl")
            )


def _raw(event: Any) -> Any:
    """What a scalar is before it becomes JSON."""
    if event.tag is not None:
        return _tagged(event.tag, event.value)
    return _resolved(event.value) if event.implicit[0] else event.value


def _described(error: Any, text: str) -> tuple[int, str]:
    """Line (from 0) and text of an error of the parser."""
    words = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "this is not YAML")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return mark.line, words
    return text.encode()[: getattr(error, "position", 0) or 0].count(b"\n"), words
