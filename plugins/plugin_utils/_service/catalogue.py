# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The catalogue of services: which there are, the definition and the database of each, and what others need to know of all of them.

An entry of ``platform_services`` is a service definition without the keys that the catalogue sets, and with those of :data:`KEYS`. The
entry of a service that has a role of its own is merged over what the role says. Everything here is plain: no I/O, no templates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.keys import DEFINITION

# The services that have a role of their own, in the order in which lists name them.
SERVICES = (
    "user-service",
    "product-service",
    "order-service",
    "payment-service",
    "review-service",
    "recommendation-service",
)
# Keys of an entry that are no keys of a definition.
KEYS = ("enabled", "database", "canary")
# Keys of a definition that the catalogue sets: the name is that of the entry, and all services are in one namespace.
GIVEN = ("name", "namespace", "track")
ENTRY_KEYS = (*KEYS, *(key for key in DEFINITION.fields if key not in GIVEN))
# Of a role's variables, those that are keys of the definition with the same value.
ROLE_KEYS = (
    "namespace", "version", "image", "image_pull_policy", "image_pull_secrets", "replicas", "autoscaling", "resources", "config",
    "routes", "traffic", "callers", "rollout",
)  # fmt: skip
CACHE: Mapping[str, str] = {"name": "redis", "owner": "product-service"}
FIRST_VERSION = "v1.0"
NO_IMAGE = "removed"  # image of a service that is removed: a definition needs one

Entry = Mapping[str, Any]
Definition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Platform:
    """What services without a role of their own have from the platform. ``jwt``: whose tokens a route with ``require_jwt`` accepts."""

    namespace: str = "ecommerce"
    registry: str = ""
    replicas: Any = 3
    image_pull_policy: str = "IfNotPresent"
    jwt: Mapping[str, Any] = field(default_factory=dict)


def role_of(service: str) -> str:
    """The form of a service's name in variables and tags."""
    return service.replace("-", "_")


def is_true(value: Any) -> bool:
    """A boolean of an inventory; given on the command line it is text."""
    return value.lower() in ("true", "yes") if isinstance(value, str) else bool(value)


def entry_of(entries: Any, service: str) -> Entry:
    """A service's entry; empty when it has none, or one that is malformed (a finding)."""
    entry = entries.get(service) if isinstance(entries, Mapping) else None
    return entry if isinstance(entry, Mapping) else {}


def is_enabled(entries: Any, service: str) -> bool:
    """Whether the catalogue has a service and does not leave it out."""
    known = service in SERVICES or (isinstance(entries, Mapping) and service in entries)
    return known and is_true(entry_of(entries, service).get("enabled", True))


def added(entries: Any) -> list[str]:
    """Names of the services without a role of their own that are not left out, callees before their callers."""
    if not isinstance(entries, Mapping):
        return []
    return in_order({str(name): entry_of(entries, name) for name in entries if _is_added(entries, name)})


def _is_added(entries: Mapping[str, Any], name: Any) -> bool:
    return name not in SERVICES and is_enabled(entries, name)


def names(entries: Any) -> list[str]:
    """Names of all services that are not left out."""
    return [name for name in SERVICES if is_enabled(entries, name)] + added(entries)


def left_out(entries: Any) -> list[str]:
    """Names of the services with ``enabled: false``."""
    given = entries if isinstance(entries, Mapping) else {}
    return [str(name) for name in dict.fromkeys([*SERVICES, *given]) if not is_enabled(given, name)]


def in_order(services: Mapping[str, Entry]) -> list[str]:
    """Callees before those that they name as callers, as far as no circle prevents it; otherwise in the given order."""
    waiting = list(services)
    calls = {
        name: {other for other in services if other != name and name in callers(services[other])} for name in waiting
    }
    result: list[str] = []
    while waiting:
        following = next((name for name in waiting if calls[name] <= set(result)), waiting[0])
        waiting.remove(following)
        result.append(following)
    return result


def callers(definition: Entry) -> list[str]:
    """ServiceAccounts that a definition names as callers; a malformed one has none."""
    return [str(caller.get("service_account")) for caller in _dicts(definition.get("callers"))]


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, (list, tuple)) else []


