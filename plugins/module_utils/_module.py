# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of the collection does around its work: connect, hide secrets, return errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diff import redacted
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import items_of
from ansible_collections.servicemesh.platform.plugins.module_utils._text import clean

_HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
_KUBECONFIG_SECRETS = (
    "token",
    "password",
    "client-key-data",
    "client-certificate-data",
    "id-token",
    "refresh-token",
    "client-secret",
)


class Invocation(Protocol):
    """The call as a module's work sees it: in its own process (`PlatformModule`) or in the controller's."""

    params: dict[str, Any]
    check_mode: bool
    _diff: bool

    def warn(self, warning: str) -> None:
        """Shows a warning to the user."""

    def fail_json(self, msg: str, **result: Any) -> NoReturn:
        """Ends the call as failed."""


class PlatformModule(AnsibleModule):
    """AnsibleModule that keeps the values of Secrets out of the system log and out of the invocation in its result.

    Its message and its warnings go to a terminal as they are, so nothing in them is a command of one.
    """

    params: dict[str, Any]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for secret in kubeconfig_secrets(self.params.get("kubeconfig")):
            self.no_log_values.add(secret)

    def _log_invocation(self) -> None:
        params, self.params = self.params, self._shown_params()
        try:
            super()._log_invocation()
        finally:
            self.params = params

    def warn(self, warning: str, **options: Any) -> None:
        """Shows a warning to the user."""
        super().warn(clean(warning), **options)

    def _return_formatted(self, kwargs: dict[str, Any]) -> None:
        if isinstance(kwargs.get("msg"), str):
            kwargs["msg"] = clean(kwargs["msg"])
        kwargs.setdefault("invocation", {"module_args": self._shown_params()})
        super()._return_formatted(kwargs)

    def _shown_params(self) -> dict[str, Any]:
        return shown_params(self.params)


def shown_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without the values of Secrets and the credentials of a kubeconfig."""
    shown = dict(params)
    for name in ("definitions", "retired"):
        if name in shown:
            shown[name] = hidden(shown[name])
    if isinstance(shown.get("overlay"), list):
        shown["overlay"] = [
            {**entry, "resource": hidden(entry.get("resource"))} if isinstance(entry, Mapping) else entry
            for entry in shown["overlay"]
        ]
    if isinstance(shown.get("kubeconfig"), Mapping):
        shown["kubeconfig"] = _HIDDEN
    return shown


def hidden(definitions: Any) -> Any:
    """Definitions with every value of a Secret replaced. A text is replaced as a whole, because it may contain a Secret."""
    if isinstance(definitions, Mapping):
        items = items_of(definitions) or definitions.get("items")
        if isinstance(items, list):
            return {**definitions, "items": hidden(items)}
        if definitions.get("kind") != "Secret":
            return dict(definitions)
        safe = redacted(definitions, b"")
        for field in ("data", "stringData"):
            if safe.get(field):
                safe[field] = _HIDDEN
        return safe
    if isinstance(definitions, (list, tuple)):
        return [hidden(item) for item in definitions]
    return _HIDDEN if isinstance(definitions, str) and definitions else definitions


def kubeconfig_secrets(node: Any) -> list[str]:
    """Credentials in a kubeconfig that is a mapping."""
    if isinstance(node, Mapping):
        return [
            found
            for key, value in node.items()
            for found in (
                [value]
                if key in _KUBECONFIG_SECRETS and isinstance(value, str) and value
                else kubeconfig_secrets(value)
            )
        ]
    if isinstance(node, list):
        return [found for item in node for found in kubeconfig_secrets(item)]
    return []


def connected(module: Invocation, concurrency: int = 16) -> Client:
    """A client for the module's connection options; warns when the server's certificate is not verified."""
    client = Client(module.params, concurrency=concurrency)
    if client.insecure:
        module.warn(
            f"The certificate of {client.source.server} is not verified (validate_certs: false); "
            "anyone on the network path can read and change the requests"
        )
    return client


def run(module: PlatformModule, work: Callable[[Invocation], Mapping[str, Any]]) -> None:
    """Runs a module's work and returns its result, or the message of its error, to Ansible. It ends with the worker that started it."""
    _parent.watch(os.getppid(), output=1)
    try:
        result = work(module)
    except KubeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)
