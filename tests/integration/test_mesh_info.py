# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mesh_info on the real mesh: an Envoy that is stopped, one that refuses its configuration, and objects that name what does not exist."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import pods
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.sync import short

from tests.integration import istiod
from tests.integration.conftest import deployment, run_module
from tests.integration.test_charts import ISTIOCTL, there
from tests.support import ansible_playbook

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
Obj = dict[str, Any]
SIGNAL = 'for p in /proc/[0-9]*; do [ "$(cat $p/comm)" = envoy ] && kill -%s "${p#/proc/}"; done'
_PATIENCE = 30.0  # seconds for istiod and the proxies
# Envoy has no extension of this type, so it refuses the listener.
UNKNOWN = {"@type": "type.googleapis.com/udpa.type.v1.TypedStruct", "type_url": "type.googleapis.com/no.such.Filter"}


def patch(namespace: str) -> Obj:
    """An EnvoyFilter that the Envoy of `refuses` cannot take."""
    value = {"name": "no.such.filter", "typed_config": UNKNOWN}
    match = {"context": "SIDECAR_INBOUND", "listener": {"name": "virtualInbound"}}
    change = {"applyTo": "NETWORK_FILTER", "match": match, "patch": {"operation": "INSERT_FIRST", "value": value}}
    spec = {"workloadSelector": {"labels": {"app": "refuses"}}, "configPatches": [change]}
    meta = {"name": "refused", "namespace": namespace}
    return {"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": meta, "spec": spec}


