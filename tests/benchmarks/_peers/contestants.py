# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contestants: how each is set up, told of a new version, and asked how it ended.

The peers' controllers run as processes of this machine in the node's network, for their namespace alone; ours is a playbook for each
release.
"""

from __future__ import annotations

import abc
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._local_node import NETNS_FOLDER

from tests.benchmarks._harness import BenchmarkError, Harness
from tests.benchmarks._peers import objects
from tests.benchmarks._peers.build import Peer
from tests.benchmarks._peers.ground import Ground
from tests.benchmarks._peers.process import Driver
from tests.benchmarks._peers.runs import OURS, Outcome
from tests.benchmarks._sets import LABEL
from tests.integration.canary.bed import apply

Obj = dict[str, Any]
FIRST = "v1"
_TAKEN_OVER = 120  # seconds that a controller may take to start, and to take a service over


class Contestant(abc.ABC):
    """One way to release versions of the service `web` of a namespace."""

    name: str
    driver: Driver

    def __init__(self, harness: Harness, ground: Ground) -> None:
        self.harness, self.ground = harness, ground

    def app(self, version: str, *, sleeps: bool = False, **env: Any) -> Obj:
        """The Deployment of a version. `env`: ERROR_RATE. `sleeps`: with the handler `sleep`."""
        made: Obj = self.ground.bed.app("stable", version, **env)
        return objects.with_sleep(made) if sleeps else made

    @abc.abstractmethod
    def written(self) -> list[Obj]:
        """What a user writes for it, the service's own Deployment included."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Make the service run in its first version, under this contestant."""

    @abc.abstractmethod
    def release(self, app: Obj) -> None:
        """Release the version of this Deployment."""

    @abc.abstractmethod
    def outcome(self) -> Outcome | None:
        """How the present release ended, or None."""

    @abc.abstractmethod
    def production(self) -> Obj:
        """The pod template of what runs in production."""

    def pids(self) -> list[int]:
        """Its processes, at this moment."""
        return self.driver.pids()

    def again(self) -> None:
        """Start the driver again after it was killed."""
        self.driver.start()

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """Set up, until the end."""
        try:
            self.prepare()
            yield
        finally:
            self.driver.kill()

    def _in_node(self, peer: Peer, *words: str) -> Driver:
        netns = NETNS_FOLDER / f"servicemesh-{self.harness.home.name}"
        log = self.harness.scratch / f"{peer.program.name}.log"
        environment = self.harness.environment({"POD_NAMESPACE": self.ground.namespace})
        return Driver(["nsenter", f"--net={netns}", str(peer.program), *words], environment, log)

    def _has(self, path: str) -> Obj:
        found = self.ground.get(path)
        if found is None:
            raise BenchmarkError(f"{self.name}: {path.format(self.ground.namespace)} is not there")
        return found


class Ours(Contestant):
    """The module `canary` in a playbook."""

    name = OURS

    def written(self) -> list[Obj]:
        return [*self.ground.bed.routes(), objects.ours(self.ground.namespace, self.app(FIRST), "v2")]

    def prepare(self) -> None:
        self.driver = Driver([], {}, self.harness.scratch / "playbook.log")
        apply(self.ground.bed, [*self.ground.bed.routes(), self.app(FIRST)])

    def release(self, app: Obj) -> None:
        version = app["spec"]["template"]["metadata"]["labels"]["version"]
        play = self.harness.playbook(objects.ours(self.ground.namespace, app, version))
        self.driver = Driver(play, self.harness.environment(), self.harness.scratch / f"playbook-{version}.log")
        self.driver.start()

    def outcome(self) -> Outcome | None:
        if self.driver.running():
            return None
        record = self.ground.get("/api/v1/namespaces/{}/configmaps/canary-web")
        phase = json.loads(record["data"]["state"])["phase"] if record else ""
        if phase not in ("promoted", "rolled_back"):
            self.harness.say(f"ours stopped: {self.driver.tail()[-1500:]}")
            return Outcome.STOPPED
        return Outcome.PROMOTED if phase == "promoted" else Outcome.ROLLED_BACK

    def production(self) -> Obj:
        template: Obj = self._has("/apis/apps/v1/namespaces/{}/deployments/web")["spec"]["template"]
        return template


