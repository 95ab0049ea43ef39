# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Istio's own code what it would send to each proxy of a mesh: a process of tests/judge/program, one line for each mesh."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import yaml

from tests.judge.build import program

Obj = dict[str, Any]
PER_PROCESS = 500  # meshes before a new process is started: Istio's test server keeps memory of each
_KUBE = ("Pod", "Service", "EndpointSlice", "Namespace")


class RejectedError(Exception):
    """Istio does not take an object: the API server would have refused it."""


class Istio:
    """Istio's code in a process of its own. `asked` is the number of meshes so far."""

    def __init__(self) -> None:
        self.asked = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Istio:
        return self

    def __exit__(self, *_failure: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def proxies(self, objects: list[Obj], config: Obj, *, routes: bool = False) -> dict[str, Obj]:
        """What each pod with a proxy gets, by namespace/name (docs of the fields: program/main.go). `routes`: with whole routes."""
        if self.asked % PER_PROCESS == 0:
            self._end()
            self._process = subprocess.Popen([str(program())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.asked += 1
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        question = {
            "config": yaml.safe_dump(config),
            "routes": routes,
            "kube": [entry for entry in objects if entry["kind"] in _KUBE],
            "istio": [
                entry for entry in objects if ".istio.io/" in entry["apiVersion"] and _read(entry, objects, config)
            ],
            "proxies": [_proxy(entry) for entry in objects if entry["kind"] == "Pod" and role(entry)],
        }
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RejectedError(answer["error"])
        found: dict[str, Obj] = answer.get("proxies") or {}
        return found


def _read(entry: Obj, objects: list[Obj], config: Obj) -> bool:
    """Whether discoverySelectors (matchLabels only) select an object's namespace. The test server filters Kubernetes' kinds itself."""
    selectors = [selector["matchLabels"].items() for selector in config.get("discoverySelectors", [])]
    labels = next(
        other["metadata"]["labels"].items()
        for other in objects
        if other["kind"] == "Namespace" and other["metadata"]["name"] == entry["metadata"]["namespace"]
    )
    return not selectors or any(selector <= labels for selector in selectors)


def role(pod: Obj) -> str:
    """What a pod's proxy is: sidecar, router, or nothing."""
    for container in pod["spec"]["containers"]:
        if container["name"] == "istio-proxy":
            return str(container["args"][1])
    return ""


def addresses(pod: Obj) -> list[str]:
    return [entry["ip"] for entry in pod["status"]["podIPs"]]


def _proxy(pod: Obj) -> Obj:
    meta = pod["metadata"]
    return {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "kind": role(pod),
        "addresses": addresses(pod),
        "labels": meta["labels"],
        "account": pod["spec"].get("serviceAccountName", "default"),
    }
