# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan a service: check its definition, read what its objects depend on in one call, decide its release, and render each object once."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.utils.display import Display
from ansible_collections.servicemesh.platform.plugins.module_utils import _args
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.release import APPLY, decide
from ansible_collections.servicemesh.platform.plugins.modules import apply, service_info
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_settings as canary_settings
from ansible_collections.servicemesh.platform.plugins.plugin_utils._catalogue import Catalogue
from ansible_collections.servicemesh.platform.plugins.plugin_utils._in_process import (
    InProcess,
    InProcessAction,
    as_module_sees,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import plan
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import release as releases
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import DefinitionError, findings

display = Display()

# Option -> the attribute of the surroundings that it is.
_WHERE = {
    "domain": "host",
    **{
        name: name
        for name in (
            "gateway",
            "cluster_domain",
            "trust_domain",
            "gateway_namespace",
            "gateway_service_account",
            "traffic",
            "security",
        )
    },
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "definition": {"type": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "traffic": {"type": "bool", "default": True},
    "security": {"type": "bool", "default": True},
    "secret_checksum": {"type": "bool", "default": True},
    "domain": {"type": "str", "default": "ecommerce.example.com"},
    "gateway": {"type": "str", "default": "istio-system/ecommerce-gateway"},
    "cluster_domain": {"type": "str", "default": "cluster.local"},
    "trust_domain": {"type": "str", "default": "cluster.local"},
    "gateway_namespace": {"type": "str", "default": "istio-system"},
    "gateway_service_account": {"type": "str", "default": "istio-ingressgateway"},
    "canary_settings": {"type": "dict", "default": {}},
    "requested": {"type": "bool", "default": False},
    "version": {"type": "str", "default": ""},
    "image": {"type": "str", "default": ""},
    "decision": {"type": "dict"},
    "ended": {"type": "str", "default": ""},
    "wait": {"type": "bool", "default": True},
}
ARGUMENTS = _args.spec(**OPTIONS)


def refusal(name: str, found: list[str]) -> str:
    """The message about a definition with findings."""
    return "\n".join(
        [
            f"Nothing was changed. Service '{name}' has findings in its definition or in the",
            "settings of its canary:",
            *(f"- {finding}" for finding in found),
            "See docs/service-definition.md of the collection for the keys of a definition, and docs/canary.md for the settings.",
        ]
    )


class ActionModule(InProcessAction):
    """Action plugin of ``servicemesh.platform.service_plan``; the module of that name documents it."""

    MODULE = service_info
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """The plan; ``changed`` is always false."""
        given = as_module_sees(self._task.args)
        params = self.checked_arguments(given, ARGUMENTS)
        definition = params["definition"]
        name = str(definition.get("name") or "")
        known = Catalogue(self._templar, self._loader, task_vars or {})
        sources = canary_sources(name, params["canary_settings"], known.canary(name))
        found = findings(definition) + canary_settings.findings(sources)
        if found:
            return {"failed": True, "msg": refusal(name or "without a name", found)}
        present = params["state"] == "present"
        secrets = sorted({entry["secret"] for entry in definition.get("secret_env") or []})
        generated = sorted({entry["name"] for entry in definition.get("generated_secrets") or []})
        self._task.args = {name: given[name] for name in _args.CONNECTION if name in given} | {
            "service": definition["name"],
            "namespace": definition["namespace"],
            "canary": present,
            "secrets": sorted({*(secrets if params["secret_checksum"] else []), *generated}) if present else [],
        }
        read = super().run(tmp, task_vars)
        if read.get("failed") or read.get("skipped"):
            return read
        try:
            result = planned(params, read, known.version_variable(name))
        except DefinitionError as error:
            return {"failed": True, "msg": refusal(name, error.findings)}
        result["canary_settings"] = canary_settings.merged(sources)
        warnings = list(read.get("warnings") or [])
        if params["decision"] is None and (warning := result["decision"].get("warning")):
            warnings.append(f"{definition['namespace']}/{name}: {warning}")
        if warnings:
            result["warnings"] = warnings
        result["missing_secrets"] = present and not set(generated) <= set(read["secrets"])
        result["noop"] = self._is_noop(params, result, task_vars or {})
        # The result is for the next task; with -v it would print every object a second time.
        return {"changed": False, "_ansible_verbose_override": True, **result}

    def _is_noop(
        self, params: Mapping[str, t.Any], result: Mapping[str, t.Any], task_vars: Mapping[str, t.Any]
    ) -> bool:
        """Whether the service is as planned and ready, so that nothing is left to do for a run.

        Asked where that costs no process of its own, and less than the three tasks that would find the same.
        """
        decision = result["decision"]
        if params["state"] != "present" or decision["action"] != APPLY or decision["forget_promotion"]:
            return False
        if result["missing_secrets"] or result.get("warnings") or self._reason_for_a_process(task_vars):
            return False
        wanted = {name: params[name] for name in _args.CONNECTION} | {
            "name": result["definition"]["name"],
            "definitions": result["definitions"],
            "retired": result["retired"],
            "wait": params["wait"],
        }
        call = InProcess(self.checked_arguments(wanted, apply.ARGUMENTS), check_mode=True, diff=False)
        return apply.is_noop(call) and not call.warnings


def canary_sources(service: str, given: Mapping[str, t.Any], own: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The sources of the canary's settings, with that of the service's entry in the catalogue after those for all services."""
    place = {f"platform_services.{service}.canary": own} if own else {}
    weaker = {name: value for name, value in given.items() if name in ("defaults", "platform_canary")}
    return {**weaker, **place, **{name: value for name, value in given.items() if name not in weaker}}


def planned(params: Mapping[str, t.Any], read: Mapping[str, t.Any], variable: str = "the version") -> dict[str, t.Any]:
    """The plan of a valid definition, from what was read of the cluster. ``variable``: what a warning names.

    Raises DefinitionError when the wanted version has no image.
    """
    definition, present = params["definition"], params["state"] == "present"
    inventory = releases.release_of(definition)
    decision = params["decision"] or _decided(params, read["canary"], inventory, variable)
    live = releases.with_release(definition, decision)
    uses = {entry["secret"] for entry in live.get("secret_env") or []}
    secrets = {name: version for name, version in read["secrets"].items() if name in uses}
    seen = plan.Seen(
        canary=read["canary"],
        ingress=read["ingress"],
        secrets=secrets if present and params["secret_checksum"] and uses else None,
        ended=params["ended"],
    )
    where = plan.Surroundings(**{attribute: params[option] for option, attribute in _WHERE.items()})
    result = {
        "definition": live,
        "decision": dict(decision),
        "release": {"image": decision["image"], "version": decision["version"], "inventory": inventory},
        **plan.plan(live, seen, where, present=present),
    }
    if decision["action"] != APPLY:
        result["without_pods"] = plan.without_pods(result["definitions"])
        result["canary_definitions"] = releases.canary_manifests(live, seen.secrets)
        result["stable_definitions"] = releases.stable_manifests(live, seen.secrets)
    return result


def _decided(
    params: Mapping[str, t.Any], canary: Mapping[str, t.Any], inventory: Mapping[str, str], variable: str
) -> dict[str, t.Any]:
    definition = params["definition"]
    if params["state"] == "absent":
        return {"action": APPLY, "forget_promotion": False, **inventory}
    requested = releases.release_of(definition, params["version"], params["image"]) if params["requested"] else None
    return decide(
        inventory,
        canary,
        rollout=str(definition.get("rollout") or "rolling"),
        requested=requested,
        variable=variable,
    ).as_dict()
