# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exec plugin of a kubeconfig's user (EKS, GKE, AKS): how it is run, and what it answers. As client-go does it.

Sources: client-go, plugin/pkg/client/auth/exec/exec.go, and tools/clientcmd/validation.go (what an entry must have).
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn

from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError, StoppedError

_GROUP = "client.authentication.k8s.io"
_VERSIONS = (f"{_GROUP}/v1", f"{_GROUP}/v1beta1")
_INFO = "KUBERNETES_EXEC_INFO"
TIMEOUT = 120.0  # seconds: a login that waits for a person would wait for ever
_LOOK = 0.5  # seconds between two looks whether the work has to end
_BY_HAND = "`kubectl get namespaces` with this kubeconfig runs the same plugin and shows what it needs"


class Mode(StrEnum):
    """`interactiveMode`: whether the plugin may read from the terminal."""

    NEVER = "Never"
    IF_AVAILABLE = "IfAvailable"
    ALWAYS = "Always"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a plugin answered: a token, a client certificate with its key (PEM), or both. `expires`: Unix time in seconds; None: never."""

    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    expires: float | None = None

    def expired(self) -> bool:
        """Whether the plugin said that it is not valid any more."""
        return self.expires is not None and time.time() > self.expires


@dataclass(frozen=True, slots=True)
class Plugin:
    """How to log in. `title` names it in messages; `cluster` is what it is told about the cluster, None: nothing."""

    title: str
    api_version: str
    command: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    mode: Mode
    cluster: Mapping[str, Any] | None
    hint: str

    def key(self, server: str) -> str:
        """The same for two plugins that log in to the same cluster as the same user, in the same environment."""
        parts = [self.api_version, self.command, self.arguments, self.environment, self.mode, self.cluster, server]
        text = json.dumps([*parts, sorted(os.environ.items())], sort_keys=True)
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def refuse(self, why: str, what: str) -> NoReturn:
        """Raises the error for a login that failed."""
        raise KubeError(f"{self.title} {why}. {what}.") from None


def plugin_of(entry: Mapping[str, Any], user: str, source: str, cluster: Mapping[str, Any]) -> Plugin:
    """The plugin of a user's `exec`. `cluster`: what it is told if it wants to know. Raises KubeError for what kubectl refuses too."""
    command = str(entry.get("command") or "")
    title = f"The exec plugin '{command}' of user '{user}' in kubeconfig {source}"
    version = str(entry.get("apiVersion") or "")
    mode = str(entry.get("interactiveMode") or ("" if version == _VERSIONS[0] else Mode.IF_AVAILABLE))
    variables = [(str(item.get("name") or ""), str(item.get("value") or "")) for item in entry.get("env") or []]
    wrong = [
        text
        for wanted, text in (
            (command, "command is not set; expected the plugin's name or path"),
            (version in _VERSIONS, f"apiVersion is '{version}'; expected {' or '.join(_VERSIONS)}"),
            (mode in list(Mode), f"interactiveMode is '{mode}'; expected {', '.join(Mode)}"),
            (all(name for name, _value in variables), "env has a variable without a name"),
        )
        if not wanted
    ]
    if wrong:
        raise KubeError(
            f"{title} cannot be run: {'; '.join(wrong)}. Write the kubeconfig again with the tool that made it "
            "(`aws eks update-kubeconfig`, `gcloud container clusters get-credentials`, `az aks get-credentials`)."
        )
    return Plugin(
        title=title,
        api_version=version,
        command=os.path.normpath(command),
        arguments=tuple(map(str, entry.get("args") or [])),
        environment=tuple(variables),
        mode=Mode(mode),
        cluster=cluster if entry.get("provideClusterInfo") else None,
        hint=" ".join(str(entry.get("installHint") or "").split()),
    )


