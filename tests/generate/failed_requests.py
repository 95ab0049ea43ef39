# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of docs/canary.md that say whose fault a failed request is."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.faults import (
    FLAGS,
    GRPC_STATUSES,
    Failures,
    Fault,
    grpc_fault,
)

from tests.generate.files import table

WORDS = {
    Fault.SERVER: "server",
    Fault.CALLER: "caller",
    Fault.NEITHER: "neither",
    Fault.OPEN: "the code decides",
    Fault.NOBODY: "nobody: served",
}


def flags() -> str:
    """Envoy's response flags."""
    rows = []
    for short, flag in FLAGS.items():
        why = f"{flag.why}. At the source: {flag.why_source}" if flag.why_source else flag.why
        rows.append([f"`{short}` {flag.long}", WORDS[flag.destination], WORDS[flag.source], why])
    return f"\n{table(['flag', 'at the destination', 'at the source', 'why'], rows)}\n"


def statuses() -> str:
    """Statuses of gRPC."""
    rows = [
        [f"{status} {name}", WORDS[grpc_fault(status, Failures())], why]
        for status, (name, why) in GRPC_STATUSES.items()
    ]
    return f"\n{table(['gRPC status', 'whose fault', 'why'], rows)}\n"
