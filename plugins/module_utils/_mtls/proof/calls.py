# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls on the wire from a pod of the mesh to others: in plain text, with a certificate of the mesh, and through a sidecar.

One Job makes one pod with a sidecar. Commands in the proxy's container run as the proxy's user, whose traffic is not redirected: what they
send arrives unchanged. The agent writes the pod's certificate into the proxy's memory volume (OUTPUT_CERTS), so the same port can be called
with and without it. Nothing stays: the Job is deleted at the end. If this process is killed, the Job's deadline ends it and the control
plane deletes it (ttlSecondsAfterFinished).
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.pods import admin, admin_json, execute
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import condition
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import PROXY_CONTAINER
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.kinds import Spot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.wire import (
    Answer,
    Counters,
    Peer,
    PlainCall,
    answer,
    counters,
    peer,
    plain,
)

_CERTS = "/etc/istio/proxy"  # emptyDir in memory that the injector gives the proxy
_PROBE = "probe"
_READY = 60.0  # seconds for the probe pod to be ready
_CALL = 5  # seconds for one call
MANAGED = {"app.kubernetes.io/managed-by": "servicemesh-platform", "app.kubernetes.io/part-of": "mtls-probe"}


def job(
    name: str, namespace: str, image: str, pull_policy: str, deadline: int, labels: Mapping[str, str]
) -> dict[str, Any]:
    """The Job of a probe. It ends by itself after `deadline` seconds."""
    proxy = {
        "proxyMetadata": {"OUTPUT_CERTS": _CERTS},
        "proxyStatsMatcher": {"inclusionRegexps": [r"cluster\.outbound.*ssl\.handshake"]},
    }
    container = {
        "name": _PROBE,
        "image": image,
        "imagePullPolicy": pull_policy,
        "command": ["sleep", str(deadline)],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(MANAGED)},
        "spec": {
            "activeDeadlineSeconds": deadline,
            "ttlSecondsAfterFinished": 0,
            "backoffLimit": 0,
            "template": {
                "metadata": {
                    "labels": {**MANAGED, "app": "mtls-probe", "sidecar.istio.io/inject": "true", **labels},
                    "annotations": {"proxy.istio.io/config": json.dumps(proxy)},
                },
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 0,
                    "containers": [container],
                },
            },
        },
    }


class ProbePod:
    """A pod that calls from inside the mesh. It exists from `with` to the end of the block."""

    def __init__(
        self, client: Client, namespace: str, image: str, pull_policy: str, deadline: int, labels: Mapping[str, str]
    ) -> None:
        self._client, self.namespace = client, namespace
        self.name = f"mtls-probe-{secrets.token_hex(4)}"
        self._job = job(self.name, namespace, image, pull_policy, deadline, labels)
        self.pod = ""
        self.found: dict[str, Any] = {}  # the pod as it runs

    def __enter__(self) -> ProbePod:
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"
        try:
            self._client.request("POST", path, body=self._job)
        except ApiError as error:
            right = " Grant the right to create jobs in it." if error.status == 403 else ""
            raise KubeError(f"The probe cannot be started in namespace {self.namespace}: {error}.{right}") from None
        try:
            self._wait()
        except BaseException:
            self._delete()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._delete()

    def _delete(self) -> None:
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{self.name}"
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        try:
            self._client.request("DELETE", path, body=options)
        except ApiError as error:
            if error.status != 404:
                raise

    def _wait(self) -> None:
        """Waits for the pod, its sidecar, and its certificate. Raises KubeError with the reason when they are not ready in time."""
        end = time.monotonic() + _READY
        why = "no pod was created"
        query = {"labelSelector": f"batch.kubernetes.io/job-name={self.name}"}
        while time.monotonic() < end:
            found = self._client.get(f"/api/v1/namespaces/{self.namespace}/pods", query=query) or {}
            for pod in found.get("items") or []:
                self.pod, self.found = pod["metadata"]["name"], pod
                self._demand_sidecar(pod["spec"])
                ready = condition(pod, "Ready")
                why = ready.get("message") or condition(pod, "PodScheduled").get("message") or "it is starting"
                if ready.get("status") == "True" and self._has_certificate():
                    return
            time.sleep(0.3)
        raise KubeError(
            f"The probe pod {self.namespace}/{self.pod or self.name} was not ready within {_READY:.0f} s: {why}."
        )

    def _demand_sidecar(self, spec: Mapping[str, Any]) -> None:
        names = [container["name"] for container in [*spec["containers"], *(spec.get("initContainers") or [])]]
        if PROXY_CONTAINER not in names:
            raise KubeError(
                f"The probe pod in namespace {self.namespace} has no sidecar, so its calls are not those of the mesh. "
                "Set probe_namespace to a namespace where sidecars are injected."
            )

    def _has_certificate(self) -> bool:
        return self._run(PROXY_CONTAINER, ["test", "-s", f"{_CERTS}/key.pem"])[0] == 0

    def _run(self, container: str, command: Sequence[str]) -> tuple[int | None, str]:
        done = execute(self._client, self.namespace, self.pod, container, command, _CALL + 5)
        return done.code, done.out

    def _curl(self, container: str, *args: str) -> tuple[int | None, str]:
        return self._run(container, ["curl", "-s", "-o", "/dev/null", "--max-time", str(_CALL), *args])

    def plain(self, spot: Spot) -> PlainCall:
        """A call in plain text, straight to an address."""
        return plain(answer(*self._curl(PROXY_CONTAINER, "-w", "%{http_code} %{errormsg}", f"http://{_at(spot)}/")))

    def control(self, spot: Spot) -> Peer:
        """The same call with a certificate of the mesh: whether the port answers at all, and with which identity."""
        files = ["--cert", f"{_CERTS}/cert-chain.pem", "--key", f"{_CERTS}/key.pem", "-k"]
        found = self._curl(PROXY_CONTAINER, *files, "-w", "%{http_code} %{certs}", f"https://{_at(spot)}/")
        return peer(answer(*found))

    def meshed(self, host: str, number: int, path: str, only: int, address: str) -> Answer:
        """A call through the probe's own sidecar, by one family of addresses (0: any), to the host's own or to a given address."""
        family = [f"-{only}"] if only else []
        place = ["--resolve", f"{host}:{number}:{_bracketed(address)}"] if address else []
        url = f"http://{host}:{number}{path}"
        return answer(*self._curl(_PROBE, *family, *place, "-w", "%{http_code} %{errormsg}", url))

    def counters(self, host: str, number: int) -> Counters:
        """What the probe's sidecar has counted for a service port. An Envoy that does not know `filter` answers with all clusters."""
        name = f"outbound.{number}.*{re.escape(host)}"
        stats = admin(self._client, self.namespace, self.pod, f"/stats?filter={quote(f'{name}.*handshake')}")
        clusters = admin_json(self._client, self.namespace, self.pod, f"/clusters?format=json&filter={quote(name)}")
        return counters(stats.decode(errors="replace"), clusters, host, number)


def _at(spot: Spot) -> str:
    return f"{_bracketed(spot.address)}:{spot.port}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
