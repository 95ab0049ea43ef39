# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values in YAML and what kubectl makes of them: unit tests hold our reader to this table, integration tests the table to kubectl."""

from __future__ import annotations

from typing import Any

REFUSED = object()

# The text below a key `data:` of a ConfigMap, and the value.
CASES: dict[str, tuple[str, Any]] = {
    "booleans": ("[y, Y, yes, on, n, N, no, off, True, FALSE]", [True] * 4 + [False] * 4 + [True, False]),
    "words": ("[nO, oN, yEs, tRue, nUll, t, f]", ["nO", "oN", "yEs", "tRue", "nUll", "t", "f"]),
    "null": ("[~, null, Null, NULL, '~', \"null\"]", [None] * 4 + ["~", "null"]),
    "empty": ("{a: , b: '', c}", {"a": None, "b": "", "c": None}),
    "octal": ("[010, 0o10, 0O10, 08, 09.5, 00, 0o8, -010]", [8, 8, 8, 8, 9.5, 0, "0o8", -8]),
    "bases": ("[0x1F, 0X1f, -0x10, 0b101, 0b102, 0x, 0b-1]", [31, 31, -16, 5, "0b102", "0x", -1]),
    "underscores": ("[1_000, 1__0, 1_, _1, 0x_1, 1_0.5, .5_5, .5_]", [1000, 10, 1, "_1", 1, 10.5, 0.55, ".5_"]),
    "floats": ("[1e3, 1.0, 1., .5, -0.0, 1e-7, 1e400, 1e-400]", [1000, 1, 1, 0.5, 0, 1e-07, "1e400", 0]),
    "large": (
        "[9223372036854775807, 9223372036854775808, 18446744073709551615, 123456789012345678901234567890, 1e20, 1e21]",
        [9223372036854775807, 9223372036854776000, 18446744073709552000, 1.2345678901234568e29, 10**20, 1e21],
    ),
    "octal of more than 64 bits": ("[0777777777777777777777777]", [7.777777777777778e23]),
    "hexadecimal of more than 64 bits": ("[0xFFFFFFFFFFFFFFFFFF]", ["0xFFFFFFFFFFFFFFFFFF"]),
    "texts": (
        "['10:30', 10:30, 12:30:45, 2001-01-01, =, <<, 1.2.3, -]",
        ["10:30", "10:30", "12:30:45", "2001-01-01", "=", "<<", "1.2.3", "-"],
    ),
    "infinite": ("[.inf]", REFUSED),
    "no number": ("{a: {b: .NaN}}", REFUSED),
    "infinite, quoted and in words": ("['.inf', a.inf, .info]", [".inf", "a.inf", ".info"]),
    "infinite, replaced": ("{a: .inf, a: 1}", {"a": 1}),
    "keys": (
        "{1: a, 010: b, 1.5: c, 1e6: d, y: e, 2001-01-01: f, .inf: g, 16777217.0: h, 0.00001: i}",
        {
            "1": "a",
            "8": "b",
            "1.5": "c",
            "1e+06": "d",
            "true": "e",
            "2001-01-01": "f",
            ".inf": "g",
            "1.6777216e+07": "h",
            "1e-05": "i",
        },
    ),
    "null as a key": ("{~: a}", REFUSED),
    "a key of 64 bits": ("{18446744073709551615: a}", REFUSED),
    "a list as a key": ("{[a]: b}", REFUSED),
    "keys twice": ("{a: 1, b: 2, a: 3}", {"a": 3, "b": 2}),
    "tags": (
        "[!!str 1, !!int '2', !!float 3, !!bool 'y', !!null '', !!binary aGk=, !own 4, ! 5, !<tag:yaml.org,2002:int> 0x6]",
        ["1", 2, 3, True, None, "hi", "4", "5", 6],
    ),
    "tags of collections": ("[!!set {a}, !own [b], !!str {c: d}]", [{"a": None}, ["b"], {"c": "d"}]),
    "bytes that are no text": ("[!!binary 4oIA, !!binary /+8=]", ["\ufffd\ufffd\x00", "\ufffd\ufffd"]),
    "a tag that does not fit": ("[!!int 1.5]", REFUSED),
    "a tag that no word fits": ("[!!bool maybe]", REFUSED),
    "binary that is none": ("[!!binary '?']", REFUSED),
    "a time that is none": ("[!!timestamp soon]", REFUSED),
    "aliases": ("{a: &x [1], b: *x, c: &x 2, d: *x}", {"a": [1], "b": [1], "c": 2, "d": 2}),
    "an alias as a key": ("{a: &x 1e6, *x : b}", {"a": 1000000, "1e+06": "b"}),
    "an alias of nothing": ("[*x]", REFUSED),
    "an anchor in itself": ("&x [*x]", REFUSED),
    "a merge": ("{a: &x {k: 1, l: 2}, b: {<<: *x, l: 3}}", {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}),
    "a merge after a key": ("{a: &x {k: 1}, b: {k: 0, <<: *x}}", {"a": {"k": 1}, "b": {"k": 1}}),
    "merges": (
        "{a: &x {k: 1}, b: &y {k: 2, l: 2}, c: {<<: [*x, *y]}}",
        {"a": {"k": 1}, "b": {"k": 2, "l": 2}, "c": {"k": 1, "l": 2}},
    ),
    "a merge in place": ("{<<: {a: 1}, b: 2}", {"a": 1, "b": 2}),
    "a quoted merge": ("{'<<': {a: 1}}", {"<<": {"a": 1}}),
    "a merge of a text": ("{<<: a}", REFUSED),
    "a merge of a list's alias": ("{a: &x [{k: 1}], <<: *x}", REFUSED),
    "many aliases": ("[&x [1, 2], " + "*x, " * 60 + "*x]", [[1, 2]] * 62),
    "too many aliases": (
        "[&a [1, 2, 3, 4, 5, 6, 7, 8, 9], &b [" + "*a," * 20 + "], &c [" + "*b," * 20 + "], [" + "*c," * 20 + "]]",
        REFUSED,
    ),
    "blocks": ("|\n  a\n   b\n\n", "a\n b\n"),
    "folded": (">-\n  a\n  b\n\n  c\n", "a b\nc"),
    "quotes": ("[\"\\x41\\u00e9\\U0001F600\\0\", 'it''s']", ["A\u00e9\U0001f600\x00", "it's"]),
    "escaped quotes": ("[\"\\'a\\\\\\' b\\'\", \\'c, \"d\\'\"]", ["'a\\' b'", "\\'c", "d'"]),
    "colons at the end": (
        "{a: [b:, it's 1:, c: 2], d:: e, f:}",
        {"a": ["b:", "it's 1:", {"c": 2}], "d:": "e", "f:": None},
    ),
    "a tab in front": ("\n\ta: b", REFUSED),
    "an open list": ("[a", REFUSED),
    "what follows the end": ("[a]\n...\nb: c", ["a"]),
}
