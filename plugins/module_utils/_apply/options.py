# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a call of apply, made from the module's parameters. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.managed_fields import covers
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import (
    FIELD_MANAGER,
    expected_label_value,
    expected_name,
)

# Kinds that become ready only in some clusters: an Ingress gets an address where there is a load balancer.
_BY_CHOICE = frozenset({"Ingress"})
_EVERY_KIND = "*"


@dataclass(frozen=True, slots=True)
class Wait:
    """Which kinds are waited for: `kinds` for those that are named, `others` for all others."""

    others: bool = True
    kinds: Mapping[str, bool] = field(default_factory=dict)

    def until_ready(self, kind: str) -> bool:
        """Whether to wait until objects of a kind are ready."""
        return self.kinds.get(kind, self.others and kind not in _BY_CHOICE)

    def until_gone(self, kind: str) -> bool:
        """Whether to wait until deleted objects of a kind are gone."""
        return self.kinds.get(kind, self.others)


def wait_of(value: Any) -> Wait:
    """Option `wait`: a bool, or a mapping of kinds to bools in which `*` stands for all other kinds. Raises KubeError."""
    expected = "true, false, or a mapping of kinds to true or false, as {Ingress: true, Job: false}; '*' stands for all other kinds"
    try:
        if not isinstance(value, Mapping):
            return Wait(boolean(value))
        kinds = {str(kind): boolean(wanted) for kind, wanted in value.items()}
    except TypeError:
        raise KubeError(f"wait is {value!r}; expected {expected}") from None
    return Wait(kinds.pop(_EVERY_KIND, True), kinds)


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one call. `wait_timeout`: seconds, for all waits of the call together.

    `namespace`: of namespaced objects that name none; empty for no such default.
    `over_commands`: fields that single commands of kubectl set (create, edit, scale) are taken over, and noted in the outcome.
    `trial`: in check mode, what a dry run cannot tell is an error and no prediction, and no webhook is waited for.
    """

    name: str = ""
    namespace: str = ""
    state: str = "present"
    wait: Wait = field(default_factory=Wait)
    wait_timeout: float = 300.0
    field_manager: str = FIELD_MANAGER
    force_conflicts: tuple[str, ...] = ()
    over_commands: bool = False
    prune: bool = False
    prune_allow: tuple[str, ...] = ()
    inventory_namespace: str = ""
    check: bool = False
    trial: bool = False


def options_of(params: Mapping[str, Any], *, check: bool) -> Options:
    """Options of a call from a module's parameters. Raises KubeError with all findings."""
    if findings := [*_findings(params), *_prune_findings(params)]:
        raise KubeError("; ".join(findings))
    return Options(
        name=params["name"],
        namespace=params["namespace"] or "",
        state=params["state"],
        wait=wait_of(params["wait"]),
        wait_timeout=params["wait_timeout"],
        field_manager=params["field_manager"],
        force_conflicts=tuple(params["force_conflicts"]),
        prune=params["prune"],
        prune_allow=tuple(params["prune_allow"]),
        inventory_namespace=params["inventory_namespace"] or "",
        check=check,
    )


def _findings(params: Mapping[str, Any]) -> list[str]:
    findings = []
    if (
        params["definitions"] is None
        and params["src"] is None
        and not (params["prune"] and params["state"] == "absent")
    ):
        findings.append("definitions and src are not set; expected one of them")
    if not 1 <= params["concurrency"] <= 32:
        findings.append(f"concurrency is {params['concurrency']}; expected 1 to 32")
    if params["wait_timeout"] < 0:
        findings.append(f"wait_timeout is {params['wait_timeout']}; expected seconds, 0 or more")
    if expected := expected_label_value(params["name"]):
        findings.append(f"name is {params['name']!r}; expected {expected}")
    if params["namespace"] and (expected := expected_name("Namespace", params["namespace"])):
        findings.append(f"namespace is {params['namespace']!r}; expected {expected}")
    if not 1 <= len(params["field_manager"]) <= 128 or not params["field_manager"].isprintable():
        findings.append(f"field_manager is {params['field_manager']!r}; expected 1 to 128 printable characters")
    findings += [
        f"force_conflicts has {path!r}; expected the path of single fields, as .spec.replicas"
        for path in params["force_conflicts"]
        if covers(path, ".spec") or path in ("", ".", "*")
    ]
    return findings


def _prune_findings(params: Mapping[str, Any]) -> list[str]:
    if not params["prune"]:
        return []
    findings = []
    for option, kind in (("name", "ConfigMap"), ("inventory_namespace", "Namespace")):
        value = params[option] or ""
        if expected := expected_name(kind, value):
            findings.append(f"{option} is {value!r}; with prune, expected {expected}")
    findings += [
        f"prune_allow has {entry!r}; expected the set's name ({params['name']}), or an object as messages show it: "
        "'Namespace shop', 'PersistentVolumeClaim shop/data'"
        for entry in params["prune_allow"]
        if entry != params["name"] and len(entry.split(" ", 1)) != 2
    ]
    return findings
