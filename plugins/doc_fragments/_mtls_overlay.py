# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  overlay:
    description:
      - Objects to apply on the state that was read, without changing it. The result is that of the state with them, and RV(changes) has
        every call whose verdict differs. The state is read once.
      - An added object counts as the youngest of its kind, several of them in the order of their names, as Istio sorts them. A replaced
        object keeps its age. A Service that does not name its cluster addresses keeps those that it has.
      - A workload (Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob) stands for its pods, as the
        injector would make them of its template; a bare pod likewise. Endpoints of Services whose selector, pods or ports are changed are
        computed from the selector, and all of these pods count as ready. Other Services keep their EndpointSlices.
      - Labels of a Namespace, and webhooks and ConfigMap of the injector, act on pods that are made later. RV(changes) tells of both,
        pods as they are, and after a restart. This needs the right C(list) on C(mutatingwebhookconfigurations), and C(get) on the
        ConfigMap C(istio-sidecar-injector) and on the workloads of the overlay; without them the calls are V(unknown).
      - Kinds that do not decide on mutual TLS are named in RV(findings), and change nothing. A kind that is not known makes the
        comparison inconclusive.
    type: list
    elements: dict
    default: []
    suboptions:
      state:
        description:
          - Whether the object is there. One that is V(absent) needs only apiVersion, kind and metadata, and has to be in the state.
        type: str
        choices: [present, absent]
        default: present
      resource:
        description: The whole object, or a list of objects.
        type: dict
        required: true
  overlay_src:
    description:
      - Files with objects that are present, in addition to O(overlay), with wildcards in the last part of a path, as O(src). The
        manifests of a pull request, for example.
    type: list
    elements: path
    default: []
  fail_on:
    description:
      - Fail, with the whole result, if RV(changes) has such an entry, now or after a restart.
      - V(weaker) is less protection than before. V(broken) is a call of a workload that would be refused. V(unknown) is a call whose
        verdict is not known afterwards.
      - A call that is no longer known may be weaker and may be broken, so it fails each of these checks. So does an object of the overlay
        that is not known, and a kind that could not be read. V(unknown) also fails if calls are unknown before and after.
    type: list
    elements: str
    choices: [weaker, broken, unknown]
    default: []
"""