def combined(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over``; dicts in it are merged, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        mine = result.get(key)
        result[key] = combined(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return result


# Databases ---------------------------------------------------------------------------------------------------------


def database(service: str, entry: Entry, of_role: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """The database of a service as an entry of ``datastore_databases``; None when it has none.

    A service with a role has one unless the entry says ``database: false``; another one only if the entry asks for it.
    """
    wanted = entry.get("database", of_role is not None)
    keys = wanted if isinstance(wanted, Mapping) else {}
    if not isinstance(wanted, Mapping) and not is_true(wanted):
        return None
    short = service.removesuffix("-service") or service
    usual = {
        "name": f"{short}-db",
        "owner": service,
        "database": role_of(short),
        "username": role_of(service),
    }
    return {**usual, **(of_role or {}), **keys}


def database_secret(entry: Mapping[str, Any] | None) -> str:
    """Secret with the key ``url`` of a database."""
    return str(entry.get("secret") or entry["name"]) if entry else ""


# Definitions -------------------------------------------------------------------------------------------------------


def of_added(service: str, entry: Entry, platform: Platform) -> Definition:
    """The definition of a service without a role of its own."""
    own = _own(entry)
    image = str(own.get("image") or "")
    version = str(own.get("version") or is_.image_tag(image) or FIRST_VERSION)
    if not image and platform.registry:
        image = f"{platform.registry}/{service}:{version}"
    store = database(service, entry)
    base: Definition = {
        "name": service,
        "namespace": platform.namespace,
        "version": version,
        "image": image,
        "image_pull_policy": platform.image_pull_policy,
        "replicas": platform.replicas,
        "env": _environment(service, version, own),
        "secret_env": _database_url(database_secret(store)),
    }
    if platform.jwt and any(is_true(route.get("require_jwt", False)) for route in _dicts(own.get("routes"))):
        base["jwt"] = dict(platform.jwt)
    result = combined(base, {**own, "image": image})
    result["secret_env"] = [*base["secret_env"], *(own.get("secret_env") or [])]
    return result


def of_role(service: str, values: Mapping[str, Any], entry: Entry, without: Iterable[str] = ()) -> Definition:
    """The definition of a service with a role of its own.

    ``values``: the role's variables without its prefix, and ``own`` and ``calls`` of its ``vars``: the keys that only this service has, and
    environment variable -> service that it calls. ``without``: services that are left out.
    """
    own, changes = values.get("own") or {}, combined(values.get("extra") or {}, _own(entry))
    gone = set(without)
    calls = {name: f"http://{callee}" for name, callee in (values.get("calls") or {}).items() if callee not in gone}
    environment = _environment(service, str(changes.get("version") or values["version"]), changes)
    result: Definition = {
        "name": service,
        **{key: values[key] for key in ROLE_KEYS},
        "env": {**environment, **calls, **(own.get("env") or {}), **values["env"]},
        "secret_env": [*_database_url(str(values["database_secret"] or "")), *(own.get("secret_env") or [])],
    }
    if own.get("generated_secrets"):
        result["generated_secrets"] = own["generated_secrets"]
    if "jwt_issuer" in values:
        result["jwt"] = {
            "issuer": values["jwt_issuer"],
            "audiences": values["jwt_audiences"],
            "jwks": values["jwks"],
            "jwks_uri": "" if values["jwks"] else values["jwks_uri"],
        }
    result = combined(result, changes)
    if service in gone or values.get("state") == "absent":
        # A removal needs no image. Secrets of a service that is only left out are kept.
        result["image"] = result["image"] or NO_IMAGE
        if service in gone:
            result["generated_secrets"] = []
    return result


def traced(definition: Definition, environment: Mapping[str, str]) -> Definition:
    """A definition with the variables that tell where spans go; what the service says itself comes first."""
    return {**definition, "env": {**environment, **(definition.get("env") or {})}} if environment else definition


def removed(service: str, namespace: str) -> Definition:
    """The definition of a service that is no longer in the catalogue: enough to delete what was made of it. Its Secrets are kept."""
    return {"name": service, "namespace": namespace, "image": NO_IMAGE}


def _own(entry: Entry) -> dict[str, Any]:
    """The keys of an entry that are keys of the definition."""
    return {key: value for key, value in entry.items() if key not in (*KEYS, *GIVEN)}


def _environment(service: str, version: str, changes: Mapping[str, Any]) -> dict[str, str]:
    port = changes.get("port") or DEFINITION.fields["port"].default
    return {"SERVICE_NAME": service, "SERVICE_VERSION": version, "PORT": str(port)}


def _database_url(secret: str) -> list[dict[str, str]]:
    return [{"name": "DATABASE_URL", "secret": secret, "key": "url"}] if secret else []


# What others need --------------------------------------------------------------------------------------------------


def ingress_prefixes(routes: Any) -> list[str]:
    """Prefixes of the routes that callers outside may use."""
    found = [route for route in _dicts(routes) if is_true(route.get("ingress", True)) and route.get("prefix")]
    return [str(route["prefix"]).rstrip("/") or "/" for route in found]


def gateway_paths(routes: Iterable[Any]) -> list[str]:
    """The prefixes that the ingress gateway serves, from the routes of all services."""
    return list(dict.fromkeys(prefix for one in routes for prefix in ingress_prefixes(one)))


_HOST = re.compile(r"https?://([a-z0-9-]+)([.][^/]*)?(?=[:/?]|$)")


def uses(definitions: Iterable[Entry], callee: str) -> Iterator[tuple[str, str, str]]:
    """(service, key, value) of each value that is an address of ``callee``: environment variables, and where keys of tokens are fetched."""
    for definition in definitions:
        jwt = definition.get("jwt")
        values = {f"env.{name}": value for name, value in _items(definition.get("env"))}
        values |= {f"config.{name}": value for name, value in _items(definition.get("config"))}
        values |= {"jwt.jwks_uri": jwt.get("jwks_uri")} if isinstance(jwt, Mapping) else {}
        for key, value in values.items():
            if isinstance(value, str) and _is_address(value, callee, str(definition.get("namespace"))):
                yield str(definition["name"]), key, value


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _is_address(value: str, service: str, namespace: str) -> bool:
    """Whether a URL is that of a Service of the namespace: by its name, with the namespace, or with the cluster's domain."""
    match = _HOST.match(value)
    if match is None or match[1] != service:
        return False
    rest = (match[2] or "").partition(":")[0]
    return rest in ("", f".{namespace}") or rest.startswith(f".{namespace}.svc")


def selected(services: Sequence[str], run: Iterable[str], skip: Iterable[str] = ()) -> list[str]:
    """The services without a role of their own that the tags of a run select. A service's tag is its name with underscores."""
    wanted, unwanted = set(run), set(skip)
    general = {"all", "added_services", "microservice"}
    if unwanted & general:
        return []
    found = services if wanted & general else [name for name in services if role_of(name) in wanted]
    return [name for name in found if role_of(name) not in unwanted]


# The record of what was deployed ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leaving:
    """What was deployed and is no longer in the catalogue.

    ``databases``: entries of ``datastore_databases``; ``cache``: a value of ``datastore_redis``.
    """

    services: list[str]
    databases: list[dict[str, Any]]
    cache: dict[str, Any]


def record(wanted: Iterable[str], databases: Iterable[Entry], cache: Entry) -> dict[str, Any]:
    """What is remembered of a catalogue in the cluster. What is external is left out: it was not deployed."""
    own = [dict(store) for store in databases if not is_true(store.get("external", False))]
    return {
        "services": sorted(wanted),
        "databases": sorted(own, key=lambda store: str(store["name"])),
        "cache": {} if is_true(cache.get("external", False)) else dict(cache),
    }


def leaving(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> Leaving:
    """What a record has and the catalogue does not. Both as :func:`record` returns them.

    Services with a role of their own are left out: their role removes them.
    """
    gone = [name for name in recorded.get("services") or [] if name not in wanted["services"] and name not in SERVICES]
    kept = {str(store["name"]) for store in wanted["databases"]}
    databases = [dict(store) for store in recorded.get("databases") or [] if str(store["name"]) not in kept]
    cache = dict(recorded.get("cache") or {})
    return Leaving(gone, databases, {} if cache.get("name") == wanted["cache"].get("name") else cache)
