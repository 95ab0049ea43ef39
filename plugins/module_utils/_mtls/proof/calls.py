# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls from a pod of the mesh to a sample of others: in plain text, with a certificate of the mesh, and through a sidecar.

One Job makes one pod with a sidecar. Commands in the proxy's container run as the proxy's user, whose traffic is not redirected: what they
send arrives as it is. The agent writes the pod's certificate into the proxy's memory volume (OUTPUT_CERTS), so that the same port can be
called with and without it. Nothing stays: the Job is deleted at the end; if this process is killed, its deadline ends it and the control
plane deletes it (ttlSecondsAfterFinished).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.pods import PodError, admin, execute
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.wire import (
    Peer,
    Seen,
    answer,
    counters,
    meshed,
    peer,
    plain,
)

_CERTS = "/etc/istio/proxy"  # emptyDir in memory that the injector gives the proxy
_PROBE, _PROXY = "probe", "istio-proxy"
_READY = 60.0  # seconds for the probe pod to be ready
_CALL = 5  # seconds for one call
MANAGED = {"app.kubernetes.io/managed-by": "servicemesh-platform", "app.kubernetes.io/part-of": "mtls-probe"}


@dataclass(frozen=True, slots=True)
class Target:
    """A pod behind a service port. `direct` tells whether a proxy stands before it; `identity` is what it should show."""

    service: str
    host: str
    number: int
    pod: str
    ip: str
    port: int
    identity: str


def job(
    name: str, namespace: str, image: str, pull_policy: str, deadline: int, labels: Mapping[str, str]
) -> dict[str, Any]:
    """The Job of a probe. It ends by itself after `deadline` seconds."""
    proxy = {
        "proxyMetadata": {"OUTPUT_CERTS": _CERTS},
        "proxyStatsMatcher": {"inclusionRegexps": [r"cluster\.outbound.*(ssl\.handshake|upstream_cx_total)"]},
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


class Probe:
    """A probe pod, from `with` to its end."""

    def __init__(
        self, client: Client, namespace: str, image: str, pull_policy: str, deadline: int, labels: Mapping[str, str]
    ) -> None:
        self._client, self.namespace = client, namespace
        self.name = f"mtls-probe-{secrets.token_hex(4)}"
        self._job = job(self.name, namespace, image, pull_policy, deadline, labels)
        self.pod = ""

    def __enter__(self) -> Probe:
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"
        try:
            self._client.request("POST", path, body=self._job)
        except ApiError as error:
            right = " Expected the right to create jobs there." if error.status == 403 else ""
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
        """Waits for the pod, its sidecar, and its certificate. Raises KubeError with what is missing."""
        end = time.monotonic() + _READY
        why = "no pod was made"
        while time.monotonic() < end:
            query = {"labelSelector": f"batch.kubernetes.io/job-name={self.name}"}
            pods = (self._client.get(f"/api/v1/namespaces/{self.namespace}/pods", query=query) or {}).get("items") or []
            for pod in pods:
                self.pod = pod["metadata"]["name"]
                spec = pod["spec"]
                names = [c["name"] for c in [*spec["containers"], *(spec.get("initContainers") or [])]]
                if _PROXY not in names:
                    raise KubeError(
                        f"The probe pod in namespace {self.namespace} got no sidecar, so it cannot speak for the mesh. "
                        "Set probe_namespace to a namespace where pods are injected."
                    )
                conditions = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or []}
                ready = conditions.get("Ready") or {}
                why = ready.get("message") or (conditions.get("PodScheduled") or {}).get("message") or "it is starting"
                if ready.get("status") == "True" and self._has_certificate():
                    return
            time.sleep(0.3)
        raise KubeError(
            f"The probe pod {self.namespace}/{self.pod or self.name} was not ready within {_READY:.0f} s: {why}."
        )

    def _has_certificate(self) -> bool:
        return self._run(_PROXY, ["test", "-s", f"{_CERTS}/key.pem"])[0] == 0

    def _run(self, container: str, command: Sequence[str]) -> tuple[int | None, str]:
        done = execute(self._client, self.namespace, self.pod, container, command, _CALL + 5)
        return done.code, done.out

    def _curl(self, container: str, *args: str) -> tuple[int | None, str]:
        return self._run(container, ["curl", "-s", "-o", "/dev/null", "--max-time", str(_CALL), *args])

    def plain(self, target: Target) -> str:
        """A call in plain text straight to the pod."""
        return plain(answer(*self._curl(_PROXY, "-w", "%{http_code} %{errormsg}", f"http://{_at(target)}/")))

    def control(self, target: Target) -> Peer:
        """The same call with a certificate of the mesh: shows that the port lives, and who answers there."""
        files = ["--cert", f"{_CERTS}/cert-chain.pem", "--key", f"{_CERTS}/key.pem", "-k"]
        found = self._curl(_PROXY, *files, "-w", "%{http_code} %{certs}", f"https://{_at(target)}/")
        return peer(answer(*found))

    def meshed(self, target: Target, path: str) -> Any:
        """A call through the probe's own sidecar, with its counters before and after."""
        before = self._counters(target)
        found = self._curl(_PROBE, "-w", "%{http_code} %{errormsg}", f"http://{target.host}:{target.number}{path}")
        return meshed(answer(*found), before, self._counters(target))

    def _counters(self, target: Target) -> dict[str, int]:
        name = quote(f"outbound.{target.number}.*{target.host}.*(handshake|upstream_cx_total)")
        text = admin(self._client, self.namespace, self.pod, f"/stats?filter={name}")
        return counters(text.decode(errors="replace"), target.host, target.number)

    def see(self, target: Target, path: str) -> Seen:
        """All three calls to one pod. What goes wrong on the way is a note, not a verdict."""
        try:
            control = self.control(target)
            return Seen(
                target.service,
                target.number,
                target.pod,
                self.plain(target),
                control,
                target.identity,
                self.meshed(target, path),
            )
        except PodError as error:
            return Seen(target.service, target.number, target.pod, "silent", Peer(), target.identity, None, str(error))


def _at(target: Target) -> str:
    return f"[{target.ip}]:{target.port}" if ":" in target.ip else f"{target.ip}:{target.port}"
