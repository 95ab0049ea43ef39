# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings of `istioctl analyze`, where that command is there: how it is run, and what its JSON says.

Exit codes: 79 when a finding reaches the threshold, 0 otherwise (istio istioctl/pkg/analyze/analyze.go, AnalyzerFoundIssuesError); every
other one is an error. Fields of a message: istio pkg/config/analysis/diag/message.go, Unstructured.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import Section
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import Finding
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import Severity

_FOUND = 79
_SECONDS = 18.0
_LEVELS = {"Error": Severity.ERROR, "Warning": Severity.WARNING, "Info": Severity.INFO}
# Options of a connection that istioctl cannot be given without writing credentials somewhere.
_ONLY_OURS = ("host", "api_key", "username", "client_cert", "proxy", "impersonate_user", "impersonate_groups")


class IstioctlError(Exception):
    """istioctl could not be run, or did not do its work."""


def command(binary: str, connection: Mapping[str, Any], istio_namespace: str) -> list[str] | str:
    """The command that analyses a cluster, or why there is none: then it is not asked for.

    Raises IstioctlError for a path where there is none.
    """
    path = shutil.which(binary)
    if path is None:
        if "/" in binary:
            raise IstioctlError(f"there is no command {binary}")
        return f"there is no command {binary} on the controller"
    given = [name for name in _ONLY_OURS if connection.get(name)]
    kubeconfig = connection.get("kubeconfig")
    if given or isinstance(kubeconfig, Mapping):
        return f"istioctl cannot be given {', '.join(given) or 'a kubeconfig that is a mapping'}"
    argv = [path, "analyze", "--all-namespaces", "--output", "json", "--istioNamespace", istio_namespace]
    argv += ["--kubeconfig", str(kubeconfig)] if kubeconfig else []
    argv += ["--context", str(connection["context"])] if connection.get("context") else []
    return [*argv, "--timeout", f"{_SECONDS - 3:.0f}s"]


def run(argv: Sequence[str]) -> str:
    """What the command prints. Raises IstioctlError."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise IstioctlError(f"no answer within {_SECONDS:.0f} s") from None
    except OSError as error:
        raise IstioctlError(str(error)) from None
    if done.returncode not in (0, _FOUND):
        raise IstioctlError(f"exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def istioctl_findings(text: str) -> list[Finding]:
    """Findings in what it printed. Raises IstioctlError for another shape."""
    try:
        read = json.loads(text or "[]")
    except ValueError:
        raise IstioctlError(f"it printed no JSON: {text[:80]!r}") from None
    messages = [] if read is None else read
    if not isinstance(messages, list) or not all(isinstance(m, dict) and m.get("code") for m in messages):
        raise IstioctlError(f"it printed no list of messages: {text[:80]!r}")
    found = []
    for message in messages:
        origin = str(message.get("origin") or "Mesh")
        name = origin.rpartition(" ")[2]
        # `Namespace shop` is about itself.
        namespace = name.partition("/")[0] if "/" in name or origin.startswith("Namespace ") else ""
        more = str(message.get("documentationUrl") or "")
        severity = _LEVELS.get(str(message.get("level")), Severity.WARNING)
        change = f"See {more}" if more else ""
        found.append(
            Finding(
                severity,
                Section.ISTIOCTL,
                str(message["code"]),
                origin,
                str(message.get("message") or ""),
                change,
                namespace,
            )
        )
    return found
