# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is required before a canary gets traffic, and which other tools write its routes. Pure: live objects in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.merged_rules import Merged, merged, visible
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import selects
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import condition

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Exemption:
    """A label or annotation by which a tool leaves an object alone. `live`: whoever set it; else only when the tool itself wrote it.

    Flux compares keys and values of labels and annotations, values without regard to case (fluxcd/pkg, ssa/utils, AnyInMetadata).
    """

    key: str
    value: str
    live: bool

    def holds(self, meta: Obj, managers: frozenset[str]) -> bool:
        """Whether an object has it. `managers`: those of the tool."""
        for kind in ("labels", "annotations"):
            value = (meta.get(kind) or {}).get(self.key)
            if value is None or str(value).casefold() != self.value.casefold():
                continue
            if self.live or any(
                entry.get("manager") in managers and _owns(entry, "f:metadata", f"f:{kind}", f"f:{self.key}")
                for entry in meta.get("managedFields") or []
            ):
                return True
        return False


@dataclass(frozen=True, slots=True)
class _Controller:
    """A controller of a tool: its managers (managedFields), prefixes of its labels and annotations, and its kinds of owners."""

    tool: str
    managers: frozenset[str]
    prefixes: tuple[str, ...]
    owners: frozenset[str] = frozenset()
    exemptions: tuple[_Exemption, ...] = ()


_KUSTOMIZE, _HELM = "kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/"
_CONTROLLERS = (
    _Controller("flagger", frozenset({"flagger"}), ("flagger.app/",), frozenset({"Canary"})),
    _Controller(
        "argo-rollouts",
        frozenset({"rollouts-controller", "argo-rollouts"}),
        ("rollout.argoproj.io/", "argo-rollouts.argoproj.io/"),
        frozenset({"Rollout"}),
    ),
    # No label or annotation of an object keeps Argo CD from syncing it: `skip-reconcile` is one of an Application, `compare-options`
    # and `sync-options` change how it compares, prunes and applies (Argo CD's documentation, "Annotations and Labels").
    _Controller("argocd", frozenset({"argocd-controller", "argocd-application-controller"}), ("argocd.argoproj.io/",)),
    # `reconcile` and `ssa: Ignore` count in the cluster and in the source, `ssa: IfNotPresent` only in the source, from which the
    # controller copies it when it creates the object (fluxcd/pkg, ssa/manager_apply.go, shouldSkipApply).
    _Controller(
        "flux",
        frozenset({"kustomize-controller"}),
        (_KUSTOMIZE,),
        exemptions=(
            _Exemption(f"{_KUSTOMIZE}reconcile", "disabled", live=True),
            _Exemption(f"{_KUSTOMIZE}ssa", "Ignore", live=True),
            _Exemption(f"{_KUSTOMIZE}ssa", "IfNotPresent", live=False),
        ),
    ),
    # What drift is corrected in is decided by the manifest of the release (helm-controller, internal/action/diff.go, and fluxcd/pkg,
    # ssa/jsondiff, UnstructuredList). An upgrade of the release still writes the object; it is then somebody else's change.
    _Controller(
        "flux",
        frozenset({"helm-controller"}),
        (_HELM,),
        exemptions=(_Exemption(f"{_HELM}driftDetection", "disabled", live=False),),
    ),
)
TOOLS = tuple(dict.fromkeys(controller.tool for controller in _CONTROLLERS))


def other_tools(obj: Obj, accepted: Iterable[str] = ()) -> list[str]:
    """A finding for each tool that manages this object. `accepted`: tools that the user configured to leave the weights alone."""
    meta = obj["metadata"]
    who = f"{obj.get('kind', 'object')} {meta.get('namespace', '')}/{meta['name']}"
    keys = {**(meta.get("labels") or {}), **(meta.get("annotations") or {})}
    writers = {str(entry.get("manager") or "") for entry in meta.get("managedFields") or [] if _owns(entry, "f:spec")}
    owners = {str(entry.get("kind") or "") for entry in meta.get("ownerReferences") or []}
    signs: dict[str, list[str]] = {}
    for controller in _CONTROLLERS:
        if controller.tool in accepted or any(rule.holds(meta, controller.managers) for rule in controller.exemptions):
            continue
        found = [f"manager {name}" for name in sorted(writers & controller.managers)]
        found += [f"owner {kind}" for kind in sorted(owners & controller.owners)]
        found += [key for key in sorted(keys) if key.startswith(controller.prefixes)]
        if found:
            signs.setdefault(controller.tool, []).extend(found)
    return [
        f"{who} is managed by {tool} ({', '.join(found)}), which would set the weights back. "
        f"Configure {tool} to ignore spec.http, then set takeover: [{tool}]"
        for tool, found in signs.items()
    ]


def _owns(entry: Obj, *path: str) -> bool:
    """Whether an entry of managedFields has a field, or one below it."""
    node: Any = entry.get("fieldsV1") or {}
    for part in path:
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True


def rule_for(rules: Iterable[Obj], aim: Aim) -> tuple[Merged | None, list[Obj]]:
    """(the service's own DestinationRule as Istio merges it, rules with a wildcard host that it shadows).

    An exact host wins over wildcards (pilot/pkg/model/push_context.go, destinationRule); the winner inherits nothing.
    """
    rules = list(rules)
    own = [rule for rule in _exact(rules, aim) if rule["metadata"].get("namespace") in (aim.namespace, None)]
    shadowed = [
        rule
        for rule in rules
        if (host := str((rule.get("spec") or {}).get("host") or "")).startswith("*") and aim.host.endswith(host[1:])
    ]
    return visible(merged(own), aim.namespace), shadowed


