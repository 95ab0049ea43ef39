# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  steps:
    description: Weights of the new version in percent, rising. Promotion comes after the last one, whatever it is.
    type: list
    elements: int
    default: [5, 20, 50]
  interval:
    description: Seconds of a window that metrics are judged over; at least twice Prometheus' scrape interval.
    type: float
    default: 60
  warmup:
    description: Seconds between the first ready pod of the new version and its first request.
    type: float
    default: 0
  max_duration:
    description: Seconds after which a rollout that is still shifting has failed.
    type: float
    default: 3600
  progress_deadline:
    description: Seconds that pods get to be ready.
    type: float
    default: 300
  drain:
    description: Seconds between the last request and the end of the new version's pods.
    type: float
    default: 10
  hold_at:
    description: Weight to stop at, after its window has passed, until O(verb=promote) or O(verb=resume). 0 stops nowhere.
    type: int
    default: 0
  on_failure:
    description: What follows a failure, V(rollback) or V(freeze).
    type: str
    choices: [rollback, freeze]
    default: rollback
  failures:
    description: Windows in a row that have to fail. A metric with O(analysis[].critical) fails a rollout at once.
    type: int
    default: 1
  inconclusives:
    description: Windows in a row without a verdict that count as a failure.
    type: int
    default: 3
  passes:
    description: Windows in a row that have to pass before the next step.
    type: int
    default: 1
  analysis:
    description:
      - What the new version is judged by. Each entry has one of C(metric), C(query), C(url) and C(job), and limits.
      - By default a success rate of 0.99 over 10 requests or more, and a 99th percentile of at most 1000 ms.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the metric; needed for all but built-in ones.
        type: str
      metric:
        description: A built-in metric. V(success_rate) is from 0 to 1, the percentiles of the duration are in milliseconds.
        type: str
        choices: [success_rate, p50, p95, p99]
      query:
        description:
          - PromQL that finds one series. C($service), C($namespace), C($subset), C($workload) and C($window) are put in.
        type: str
      url:
        description: Address that answers with JSON. The same words are put in.
        type: str
      value:
        description: JMESPath expression that finds the number in the answer.
        type: str
      headers:
        description: Headers of the request. They are not recorded; a later call has to give them again.
        type: dict
      job:
        description: A Job (its C(spec) is enough) that is run once a window and has to complete.
        type: dict
      timeout:
        description: Seconds that a Job gets.
        type: float
      reporter:
        description: Whose telemetry of Istio is asked. By default both, as two metrics.
        type: str
        choices: [destination, source]
      min:
        description: Least value.
        type: float
      max:
        description: Greatest value.
        type: float
      min_ratio:
        description: Least ratio to stable in the same window.
        type: float
      max_ratio:
        description: Greatest ratio to stable in the same window.
        type: float
      min_difference:
        description: Least difference to stable in the same window.
        type: float
      max_difference:
        description: Greatest difference to stable in the same window.
        type: float
      min_requests:
        description: Requests that the new version must have had in the window, else there is no verdict.
        type: int
      freshness:
        description: PromQL that finds the Unix time of the newest sample behind O(analysis[].query).
        type: str
      max_age:
        description: Seconds that the newest sample may be old, else it is stale.
        type: float
      otherwise:
        description:
          - What it means when there is no number, by reason (C(missing), C(nan), C(infinite), C(several), C(stale), C(error)).
            Values are C(pass), C(fail) and C(inconclusive), which is the default of all.
        type: dict
      critical:
        description: One window that fails by this metric is enough, whatever O(failures) says.
        type: bool
        default: false
      dry_run:
        description: Measured and shown, without a say in the verdict.
        type: bool
        default: false
  gates:
    description: What has to be open before a step or before the promotion.
    type: list
    elements: dict
    suboptions:
      before:
        description: Weight of the step, or V(promotion).
        type: str
        required: true
      annotation:
        description: Annotation that the stable Deployment must have.
        type: str
      equals:
        description: Value of that annotation.
        type: str
        default: "true"
      query:
        description: PromQL that must find a number within O(gates[].min) and O(gates[].max).
        type: str
      url:
        description: Address that answers with JSON.
        type: str
      value:
        description: JMESPath expression that finds the number, or V(true) or V(false), in the answer.
        type: str
      headers:
        description: Headers of the request.
        type: dict
      job:
        description: A Job that has to complete.
        type: dict
      min:
        description: Least value.
        type: float
      max:
        description: Greatest value.
        type: float
      timeout:
        description: Seconds that the gate may stay closed.
        type: float
        default: 3600
      on_timeout:
        description: What follows then.
        type: str
        choices: [rollback, freeze, continue]
        default: rollback
  prometheus:
    description: Where Prometheus is, by URL or through the API server's proxy to a Service.
    type: dict
    suboptions:
      url:
        description: Its URL.
        type: str
      service:
        description: C(namespace/name:port) of its Service; V(https:) in front when it has TLS.
        type: str
      headers:
        description: Headers of each query. They are not recorded.
        type: dict
      username:
        description: User for basic authentication.
        type: str
      password:
        description: Password. It is not recorded.
        type: str
      validate_certs:
        description: Whether its certificate is checked.
        type: bool
        default: true
      ca_cert:
        description: CA certificate of it.
        type: path
"""
