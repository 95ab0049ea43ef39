# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Everything that is wrong with a catalogue of services, at once. A finding names the entry, the value, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._near_miss import suggestion
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import catalogue
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import findings as of_definition
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.schema import Field, read, show

NAME = "platform_services"
OTHERS = "platform_other_workloads"

# Keys of `datastore_databases`, whose values the role datastore checks.
_DATABASE = Field(
    "object",
    optional=True,
    fields={
        "name": Field("str", check=is_.label),
        "database": Field("str"),
        "username": Field("str"),
        "size": Field("str", check=is_.positive_quantity),
        "external": Field("bool"),
        "secret": Field("str", check=is_.subdomain),
        "host": Field("str"),
        "port": Field("int", check=is_.port),
    },
)
_VALUES: Mapping[str, Field] = {"enabled": Field("bool"), "canary": Field("map")}


@dataclass(frozen=True, slots=True)
class Whole:
    """A catalogue as a host's variables have it.

    ``definitions``: of each service that is not left out. ``databases``: as the role datastore deploys them, the cache included.
    ``others``: ServiceAccounts that are no services of the catalogue. ``twice``: (service, key, variable) of what is given in an entry and
    in a variable of the service's role.
    """

    entries: Any
    definitions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    databases: Sequence[Mapping[str, Any]] = ()
    others: Collection[str] = ()
    twice: Sequence[tuple[str, str, str]] = ()


def entry_findings(entries: Any) -> list[str]:
    """What is wrong with the entries, each by itself: while there is something, there are no definitions to look at."""
    if not isinstance(entries, Mapping):
        return [
            f"{NAME}: {show(entries)} is not a dict; expected name and entry of each service: {{basket-service: {{port: 8080}}}}"
        ]
    return [finding for name, entry in entries.items() for finding in _of_entry(str(name), entry)]


def _of_entry(name: str, entry: Any) -> Iterator[str]:
    path = f"{NAME}.{name}"
    if expected := is_.service_name(name):
        yield f"{path}: {show(name)} is not {expected}{suggestion(name, catalogue.SERVICES)}"
    if entry is None:
        return
    if not isinstance(entry, Mapping):
        yield f"{path}: {show(entry)} is not a dict; expected keys of a service definition, or {{enabled: false}}"
        return
    for key in entry:
        if key in catalogue.GIVEN:
            yield f"{path}.{key}: the catalogue sets this key; leave it out"
        elif key not in catalogue.ENTRY_KEYS:
            meant = suggestion(str(key), catalogue.ENTRY_KEYS) or f"; known keys: {_listed(catalogue.ENTRY_KEYS)}"
            yield f"{path}.{key}: unknown key{meant}"
    found: list[str] = []
    if isinstance(entry.get("enabled", True), (bool, str)):
        read(entry.get("enabled", True), _VALUES["enabled"], f"{path}.enabled", found)
    else:
        found.append(f"{path}.enabled: {show(entry['enabled'])} is not true or false")
    database = entry.get("database", False)
    if isinstance(database, Mapping):
        read(database, _DATABASE, f"{path}.database", found)
    elif not isinstance(database, bool):
        found.append(f"{path}.database: {show(database)} is not true, false or a dict with keys of datastore_databases")
    if not isinstance(entry.get("canary") or {}, Mapping):
        found.append(f"{path}.canary: {show(entry['canary'])} is not a dict; expected settings of a canary")
    yield from found


def findings(whole: Whole) -> list[str]:
    """Everything that is wrong with well-formed entries and between the services."""
    found = [
        f"{NAME}.{name}.{key}: {variable} is given too, and one of them would not count; expected it in one place"
        for name, key, variable in whole.twice
    ]
    for name, definition in whole.definitions.items():
        if name not in catalogue.SERVICES:  # those of the others are told as findings of their roles
            found += _of_definition(name, definition)
    for check in (_same_routes, _same_names, _callers, _owners, _addresses):
        found += check(whole)
    return found