class Flagger(Contestant):
    """Flagger with its own metric `request-success-rate`."""

    name = "Flagger"
    _canary = "/apis/flagger.app/v1beta1/namespaces/{}/canaries/web"

    def __init__(self, harness: Harness, ground: Ground, peer: Peer) -> None:
        super().__init__(harness, ground)
        self.peer, self._began = peer, False

    def written(self) -> list[Obj]:
        return [self.app(FIRST), *objects.flagger(self.ground.namespace)]

    def prepare(self) -> None:
        apply(self.ground.bed, [self.app(FIRST)])
        self.driver = self._in_node(
            self.peer,
            f"-kubeconfig={self.harness.kubeconfig}",
            f"-metrics-server={self.ground.prometheus_url()}",
            f"-namespace={self.ground.namespace}",
            "-mesh-provider=istio",
            "-log-level=info",
            "-port=18081",
        )
        self.driver.start()
        self.harness.create(*objects.flagger(self.ground.namespace))
        self.ground.must(lambda: self._phase() == "Initialized", "Flagger's first look", _TAKEN_OVER)

    def _phase(self) -> str:
        return str((self._has(self._canary).get("status") or {}).get("phase", ""))

    def release(self, app: Obj) -> None:
        self._began = False
        path = f"/apis/apps/v1/namespaces/{self.ground.namespace}/deployments/web"
        self.ground.patch(path, {"spec": {"template": app["spec"]["template"]}})

    def outcome(self) -> Outcome | None:
        phase = self._phase()
        self._began = self._began or phase in ("Progressing", "Promoting", "Finalising")
        if not self._began:
            return None
        return {"Succeeded": Outcome.PROMOTED, "Failed": Outcome.ROLLED_BACK}.get(phase)

    def production(self) -> Obj:
        template: Obj = self._has("/apis/apps/v1/namespaces/{}/deployments/web-primary")["spec"]["template"]
        return template


class Argo(Contestant):
    """Argo Rollouts with traffic routing by subsets, and an analysis as a step after each weight."""

    name = "Argo Rollouts"
    _rollout = f"/apis/{objects.ARGO}/namespaces/{{}}/rollouts/web"

    def __init__(self, harness: Harness, ground: Ground, peer: Peer) -> None:
        super().__init__(harness, ground)
        self.peer = peer
        self.background = False  # whether releases are judged in the background

    def written(self) -> list[Obj]:
        routes = self.ground.bed.routes()
        return objects.argo(self.ground.namespace, routes, self.app(FIRST), self.ground.prometheus_url())

    def prepare(self) -> None:
        self.driver = self._in_node(
            self.peer,
            f"--kubeconfig={self.harness.kubeconfig}",
            "--namespaced",
            f"--namespace={self.ground.namespace}",
            "--metricsPort=18082",
            "--healthzPort=18083",
        )
        self.driver.start()
        background = objects.argo_analysis(self.ground.namespace, "background", self.ground.prometheus_url())
        self.harness.create(*self.written(), background)
        self.ground.must(lambda: self.outcome() is Outcome.PROMOTED, "Argo's first version", _TAKEN_OVER)

    def release(self, app: Obj) -> None:
        template = objects.argo_template(app)
        strategy = objects.argo_strategy(template["metadata"]["labels"]["version"], background=self.background)
        path = self._rollout.format(self.ground.namespace)
        self.ground.patch(path, {"spec": {"template": template, "strategy": {"canary": strategy}}})

    def outcome(self) -> Outcome | None:
        rollout = self._has(self._rollout)
        status = rollout.get("status") or {}
        if status.get("observedGeneration") != str(rollout["metadata"]["generation"]):
            return None
        if status.get("phase") == "Healthy" and status.get("stableRS") == status.get("currentPodHash"):
            return Outcome.PROMOTED
        return Outcome.ROLLED_BACK if status.get("abort") and status.get("phase") == "Degraded" else None

    def production(self) -> Obj:
        template: Obj = self._has(self._rollout)["spec"]["template"]
        return template


@contextlib.contextmanager
def definitions(harness: Harness, peers: list[Peer]) -> Iterator[None]:
    """The CRDs of the peers, until the end. Refuses a cluster that has one of them already: it would be deleted."""
    made: list[Obj] = []
    for peer in peers:
        for path in peer.definitions:
            made += [doc for doc in yaml.safe_load_all(path.read_text(encoding="utf-8")) if doc]
    client = harness.client()
    root = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    there = [name for obj in made if client.get(f"{root}/{(name := obj['metadata']['name'])}") is not None]
    if there:
        raise BenchmarkError(f"the cluster has {', '.join(there)} already; remove the tool that they belong to")
    for obj in made:
        obj["metadata"].setdefault("labels", {})[LABEL] = "true"
    names = [f"crd/{obj['metadata']['name']}" for obj in made]
    try:
        if made:
            harness.create(*made)
            harness.kubectl("wait", "--for=condition=Established", *names, "--timeout=60s")
            time.sleep(1)
        yield
    finally:
        if names:
            harness.kubectl("delete", *names, "--ignore-not-found", "--timeout=120s")
