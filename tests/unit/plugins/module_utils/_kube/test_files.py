# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of objects: patterns, encodings, and what is said of a file that cannot be read."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.files import from_files

TEXT = "name: é\n---\nname: \U0001f600\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.replace("\n", "\r\n").encode(),
    ],
)
def test_encodings_are_those_that_kubectl_reads(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(content)
    documents = from_files([str(tmp_path / "a.yml")])
    assert [document.value for document in documents] == [{"name": "é"}, {"name": "\U0001f600"}]
    assert [document.notes for document in documents] == [(), ()]


def test_what_is_no_utf8_is_read_as_kubectl_does_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_bytes(b"a: 1\n---\nname: M\xfcller \xe2\x82\n")
    documents = from_files([str(path)])
    assert documents[1].value == {"name": "M\ufffdller \ufffd"}
    assert documents[0].notes == (
        f"{path}, line 3: this is no text in UTF-8; what cannot be read becomes U+FFFD, as with kubectl",
    )


def test_documents_know_their_file(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yml", "c.txt"):
        (tmp_path / name).write_text("a: 1\n---\nb:\n  c: 2\n")
    (tmp_path / "d.yml").mkdir()
    places = [document.place(("b", "c")) for document in from_files([str(tmp_path / "*.yml")])]
    assert places == [
        f"{tmp_path}/{name}, document {number}, line {line}"
        for name in ("a.yml", "b.yml")
        for number, line in ((1, 1), (2, 4))
    ]


def test_errors_name_the_option_and_the_file(tmp_path: Path) -> None:
    with pytest.raises(KubeError, match=r"overlay_src is '/nowhere/\*': no such file"):
        from_files(["/nowhere/*"], "overlay_src")
    (tmp_path / "a.yml").write_text("a: 1\n---\nkind: Role\nmetadata: {name: web}\nrules: [}\n")
    with pytest.raises(KubeError, match=rf"^{tmp_path}/a\.yml, document 2, line 5 \(Role web\): did not find"):
        from_files([str(tmp_path / "*")])
