# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    # Both are whole texts: ansible-test reads no expressions. tests/contract/test_collection.py holds what they share equal.
    DOCUMENTATION = r"""
options:
  prometheus:
    description:
      - Where Prometheus is, as the lookup P(servicemesh.platform.prometheus_address#lookup) returns it.
      - Empty or left out when there is none.
    type: dict
    suboptions:
      url:
        description: URL of Prometheus, without user and password. Either this or O(prometheus.service).
        type: str
      service:
        description: Service that is asked through the API server, as V(namespace/name:port), with the prefix V(https:) for TLS.
        type: str
      headers:
        description: Headers of queries to O(prometheus.url), such as a token or a tenant. They are not recorded.
        type: dict
      username:
        description: User for HTTP basic authentication, with O(prometheus.url).
        type: str
      password:
        description: Password for HTTP basic authentication. It is not recorded.
        type: str
      validate_certs:
        description: Whether to check the server's certificate.
        type: bool
        default: true
      ca_cert:
        description: Path of the CA certificate of the server.
        type: path
"""

    # For modules that compare what they computed with metrics of a time.
    WINDOW = r"""
options:
  prometheus:
    description:
      - Where Prometheus is, as the lookup P(servicemesh.platform.prometheus_address#lookup) returns it.
      - Empty or left out when there is none.
      - It is asked for C(istio_requests_total) and C(istio_tcp_connections_opened_total) of the destination reporter, and their
        C(connection_security_policy) is compared with the verdicts. Without such series nothing is compared.
    type: dict
    suboptions:
      window:
        description: How far back to look, in seconds.
        type: int
        default: 3600
      url:
        description: URL of Prometheus, without user and password. Either this or O(prometheus.service).
        type: str
      service:
        description: Service that is asked through the API server, as V(namespace/name:port), with the prefix V(https:) for TLS.
        type: str
      headers:
        description: Headers of queries to O(prometheus.url), such as a token or a tenant. They are not recorded.
        type: dict
      username:
        description: User for HTTP basic authentication, with O(prometheus.url).
        type: str
      password:
        description: Password for HTTP basic authentication. It is not recorded.
        type: str
      validate_certs:
        description: Whether to check the server's certificate.
        type: bool
        default: true
      ca_cert:
        description: Path of the CA certificate of the server.
        type: path
"""
