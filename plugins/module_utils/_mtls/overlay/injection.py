# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a pod that is made now gets a sidecar, and of which revision. Pure.

Sources: istio manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml (which pods reach the injector),
pkg/kube/inject/inject.go (injectRequired), pkg/kube/inject/initializer.go (IgnoredNamespaces), cni/pkg/util/enablement_selector.go
(ambient).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import kubectl_yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    LabelSelector,
    Missing,
    MissingCause,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.mesh_config import label_selector
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import INJECT, NEVER_INJECTED
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import REVISION

ENABLED = "istio-injection"
DATAPLANE = "istio.io/dataplane-mode"
SHAPES = (
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)  # of an object that has not the shape of its kind


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a pod is injected, by which revision, and why. `injected` is None when it is not known."""

    injected: bool | None
    revision: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook of the injector. `namespaces` and `pods` are None when they are not understood."""

    revision: str
    namespaces: LabelSelector | None
    pods: LabelSelector | None
    name: str = ""


def is_injector(configuration: Obj) -> bool:
    """Whether a MutatingWebhookConfiguration is one of Istio's injector, or of a revision tag."""
    labels = (configuration.get("metadata") or {}).get("labels") or {}
    webhooks = _webhooks(configuration)
    return labels.get("app") == "sidecar-injector" or any(
        isinstance(webhook, Mapping) and str(webhook.get("name") or "").endswith("sidecar-injector.istio.io")
        for webhook in webhooks
    )


def _webhooks(configuration: Obj) -> list[Any]:
    found = configuration.get("webhooks") or []
    return found if isinstance(found, list) else [None]  # what is no list is one webhook that nobody understands


def hooks(configurations: Collection[Obj]) -> list[Hook]:
    """The injector's webhooks. A tag's configuration carries the revision that the tag stands for as a label."""
    found = []
    for configuration in configurations:
        if not is_injector(configuration):
            continue
        meta = configuration["metadata"]
        revision = str((meta.get("labels") or {}).get(REVISION) or "default")
        name = str(meta.get("name") or "")
        found += [_hook(webhook, revision, name) for webhook in _webhooks(configuration)]
    return found


def _hook(webhook: Obj, revision: str, name: str) -> Hook:
    try:
        namespaces, pods = (
            label_selector(webhook.get(field) or {}) for field in ("namespaceSelector", "objectSelector")
        )
        unclear = bool(webhook.get("matchConditions"))
    except SHAPES:
        return Hook(revision, None, None, name)
    return Hook(revision, None if unclear else namespaces, None if unclear else pods, name)


def usual_hooks(revisions: Collection[str]) -> list[Hook]:
    """The webhooks that Istio's chart installs for revisions."""

    def selector(*expressions: tuple[str, str, str]) -> LabelSelector:
        return LabelSelector((), tuple((key, how, frozenset(filter(None, [value]))) for key, how, value in expressions))

    not_false = (INJECT, "NotIn", "false")
    unlabelled = ((REVISION, "DoesNotExist", ""), (ENABLED, "DoesNotExist", ""))
    found = []
    for revision in sorted(revisions):
        named = (REVISION, "In", revision)
        found.append(Hook(revision, selector(named, (ENABLED, "DoesNotExist", "")), selector(not_false)))
        found.append(Hook(revision, selector(*unlabelled), selector(not_false, named)))
    first = "default" if "default" in revisions or not revisions else min(revisions)
    found.append(Hook(first, selector((ENABLED, "In", "enabled")), selector(not_false)))
    wanted = selector((INJECT, "In", "true"), (REVISION, "DoesNotExist", ""))
    found.append(Hook(first, selector(*unlabelled), wanted))
    return found


