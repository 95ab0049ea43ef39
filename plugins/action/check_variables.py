# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the variables of all roles of a play at once, before the first of them runs."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import (
    findings as definition_findings,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._variable_check import (
    chart_paths,
    lookalikes,
    platform_names,
    range_findings,
    renamed,
    sources,
    unknown_findings,
)

display = Display()
COLLECTION = "servicemesh.platform."
ROOT = Path(__file__).parent.parent.parent


def role_options(root: Path = ROOT) -> dict[str, dict[str, t.Any]]:
    """Role name -> options of its ``main`` entry point, for every role of the collection that has an argument specification."""
    found: dict[str, dict[str, t.Any]] = {}
    for path in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        spec = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        found[path.parent.parent.name] = spec.get("argument_specs", {}).get("main", {}).get("options") or {}
    return found


def known_platform_names(root: Path = ROOT) -> frozenset[str]:
    """Every ``platform_x`` that a role's defaults or a playbook reads."""
    paths = [*root.glob("roles/*/defaults/main.yml"), *root.glob("playbooks/*.yml")]
    return platform_names(path.read_text(encoding="utf-8") for path in paths)


class ActionModule(ActionBase):
    """Action plugin of ``servicemesh.platform.check_variables``; the module of that name documents it."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"roles", "ignore"})

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task_vars = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        dummy, args = self.validate_argument_spec(
            argument_spec={
                "roles": {"type": "list", "elements": "str"},
                "ignore": {"type": "list", "elements": "str", "default": []},
            }
        )
        options = role_options()
        platform = known_platform_names()
        checked = self._roles_to_check(args["roles"], options, task_vars)

        findings = list(unknown_findings(task_vars, options, platform, args["ignore"]))
        passed_on = sources(task_vars)
        for role in checked:
            # Findings of a definition follow from those of its variables, so they are reported only without those.
            wrong = list(self._value_findings(options[role], task_vars))
            wrong = wrong or list(self._definition_findings(role, task_vars))
            findings.extend(renamed(finding, passed_on) for finding in wrong)
        findings.extend(self._kubeconfig_findings(task_vars))
        for name, meant in lookalikes(task_vars, options, platform):
            display.warning(f"{name}: no role reads this variable; did you mean {meant}?")

        findings = list(dict.fromkeys(findings))
        result.update(changed=False, roles=checked)
        if findings:
            count = f"{len(findings)} variable{'s are' if len(findings) > 1 else ' is'}"
            result.update(
                failed=True, msg="\n".join([f"{count} wrong; nothing was changed:", *(f"- {f}" for f in findings)])
            )
        else:
            result["msg"] = f"The variables of {len(checked)} roles are well-formed"
        return result

    @staticmethod
    def _roles_to_check(
        given: list[str] | None, options: Mapping[str, dict[str, t.Any]], task_vars: Mapping[str, t.Any]
    ) -> list[str]:
        names = task_vars.get("ansible_play_role_names", []) if given is None else given
        roles = [name.removeprefix(COLLECTION) for name in names]
        if given is not None and (missing := sorted(set(roles) - set(options))):
            raise AnsibleActionFail(f"roles: this collection has no role {', '.join(missing)}")
        # A role that is imported by another one gets its required arguments from that role.
        imported = {
            role
            for role in options
            if given is None and any(o.get("required") and name not in task_vars for name, o in options[role].items())
        }
        return [role for role in dict.fromkeys(roles) if role in options and role not in imported]

    def _value_findings(self, spec: dict[str, t.Any], task_vars: Mapping[str, t.Any]) -> Iterator[str]:
        values: dict[str, t.Any] = {}
        for name in spec:
            if name not in task_vars:
                continue
            try:
                values[name] = self._templar.template(task_vars[name])
            except Exception as exc:  # a template can raise any exception; the user has to see it
                yield f"{name}: {exc}"
        errors = ArgumentSpecValidator(spec).validate(values).error_messages
        yield from errors
        # One finding for each variable: of a value that has the wrong type, the range says nothing more.
        told = {name for name in values if errors and self._is_wrong(name, spec[name], values[name])}
        for name, value in values.items():
            if spec[name].get("no_log") or name in told:
                continue
            yield from range_findings(name, value)
            for variable, path in chart_paths(name, value):
                if not os.path.exists(os.path.expanduser(path)):
                    yield f"{variable}: there is no chart at {path}; give a path that exists, a repository's chart or an oci:// address"

    @staticmethod
    def _is_wrong(name: str, entry: dict[str, t.Any], value: t.Any) -> bool:
        return bool(ArgumentSpecValidator({name: entry}).validate({name: value}).error_messages)

    def _definition_findings(self, role: str, task_vars: Mapping[str, t.Any]) -> Iterator[str]:
        """Findings of the service definition that a service role makes from its variables."""
        name = f"__{role}_definition"
        if name not in task_vars:
            return
        try:
            definition = self._templar.template(task_vars[name])
        except Exception as exc:  # a template can raise any exception; the user has to see it
            yield f"{role}: {exc}"
            return
        for finding in definition_findings(definition):
            yield f"{role}: {finding}"

    def _kubeconfig_findings(self, task_vars: Mapping[str, t.Any]) -> Iterator[str]:
        value = self._templar.template(task_vars.get("platform_kubeconfig", "")) or ""
        if not isinstance(value, str):
            return
        for path in filter(None, value.split(os.pathsep)):
            if not os.path.isfile(os.path.expanduser(path)):
                yield f"platform_kubeconfig: there is no file {path}; give the path of a kubeconfig, or leave it empty for ~/.kube/config"
