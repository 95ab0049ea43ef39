# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdog's code as one archive: its files of this collection and what they import, which is nothing but the standard library."""

from __future__ import annotations

import ast
import functools
import importlib.util
import io
import sys
import zipfile
from collections.abc import Iterator

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog import entry, watch

PACKAGE = "ansible_collections.servicemesh.platform"
LIMIT = 700_000  # bytes; a ConfigMap holds 1 MiB with its keys and in base64
_TIME = (1980, 1, 1, 0, 0, 0)  # the same files make the same archive


@functools.cache
def archive() -> bytes:
    """A zip file that `python -I` runs. Raises ValueError when a file imports what may not be in an image, or when it is too large."""
    files = {"__main__.py": source_of(entry.__name__)}
    for module, text in sources(watch.__name__).items():
        parts = module.split(".")
        files |= {"/".join([*parts[:depth], "__init__.py"]): "" for depth in range(1, len(parts))}
        files["/".join(parts) + ".py"] = text
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _TIME)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            target.writestr(info, files[name], compresslevel=9)
    data = packed.getvalue()
    if len(data) > LIMIT:
        raise ValueError(f"the watchdog's archive has {len(data)} bytes, more than {LIMIT}")
    return data


def sources(root: str) -> dict[str, str]:
    """Source of a module and of all modules of this collection that it imports, by name; packages are left out."""
    found: dict[str, str] = {}
    waiting = [root]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found[module] = source_of(module)
        for name in imports_of(found[module]):
            if name.startswith(PACKAGE + "."):
                waiting.append(name)
            elif name.partition(".")[0] not in sys.stdlib_module_names:
                raise ValueError(f"{module} imports {name}, which is not in the standard library")
    return found


def imports_of(source: str) -> Iterator[str]:
    """Names of the modules that a source imports. `from package import module` counts as the module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (entry.name for entry in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if not module.startswith(PACKAGE + ".") or not _is_package(module):
                yield module
                continue
            yield from (f"{module}.{entry.name}" for entry in node.names)


def _is_package(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


def source_of(module: str) -> str:
    """Source of a module, from a file or from the archive in which Ansible sends modules to a host."""
    spec = importlib.util.find_spec(module)
    text = getattr(spec.loader, "get_source", lambda _name: None)(module) if spec else None
    if text is None:
        raise ValueError(f"the source of {module} cannot be read")
    return text.decode("utf-8") if isinstance(text, bytes) else str(text)  # Ansible's loader returns bytes
