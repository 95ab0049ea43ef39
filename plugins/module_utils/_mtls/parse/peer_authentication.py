# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PeerAuthentication. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import POLICY_MODES, Mode, Policy
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import (
    Obj,
    identity,
    texts,
)

_MODES = {mode.value: mode for mode in POLICY_MODES}


def peer_authentication(obj: Obj) -> Policy:
    """A PeerAuthentication. Ports of a policy without a selector are dropped, as istiod does."""
    namespace, name, created = identity(obj)
    spec = obj.get("spec") or {}
    selector = texts((spec.get("selector") or {}).get("matchLabels"))
    ports = {int(port): _mode(node) for port, node in (spec.get("portLevelMtls") or {}).items()} if selector else {}
    open_selector = spec.get("selector") is not None and not selector
    return Policy(namespace, name, created, selector, _mode(spec.get("mtls")), ports, open_selector)


def _mode(node: Any) -> Mode | None:
    """`mtls.mode`, None for UNSET, UNKNOWN for a value that Istio's API does not have."""
    mode = str((node or {}).get("mode") or "") if isinstance(node, Mapping) else ""
    return None if mode in ("", "UNSET") else _MODES.get(mode, Mode.UNKNOWN)
