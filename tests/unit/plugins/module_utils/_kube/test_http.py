# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer's headers and body say."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.http import (
    body_of,
    parsed,
    retry_after,
    status_body,
    warnings_in,
)
from hypothesis import example, given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class Strings(yaml.CSafeLoader):
    """Numbers are texts."""


Strings.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")]
    for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@given(JSON)
@example({"a": "\U0001f600\x7f\x80\u2028\ufeff\uffff\\ud83d\\U0001f600"})
def test_a_body_is_the_same_as_json_and_as_yaml(value: Any) -> None:
    body = body_of(value)
    assert json.loads(body) == value
    assert yaml.load(body, Loader=Strings) == json.loads(  # noqa: S506  # a safe loader
        body, parse_float=str, parse_int=str, parse_constant=str
    )


def header(text: str, date: str = "") -> str:
    """As the API server writes it (apimachinery, pkg/util/net/http.go: NewWarningHeader)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"' + (f' "{date}"' if date else "")


texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1).filter(str.strip)


@given(st.lists(st.lists(texts, min_size=1, max_size=3), max_size=3))
def test_warnings_come_out_as_they_were_meant(lines: list[list[str]]) -> None:
    headers = [", ".join(header(text, "Wed, 21 Oct 2026 07:28:00 GMT") for text in line) for line in lines]
    assert list(warnings_in(headers)) == [text.strip() for line in lines for text in line]


@pytest.mark.parametrize("malformed", ["", "299", '299 - "open', "299 - bare", '110 cache "Response is stale"'])
def test_what_is_no_warning_is_left_out(malformed: str) -> None:
    assert list(warnings_in([malformed, header("good")])) == ["good"]


@given(st.text())
def test_no_header_breaks_it(text: str) -> None:
    list(warnings_in([text]))
    assert 0 <= retry_after({"Retry-After": text}) <= 60


def test_when_to_come_again() -> None:
    assert retry_after({}) == 0
    assert retry_after({"Retry-After": "3"}) == 3
    assert retry_after({"Retry-After": "86400"}) == 60
    assert retry_after({"Retry-After": "nan"}) == 0
    assert 8 < retry_after({"Retry-After": formatdate(time.time() + 10, usegmt=True)}) <= 10
    assert retry_after({"Retry-After": formatdate(time.time() - 10, usegmt=True)}) == 0


def test_bodies() -> None:
    assert parsed(b"") == {}
    assert parsed(b"[1]") == {"value": [1]}
    assert parsed(b"<html>") == {"text": "<html>"}
    assert status_body(b'{"kind": "Status", "code": 409}') == {"kind": "Status", "code": 409}
    assert status_body(b'{"error": "no data"}') == {"message": "no data"}
    assert status_body(b"bad gateway") == {"message": "bad gateway"}
