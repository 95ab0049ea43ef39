# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML and JSON as kubectl reads them. tests/integration/test_kubectl_yaml.py compares with kubectl itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.kubectl_yaml import read, value
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.lines import line_of
from hypothesis import given
from hypothesis import strategies as st

from tests.kubectl_cases import CASES, REFUSED


@pytest.mark.parametrize("name", list(CASES))
def test_values_are_those_of_kubectl(name: str) -> None:
    text, expected = CASES[name]
    if expected is REFUSED:
        with pytest.raises(KubeError, match=r"^x\.yml, document 1, line \d+"):
            read(f"data: {text}\n", "x.yml")
        return
    (document,) = read(f"data: {text}\n", "x.yml")
    assert json.dumps(document.value["data"], sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("---\n", []),
        ("# nothing\n---\n---\nnull\n---\n~\n", []),
        ("a: 1\n---\nb: 2", [(1, 1, {"a": 1}), (2, 3, {"b": 2})]),
        ("# note\n---\n# note\na: 1\n--- # next\n\nb: 2\n---\n", [(1, 3, {"a": 1}), (2, 6, {"b": 2})]),
        ("---\r\na: 1\r\n---\r\nb: |\r\n  x\r\n", [(1, 1, {"a": 1}), (2, 4, {"b": "x\n"})]),
        ("\ufeffa: 1\n---\n\ufeffb: 2\n", [(1, 1, {"a": 1}), (2, 3, {"b": 2})]),
        ("a: |\n  ---\n  b\n", [(1, 1, {"a": "---\nb\n"})]),
        ('{"a": 1}', [(1, 1, {"a": 1})]),
        ('\n {"a": 1.0}\n{"b": 1e3}{"c": 2.5}', [(1, 2, {"a": 1}), (2, 3, {"b": 1000}), (3, 3, {"c": 2.5})]),
        ('{"a": 1}\n---\n{"b": 010}\n', [(1, 1, {"a": 1}), (2, 2, {"b": 8})]),
        ("{a: 010}\n---\nb: 2\n", [(1, 1, {"a": 8}), (2, 3, {"b": 2})]),
        ('{"a": "\\ud800", "b": "\\ud83d\\ude00"}', [(1, 1, {"a": "\ufffd", "b": "\U0001f600"})]),
        ("a: \ud800", [(1, 1, {"a": "\ufffd"})]),
    ],
)  # fmt: skip
def test_texts_are_split_as_kubectl_splits_them(text: str, expected: list[tuple[int, int, Any]]) -> None:
    assert [(found.number, found.line, found.value) for found in read(text, "x")] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n---\nkind: Role\nmetadata: {name: web, namespace: shop}\nrules: [\n", "document 2, line 6 (Role shop/web): did not find"),
        ("a: 1\n--- b: 2\n", "x, line 2: this line begins with '---', which separates documents."),
        ("kind: A\nspec:\n  a: 1\n  c: [1, .inf]\n", "x, document 1, line 4 (A): spec.c.1 is infinite or no number"),
        ("kind: A\nspec:\n  a: !!int x\n", "x, document 1, line 3 (A): a value of the type !!str has the tag !!int"),
        ("kind: A\nspec:\n  a: *b\n", "x, document 1, line 3 (A): the alias *b has no anchor &b before it"),
        ("a: 1\n\x07\n", "x, document 1, line 2: control characters are not allowed"),
        ('{"a": 1}{"b": 1}\n{"c": [}', "x, document 3, line 2: Expecting value. Expected JSON."),
        ('{"a": 1e400}', "x, document 1, line 1: a number is too large"),
        ("a: " + "[" * 12000, "x, document 1, line 1: exceeded max"),
        ('{"a": ' + "[" * 12000, "x, document 1, line 1: this is nested too deeply"),
    ],
)  # fmt: skip
def test_what_kubectl_refuses_is_refused_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(KubeError) as caught:
        read(text, "x")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: A\nmetadata: {name: web}\nspec:\n  b: {c: 1}\n  b: {c: 1}\n", ["x, document 1, line 5 (A web): the key 'spec.b' is"]),
        ("a: [{b: 1, b: 2}]\na: 3\n", ["line 1: the key 'a.b' is", "line 2: the key 'a' is"]),
        ("a: 1\n'a': 1\n1: 2\n'1': 2\n", ["the key 'a' is", "the key '1' is"]),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', ["x, document 1, line 1: the key 'c' is"]),
        ("x: &x {a: 1}\nb: {<<: *x, a: 2}\nc: {a: 1, <<: *x}", []),
        ("x: &x {a: 1}\nb: {a: 0, <<: *x}\n", ["line 2: the key 'b.a' is"]),
        ("a: 1\n...\nb: 2\n", ["x, document 1, line 3: the document ends before this line"]),
        ("a: 1\n...\n", []),
        ("a: 1\n---\nb: 1\nb: 2\n", ["x, document 2, line 4: the key 'b' is"]),
    ],
)  # fmt: skip
def test_what_kubectl_passes_over_is_warned_of(text: str, expected: list[str]) -> None:
    notes = [note for document in read(text, "x") for note in document.notes]
    assert len(notes) == len(expected)
    assert all(words in note for words, note in zip(expected, notes, strict=True))


