# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of security.istio.io. Pure."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import Table, decides
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import POLICY_MODES

PEER_AUTHENTICATION = Table(
    decides("peer_authentications.py", "spec.selector.matchLabels.*"),
    decides("peer_authentications.py", "spec.mtls.mode", "spec.portLevelMtls.*.mode", values=["UNSET", *POLICY_MODES]),
)
