# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the variables of all roles of a play at once, before the first of them runs."""

from __future__ import annotations

import contextlib
import copy
import os
import typing as t
from collections.abc import Iterator, Mapping
from pathlib import Path

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.options import SETTINGS
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _arguments as arguments
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_settings as canary_settings
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _catalogue_check as catalogue_check
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _collection_files as files
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _components as components
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _images as images
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _telemetry as telemetry
from ansible_collections.servicemesh.platform.plugins.plugin_utils._catalogue import Catalogue
from ansible_collections.servicemesh.platform.plugins.plugin_utils._option_values import checked
from ansible_collections.servicemesh.platform.plugins.plugin_utils._role_rules.registry import (
    findings as rule_findings,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import catalogue
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import (
    findings as definition_findings,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._variable_check import (
    chart_paths,
    flavour_findings,
    former_value,
    lookalikes,
    order_findings,
    range_findings,
    renamed,
    sources,
    unknown_findings,
)

display = Display()
COMMAND_LINE = "the command line"
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "roles": {"type": "list", "elements": "str"},
    "ignore": {"type": "list", "elements": "str", "default": []},
    "playbook": {"type": "str"},
    "canary_settings": {"type": "bool", "default": False},
    "kubeconfig": {"type": "bool", "default": True},
}


def _settings_in(given: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Settings of a canary among the given arguments. Those of the wrong type are left out: they are findings of the arguments."""
    return {
        name: value
        for name, value in given.items()
        if name in SETTINGS and not checked(name, value, SETTINGS[name]).findings
    }


class ActionModule(ActionBase):
    """Action plugin of ``servicemesh.platform.check_variables``; the module of that name documents it."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        self._vars: dict[str, t.Any] = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        dummy, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        self._options, self._platform = files.role_options(), files.known_platform_names()
        wrong_telemetry = self._wrong_telemetry()
        platform = self._platform_findings()
        self._catalogue = Catalogue(self._templar, self._loader, self._vars)
        self._ignored = [*args["ignore"], *(self._value(files.IGNORED) or [])]
        roles = self._roles_to_check(args["roles"])
        given, tags, named = self._playbook_findings(args["playbook"])
        command_line = _settings_in(given) if args["canary_settings"] else {}
        findings = [
            *tags,
            *named,
            *unknown_findings(self._vars, self._options, self._platform, self._ignored),
            *self._role_findings(roles),
            *self._catalogue_findings(roles),
            *platform,
            *self._image_findings(roles),
            *self._flavour_findings(roles),
            *self._canary_findings(command_line),
            *self._component_findings(roles, args["playbook"], given, command_line),
            *wrong_telemetry,
            *self._telemetry_findings(roles),
            *(self._kubeconfig_findings() if args["kubeconfig"] else []),
        ]
        for name, meant in lookalikes(set(self._vars) - set(self._given()), self._options, self._platform):
            display.warning(f"{name}: no role reads this variable; did you mean {meant}?")

        findings = list(dict.fromkeys(findings))
        result.update(changed=False, roles=roles)
        if findings:
            what = "input" if tags else "variable"
            count = f"{len(findings)} {what}{'s are' if len(findings) > 1 else ' is'}"
            result.update(
                failed=True, msg="\n".join([f"{count} wrong; nothing was changed:", *(f"- {f}" for f in findings)])
            )
        else:
            result["msg"] = f"The variables of {len(roles)} roles are well-formed"
            result["arguments"] = self._argument_values(args["playbook"], given)
            result["canary_settings"] = canary_settings.merged({COMMAND_LINE: command_line})
        return result

    def _value(self, name: str) -> t.Any:
        """Value of a variable; None when it does not exist."""
        return self._templar.template(self._vars[name]) if name in self._vars else None

    # Arguments of the playbook ---------------------------------------------------------------------------------------

    def _given(self) -> dict[str, t.Any]:
        """Variables of the command line, and those that import_playbook gives, not templated."""
        return {**self._task.get_play().vars, **self._extra()}

    def _extra(self) -> dict[str, t.Any]:
        """Variables of the command line, not templated."""
        return dict(load_extra_vars(self._loader))

    def _playbook_findings(self, playbook: str | None) -> tuple[dict[str, t.Any], list[str], list[str]]:
        """(values of the arguments that were given, findings about tags, findings about arguments and names)."""
        if playbook is None:
            return {}, [], []
        name = f"{playbook.removesuffix('.yml')}.yml"
        books = files.arguments(settings=SETTINGS)
        if name not in books:
            raise AnsibleActionFail(f"playbook: this collection has no playbook {name} with arguments")
        own, foreign = files.split_playbooks(context.CLIARGS.get("args") or ())
        here = {name, *own}
        given = self._given()
        tags = [finding for option in ("tags", "skip_tags") for finding in self._tag_findings(option, here, foreign)]
        findings = list(self._name_findings(name, books, here, foreign))
        values: dict[str, t.Any] = {}
        for option in books[name].options:
            if option not in given:
                continue
            try:
                value = self._templar.template(given[option])
            except Exception as exc:  # a template can raise any exception; the user has to see it
                findings.append(f"{option}: {exc}")
                continue
            # Surveys of AWX give an empty text for what was left empty.
            if value is not None and value != "":
                values[option] = value
        findings += arguments.value_findings(books[name], values, self._services())
        return values, tags, findings

    def _name_findings(
        self, name: str, books: Mapping[str, arguments.Arguments], here: set[str], foreign: list[Path]
    ) -> Iterator[str]:
        taken = {option for book in here & set(books) for option in books[book].options}
        others: dict[str, list[str]] = {}
        # What other playbooks take may be for other plays, when somebody's own playbook imports this one.
        for book in set(books) - here if not foreign else ():
            for option in set(books[book].options) - taken:
                others.setdefault(option, []).append(book)
        prefixed = self._platform.union(*self._options.values())
        prefixes = ("platform_", *(f"{role}_" for role in self._options))
        known = arguments.Known(taken, others, prefixed, prefixes)
        # A playbook's own variables are given like those of import_playbook.
        ignored = {*self._ignored, *files.play_variables(here)}
        unknown = [found for found in arguments.unknown_names(self._given(), known) if found not in ignored]
        if not unknown:
            return
        texts = [path.read_text(encoding="utf-8") for path in foreign if path.is_file()]
        inventory = self._without_extra_variables()
        texts += [repr(value) for key, value in inventory.items() if not key.startswith("ansible_")]
        # A playbook that imports this one names what it gives, right or wrong.
        unknown = [
            found
            for found in unknown
            if found not in inventory and not (found in self._extra() and arguments.mentions(found, texts))
        ]
        workflow = arguments.in_a_workflow(self._vars)
        told = dict(arguments.name_findings(unknown, name, known, workflow=workflow))
        yield from told.values()
        unread = [found for found in unknown if found not in told and found not in others]
        if unread and not foreign and not workflow:
            display.warning(f"Neither {name} nor the inventory reads these extra variables: {', '.join(unread)}")

    def _without_extra_variables(self) -> dict[str, t.Any]:
        """The host's variables as they are without `-e`, not templated; none when this version of Ansible does not tell them."""
        manager = getattr(self._vars.get("hostvars"), "_variable_manager", None)
        inventory = getattr(self._vars.get("hostvars"), "_inventory", None)
        if manager is None or inventory is None:
            return {}
        quiet = copy.copy(manager)
        quiet._extra_vars = {}
        host = inventory.get_host(str(self._vars.get("inventory_hostname")))
        return dict(quiet.get_vars(host=host, include_hostvars=False))

    def _tag_findings(self, option: str, here: set[str], foreign: list[Path]) -> Iterator[str]:
        """Unknown tags; none when a playbook of somebody else runs, which may have them."""
        given = self._vars.get({"tags": "ansible_run_tags", "skip_tags": "ansible_skip_tags"}[option]) or []
        if foreign or set(given) <= {"all"}:
            return
        known = frozenset[str]().union(*(files.playbook_tags(book) for book in here))
        if "added_services" in known:
            known |= {catalogue.role_of(name) for name in self._services()}
        yield from arguments.tag_findings(f"--{option.replace('_', '-')}", given, known, ", ".join(sorted(here)))

    def _argument_values(self, playbook: str | None, given: Mapping[str, t.Any]) -> dict[str, t.Any]:
        if playbook is None:
            return {}
        book = files.arguments()[f"{playbook.removesuffix('.yml')}.yml"]
        return arguments.values(book, {name: value for name, value in given.items() if name in book.options})

    # Variables -------------------------------------------------------------------------------------------------------

    def _canary_findings(self, command_line: Mapping[str, t.Any]) -> Iterator[str]:
        """Findings of the settings of canaries, which every playbook checks: an inventory is valid or not."""
        try:
            names = {
                "platform_canary",
                "microservice_canary",
            } - self._wrong  # a value of the wrong type is told already
            given = {name: self._value(name) for name in sorted(names)}
        except Exception as exc:  # a template can raise any exception; the user has to see it
            yield f"platform_canary, microservice_canary: {exc}"
            return
        all_given = {name: value for name, value in {**given, COMMAND_LINE: command_line}.items() if value}
        if all_given:
            yield from canary_settings.findings(all_given)
        for service in self._services():
            if own := self._catalogue.entry(service).get("canary"):
                yield from canary_settings.findings({f"{catalogue_check.NAME}.{service}.canary": own})

    def _component_findings(
        self,
        roles: list[str],
        playbook: str | None,
        given: Mapping[str, t.Any],
        command_line: Mapping[str, t.Any],
    ) -> Iterator[str]:
        """What this run needs of Istio, the ingress and Prometheus, and does not get. A removal needs nothing."""
        if self._value("platform_state") == "absent":
            return
        with contextlib.suppress(Exception):  # of a template or a wrong value: told as a finding of the variable
            there = components.components_of(self._value)
            # What a run does is asked only where something is absent: it takes all service definitions.
            run = self._run(roles, playbook, given, command_line) if there.some_absent() else components.Run()
            yield from components.findings(there, run)

    def _wrong_telemetry(self) -> list[str]:
        """Values of where traces and logs go that are not allowed.

        All services and some namespaces follow them: the other checks go on with the defaults in their place, so that one wrong value is
        one finding.
        """
        try:
            telemetry.telemetry_of(self._value)
        except telemetry.WrongValuesError as wrong:
            passed_on = sources(self._vars)
            self._go_on_with(wrong.instead)
            return [renamed(finding, passed_on) for finding in wrong.findings]
        except Exception:  # of a template: told as a finding of the variable
            return []
        return []

    def _telemetry_findings(self, roles: list[str]) -> Iterator[str]:
        """What does not fit together of where traces and logs go."""
        if not {"istio", "observability"} & set(roles) or self._value("platform_state") == "absent":
            return
        with contextlib.suppress(Exception):  # of a template or a wrong value: told as a finding of the variable
            passed_on = sources(self._vars)
            found = telemetry.findings(telemetry.telemetry_of(self._value))
            yield from (renamed(finding, passed_on) for finding in found)

    def _run(
        self, roles: list[str], playbook: str | None, given: Mapping[str, t.Any], command_line: Mapping[str, t.Any]
    ) -> components.Run:
        there = [role for role in roles if self._value(f"{role}_state") != "absent"]
        added = self._catalogue.added if "added_services" in there else []
        names = [name for name in self._catalogue.names if catalogue.role_of(name) in there or name in added]
        definitions = {name: self._catalogue.definition(name) for name in names}
        planned = given.get("release_plan") or [given]
        # canary.yml and promote.yml have no roles; they shift what they are asked to.
        asked = (
            [entry["service"] for entry in planned if "service" in entry] if playbook in ("canary", "promote") else []
        )
        shifted = (*asked, *(name for name, one in definitions.items() if one.get("rollout") == "canary"))
        common, own = self._value("platform_canary"), self._value("microservice_canary")
        meshed = any(self._is_on(f"microservice_{part}_enabled") for part in ("traffic", "security"))
        return components.Run(
            roles=frozenset(there),
            meshed=tuple(names) if meshed else (),
            routed=tuple(name for name, one in definitions.items() if one.get("routes")),
            shifted=shifted,
            canary_metrics={
                name: canary_settings.asking_prometheus(
                    {
                        "all": common,
                        "entry": self._catalogue.entry(name).get("canary"),
                        "role": own,
                        COMMAND_LINE: command_line,
                    }
                )
                for name in shifted
            },
            mtls_metrics="verify_mtls" in there
            and self._of_role("verify_mtls", "verify_mtls_form") == "full"
            and self._is_on("verify_mtls_metrics"),
            gateway_open=self._value("istio_ingress_gateway_service_type") in ("LoadBalancer", "NodePort"),
        )

    def _is_on(self, name: str) -> bool:
        """Whether a variable that is true by default is true."""
        value = self._value(name)
        return value is None or bool(boolean(value, strict=False))

    def _of_role(self, role: str, name: str) -> t.Any:
        """A variable as a role of the play has it: the play may give the role a value of its own."""
        for one in self._task.get_play().get_roles():
            if one.get_name().removeprefix(files.COLLECTION) == role and name in (one.vars or {}):
                return self._templar.template(one.vars[name])
        return self._value(name)

    def _role_findings(self, roles: list[str]) -> Iterator[str]:
        passed_on = sources(self._vars)
        for role in roles:
            values, wrong = self._values(self._options[role])
            # What does not go together, and findings of a definition, follow from wrong values: they are reported only without those.
            wrong = wrong or [*rule_findings(role, values), *self._definition_findings(role)]
            yield from (renamed(finding, passed_on) for finding in wrong)

    def _image_findings(self, roles: list[str]) -> Iterator[str]:
        """The place of the images, and services of this run without an image: told once for all of them."""
        wanted: dict[str, t.Any] = {}
        try:
            registry, upstream = self._value(images.REGISTRY), self._value(images.UPSTREAM)
            for role in roles:
                if f"__{role}_definition" in self._vars and self._value(f"{role}_state") != "absent":
                    wanted[f"{role}_image"] = self._definition(role).get("image")
        except Exception:  # told as a finding of the variable
            return
        yield from images.findings(registry, wanted, upstream)

    def _flavour_findings(self, roles: list[str]) -> Iterator[str]:
        with contextlib.suppress(Exception):  # of a template: told as a finding of the variable
            if "nginx_ingress" in roles:
                yield from flavour_findings(self._value("nginx_ingress_flavour"), self._vars)

    def _platform_findings(self) -> list[str]:
        """Findings of `platform_` variables, as the roles that have their values check them. Playbooks without roles read them too.

        Whoever is checked after that sees the default of a wrong one: what is made from a wrong value would be told as wrong as well. A
        default that is empty is no such value, because it may be missed.
        """
        found: list[str] = []
        valid: dict[str, t.Any] = {}
        for name, platform in files.platform_options(self._options).items():
            if name not in self._vars:
                continue
            if wrong := [finding for entry in platform.entries for finding in self._values({name: entry})[1]]:
                found += wrong
                others = {key: value for key, value in self._vars.items() if key != name}
                templar = self._templar.copy_with_new_env(available_variables=others)
                valid[name] = templar.template(trust_as_template(platform.default))
        self._wrong = frozenset(valid)
        self._go_on_with({name: value for name, value in valid.items() if value})
        return found

    def _go_on_with(self, instead: Mapping[str, t.Any]) -> None:
        """Has the checks that follow see these values in the place of wrong ones, which are told."""
        self._vars = {**self._vars, **instead}
        self._templar.available_variables = self._vars

    def _roles_to_check(self, given: list[str] | None) -> list[str]:
        task_vars, options = self._vars, self._options
        names = task_vars.get("ansible_play_role_names", []) if given is None else given
        roles = [name.removeprefix(files.COLLECTION) for name in names]
        if given is not None and (missing := sorted(set(roles) - set(options))):
            raise AnsibleActionFail(f"roles: this collection has no role {', '.join(missing)}")
        # A role that is imported by another one gets its required arguments from that role.
        imported = {
            role
            for role in options
            if given is None and any(o.get("required") and name not in task_vars for name, o in options[role].items())
        }
        return [role for role in dict.fromkeys(roles) if role in options and role not in imported]

    def _values(self, spec: Mapping[str, t.Any]) -> tuple[dict[str, t.Any], list[str]]:
        """(the variables of an argument specification, as their types have them; what is wrong with them)."""
        given: dict[str, t.Any] = {}
        values: dict[str, t.Any] = {}
        wrong: list[str] = []
        for name in spec:
            if name not in self._vars:
                continue
            try:
                given[name] = self._templar.template(self._vars[name])
            except Exception as exc:  # a template can raise any exception; the user has to see it
                wrong.append(f"{name}: {exc}")
        for name, value in given.items():
            found = checked(name, value, spec[name])
            # One finding for each variable: of a value that has the wrong type, the range says nothing more.
            instead = former_value(name, value)
            said = (
                [instead]
                if instead
                else found.findings or ([] if spec[name].get("no_log") else list(range_findings(name, value)))
            )
            if not said:
                values[name] = found.value
                said = [
                    f"{variable}: there is no chart at {path}; give a path that exists, a repository's chart or an oci:// address"
                    for variable, path in chart_paths(name, value)
                    if not os.path.exists(os.path.expanduser(path))
                ]
            wrong += said
        return values, [*wrong, *order_findings({name: given[name] for name in values})]

    def _definition_findings(self, role: str) -> Iterator[str]:
        """Findings of the service definition that a service role makes from its variables."""
        name = f"__{role}_definition"
        if name not in self._vars:
            return
        try:
            definition: t.Any = self._definition(role)
        except Exception as exc:  # a template can raise any exception; the user has to see it
            yield f"{role}: {exc}"
            return
        if isinstance(definition, Mapping) and definition.get("image") == "":
            definition = {**definition, "image": "missing"}  # told once for all services
        for finding in definition_findings(definition):
            yield f"{role}: {finding}"

    def _definition(self, role: str) -> catalogue.Definition:
        """What `__<role>_definition` comes to, rendered once."""
        return self._catalogue.definition(role.replace("_", "-"))

    def _services(self) -> list[str]:
        """Names of all services; of those with roles while the catalogue cannot be read, which is told as a finding of its own."""
        try:
            entries = self._catalogue.entries
        except Exception:
            return list(catalogue.SERVICES)
        return catalogue.names(entries)

    def _catalogue_findings(self, roles: list[str]) -> Iterator[str]:
        """Findings of `platform_services`, and of what the services, their callers and the databases say of each other."""
        try:
            entries = self._catalogue.entries
        except Exception as exc:  # a template can raise any exception; the user has to see it
            yield f"{catalogue_check.NAME}: {exc}"
            return
        if found := catalogue_check.entry_findings(entries):
            yield from found
            return
        if not entries and not {catalogue.role_of(name) for name in catalogue.SERVICES} & set(roles):
            return  # nobody's input, and no service of this run
        definitions, added = {}, self._catalogue.added
        for name in self._catalogue.names:
            try:
                definitions[name] = self._catalogue.definition(name)
            except Exception as exc:  # likewise; that of a role is told with its variables
                if name in added:
                    yield f"{catalogue_check.NAME}.{name}: {exc}"
        try:
            databases, others = self._catalogue.deployed_databases(), self._catalogue.setting("other_workloads")
        except Exception:  # told as a finding of the variable
            databases, others = [], []
        twice = self._catalogue.given_twice()
        yield from catalogue_check.findings(catalogue_check.Whole(entries, definitions, databases, others, twice))

    def _kubeconfig_findings(self) -> Iterator[str]:
        value = self._value("platform_kubeconfig") or ""
        if not isinstance(value, str):
            return
        for path in filter(None, value.split(os.pathsep)):
            if not os.path.isfile(os.path.expanduser(path)):
                yield f"platform_kubeconfig: there is no file {path}; give the path of a kubeconfig, or leave it empty for ~/.kube/config"