def run(plugin: Plugin) -> Credential:
    """Logs in. Raises KubeError, or StoppedError when the work has to end meanwhile."""
    terminal = os.isatty(0)
    if plugin.mode is Mode.ALWAYS and not terminal:
        plugin.refuse(
            "asks on a terminal (interactiveMode Always), which the tasks of a playbook do not have",
            "Expected a plugin that can log in without one: use a kubeconfig with a plugin that keeps a login, log in with it first, and "
            "set its interactiveMode to IfAvailable",
        )
    path = shutil.which(plugin.command)
    if path is None:
        plugin.refuse(
            "cannot be run: there is no such command" + ("" if os.sep in plugin.command else " in PATH"),
            f"Expected it on this machine. Install it{': ' + plugin.hint if plugin.hint else ', or use another context'}",
        )
    interactive = terminal and plugin.mode is not Mode.NEVER
    info: dict[str, Any] = {"apiVersion": plugin.api_version, "kind": "ExecCredential"}
    info["spec"] = {"interactive": interactive, **({} if plugin.cluster is None else {"cluster": plugin.cluster})}
    try:
        # run_command is a method of AnsibleModule; this works without one too.  pylint: disable-next=ansible-bad-function
        process = subprocess.Popen(
            [plugin.command, *plugin.arguments],
            executable=path,
            env={**os.environ, **dict(plugin.environment), _INFO: json.dumps(info)},
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if interactive else subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        plugin.refuse(f"cannot be run: {error}", "Expected a command that this user can run")
    output, said = _communicated(plugin, process)
    if process.returncode != 0:
        plugin.refuse(f"failed with exit code {process.returncode}{said}", f"Log in again, then run again; {_BY_HAND}")
    return credential_in(plugin, output)


def _communicated(plugin: Plugin, process: subprocess.Popen[bytes]) -> tuple[bytes, str]:
    """(standard output, what it said on standard error, for messages) of a plugin that has ended."""
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            output, errors = process.communicate(timeout=_LOOK)
        except subprocess.TimeoutExpired:
            why = _parent.why_stop()
            if not why and time.monotonic() < end:
                continue
            said = _words(_killed(process))
            if why:
                raise StoppedError(why) from None
            plugin.refuse(
                f"did not end within {TIMEOUT:.0f} s{said}",
                f"It may wait for a person, which it cannot do in a playbook. Log in before the run; {_BY_HAND}",
            )
        except BaseException:  # such as a signal's exception: nothing is left running
            process.kill()
            raise
        return output, _words(errors)


def _killed(process: subprocess.Popen[bytes]) -> bytes:
    """Ends a plugin, and returns what it said. A process that it started may have its output still."""
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.communicate(timeout=1)[1] or b""
    return b""


def _words(errors: bytes | None) -> str:
    text = " ".join((errors or b"").decode(errors="replace").split())
    return f": {text[-300:]}" if text else ""


def credential_in(plugin: Plugin, output: bytes) -> Credential:
    """The credential in a plugin's answer. Messages have nothing of the answer, which holds secrets. Raises KubeError."""
    must = f"Expected an ExecCredential of {plugin.api_version} as JSON; {_BY_HAND}"
    try:
        answer = json.loads(output)
    except ValueError:  # also not UTF-8
        answer = None
    if not isinstance(answer, Mapping) or answer.get("kind") != "ExecCredential":
        plugin.refuse("answered something that is no ExecCredential", must)
    if answer.get("apiVersion") != plugin.api_version:
        plugin.refuse(f"answered with apiVersion '{str(answer.get('apiVersion'))[:60]}'", must)
    status = answer.get("status")
    if not isinstance(status, Mapping):
        plugin.refuse("answered without a status", must)
    names = ("token", "clientCertificateData", "clientKeyData")
    token, certificate, key = (status.get(name) or "" for name in names)
    if not all(isinstance(value, str) for value in (token, certificate, key)):
        plugin.refuse("answered with a credential that is no text", must)
    if not (token or certificate or key):
        plugin.refuse("answered without a token and without a certificate with its key", must)
    if bool(certificate) != bool(key):
        plugin.refuse("answered with a certificate or a key, but not with both", must)
    expires = None
    if stamp := status.get("expirationTimestamp"):
        try:
            moment = datetime.datetime.fromisoformat(stamp)
        except (TypeError, ValueError):
            moment = None
        if moment is None or moment.tzinfo is None:
            plugin.refuse(f"answered with expirationTimestamp '{str(stamp)[:60]}', which is no time of RFC 3339", must)
        expires = moment.timestamp()
    return Credential(token, certificate, key, expires)