def service(namespace: str, name: str, app: str) -> Obj:
    spec = {"selector": {"app": app}, "ports": [{"name": "tcp", "port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def istio(kind: str, namespace: str, name: str, **spec: Any) -> Obj:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": meta, "spec": {"exportTo": ["."], **spec}}


class Bed:
    """A namespace of the mesh with two workloads, `stops` and `refuses`."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    def make(self, *objects: Obj) -> None:
        result = run_module("apply", definitions=list(objects), wait_timeout=120)
        assert not result.get("failed"), result["msg"]

    def told(self, **options: Any) -> Obj:
        given = {"namespaces": [self.namespace], "sections": ["proxies"], "stale_after": 1, **options}
        result = run_module("mesh_info", **given)
        assert not result.get("failed"), result["msg"]
        return result

    def until(self, good: Callable[[dict[str, Obj]], bool], **options: Any) -> Obj:
        """The first result whose proxies, by workload, are as wanted."""
        end = time.monotonic() + _PATIENCE
        while True:
            result = self.told(**options)
            proxies = {entry["workload"]: entry for entry in result["proxies"]}
            if good(proxies):
                return result
            assert time.monotonic() < end, proxies
            time.sleep(0.5)

    def signal(self, name: str) -> None:
        """Sends a signal to the Envoy of `stops`."""
        (pod,) = self.client.list_all(f"/api/v1/namespaces/{self.namespace}/pods", {"labelSelector": "app=stops"})[0]
        command = ["sh", "-c", SIGNAL % name]
        done = pods.execute(self.client, self.namespace, pod["metadata"]["name"], "istio-proxy", command)
        assert done.error == "", done


@pytest.fixture(scope="module")
def bed(cluster: None) -> Iterator[Bed]:
    client, name = Client({}), f"t-mesh-{uuid.uuid4().hex[:6]}"
    made = Bed(client, name)
    labels = {"istio-injection": "enabled"}
    try:
        made.make(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
            *(deployment(name, app) for app in ("stops", "refuses")),
            service(name, "stops", "stops"),
        )
        yield made
    finally:
        client.request("DELETE", f"/api/v1/namespaces/{name}")


def synced(proxies: dict[str, Obj]) -> bool:
    return len(proxies) == 2 and all(entry["state"] == "synced" for entry in proxies.values())


STATUSES = {"SYNCED": "synced", "STALE": "stale", "ERROR": "rejected"}


def istioctl(*arguments: str) -> str:
    argv = [there(ISTIOCTL), "proxy-status", "--kubeconfig", os.environ["KUBECONFIG"], *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def istioctls_states(namespace: str) -> dict[str, dict[str, str]]:
    """States of the types of each pod, as istioctl tells them."""
    listed = json.loads(istioctl("--namespace", namespace, "--output", "json"))["resources"]
    return {
        entry["node"]["id"].partition(".")[0]: {
            short(config["typeUrl"]): STATUSES[config["configStatus"]] for config in entry["genericXdsConfigs"]
        }
        for entry in listed
    }


def codes(result: Obj, app: str = "") -> set[str]:
    return {entry["code"] for entry in result["findings"] if app in entry["object"]}


def test_proxies_that_are_stale_or_refuse_are_found_and_recover(bed: Bed) -> None:
    before = bed.until(synced, proxies=[f"{bed.namespace}/refuses"])
    assert (before["findings"], before["summary"]["answer"]) == ([], "healthy")
    (config,) = before["proxy_configs"]
    assert (config["known"], config["differences"]) == (True, [])
    assert "virtualInbound" in config["summary"]["listeners"]
    assert "default" in config["summary"]["secrets"]

    bed.signal("STOP")
    # A Service more is a cluster more for every proxy.
    bed.make(service(bed.namespace, "pushed", "stops"), patch(bed.namespace))
    wanted = {"stops": "stale", "refuses": "rejected"}
    result = bed.until(lambda found: {app: entry["state"] for app, entry in found.items()} == wanted)
    by_app = {entry["workload"]: entry for entry in result["proxies"]}
    assert by_app["stops"]["types"]["CDS"]["state"] == "stale"
    assert by_app["refuses"]["types"]["LDS"]["state"] == "rejected"
    assert "no.such.Filter" in by_app["refuses"]["types"]["LDS"]["error"]
    assert codes(result, "/stops-") == {"proxy_stale"}
    assert codes(result, "/refuses-") == {"proxy_rejected"}
    assert result["failing"] == result["findings"]
    assert result["summary"]["answer"] == "findings"
    # Only what stays as it is: other types may be pushed at any moment.
    theirs = istioctls_states(bed.namespace)
    assert theirs[by_app["stops"]["pod"]]["CDS"] == "stale"
    assert theirs[by_app["refuses"]["pod"]]["LDS"] == "rejected"
    (config,) = bed.told(proxies=[f"{bed.namespace}/refuses"])["proxy_configs"]
    compared = istioctl(f"{config['pod']}.{bed.namespace}")
    assert [
        f"{kind}s {what}Match" in compared for kind, what in (("Cluster", ""), ("Listener", "Don't "), ("Route", ""))
    ] == [True] * 3
    assert [entry["name"] for entry in config["differences"]] == ["virtualInbound"]
    assert "no.such.Filter" in config["summary"]["refused"]["virtualInbound"]

    bed.signal("CONT")
    path = f"/apis/networking.istio.io/v1alpha3/namespaces/{bed.namespace}/envoyfilters/refused"
    bed.client.request("DELETE", path)
    assert bed.until(synced)["findings"] == []


def test_istios_analyzer_finds_what_we_find(bed: Bed, tmp_path: Path) -> None:
    """The playbook on objects that name what does not exist: its table, its report, its exit."""
    routes = [
        {"route": [{"destination": {"host": "stops", "subset": "empty"}}], "match": [{"uri": {"prefix": "/a"}}]},
        {"route": [{"destination": {"host": "stops", "subset": "none"}}], "match": [{"uri": {"prefix": "/b"}}]},
        {"route": [{"destination": {"host": "nobody"}}]},
    ]
    bed.make(
        istio(
            "DestinationRule", bed.namespace, "stops", host="stops", subsets=[{"name": "empty", "labels": {"x": "y"}}]
        ),
        istio("VirtualService", bed.namespace, "stops", hosts=["stops"], gateways=["mesh", "no-gateway"], http=routes),
    )
    there(ISTIOCTL)
    arguments = {
        "namespaces": [bed.namespace],
        "sections": ["config", "istioctl"],
        "report_folder": str(tmp_path),
        "platform_kubeconfig": os.environ["KUBECONFIG"],
    }
    run = ansible_playbook("diagnose.yml", "-i", "inventories/local", "-e", json.dumps(arguments))
    assert run.returncode == 2, run.told
    report = json.loads((tmp_path / "diagnosis-local.json").read_text())
    name = f"VirtualService {bed.namespace}/stops"
    ours = {
        "gateway_missing": name,
        "subset_missing": name,
        "host_missing": name,
        "subset_without_pods": f"DestinationRule {bed.namespace}/stops",
    }
    assert {entry["code"]: entry["object"] for entry in report["findings"] if entry["section"] == "config"} == ours
    theirs = {(entry["code"], entry["object"]) for entry in report["findings"] if entry["section"] == "istioctl"}
    assert {("IST0101", name), ("IST0173", ours["subset_without_pods"])} <= theirs
    assert sum(entry["code"] == "IST0101" for entry in report["findings"]) == 3, "gateway, subset and host"
    assert f"gateway_missing: {name}: there is no Gateway {bed.namespace}/no-gateway" in run.text
    assert "is anything wrong with the mesh?" in (tmp_path / "diagnosis-local.html").read_text()
    passed = ansible_playbook(
        "diagnose.yml",
        "-i",
        "inventories/local",
        "-e",
        json.dumps({**arguments, "fail_on": "never", "report_folder": ""}),
    )
    assert passed.returncode == 0, passed.told
    assert "Reports: " not in passed.text


def table(text: str) -> dict[str, str]:
    """The istiod of each pod, as istioctl's table has it."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return {row[0].partition(".")[0]: row[2] for row in rows}


@pytest.mark.alone  # all tests share istiod
def test_proxies_of_several_istiods_are_told_with_theirs_and_not_lost_when_one_ends(bed: Bed) -> None:
    client, path = bed.client, f"/api/v1/namespaces/{bed.namespace}/pods"
    (first,) = bed.told()["istiods"]
    bed.make(deployment(bed.namespace, "many", replicas=3))
    try:
        istiod.scale(client, 2)
        istiod.wait_until_ready()
        end = time.monotonic() + _PATIENCE
        while True:  # a new proxy connects to either of them
            client.request("DELETE", path, query={"labelSelector": "app=many"})
            bed.make(deployment(bed.namespace, "many", replicas=3))
            told = bed.told()
            others = [one["pod"] for one in told["proxies"] if one["istiod"] not in ("", first["pod"])]
            if others:
                break
            assert time.monotonic() < end, told["istiods"]
        assert sum(one["proxies"] > 0 for one in told["istiods"]) == 2
        while True:  # until istiod has closed the connections of the pods that were deleted
            ours = {one["pod"]: one["istiod"] for one in bed.told()["proxies"]}
            theirs = table(istioctl("--namespace", bed.namespace))
            if ours == theirs:
                break
            assert time.monotonic() < end + _PATIENCE, (ours, theirs)
        assert len(set(ours.values())) == 2
        (config,) = bed.told(proxies=[f"{bed.namespace}/{others[0]}"])["proxy_configs"]
        assert (config["known"], config["differences"]) == (True, []), "only its own istiod knows it"
    finally:
        istiod.scale(client, 1)
    # As soon as one of them is being deleted: its proxies are on their way to the other.
    end = time.monotonic() + _PATIENCE
    while len((after := bed.told())["istiods"]) == 2:
        assert time.monotonic() < end
    assert codes(after) & {"proxy_not_connected", "proxy_not_sent", "not_read"} == set(), after["findings"]
