# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles need to know of the catalogue of services."""

from __future__ import annotations

DOCUMENTATION = r"""
name: services
short_description: Return what the catalogue of services says
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - The catalogue has the six services that have roles of their own, and the entries of C(platform_services).
  - Defaults of the collection's roles are made of it; see docs/service-definition.md.
options:
  _terms:
    description:
      - What to return, and for V(definition), V(enabled), V(canary) and V(role) the name of a service.
      - V(names), V(added), V(databases) and V(gateway_paths) are lists of all services; V(cache) is the cache.
      - V(objectives) is a dictionary of what each service says about its service level objective; V(stores) are the names of the databases
        and of the cache that this platform runs.
      - V(selected) are the names of the services without a role of their own that the tags of the run select.
      - V(record) is what is remembered of the catalogue in the cluster; V(leaving), with such a record, is what it has and the catalogue
        has not, and who still needs it.
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: Show the paths that the ingress gateway serves
  ansible.builtin.debug:
    msg: "{{ lookup('servicemesh.platform.services', 'gateway_paths') }}"

- name: Show the definition of a service
  ansible.builtin.debug:
    msg: "{{ lookup('servicemesh.platform.services', 'definition', 'user-service') }}"
"""

RETURN = r"""
_raw:
  description: What was asked for.
  type: raw
"""

import enum
from collections.abc import Mapping
from typing import Any, assert_never

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.servicemesh.platform.plugins.plugin_utils._catalogue import Catalogue, plain
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import catalogue


class What(enum.StrEnum):
    """What can be asked for."""

    NAMES = "names"
    ADDED = "added"
    SELECTED = "selected"
    DATABASES = "databases"
    GATEWAY_PATHS = "gateway_paths"
    CACHE = "cache"
    RECORD = "record"
    OBJECTIVES = "objectives"
    STORES = "stores"
    LEAVING = "leaving"
    DEFINITION = "definition"
    ENABLED = "enabled"
    CANARY = "canary"
    ROLE = "role"


def answer(found: Catalogue, what: What, about: Any, variables: Mapping[str, Any]) -> Any:
    """The answer to one question. ``about``: name of a service, a record, or empty."""
    service = about if isinstance(about, str) else ""
    match what:
        case What.NAMES:
            return found.names
        case What.ADDED:
            return found.added
        case What.SELECTED:
            tags, skipped = variables.get("ansible_run_tags") or ["all"], variables.get("ansible_skip_tags") or []
            return catalogue.selected(found.added, tags, skipped)
        case What.DATABASES:
            return found.databases()
        case What.GATEWAY_PATHS:
            return found.gateway_paths()
        case What.CACHE:
            return found.cache()
        case What.RECORD:
            return found.record()
        case What.OBJECTIVES:
            return found.objectives()
        case What.STORES:
            return found.stores()
        case What.LEAVING:
            return found.leaving(plain(about) or {})
        case What.DEFINITION:
            return found.definition(service)
        case What.ENABLED:
            return service in found.names
        case What.CANARY:
            return found.canary(service)
        case What.ROLE:
            return catalogue.role_of(service) if service in catalogue.SERVICES else "added_services"
        case _:
            assert_never(what)


# The last catalogue of this process, with the variables that it was made of: a template asks many times, and a task has its own process.
_LAST: list[tuple[Mapping[str, Any], Catalogue]] = []


class LookupModule(LookupBase):
    """Lookup of this file."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **_kwargs: Any) -> list[Any]:
        """One answer, whatever its type."""
        what = str(terms[0]) if terms else ""
        if what not in {known.value for known in What}:
            raise AnsibleLookupError(f"services: {what!r} is not one of {', '.join(What)}")
        known = variables or {}
        if not _LAST or _LAST[0][0] is not known:
            _LAST[:] = [(known, Catalogue(self._templar, self._loader, known))]
        found = _LAST[0][1]
        return [answer(found, What(what), terms[1] if len(terms) > 1 else "", known)]