JSON = st.recursive(  # without large floats: their last digits change when they are written without an exponent
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_json_and_yaml_of_it_give_what_they_were_made_of(value: dict[str, Any]) -> None:
    for text in (
        json.dumps(value),
        json.dumps(value, indent=2, ensure_ascii=False),
        "---\n" + yaml.safe_dump(value, allow_unicode=True, default_style='"'),
    ):
        (document,) = read(text, "x")
        assert document.value == value
        assert document.notes == ()


@given(st.text())
def test_every_text_is_read_or_refused_with_its_place(text: str) -> None:
    error = ""
    try:
        read(text, "x")
    except KubeError as caught:
        error = str(caught)
    assert error.startswith(("x, document ", "x, line ")) or not error


def test_the_line_of_a_field_is_found() -> None:
    text = "kind: A\nspec:\n  a: 1\n  b:\n  - c: 1\n  - c: 2\n    d:\n      e: [1,\n        2]\n"
    paths: dict[tuple[str | int, ...], int] = {
        (): 0, ("kind",): 0, ("spec",): 1, ("spec", "b"): 3, ("spec", "b", 1): 5, ("spec", "b", 1, "c"): 5, ("spec", "b", 1, "d"): 6,
        ("spec", "b", 1, "d", "e", 1): 8, ("spec", "b", 1, "d", "x"): 6, ("other",): 0,
    }  # fmt: skip
    assert {path: line_of(text, path) for path in paths} == paths


def best(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def test_reading_takes_no_longer_than_the_c_loader_of_pyyaml() -> None:
    container = {
        "name": "web",
        "image": "web:1",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": f"E{n}", "value": str(n)} for n in range(20)],
    }
    objects = [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"web-{n}"},
            "spec": {"template": {"spec": {"containers": [container]}}},
        }
        for n in range(100)
    ]
    text = yaml.dump_all(objects, Dumper=yaml.CSafeDumper)
    assert (
        [document.value for document in read(text, "x")]
        == list(yaml.load_all(text, Loader=yaml.CSafeLoader))
        == objects
    )
    assert best(lambda: read(text, "x")) < best(lambda: list(yaml.load_all(text, Loader=yaml.CSafeLoader)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("# nothing\n", None), ("a: y\nb: 10:30\nc: 2001-01-01", {"a": True, "b": "10:30", "c": "2001-01-01"})],
)  # fmt: skip
def test_a_text_of_one_document_has_a_value(text: str, expected: Any) -> None:
    assert value(text) == expected


def test_a_text_that_is_no_yaml_is_refused_with_its_line() -> None:
    with pytest.raises(KubeError, match=r"^line 2: "):
        value("a: 1\nb: .inf")
