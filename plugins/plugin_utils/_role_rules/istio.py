# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the role istio."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_

# The revision is part of names of objects, as istio-sidecar-injector-<revision>.
_REVISION = re.compile(r"[a-z0-9]([-a-z0-9]{0,54}[a-z0-9])?")


def findings(values: Mapping[str, Any]) -> Iterator[str]:
    """What becomes the name of an object."""
    revision = values["istio_revision"]
    if revision and not _REVISION.fullmatch(revision):
        yield (
            f"istio_revision: {revision!r} becomes part of names of objects; expected at most 56 lower-case letters, digits and '-' "
            "(1-31-0, not 1.31.0), or an empty text"
        )
    for variable in ("istio_ingress_gateway_name", "istio_egress_gateway_name"):
        if is_.label(values[variable]):
            yield (
                f"{variable}: {values[variable]!r} becomes the name of objects; expected at most 63 lower-case letters, digits and '-' "
                "(RFC 1123)"
            )
