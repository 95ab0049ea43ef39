# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the documents of files."""

from __future__ import annotations

import codecs
from dataclasses import replace
from pathlib import Path

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.documents import Document
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.kubectl_yaml import read

# Byte order marks that kubectl knows (cli-runtime, pkg/resource/visitor.go, FileVisitor: unicode.BOMOverride).
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def from_files(patterns: list[str], option: str = "src") -> list[Document]:
    """Documents of all files that match the patterns of an option.

    Raises KubeError for a pattern without a file, and for a file that cannot be read.
    """
    found: list[Document] = []
    for pattern in patterns:
        whole = Path(pattern)
        paths = sorted(path for path in whole.parent.glob(whole.name) if path.is_file())
        if not paths:
            raise KubeError(f"{option} is '{pattern}': no such file. Expected files with YAML documents.")
        for path in paths:
            try:
                found += of_bytes(path.read_bytes(), str(path))
            except OSError as error:
                raise KubeError(f"{option} is '{path}': {error.strerror}. Expected a readable file.") from None
    return found


def of_bytes(data: bytes, name: str) -> list[Document]:
    """Documents of a file's content, in UTF-8 or in what its byte order mark says. Raises KubeError."""
    mark, encoding = next((known for known in _MARKS if data.startswith(known[0])), (b"", "utf-8"))
    data = data.removeprefix(mark)
    try:
        return read(data.decode(encoding), name)
    except UnicodeDecodeError as error:
        line = 1 + data[: error.start].decode(encoding, "replace").count("\n")
    text = f"{name}, line {line}: this is no text in {encoding.upper()}; what cannot be read becomes U+FFFD, as with kubectl"
    found = read(data.decode(encoding, "replace"), name)
    return [replace(document, notes=(text, *document.notes)) for document in found[:1]] + found[1:]
