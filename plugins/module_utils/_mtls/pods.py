# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods are for, why they have no sidecar, and what passes one: parts of `model.Group`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

INJECT = "sidecar.istio.io/inject"  # label or annotation: the wish of a pod
# istio pkg/kube/inject/initializer.go, IgnoredNamespaces
NEVER_INJECTED = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})


class Bare(StrEnum):
    """Why a pod has no sidecar, as far as the objects tell. The values are the words of results."""

    NO = ""  # it has one
    HOST_NETWORK = "hostNetwork: the injector leaves it alone"
    IGNORED = "its namespace is one of the cluster's own, which the injector leaves alone"
    REFUSED = "sidecar.istio.io/inject is false"
    REMOVED = "annotation sidecar.istio.io/status says that it was injected, but there is no container istio-proxy"
    MISSED = "sidecar.istio.io/inject is true, but it was not injected"
    OLDER = "it is older than the namespace's injection label"
    NOT_ASKED = "its namespace asks for no injection"


class Role(StrEnum):
    """What pods without a sidecar are for, as far as that decides whether they should have one."""

    APPLICATION = "application"
    JOB = "job"
    ENTRANCE = "entrance"  # calls from outside of the cluster arrive there
    SYSTEM = "system"  # part of the cluster or of Istio


class Redirection(StrEnum):
    """Who redirected a pod's traffic to its sidecar."""

    INIT = "istio-init"
    CNI = "istio-cni"
    NOBODY = "nobody"  # nothing of the pod says that anybody did


@dataclass(frozen=True, slots=True)
class Capture:
    """Which traffic of a pod passes its sidecar, as istio-iptables was told. Ports are container ports.

    `include_in` is None for all ports; `exclude_in` counts only then. `exclude_out` goes before everything else that is outbound, and
    `include_out` adds to `include_out_ranges`. `mode` is the pod's own interceptionMode, empty for the mesh's. `as_proxy` names a
    container that runs as the proxy's user or group, whose traffic is left alone. `unclear` says what could not be understood.
    """

    by: Redirection = Redirection.INIT
    mode: str = ""
    include_in: frozenset[int] | None = None
    exclude_in: frozenset[int] = frozenset()
    include_out: frozenset[int] = frozenset()
    exclude_out: frozenset[int] = frozenset()
    include_out_ranges: tuple[str, ...] = ("*",)
    exclude_out_ranges: tuple[str, ...] = ()
    as_proxy: str = ""
    unclear: str = ""
    none: bool = False  # nothing is redirected

    def takes_inbound(self, port: int) -> bool:
        """Whether a connection to a container port passes the sidecar."""
        if self.none:
            return False
        return port not in self.exclude_in if self.include_in is None else port in self.include_in
