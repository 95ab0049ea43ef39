# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of services as the variables of a host have it: the entries of the inventory, and the variables of the service roles.

What a role says is read from its files where the play does not have the role: `mesh_security` alone knows the paths of all services.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import catalogue
from ansible_collections.servicemesh.platform.plugins.plugin_utils._telemetry import Telemetry, telemetry_of

ROOT = Path(__file__).parent.parent.parent
ROLE = "service_catalogue"  # its variables are the catalogue's
# Variables of a service role beside the keys of a definition.
_MORE = ("state", "env", "extra", "database_secret")
_JWT = ("jwt_issuer", "jwt_audiences", "jwks", "jwks_uri")


def plain(value: t.Any) -> t.Any:
    """A value without lazy templates and tags of its containers."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


class Catalogue:
    """The catalogue as a host's variables have it. Nothing is rendered that is not asked for.

    ``templar`` and ``loader`` are Ansible's; ``variables`` those of the host, not rendered.
    """

    def __init__(self, templar: t.Any, loader: t.Any, variables: Mapping[str, t.Any]) -> None:
        self._templar, self._loader, self._variables = templar, loader, variables
        self._known: dict[str, Mapping[str, t.Any]] = {}
        self._entries: t.Any = None
        self._rendered: dict[str, catalogue.Definition] = {}
        self._stores: dict[str, dict[str, t.Any] | None] = {}
        self._traces: Telemetry | None = None

    # Entries -------------------------------------------------------------------------------------------------------

    @property
    def entries(self) -> t.Any:
        """``platform_services`` as it was given; a dict when it is well-formed."""
        if self._entries is None:
            self._entries = self.setting("services")
            self._entries = {} if self._entries is None else self._entries
        return self._entries

    def setting(self, name: str) -> t.Any:
        """A variable of the role ``service_catalogue``, without its prefix."""
        return self._value(ROLE, f"{ROLE}_{name}")

    def entry(self, service: str) -> catalogue.Entry:
        """The entry of a service."""
        return catalogue.entry_of(self.entries, service)

    @property
    def names(self) -> list[str]:
        """Names of all services."""
        return catalogue.names(self.entries)

    @property
    def added(self) -> list[str]:
        """Names of those without a role of their own."""
        return catalogue.added(self.entries)

    # What is known of a service ------------------------------------------------------------------------------------

    def definition(self, service: str) -> catalogue.Definition:
        """The definition of a service; of one that is left out too, as far as it has a role."""
        if service not in self._rendered:
            if service in catalogue.SERVICES:
                made = catalogue.of_role(service, self._values(service), self.entry(service), self._left_out())
            else:
                made = catalogue.of_added(service, self.entry(service), self._platform())
            self._rendered[service] = catalogue.traced(made, self._telemetry().environment(service))
        return self._rendered[service]

    def database(self, service: str) -> dict[str, t.Any] | None:
        """The database of a service as an entry of ``datastore_databases``; None when it has none."""
        if service not in self._stores:
            self._stores[service] = catalogue.database(service, self.entry(service), self._database(service))
        store = self._stores[service]
        return dict(store) if store else None

    def databases(self, services: list[str] | None = None) -> list[dict[str, t.Any]]:
        """The databases of all services, or of some."""
        found = (self.database(name) for name in (self.names if services is None else services))
        return [store for store in found if store]

    def deployed_databases(self) -> list[dict[str, t.Any]]:
        """The databases and the cache as the role datastore has them, which may be the inventory's own."""
        stores, cache = self.setting("databases"), self.setting("cache")
        return [dict(store) for store in [*stores, cache] if isinstance(store, Mapping) and store]

    def given_twice(self) -> list[tuple[str, str, str]]:
        """(service, key, variable) of values that an entry and a variable of the service's role give. Dicts are merged, so both count."""
        found = []
        for service in catalogue.SERVICES:
            role = catalogue.role_of(service)
            for key, value in self.entry(service).items():
                name = f"{role}_{key}"
                if (
                    name in self._variables
                    and not isinstance(value, Mapping)
                    and self._variables[name] != self._files(role).get(name)
                ):
                    found.append((service, str(key), name))
        return found

    def cache(self) -> dict[str, t.Any]:
        """The cache as in ``datastore_redis``; empty when its owner is left out."""
        return dict(catalogue.CACHE) if catalogue.CACHE["owner"] in self.names else {}

    def record(self) -> dict[str, t.Any]:
        """What is remembered of the catalogue in the cluster."""
        return catalogue.record(self.names, self.setting("databases"), self.setting("cache"))

    def leaving(self, recorded: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """What a record has and the catalogue has not, and ``findings`` about who still needs it."""
        wanted = self.record()
        if self.setting("state") == "absent":
            wanted["services"] = []
        gone = catalogue.leaving(recorded, wanted)
        definitions = [self.definition(name) for name in self.names] if gone.services else []
        return {
            "services": gone.services,
            "databases": gone.databases,
            "cache": gone.cache,
            "findings": [
                f"{name}: {place} is {value!r}, and {callee} left platform_services; expected it there, or another value"
                for callee in gone.services
                for name, place, value in catalogue.uses(definitions, callee)
            ],
        }

    def gateway_paths(self) -> list[str]:
        """The prefixes that the ingress gateway serves."""
        return catalogue.gateway_paths(self._routes(name) for name in self.names)

    def objectives(self) -> dict[str, dict[str, t.Any]]:
        """What each service says about its service level objective, without the defaults for all services."""
        return {name: self._objective(name) for name in self.names}

    def _objective(self, service: str) -> dict[str, t.Any]:
        """The objective of a service, without the rest of its definition."""
        given = self.entry(service).get("slo") or {}
        role = catalogue.role_of(service)
        extra = self._value(role, f"{role}_extra") or {} if service in catalogue.SERVICES else {}
        return catalogue.combined(extra.get("slo") or {}, given)

    def stores(self) -> list[str]:
        """Names of the databases and of the cache that this platform runs. Each is the label ``app`` of its pods."""
        kept = self.record()
        return [str(store["name"]) for store in [*kept["databases"], kept["cache"]] if store]

    def canary(self, service: str) -> dict[str, t.Any]:
        """Settings of a service's canary."""
        return dict(self.entry(service).get("canary") or {})

    def version_variable(self, service: str) -> str:
        """What somebody has to change for another version of a service."""
        if service not in self.added:
            return f"{catalogue.role_of(service)}_version"
        place = f"platform_services.{service}"
        return f"the tag of {place}.image" if "image" in self.entry(service) else f"{place}.version"

    def _routes(self, service: str) -> t.Any:
        """The routes of a service, without the rest of its definition."""
        entry = self.entry(service)
        if "routes" in entry or service not in catalogue.SERVICES:
            return entry.get("routes")
        role = catalogue.role_of(service)
        extra = self._value(role, f"{role}_extra") or {}
        return extra["routes"] if "routes" in extra else self._value(role, f"{role}_routes")

    def _database(self, service: str) -> Mapping[str, t.Any] | None:
        role = catalogue.role_of(service)
        return self._value(role, f"__{role}_database") if service in catalogue.SERVICES else None

    def _telemetry(self) -> Telemetry:
        """Where traces go, read once."""
        if self._traces is None:
            known = self._variables
            self._traces = telemetry_of(lambda name: self._value_of(known, name))
        return self._traces

    def _value_of(self, known: Mapping[str, t.Any], name: str) -> t.Any:
        return self._rendered_in(known, known[name]) if name in known else None

    def _left_out(self) -> list[str]:
        return catalogue.left_out(self.entries)

    def _platform(self) -> catalogue.Platform:
        return catalogue.Platform(
            namespace=str(self.setting("namespace")),
            registry=str(self.setting("image_registry") or ""),
            replicas=self.setting("replicas"),
            image_pull_policy=str(self.setting("image_pull_policy")),
            jwt=self.setting("jwt") or {},
        )

    def _values(self, service: str) -> dict[str, t.Any]:
        """The variables of a service's role without its prefix, as :func:`catalogue.of_role` takes them."""
        role = catalogue.role_of(service)
        known = dict(self._role(role))
        entry = self.entry(service)
        if "version" in entry:
            known[f"{role}_version"] = entry["version"]  # the image follows it
        names = [name for name in (*catalogue.ROLE_KEYS, *_MORE, *_JWT) if f"{role}_{name}" in known]
        wanted = {name: f"{role}_{name}" for name in names} | {name: f"__{role}_{name}" for name in ("own", "calls")}
        # In one go: each call of the templar has a price of its own.
        values: dict[str, t.Any] = self._rendered_in(
            known, {name: known[variable] for name, variable in wanted.items()}
        )
        left_out = self._left_out()
        if left_out and values["callers"] == self._default(role, f"{role}_callers"):
            # Nobody wrote that these call.
            values["callers"] = [one for one in values["callers"] if one["service_account"] not in left_out]
        if "database" in entry and values["database_secret"] == self._default(role, f"{role}_database_secret"):
            values["database_secret"] = catalogue.database_secret(self.database(service))
        return values

    # Variables -----------------------------------------------------------------------------------------------------

    def _value(self, role: str, name: str) -> t.Any:
        return self._template(self._role(role), name)

    def _default(self, role: str, name: str) -> t.Any:
        return self._template({**self._variables, **self._files(role)}, name)

    def _template(self, known: Mapping[str, t.Any], name: str) -> t.Any:
        return self._rendered_in(known, known[name])

    def _rendered_in(self, known: Mapping[str, t.Any], value: t.Any) -> t.Any:
        same = known is self._variables
        templar = self._templar if same else self._templar.copy_with_new_env(available_variables=known)
        return plain(templar.template(value))

    def _role(self, role: str) -> Mapping[str, t.Any]:
        """All variables that a role of this collection would have here."""
        if role not in self._known:
            # A play that has the role has its variables already.
            there = any(f"__{role}_{name}" in self._variables for name in ("own", "recorded"))
            self._known[role] = self._variables if there else {**self._files(role), **self._variables}
        return self._known[role]

    def _files(self, role: str) -> dict[str, t.Any]:
        found: dict[str, t.Any] = {}
        for folder in ("defaults", "vars"):
            path = ROOT / "roles" / role / folder / "main.yml"
            if path.is_file():
                found |= self._loader.load_from_file(str(path), trusted_as_template=True) or {}
        return found
