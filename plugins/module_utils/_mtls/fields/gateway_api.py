# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of gateway.networking.k8s.io. Pure.

Routes of this group have no table: of one whose parent is a service, everything but the parent makes the calls unknown anyway.
"""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import (
    Table,
    below,
    decides,
    irrelevant,
)

_IDENTITY = (
    "it says which certificates are accepted; a wrong one ends a call, and none becomes mutual TLS or plain text by it"
)

BACKEND_TLS_POLICY = Table(
    decides("parse/gateway_api.py", *below("spec.targetRefs[]", "kind", "name", "sectionName")),
    irrelevant("a target counts whatever its group", "spec.targetRefs[].group"),
    irrelevant(
        _IDENTITY,
        *below("spec.validation", "hostname", "wellKnownCACertificates"),
        *below("spec.validation.caCertificateRefs[]", "group", "kind", "name"),
        *below("spec.validation.subjectAltNames[]", "type", "hostname", "uri"),
    ),
    irrelevant("not used by istiod", "spec.options.*"),
)