class Injectors:
    """All injectors of a mesh.

    `webhooks` are the cluster's MutatingWebhookConfigurations. With `usual`, those that Istio's chart installs for the revisions count as
    well, because files that were given as complete leave them out. `config` gives the ConfigMap of a revision's injector; `revisions` are
    those that serve pods.
    """

    def __init__(
        self,
        webhooks: list[Obj] | Missing,
        config: Callable[[str], Obj | Missing],
        revisions: Collection[str],
        *,
        usual: bool,
    ) -> None:
        self._missing = webhooks if isinstance(webhooks, Missing) else None
        self._usual = usual
        self._revisions = frozenset(revisions)
        self._hooks = [] if isinstance(webhooks, Missing) else hooks(webhooks)
        self._hooks += usual_hooks(self._revisions) if usual else []
        self._config = config

    def decide(
        self,
        namespace: str,
        namespace_labels: Mapping[str, str] | None,
        labels: Mapping[str, str],
        annotations: Mapping[str, Any],
        *,
        host_network: bool,
    ) -> Decision:
        """What becomes of a pod. `namespace_labels` are None when the namespace is not known."""
        wish = labels.get(INJECT, str(annotations.get(INJECT) or ""))
        if host_network:
            return Decision(False, why="hostNetwork: the injector leaves it alone")
        if namespace in NEVER_INJECTED:
            return Decision(False, why=f"namespace {namespace} is never injected")
        if wish == "false":
            return Decision(False, why=f"{INJECT} is false")
        if self._missing:
            return Decision(None, why=f"whether it gets a sidecar is not known: {self._missing.text}")
        if namespace_labels is None:
            return Decision(
                None, why=f"whether it gets a sidecar is not known: nothing is known of namespace {namespace}"
            )
        return self._matched(namespace, namespace_labels, labels, wish)

    def _matched(self, namespace: str, own: Mapping[str, str], labels: Mapping[str, str], wish: str) -> Decision:
        """The decision of the webhooks, and then of the injector that gets the pod."""
        unclear = [hook.name for hook in self._hooks if hook.namespaces is None or hook.pods is None]
        if unclear:
            return Decision(None, why=f"whether it gets a sidecar is not known: {unclear[0]} cannot be understood")
        found = {
            hook.revision
            for hook in self._hooks
            if hook.namespaces and hook.pods and hook.namespaces.matches(own) and hook.pods.matches(labels)
        }
        if len(found) > 1:
            return Decision(
                None, why=f"webhooks of revisions {' and '.join(sorted(found))} match, so its sidecar is not known"
            )
        if not found:
            asked = own.get(REVISION) or labels.get(REVISION)
            if self._usual and asked and asked not in self._revisions and ENABLED not in own:
                return Decision(None, why=f"no pod tells which revision {REVISION} {asked} stands for")
            return Decision(False, why=f"no injector takes pods of namespace {namespace} with these labels")
        revision = found.pop()
        return self._required(revision, labels, wish)

    def _required(self, revision: str, labels: Mapping[str, str], wish: str) -> Decision:
        """injectRequired: an explicit wish goes first, then neverInjectSelector, alwaysInjectSelector and the policy."""
        if wish == "true":
            return Decision(True, revision)
        found = self._config(revision)
        if isinstance(found, Missing):
            if found.cause is MissingCause.NOT_INSTALLED:
                return Decision(True, revision)
            return Decision(None, revision, f"whether it gets a sidecar is not known: {found.object}: {found.text}")
        try:
            config = kubectl_yaml.value((found.get("data") or {}).get("config") or "") or {}
            never, always = (_any(config.get(name), labels) for name in ("neverInjectSelector", "alwaysInjectSelector"))
            enabled = config.get("policy") == "enabled"
        except (KubeError, *SHAPES):
            name = (found.get("metadata") or {}).get("name")
            return Decision(
                None, revision, f"whether it gets a sidecar is not known: ConfigMap {name} is not understood"
            )
        if never:
            return Decision(False, revision, "the injector's neverInjectSelector has its labels")
        if always or enabled:
            return Decision(True, revision)
        return Decision(False, revision, "the injector's policy is not enabled")


def _any(selectors: Any, labels: Mapping[str, str]) -> bool:
    return any(selector.matches(labels) for selector in _given(selectors))


def _given(selectors: Any) -> Iterator[LabelSelector]:
    for node in selectors or ():
        selector = label_selector(node)
        if selector.labels or selector.expressions:  # an empty one selects nothing here
            yield selector


def enrols(namespace_labels: Mapping[str, str], labels: Mapping[str, str], *, host_network: bool) -> bool:
    """Whether istio-cni takes a pod without a sidecar into ambient mode, with its usual selectors."""
    own = labels.get(DATAPLANE)
    return not host_network and (own == "ambient" or (own != "none" and namespace_labels.get(DATAPLANE) == "ambient"))