def _exact(rules: Iterable[Obj], aim: Aim) -> list[Obj]:
    return [
        rule
        for rule in rules
        if aim.means(str((rule.get("spec") or {}).get("host") or ""), rule["metadata"].get("namespace") or "")
    ]


def rule_findings(rules: Sequence[Obj], aim: Aim) -> list[str]:
    """Findings on the DestinationRules of the service: a missing subset, or the TLS mode of a wildcard rule that they drop.

    Besides the one of the service's namespace there may be others, for proxies with some labels and for callers of other namespaces.
    """
    rule, shadowed = rule_for(rules, aim)
    if rule is None:
        return [
            f"DestinationRule: none in namespace {aim.namespace} has host {aim.host}; expected one with both subsets"
        ]
    findings = _subset_findings(rule, aim)
    for other in _others(rules, aim, rule):
        findings += [f"{text}. Some callers get it instead of {rule}" for text in _subset_findings(other, aim, rule)]
    modes = {_tls_mode(entry) for name in (aim.stable, aim.canary) if (entry := rule.subset(name))} - {""}
    mine = _tls_mode(rule.spec)
    for wider in shadowed:
        mode = _tls_mode(wider["spec"])
        if mode and mode not in ({mine} | modes):
            where = f"{wider['metadata'].get('namespace', '')}/{wider['metadata']['name']}"
            findings.append(
                f"{rule} shadows DestinationRule {where} ({wider['spec']['host']}) and has "
                f"{'TLS mode ' + mine if mine else 'no trafficPolicy.tls'}; expected its mode {mode}, otherwise calls lose it"
            )
    return findings


def _subset_findings(rule: Merged, aim: Aim, main: Merged | None = None) -> list[str]:
    """`main`: the rule whose subsets have to be the same."""
    found = {name: rule.subset(name) for name in (aim.stable, aim.canary)}
    findings = [
        f"{rule} has no subset {name}; expected it with the labels of its pods"
        for name, entry in found.items()
        if not entry
    ]
    labels = {name: (entry or {}).get("labels") or {} for name, entry in found.items()}
    if not findings and labels[aim.stable] == labels[aim.canary]:
        findings.append(
            f"{rule}: subsets {aim.stable} and {aim.canary} have the same labels; expected labels that differ"
        )
    for name, entry in found.items():
        there = main.subset(name) if main else None
        if entry and there and labels[name] != (there.get("labels") or {}):
            findings.append(f"{rule}: subset {name} has other labels than that of {main}; expected the same")
    return findings


def _others(rules: Sequence[Obj], aim: Aim, main: Merged) -> list[Merged]:
    """Rules of the host that some callers get: by labels, by another exportTo, or in the namespace of the callers."""
    by_namespace: dict[str, list[Obj]] = {}
    for rule in _exact(rules, aim):
        by_namespace.setdefault(rule["metadata"].get("namespace") or aim.namespace, []).append(rule)
    return [one for group in by_namespace.values() for one in merged(group) if one != main]


def _tls_mode(spec: Obj) -> str:
    return str((((spec or {}).get("trafficPolicy") or {}).get("tls") or {}).get("mode") or "")


def subset_labels(rules: Sequence[Obj], aim: Aim, subset: str) -> dict[str, str]:
    """Labels of a subset; empty when the subset does not exist."""
    rule, _shadowed = rule_for(rules, aim)
    entry = rule.subset(subset) if rule else None
    return dict((entry or {}).get("labels") or {})


def is_ready(pod: Obj) -> bool:
    """Whether a pod gets traffic: it is ready, and not terminating."""
    return not pod["metadata"].get("deletionTimestamp") and condition(pod, "Ready").get("status") == "True"


def ready_pods(pods: Iterable[Obj], selector: Mapping[str, str], labels: Mapping[str, str]) -> list[Obj]:
    """Ready pods that the Service selects and that have the labels of a subset."""
    if not labels:
        return []
    wanted = {"matchLabels": {**selector, **labels}}
    return [pod for pod in pods if is_ready(pod) and selects(wanted, pod["metadata"].get("labels") or {})]


def pod_findings(
    service: Obj | None, pods: Sequence[Obj], rules: Sequence[Obj], aim: Aim, needed: Mapping[str, int]
) -> list[str]:
    """Findings on pods: subsets with too few ready pods (`needed`: subset -> pods), and a pod in both subsets."""
    if service is None:
        return [
            f"Service {aim.namespace}/{aim.service} does not exist; expected it with the labels of the pods of both subsets as selector"
        ]
    selector = (service.get("spec") or {}).get("selector") or {}
    if not selector:
        return [
            f"Service {aim.namespace}/{aim.service} has no selector; expected the labels of the pods of both subsets"
        ]
    ready = {
        subset: [pod["metadata"]["name"] for pod in ready_pods(pods, selector, subset_labels(rules, aim, subset))]
        for subset in (aim.stable, aim.canary)
    }
    findings = [
        f"subset {subset} selects {len(ready[subset])} ready pods; expected at least {number}"
        for subset, number in needed.items()
        if len(ready[subset]) < number
    ]
    both = sorted(set(ready[aim.stable]) & set(ready[aim.canary]))
    if both:
        findings.append(f"pod {both[0]} is in both subsets; expected subsets with labels that differ")
    return findings
