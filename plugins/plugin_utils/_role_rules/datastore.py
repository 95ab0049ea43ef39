# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the role datastore."""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_

Store = Mapping[str, Any]

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?")
_SQL_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# What Istio accepts as a host (its pkg/config/validation/agent); its last part is not a number.
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_PORTS = {"datastore_databases": 5432, "datastore_redis": 6379}


def findings(values: Mapping[str, Any]) -> Iterator[str]:
    """Names and owners, databases that somebody else runs, passwords without a database."""
    stores = [(f"datastore_databases[{at}]", store) for at, store in enumerate(values["datastore_databases"])]
    if any(value is not None for value in values["datastore_redis"].values()):  # {} deploys none
        stores.append(("datastore_redis", values["datastore_redis"]))
    for where, store in stores:
        yield from _store(where, store, values["datastore_cluster_domain"])
    if values["datastore_mesh"] and not values["datastore_dns_capture"]:
        yield from _shared_ports(stores)
    names = [str(store.get("name") or "") for _where, store in stores]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"datastore_databases and datastore_redis: {name!r} is the name of {names.count(name)} of them; expected each name once"
    for name in sorted(set(values["datastore_passwords"]) - set(names)):
        yield (
            f"datastore_passwords: {name!r} is no database; expected names of datastore_databases and datastore_redis: "
            f"{', '.join(sorted(names))}"
        )


def _store(where: str, store: Store, cluster_domain: str) -> Iterator[str]:
    name, owner = str(store.get("name") or ""), str(store.get("owner") or "")
    if not _NAME.fullmatch(name):
        yield f"{where}.name: {name!r} is not what was expected: at most 52 lower-case letters, digits and '-' that begin with a letter"
    if is_.label(owner):
        yield f"{where}.owner: {owner!r} of {name} is no ServiceAccount; expected that of the service that uses the database"
    if store.get("external"):
        if not store.get("secret"):
            yield f"{where}.secret: is not given, and {name} is external; expected the name of the Secret with its address"
        yield from _address(where, store, cluster_domain)
        return
    if store.get("host") or store.get("port"):
        yield f"{where}.host: {name} is not external and has a host or port; expected neither, or external: true"
    if where != "datastore_redis":
        yield from _sql_names(where, store)


def _sql_names(where: str, store: Store) -> Iterator[str]:
    for key in ("database", "username"):
        value = str(store.get(key) or "")
        if not _SQL_NAME.fullmatch(value):
            yield f"{where}.{key}: {value!r} of {store.get('name')} is no name; expected at most 63 lower-case letters, digits and '_'"
        elif key == "username" and value.startswith("pg_"):
            yield f"{where}.{key}: {value!r} of {store.get('name')} is a name of PostgreSQL; expected one that does not begin with pg_"


def _address(where: str, store: Store, cluster_domain: str) -> Iterator[str]:
    host, port = str(store.get("host") or ""), store.get("port")
    inside = host.endswith(f".svc.{cluster_domain}")
    if host and (inside or not (_HOST_NAME.fullmatch(host) or _is_address(host))):
        yield (
            f"{where}.host: {host!r} of {store.get('name')} is not what was expected: a whole DNS name in lower case outside of "
            "the cluster, such as orders.db.example.com, or an IP address"
        )
    if port is not None and not host:
        yield f"{where}.port: {port} of {store.get('name')} is given without a host; expected both, or none of them"


def _is_address(value: str) -> bool:
    """What may be the address of another machine."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    first_is_zero = address.version == 4 and value.startswith("0.")
    return not (address.is_loopback or address.is_unspecified or first_is_zero or "%" in value)


def _shared_ports(stores: list[tuple[str, Store]]) -> Iterator[str]:
    """The listener of a name without an address is 0.0.0.0:<port>. If two names share it, the first gets the connections of both."""
    names: dict[int, set[str]] = defaultdict(set)
    for where, store in stores:
        host = str(store.get("host") or "")
        if store.get("external") and _HOST_NAME.fullmatch(host):
            names[int(store.get("port") or _PORTS[where.partition("[")[0]])].add(host)
    for port, hosts in sorted(names.items()):
        if len(hosts) > 1:
            shared = ", ".join(sorted(hosts))
            yield (
                f"datastore_databases: the external hosts {shared} share port {port}. A sidecar tells names on one port apart "
                "only if it resolves them itself; expected datastore_dns_capture to be true, with ISTIO_META_DNS_CAPTURE 'true' in "
                "istio_proxy_metadata; or addresses instead of names; or different ports"
            )