def _of_definition(name: str, definition: Mapping[str, Any]) -> Iterator[str]:
    path = f"{NAME}.{name}"
    if not definition.get("image"):
        yield (
            f"{path}.image: missing, and platform_image_registry is not given; expected one of them, for example "
            f"image: registry.example.com/shop/{name}:v1.0{suggestion(name, catalogue.SERVICES)}"
        )
        definition = {**definition, "image": "missing"}
    yield from (f"{path}.{finding}" for finding in of_definition(dict(definition)))


def _same_routes(whole: Whole) -> Iterator[str]:
    """Services that serve the same prefix to callers outside: only one of them would get the requests."""
    having: dict[str, str] = {}
    for name, definition in whole.definitions.items():
        for prefix in dict.fromkeys(catalogue.ingress_prefixes(definition.get("routes"))):
            first = having.setdefault(prefix, name)
            if first != name:
                yield (
                    f"{_place(name)}.routes: prefix {show(prefix)} is one of {first} too; expected a prefix that no other service "
                    f"serves to callers outside. Change it, or set ingress: false for one of them"
                )


def _same_names(whole: Whole) -> Iterator[str]:
    """Objects of two owners with one name: the services, their canaries, the databases and the cache."""
    having: dict[str, str] = {}
    objects = [(name, f"service {name}", _place(name)) for name in whole.definitions]
    objects += [(f"{name}-canary", f"the canary of {name}", _place(name)) for name in whole.definitions]
    objects += [
        (
            str(store.get("name")),
            f"the database of {store.get('owner')}",
            f"{_place(str(store.get('owner')))}.database.name",
        )
        for store in whole.databases
    ]
    for name, what, place in objects:
        first = having.setdefault(name, what)
        if first != what:
            yield f"{place}: {what} has the name {show(name)}, which {first} has too; expected another name"


def _callers(whole: Whole) -> Iterator[str]:
    known = {*whole.definitions, *whole.others, "*"}
    gone = catalogue.left_out(whole.entries)
    for name, definition in whole.definitions.items():
        callers = definition.get("callers")
        for index, caller in enumerate(callers if isinstance(callers, (list, tuple)) else ()):
            if not isinstance(caller, Mapping) or caller.get("service_account") in known:
                continue
            account = caller.get("service_account")
            if not account or caller.get("namespace") not in (None, "", definition.get("namespace")):
                continue
            why = "is left out (enabled: false)" if account in gone else "is no service"
            yield (
                f"{_place(name)}.callers[{index}].service_account: {show(account)} {why}"
                f"{suggestion(str(account), list(whole.definitions))}; expected a service of the catalogue "
                f"({_listed(whole.definitions)}), '*', or a name that is in {OTHERS}"
            )


def _owners(whole: Whole) -> Iterator[str]:
    known = {*whole.definitions, *whole.others}
    for store in whole.databases:
        if (owner := store.get("owner")) and owner not in known:
            yield (
                f"datastore_databases: the owner of {show(store.get('name'))}, {show(owner)}, is no service"
                f"{suggestion(str(owner), list(whole.definitions))}; nobody could connect. Expected a service of the catalogue "
                f"({_listed(whole.definitions)}), or a name that is in {OTHERS}"
            )


def _addresses(whole: Whole) -> Iterator[str]:
    for gone in catalogue.left_out(whole.entries):
        for name, key, value in catalogue.uses(whole.definitions.values(), gone):
            yield (
                f"{_place(name)}.{key}: {show(value)} is the address of {gone}, which is left out (enabled: false); expected another "
                f"value, or {gone} in the catalogue"
            )


def _place(name: str) -> str:
    """Where a service's definition comes from: an entry, or the variables of its role, of which an entry changes some."""
    return name if name in catalogue.SERVICES else f"{NAME}.{name}"


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)
