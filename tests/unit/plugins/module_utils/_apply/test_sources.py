# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call of apply is given: each finding has its place, and values arrive as they were written or not at all."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.sources import Sources, sources_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "shop"}}
SECRET = {**CONFIG, "kind": "Secret"}
HEAD = "apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\n"


def given(text: str, folder: Path, **options: Any) -> Sources:
    path = folder / "web.yml"
    path.write_text(text)
    return sources_of(options.get("definitions"), [str(path)], options.get("retired"))


def head(kind: str = "ConfigMap", name: str = "web") -> str:
    return HEAD.format(kind=kind, name=name)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (head() + "---\n" + head() + "data:\n  a: b\n  c: 8080\n", "document 2, line 10", "(ConfigMap web): data['c'] is a int"),
        (head() + "data: {a: true, b: x}\n", "document 1, line 4", "data['a'] is a bool"),
        (head() + "data: [a]\n", "document 1, line 4", "data is a list; expected a mapping of strings"),
        (head("Secret") + "stringData:\n  a: 0x10\n", "document 1, line 5", "(Secret web): stringData['a'] is a int"),
        (head("Secret") + "data:\n  a: {b: c}\n", "document 1, line 5", "data['a'] is a dict"),
        (head() + "binaryData:\n  a: 1\n", "document 1, line 5", "binaryData['a'] is a int"),
        (head().replace("namespace: shop", "labels: {a: b,\n  c: on}"), "document 1, line 4", "metadata.labels['c'] is a bool"),
        (head(name="Web_1"), "document 1, line 3", "metadata.name is 'Web_1'"),
        ("kind: ConfigMap\nmetadata: {name: web}\n", "document 1, line 1", "(ConfigMap web): apiVersion is None"),
        ("---\n{}\n", "document 1, line 2", "kind is missing"),
        ("# note\n---\n- text\n", "document 1, line 3", " is a str; expected an object"),
        (
            "kind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n"
            "- kind: ConfigMap\n  apiVersion: x\n  metadata: {name: b}\n",
            "document 1, line 5", "(ConfigMap b): apiVersion is 'x'",
        ),
        (
            '{"apiVersion": "v1",\n"kind": "ConfigMap", "metadata": {"name": "a"},\n"data": {"a": 1}}',
            "document 1, line 3", "data['a'] is a int",
        ),
    ],
)  # fmt: skip
def test_findings_name_file_document_line_and_object(text: str, place: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(KubeError) as caught:
        given(text, tmp_path)
    assert f"{tmp_path}/web.yml, {place}" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("definitions", "words"),
    [
        ({**SECRET, "stringData": {"a": True}}, "definitions[0] (Secret web): stringData['a'] is a bool; expected a string (quote it)"),
        ([{**SECRET, "stringData": {"a": "x", "b": 42798}}], "stringData['b'] is a int"),
        ([None, {**CONFIG, "data": {"a": 1.5}}], "definitions[0] (ConfigMap web): data['a'] is a float"),
        (head() + "data:\n  a: y\n", "definitions, document 1, line 5 (ConfigMap web): data['a'] is a bool"),
    ],
)  # fmt: skip
def test_values_that_are_no_strings_are_refused_by_name_from_variables_too(definitions: Any, words: str) -> None:
    with pytest.raises(KubeError) as caught:
        sources_of(definitions, [], None)
    assert words in str(caught.value)
    assert "42798" not in str(caught.value), "a value may be a secret"


def test_null_is_an_empty_text_as_with_kubectl() -> None:
    objects = [
        {**SECRET, "data": {"a": None, "b": "eA=="}, "stringData": {"c": None, "d": "x"}},
        {**CONFIG, "data": {"a": None}, "binaryData": None},
        {
            "apiVersion": "example.com/v1",
            "kind": "ConfigMap",
            "metadata": CONFIG["metadata"],
            "data": {"a": None, "b": 1},
        },
    ]
    secret, config, other = sources_of(objects, [], None).objects
    assert secret["data"] == {"a": "", "b": "eA==", "c": "", "d": base64.b64encode(b"x").decode()}
    assert "stringData" not in secret
    assert config["data"] == {"a": ""}
    assert other["data"] == {"a": None, "b": 1}, "only the server's own kinds are known"


