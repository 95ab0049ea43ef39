# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The context of a kubeconfig, as a kubeconfig of its own: files merged and paths made absolute, as kubectl does it."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

with contextlib.suppress(ImportError):  # config.IMPORT_ERROR holds the error; Client reports it
    import yaml

# What may be relative to the kubeconfig's folder (client-go, tools/clientcmd/loader.go, GetConfigFileReferences).
_PATHS = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
}


@dataclass(frozen=True, slots=True)
class Context:
    """A context with its cluster and user, as the kubeconfig has them, with absolute paths."""

    user_name: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]

    def kubeconfig(self, user: Mapping[str, Any]) -> dict[str, Any]:
        """A kubeconfig of this context alone, with another user."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "context",
            "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": self.user_name}}],
            "clusters": [{"name": "cluster", "cluster": dict(self.cluster)}],
            "users": [{"name": self.user_name, "user": dict(user)}],
        }


def with_exec(kubeconfig: str | Mapping[str, Any], context: str | None) -> Context | None:
    """The context if its user has an exec plugin. None otherwise, also where the kubeconfig cannot be read: its reader tells why."""
    try:
        found = _context(list(_documents(kubeconfig, b"exec")), context)
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError, ValueError):
        return None
    return found if isinstance(found.user.get("exec"), Mapping) else None


def user_of(kubeconfig: str | Mapping[str, Any], context: str | None) -> Mapping[str, Any]:
    """The user of a context. Raises OSError, YAMLError, KeyError, TypeError or AttributeError where there is none."""
    return _context(list(_documents(kubeconfig, b"")), context).user


def _context(documents: list[Mapping[str, Any]], context: str | None) -> Context:
    current = context or next((text for config in documents if (text := config.get("current-context"))), "")
    chosen = _first(documents, "contexts", current)["context"]
    cluster = _first(documents, "clusters", chosen["cluster"])["cluster"]
    user = _first(documents, "users", chosen["user"])["user"] or {}
    return Context(str(chosen["user"]), dict(cluster), dict(user))


def _documents(kubeconfig: str | Mapping[str, Any], word: bytes) -> Iterator[Mapping[str, Any]]:
    """The files, in their order; nothing where no file has the word, so that a large kubeconfig is not parsed twice for nothing."""
    if isinstance(kubeconfig, Mapping):
        yield kubeconfig
        return
    paths = [os.path.expanduser(part) for part in kubeconfig.split(os.pathsep) if part]
    contents = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
            contents[path] = stream.read()
    if not any(word in content for content in contents.values()):
        return
    for path, content in contents.items():
        config = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        if config is not None:
            yield _absolute(config, os.path.dirname(os.path.abspath(path)))


def _absolute(config: Mapping[str, Any], base: str) -> dict[str, Any]:
    found = dict(config)
    for kind, (part, names) in _PATHS.items():
        found[kind] = []
        for entry in config.get(kind) or []:
            values = dict(entry[part] or {})
            for name in names:
                if values.get(name):
                    values[name] = os.path.join(base, values[name])
            # A command without a separator is looked up in PATH.
            if isinstance(plugin := values.get("exec"), Mapping) and os.sep in str(plugin.get("command") or ""):
                values["exec"] = {**plugin, "command": os.path.join(base, plugin["command"])}
            found[kind].append({**entry, part: values})
    return found


def _first(documents: list[Mapping[str, Any]], kind: str, name: str) -> Mapping[str, Any]:
    """The entry of this name; the first file that has it counts. Raises KeyError."""
    for config in documents:
        for entry in config.get(kind) or []:
            if entry["name"] == name:
                return dict(entry)
    raise KeyError(name)


def ca_data(cluster: Mapping[str, Any]) -> str:
    """The cluster's CA in base64; empty when it has none. Raises OSError when the file cannot be read."""
    if data := cluster.get("certificate-authority-data"):
        return str(data)
    if not (path := cluster.get("certificate-authority")):
        return ""
    with open(path, "rb") as stream:
        return base64.b64encode(stream.read()).decode("ascii")
