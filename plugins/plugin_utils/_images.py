# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where images come from: the inventory says it, and nothing else does. No I/O.

A default in a namespace of a public registry would run whatever somebody else publishes there, with the services' database
passwords and signing keys.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

REGISTRY = "platform_image_registry"
UPSTREAM = "platform_upstream_registry"
_EXAMPLE = "registry.example.com/shop"
# A place for images, as in an image reference (distribution/reference): host, port, and path components.
_PLACE = re.compile(
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?)"
    r"(?P<path>(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
)
# Registries where everybody can have a namespace: their host alone is nobody's place.
_SHARED = frozenset(
    {
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "quay.io",
        "ghcr.io",
        "gcr.io",
        "public.ecr.aws",
        "registry.gitlab.com",
        "registry.k8s.io",
        "mcr.microsoft.com",
    }
)


def place_finding(value: object, name: str = REGISTRY, *, own: bool = True) -> str | None:
    """What is wrong with a place for images; None when it can be one.

    `own`: it has to be a place of the user's own, so that the host of a public registry alone is none.
    """
    match = _PLACE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return f"{name}: {value!r} is not a registry with a path, without scheme, tag and '/' at the end; expected for example {_EXAMPLE}"
    host, path = match["host"], match["path"]
    # Without a dot or a port the first part is a namespace of Docker Hub (distribution/reference, splitDockerDomain).
    if "." not in host and ":" not in host and host != "localhost":
        there = f"docker.io/{value}"
        return f"{name}: {value!r} names no registry, so that images would come from {there}; write {there} if that is yours, or {_EXAMPLE}"
    if own and not path and host in _SHARED:
        wanted = f"{host}/<your namespace>, or {_EXAMPLE}"
        return f"{name}: {value!r} is a public registry, and no place of yours in it; expected for example {wanted}"
    return None


def findings(registry: object, images: Mapping[str, object], upstream: object = None) -> Iterator[str]:
    """Findings of `platform_image_registry` and `platform_upstream_registry` (None or empty: not given), and services without an image.

    `images`: variable of each service that is to run -> its image.
    """
    for name, place in ((REGISTRY, registry), (UPSTREAM, upstream)):
        if place is not None and place != "" and (found := place_finding(place, name, own=name == REGISTRY)):
            yield found
    missing = [name for name, image in images.items() if image is None or image == ""]
    if missing:
        yield (
            f"{', '.join(missing)}: no image is given, and there is no default. Set {REGISTRY} to where your images are (with {_EXAMPLE} "
            f"user-service is {_EXAMPLE}/user-service:v1.0), or these variables. playbooks/images.yml builds the reference services and "
            f"pushes them there: ansible-playbook playbooks/images.yml -i <inventory> -e {REGISTRY}={_EXAMPLE}"
        )