def test_lists_of_one_kind_are_taken_apart(tmp_path: Path) -> None:
    bare = {"metadata": {"name": "a", "namespace": "shop"}}
    text = (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleList\nitems:\n- metadata: {name: r, namespace: shop}\n---\n"
        + head()
    )
    found = given(
        text,
        tmp_path,
        definitions=[
            {"apiVersion": "v1", "kind": "ConfigMapList", "items": [bare]},
            {
                "apiVersion": "v1",
                "kind": "SecretList",
                "items": [{"apiVersion": "v1", "kind": "List", "items": [SECRET]}],
            },
            {"apiVersion": "v1", "kind": "ConfigMapList", "items": None},
        ],
    ).objects
    assert [(obj["apiVersion"], obj["kind"], obj["metadata"]["name"]) for obj in found] == [
        ("v1", "ConfigMap", "a"),
        ("v1", "Secret", "web"),
        ("rbac.authorization.k8s.io/v1", "Role", "r"),
        ("v1", "ConfigMap", "web"),
    ]


def test_what_is_defined_twice_is_told_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(KubeError) as caught:
        given(head(name="other") + "---\n" + head(), tmp_path, definitions=[CONFIG])
    place = f"{tmp_path}/web.yml, document 2, line 5"
    assert f"ConfigMap shop/web is defined twice (definitions[0] and {place}); remove one" in str(caught.value)
    with pytest.raises(KubeError, match=r"is defined twice \(definitions\[0\] and retired\[0\]\)"):
        sources_of([CONFIG], [], [CONFIG])


def test_what_is_to_be_deleted_needs_a_name_only(tmp_path: Path) -> None:
    found = sources_of(None, [], [{**SECRET, "stringData": {"a": 1}}])
    assert [obj["kind"] for obj in found.retired] == ["Secret"]
    with pytest.raises(KubeError, match=r"retired\[0\].*metadata is missing"):
        sources_of(None, [], [{"apiVersion": "v1", "kind": "Secret"}])


def test_warnings_and_places_are_those_of_texts_and_files(tmp_path: Path) -> None:
    found = given(head() + "data: {a: b, a: c}\n", tmp_path, definitions=head(name="other") + "data:\n  x: a\n  x: b\n")
    assert [obj["data"] for obj in found.objects] == [{"x": "b"}, {"a": "c"}]
    text = "is set more than once; the last value is used, as kubectl does"
    assert found.warnings == [
        f"definitions, document 1, line 6 (ConfigMap shop/other): the key 'data.x' {text}",
        f"{tmp_path}/web.yml, document 1, line 4 (ConfigMap shop/web): the key 'data.a' {text}",
    ]
    assert str(found.origins["", "ConfigMap", "shop", "web"]) == f"{tmp_path}/web.yml, document 1, line 1"


def test_the_place_of_a_field_that_the_server_names_is_found(tmp_path: Path) -> None:
    text = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - port: 80\n  - port: 99999\n---\n"
        + head()
    )
    found = given(text + "data:\n  a.b: c\n", tmp_path, definitions=[{**CONFIG, "metadata": {"name": "other"}}])
    service, config = Ref("v1", "Service", "shop", "web"), Ref("v1", "ConfigMap", "shop", "web")
    places = [found.place(service, "spec.ports[1].port"), found.place(service), found.place(config, "data[a.b]")]
    assert places == [
        f"{tmp_path}/web.yml, document {number}, line {line}" for number, line in ((1, 7), (1, 1), (2, 13))
    ]
    assert found.place(service, "spec.clusterIP") == f"{tmp_path}/web.yml, document 1, line 4"
    assert found.place(Ref("v1", "ConfigMap", "", "other")) == ""
