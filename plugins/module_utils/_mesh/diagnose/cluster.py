# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads all that a diagnosis judges: lists of objects, istiods, proxies, Prometheus, and istioctl. It only reads.

What cannot be read is kept as the reason, by name. Only an API server that cannot be reached or does not know the caller is an error.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import kubectl_yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import pods as inside
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import runs
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose import (
    calls,
    istioctl,
    pods,
    proxy_config,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import Section
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import Obj, understood
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.observed import (
    KINDS,
    NOTHING,
    Observed,
    ProxyConfig,
    Read,
    Wanted,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.sync import (
    Istiod,
    expected_of,
    unsettled,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.cluster import Cluster
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Missing
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import Kind
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Prometheus

DEBUG = 15014  # istiod's monitoring port, which has the debug endpoints (istio pilot/pkg/bootstrap/server.go)
_SYNCZ, _VERSION, _ISTIOD_DUMP = "/debug/syncz", "/version", "/debug/config_dump?proxyID="
_SHORT, _LONG = 5.0, 12.0  # seconds for an answer, and for one that may be large
_DEFAULT = "default"  # the revision without a name of its own
_AGAIN = 1.0  # seconds before what differs is read again: istiod may be pushing
_CONNECTED = 4.0  # seconds within which the proxies of an istiod that ends are connected to another
MOST_PROXIES = 10  # whose configuration is compared


def observe(client: Client, wanted: Wanted) -> Observed:
    """Reads all that was asked for. Raises KubeError for an API server that does not answer, and for a proxy that does not exist."""
    not_asked = {section: "it was left out" for section in Section if section not in wanted.sections}
    if wanted.proxies and Section.PROXIES not in wanted.sections:
        raise KubeError(
            "proxies: it belongs to section proxies, which is left out. Expected it in sections, or no proxies."
        )
    if Section.CALLS in wanted.sections and wanted.prometheus is None:
        not_asked[Section.CALLS] = "no Prometheus is given"
    headers: dict[str, str] = {}
    client.request("GET", "/version", headers_to=headers)
    now = _clock(headers)
    with ThreadPoolExecutor(max_workers=1) as aside:
        analysis = aside.submit(_analysed, wanted, not_asked)
        source = Cluster(client)
        kinds = {
            kind.name: kind for section in Section if section in wanted.sections for kind in KINDS.get(section, ())
        }
        lists = source.everything(_reducers(kinds), wanted.istio_namespace, tuple(kinds.values()))
        found, all_pods = lists.found, lists.found.get("Pod") or []
        chosen = [] if "Pod" in lists.missing else chosen_pods(all_pods, wanted)
        reads = _Reads(client, wanted, all_pods, found.get("Ingress") or [], source)
        mesh_config, istiods, certs, secrets, counted = reads.all(not_asked)
        before: Sequence[Istiod] = ()
        if istiods and unsettled(istiods, expected_of(all_pods), wanted.stale_after):
            time.sleep(_CONNECTED)
            before, istiods = istiods, reads.istiods_again()
        configs = client.each(functools.partial(_proxy_config, client, wanted, istiods), chosen)
        return Observed(
            *(now, found, lists.missing, mesh_config, istiods, certs, secrets, configs, counted, analysis.result()),
            not_asked,
            before,
        )


def _clock(headers: Mapping[str, str]) -> float:
    """Unix seconds of the header Date, of this machine without one."""
    for name, value in headers.items():
        if name.lower() == "date":
            try:
                return parsedate_to_datetime(value).timestamp()
            except ValueError:
                break
    return time.time()


def _reducers(kinds: Mapping[str, Kind]) -> dict[str, Callable[[Obj], Any]]:
    """How each kind is kept."""
    return {name: pods.reduced if name == "Pod" else _without_history for name in kinds}


def _without_history(obj: Obj) -> Obj:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


def chosen_pods(all_pods: Sequence[pods.Pod], wanted: Wanted) -> list[pods.Pod]:
    """The pods whose configuration is compared: a named one, or one of each named workload. Raises KubeError for names without a proxy."""
    found: list[pods.Pod] = []
    lacking = []
    for name in dict.fromkeys(wanted.proxies):
        namespace, _slash, short = name.partition("/")
        same = [
            p
            for p in all_pods
            if p.has_envoy and p.namespace == namespace and short in (p.name, p.workload) and runs(p.obj)
        ]
        if same:
            found.append(max(same, key=lambda pod: (pod.name == short, pod.up)))
        else:
            lacking.append(name)
    if lacking:
        raise KubeError(
            f"proxies: {', '.join(lacking)}: no running pod with a proxy has this name or is of such a workload. "
            "Expected namespace/pod or namespace/workload, for example ecommerce/user-service."
        )
    if len(found) > MOST_PROXIES:
        raise KubeError(f"proxies: {len(found)} are given. Expected at most {MOST_PROXIES}.")
    return found


def sampled(all_pods: Sequence[pods.Pod], wanted: Wanted) -> list[pods.Pod]:
    """The pods whose certificates are read: gateways, then one of each workload, up to the number that is wanted."""
    able = [pod for pod in all_pods if pod.has_envoy and pod.up and wanted.concerns(pod.namespace)]
    seen: set[tuple[str, str]] = set()
    firsts = []
    for pod in sorted(able, key=lambda p: (str(p.proxy) == "sidecar", p.namespace, p.workload, p.name)):
        if (pod.namespace, pod.workload) not in seen:
            seen.add((pod.namespace, pod.workload))
            firsts.append(pod)
    return firsts[: wanted.samples]


def istiods_of(found: Iterable[pods.Pod], namespace: str) -> list[pods.Pod]:
    """The pods of istiod that run on."""
    return [pod for pod in found if pod.namespace == namespace and pod.labels.get("app") == "istiod" and runs(pod.obj)]


def revision_of(istiod: pods.Pod) -> str:
    """Revision of a pod of istiod."""
    return str(istiod.labels.get("istio.io/rev") or _DEFAULT)


class _Reads:
    """The reads that follow the lists, all at once."""

    def __init__(
        self, client: Client, wanted: Wanted, all_pods: Sequence[pods.Pod], ingresses: Sequence[Obj], source: Cluster
    ) -> None:
        self._istiods = istiods_of(all_pods, wanted.istio_namespace)
        self._client, self._wanted, self._pods, self._ingresses, self._source = (
            client,
            wanted,
            all_pods,
            ingresses,
            source,
        )

    def all(
        self, not_asked: Mapping[Section, str]
    ) -> tuple[Read, list[Istiod], list[tuple[str, Read]], list[tuple[str, Read]], Read]:
        """(MeshConfig, istiods, answers to /certs, Secrets of Ingresses, calls)."""
        wanted, asked = self._wanted, [section for section in Section if section not in not_asked]
        istiods = self._istiods
        sample = sampled(self._pods, wanted) if Section.CERTIFICATES in asked else []
        names = self._secret_names() if Section.CERTIFICATES in asked else []
        jobs: list[Callable[[], Any]] = [self._mesh_config if Section.CONFIG in asked else _nothing]
        jobs.append(self._calls if Section.CALLS in asked else _nothing)
        jobs += [functools.partial(self._istiod, pod) for pod in istiods if Section.PROXIES in asked]
        count = len(jobs)
        jobs += [functools.partial(self._certs, pod) for pod in sample]
        jobs += [functools.partial(self._secret, name) for name in names]
        done = self._client.each(_called, jobs)
        return done[0], done[2:count], done[count : count + len(sample)], done[count + len(sample) :], done[1]

    def istiods_again(self) -> list[Istiod]:
        """Those that run now, which may be others."""
        path = f"/api/v1/namespaces/{self._wanted.istio_namespace}/pods"
        listed, _version = self._client.list_reduced(path, {"labelSelector": "app=istiod"}, pods.reduced)
        self._istiods = istiods_of(listed, self._wanted.istio_namespace)
        return self._client.each(self._istiod, self._istiods)

    def _istiod(self, pod: pods.Pod) -> Istiod:
        revision = revision_of(pod)
        try:
            version = inside.get(self._client, pod.namespace, pod.name, DEBUG, _VERSION, _SHORT).body.decode(
                errors="replace"
            )
            reply = inside.get(self._client, pod.namespace, pod.name, DEBUG, _SYNCZ, _LONG)
            answer = json.loads(reply.body)
        except inside.PodError as error:
            return Istiod(pod.name, revision=revision, error=str(error), right=error.right)
        except ValueError as error:
            return Istiod(pod.name, revision=revision, error=f"its answer to {_SYNCZ} is no JSON: {error}")
        return Istiod(pod.name, version.strip().partition("-")[0], revision, _clock(reply.headers), answer)

    def _certs(self, pod: pods.Pod) -> tuple[str, Read]:
        return f"Pod {pod.namespace}/{pod.name}", _inside(self._client, pod, inside.ADMIN, "/certs", _SHORT)

    def _secret_names(self) -> list[tuple[str, str, str]]:
        """(namespace, Secret, Ingress) of the certificates of Ingresses."""
        found: dict[tuple[str, str], str] = {}
        for item in self._ingresses:
            namespace = str(item["metadata"].get("namespace") or "")
            for entry in (item.get("spec") or {}).get("tls") or []:
                if entry.get("secretName") and self._wanted.concerns(namespace):
                    found.setdefault((namespace, str(entry["secretName"])), str(item["metadata"]["name"]))
        return [(*key, ingress) for key, ingress in sorted(found.items())]

    def _secret(self, name: tuple[str, str, str]) -> tuple[str, Read]:
        """The certificate of a Secret, never its key."""
        namespace, secret, _ingress = name
        where = f"Secret {namespace}/{secret}"
        try:
            found = self._client.get(f"/api/v1/namespaces/{namespace}/secrets/{quote(secret, safe='')}")
        except ApiError as error:
            if error.status == 401:
                raise
            right = f"verb get on secrets in namespace {namespace}" if error.status == 403 else ""
            return where, Read(error=f"no permission: {right} is missing" if right else str(error), right=right)
        return where, Read(None if found is None else str((found.get("data") or {}).get("tls.crt") or ""))

    def _mesh_config(self) -> Read:
        """(root namespace, trust domain) of the MeshConfigs of all revisions, with the defaults of Istio's charts."""
        revisions = sorted({revision_of(pod) for pod in self._istiods}) or [_DEFAULT]
        found_in: dict[str, tuple[str, str]] = {}
        for revision in revisions:
            name = "istio" if revision == _DEFAULT else f"istio-{revision}"
            found = self._source.config_map(self._wanted.istio_namespace, name)
            if isinstance(found, Missing):
                return Read(error=f"ConfigMap {name}: {found.text}", right=found.right)
            try:
                document = kubectl_yaml.value((found.get("data") or {}).get("mesh") or "")
            except KubeError as error:
                return Read(error=f"ConfigMap {name}: its key mesh is not YAML: {error}")
            values = document if isinstance(document, Mapping) else {}
            root, domain = values.get("rootNamespace"), values.get("trustDomain")
            found_in[revision] = (str(root or self._wanted.istio_namespace), str(domain or "cluster.local"))
        if len(set(found_in.values())) > 1:
            return Read(error=f"the revisions have different root namespaces or trust domains: {found_in}")
        return Read(found_in[revisions[0]])

    def _calls(self) -> Read:
        if self._wanted.prometheus is None:
            return NOTHING
        prometheus = Prometheus(self._wanted.prometheus, self._client)
        try:
            answers = [prometheus.query(query, timeout=8.0, budget=8.0) for query in calls.queries(self._wanted.window)]
        except KubeError as error:
            return Read(error=str(error))
        if warnings := [text for answer in answers for text in answer.warnings]:
            return Read(error=f"Prometheus answered with a warning: {'; '.join(warnings)[:300]}")
        return Read(tuple(answer.series for answer in answers))


def _nothing() -> Read:
    return NOTHING


def _called(job: Callable[[], Any]) -> Any:
    return job()


def _inside(client: Client, pod: pods.Pod, port: int, path: str, timeout: float = _LONG) -> Read:
    """A JSON answer from inside a pod."""
    try:
        return Read(json.loads(inside.get(client, pod.namespace, pod.name, port, path, timeout).body))
    except inside.PodError as error:
        return Read(error=str(error), right=error.right)
    except (ValueError, RecursionError) as error:
        return Read(error=f"pod {pod.namespace}/{pod.name}: the answer to {path} is no JSON: {error}")


def _analysed(wanted: Wanted, not_asked: dict[Section, str]) -> Read:
    """What istioctl printed. Without the command, its section is not asked for."""
    if Section.ISTIOCTL in not_asked:
        return NOTHING
    try:
        argv = istioctl.command(wanted.istioctl, wanted.connection, wanted.istio_namespace)
        if isinstance(argv, str):
            not_asked[Section.ISTIOCTL] = argv
            return NOTHING
        return Read(istioctl.run(argv))
    except istioctl.IstioctlError as error:
        return Read(error=str(error))


def _proxy_config(client: Client, wanted: Wanted, istiods: Sequence[Istiod], pod: pods.Pod) -> ProxyConfig:
    """What a proxy runs, compared with istiod's. What differs is read again, because istiod may be pushing."""
    clusters = _inside(client, pod, inside.ADMIN, proxy_config.CLUSTERS)
    unread = [] if not clusters.error else [("endpoints", clusters)]
    endpoints: Mapping[str, Mapping[str, int]] = {}
    if not clusters.error:
        try:
            endpoints = understood(proxy_config.endpoints_of, clusters.value)
        except ValueError as error:
            unread.append(("endpoints", Read(error=str(error))))
    first, first_lost = _compared(client, wanted, istiods, pod)
    if first is None or not first.differences:
        return _made(pod, first, endpoints, (*unread, *first_lost))
    time.sleep(_AGAIN)
    second, lost = _compared(client, wanted, istiods, pod)
    if second is not None:
        before = {(entry.kind, entry.name) for entry in first.differences}
        lasting = tuple(entry for entry in second.differences if (entry.kind, entry.name) in before)
        second = replace(second, differences=lasting)
    return _made(pod, second, endpoints, (*unread, *lost))


@dataclass(frozen=True, slots=True)
class _Compared:
    """What an Envoy runs, and where that differs from what istiod would send."""

    dump: proxy_config.Dump
    differences: tuple[proxy_config.Difference, ...] = ()


def _made(
    pod: pods.Pod,
    found: _Compared | None,
    endpoints: Mapping[str, Mapping[str, int]],
    unread: tuple[tuple[str, Read], ...],
) -> ProxyConfig:
    if found is None:
        return ProxyConfig(pod, None, endpoints, (), unread)
    return ProxyConfig(pod, found.dump, endpoints, found.differences, unread)


def _compared(
    client: Client, wanted: Wanted, istiods: Sequence[Istiod], pod: pods.Pod
) -> tuple[_Compared | None, list[tuple[str, Read]]]:
    """(what Envoy runs and how it differs, what is not known). Nothing differs from what istiod does not tell."""
    dump, theirs, lost = _both(client, wanted, istiods, pod)
    if dump is None:
        return None, lost
    return _Compared(dump, () if theirs is None else tuple(proxy_config.differences(dump, theirs))), lost


def _both(
    client: Client, wanted: Wanted, istiods: Sequence[Istiod], pod: pods.Pod
) -> tuple[proxy_config.Dump | None, proxy_config.Dump | None, list[tuple[str, Read]]]:
    """The dumps of Envoy and of istiod, and what of them is not known."""
    own = _inside(client, pod, inside.ADMIN, proxy_config.CONFIG_DUMP)
    theirs = _of_istiod(client, wanted, istiods, pod)
    made: list[proxy_config.Dump | None] = []
    lost = []
    for name, read in (("Envoy's configuration", own), ("istiod's configuration", theirs)):
        try:
            made.append(None if read.error else understood(proxy_config.dump_of, read.value))
        except ValueError as error:
            made.append(None)
            lost.append((name, Read(error=str(error))))
        if read.error:
            lost.append((name, read))
    return made[0], made[1], lost


def _of_istiod(client: Client, wanted: Wanted, istiods: Sequence[Istiod], pod: pods.Pod) -> Read:
    """What the istiod that a proxy is connected to would send it: only that one knows the proxy."""
    last = Read(error="no istiod runs")
    for istiod in istiods:
        name = quote(f"{pod.name}.{pod.namespace}", safe="")
        try:
            reply = inside.get(client, wanted.istio_namespace, istiod.pod, DEBUG, f"{_ISTIOD_DUMP}{name}", _LONG)
            return Read(json.loads(reply.body))
        except inside.PodError as error:
            last = Read(error=str(error), right=error.right)
        except (ValueError, RecursionError) as error:
            last = Read(error=f"istiod {istiod.pod}: its answer is no JSON: {error}")
    return last
