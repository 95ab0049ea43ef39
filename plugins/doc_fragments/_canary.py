# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  steps:
    description: Weights of the new version in percent, in increasing order. The promotion comes after the last one.
    type: list
    elements: int
    default: [5, 20, 50]
  interval:
    description: Seconds of the window over which metrics are judged; at least twice Prometheus' scrape interval.
    type: float
    default: 60
  warmup:
    description: Seconds between the readiness of the new version and its first request.
    type: float
    default: 0
  max_duration:
    description: Seconds after which a rollout that has not reached the promotion fails.
    type: float
    default: 3600
  progress_deadline:
    description: Seconds within which pods must be ready.
    type: float
    default: 300
  drain:
    description:
      - Seconds between weight 0 and the removal of the new version's pods, at most.
      - The pods are removed earlier when the counters of their proxies show for one second that no request is open and none arrives. That
        is read by a port forward, see O(proof_samples), and only when the weight 0 is proved.
    type: float
    default: 10
  pause_at:
    description: Weight at which the rollout pauses after a passed window, until V(promote) or V(resume). 0 pauses nowhere.
    type: int
    default: 0
  on_failure:
    description: What the rollout does after a failure.
    type: str
    choices: [rollback, freeze]
    default: rollback
  failures:
    description: Failed windows in a row that fail the rollout. A metric with O(analysis[].critical) fails it at once.
    type: int
    default: 1
  inconclusives:
    description: Inconclusive windows in a row that fail the rollout.
    type: int
    default: 3
  passes:
    description: Passed windows in a row that are required before the next step.
    type: int
    default: 1
  blind_limit:
    description:
      - Seconds without a usable sample after which the rollout does what O(on_failure) says. A window that passes or fails is a usable
        sample.
      - The time counts while the new version gets requests and its metrics should be judged. It includes the proof of a new weight.
        Pauses, approvals and the start of pods do not count.
      - At least two intervals. The default is three intervals, or as many as O(inconclusives) when that is more, and not less than 30.
    type: float
  analysis:
    description:
      - Metrics that judge the new version. Each entry has one of O(analysis[].metric), O(analysis[].query), O(analysis[].url) and
        O(analysis[].job), and limits.
      - Nothing that a server answers ends a run. A metric without a number is inconclusive, and its check says why. All requests of one
        metric in a window together may take 10 seconds.
      - The default is a success rate of at least 0.99 over at least 10 requests, and a 99th percentile of at most 1000 ms.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the metric; required for all but built-in metrics.
        type: str
      metric:
        description:
          - A built-in metric, from Istio's standard metrics in Prometheus. V(success_rate) is the share of the requests that the version
            did not fail, V(tcp_success_rate) that of TCP connections that were closed without its failure. The percentiles of the duration
            are in milliseconds. Which request counts as failed is in docs/canary.md.
          - A start is refused when the series of the service have not the labels that the queries need. A service without samples may
            start; a note says so.
        type: str
        choices: [success_rate, tcp_success_rate, p50, p95, p99]
      query:
        description:
          - PromQL that returns one series. C($service), C($namespace), C($subset), C($workload) and C($window) are replaced.
          - A start is refused when Prometheus cannot parse it, or has not the metrics and labels that it names. For a metric with
            O(analysis[].dry_run), that is a note. The answer may take 4 seconds and have 4 MiB.
        type: str
      url:
        description:
          - URL that returns JSON. The same variables are replaced. The answer may take 5 seconds and have 1 MiB, redirects included.
          - Users and passwords belong in O(analysis[].headers), because the URL is recorded.
        type: str
      value:
        description: JMESPath expression of the number, or of V(true) or V(false), in the response.
        type: str
      headers:
        description: Headers of the request to O(analysis[].url). They are not recorded; each later call needs them again.
        type: dict
      job:
        description:
          - A Job (its C(spec) is enough) that runs once in each window and must complete. A start is refused when the API server does not
            accept it, which a dry run finds out.
        type: dict
      timeout:
        description: Seconds within which O(analysis[].job) must complete. The default is 60.
        type: float
      reporter:
        description: Reporter of Istio's metrics, for O(analysis[].metric). The default is both, as two metrics.
        type: str
        choices: [destination, source]
      grpc_failures:
        description:
          - Statuses of gRPC that count as failures of the version, for V(success_rate) of O(analysis[].metric).
          - The default is 2, 4, 12, 13, 14 and 15 (UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS).
        type: list
        elements: int
      min:
        description: Minimum.
        type: float
      max:
        description: Maximum.
        type: float
      min_ratio:
        description: Minimum ratio to stable in the same window.
        type: float
      max_ratio:
        description: Maximum ratio to stable in the same window.
        type: float
      min_difference:
        description: Minimum difference to stable in the same window.
        type: float
      max_difference:
        description: Maximum difference to stable in the same window.
        type: float
      min_requests:
        description: Minimum number of requests to the new version in the window; with fewer, the metric is inconclusive.
        type: int
      freshness:
        description: PromQL of the Unix time of the newest sample behind O(analysis[].query). It is tried at the start as well.
        type: str
      max_age:
        description: Maximum age of the newest sample in seconds; an older one is stale. The default is 90.
        type: float
      otherwise:
        description:
          - Verdict when there is no number, by reason (C(missing), C(nan), C(infinite), C(several), C(stale), C(partial), C(error)).
            Verdicts are C(pass), C(fail) and C(inconclusive), which is the default for all reasons.
          - V(partial) is an answer of Prometheus with warnings, for which data was left out.
        type: dict
      critical:
        description: Whether one window in which this metric fails is enough to fail the rollout, whatever O(failures) is.
        type: bool
        default: false
      dry_run:
        description: Whether the metric is measured and shown, but does not count in the verdict.
        type: bool
        default: false
  approvals:
    description: Approvals that are required before a step or before the promotion.
    type: list
    elements: dict
    suboptions:
      before:
        description: Weight of the step that requires the approval, or V(promotion).
        type: str
        required: true
      annotation:
        description: Annotation of the stable Deployment that gives the approval.
        type: str
      equals:
        description: Value that the annotation must have.
        type: str
        default: "true"
      query:
        description: PromQL that must return a number within O(approvals[].min) and O(approvals[].max).
        type: str
      url:
        description: URL that returns JSON.
        type: str
      value:
        description: JMESPath expression of the number, or of V(true) or V(false), in the response.
        type: str
      headers:
        description: Headers of the request.
        type: dict
      job:
        description: A Job that must complete.
        type: dict
      min:
        description: Minimum.
        type: float
      max:
        description: Maximum.
        type: float
      timeout:
        description: Seconds within which the approval must be given.
        type: float
        default: 3600
      on_timeout:
        description: What the rollout does when the approval is not given in time.
        type: str
        choices: [rollback, freeze, continue]
        default: rollback
  prometheus:
    description: Address of Prometheus, a URL or a Service that is reached through the API server's proxy.
    type: dict
    suboptions:
      url:
        description: URL of Prometheus, without user and password.
        type: str
      service:
        description: C(namespace/name:port) of its Service; with the prefix V(https:) when it uses TLS.
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
        description: Whether its certificate is verified.
        type: bool
        default: true
      ca_cert:
        description: File with the CA certificate of Prometheus.
        type: path
"""
