# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the role nginx_ingress."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_DNS_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_HOST = re.compile(rf"(\*\.)?{_DNS_NAME}")
_VHOST = re.compile(r"(\$host|[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?)?")
_SIZE = re.compile(r"[1-9][0-9]*[kKmM]?")
_IMAGE = re.compile(r"[^@]+:[^:/@]+")
_RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")


def findings(values: Mapping[str, Any]) -> Iterator[str]:
    """Hosts, sizes, the image, TLS settings that go together, node ports."""
    hosts = values["nginx_ingress_hosts"]
    if not hosts:
        yield "nginx_ingress_hosts: is empty; expected one or more DNS names (RFC 1123), such as shop.example.com or *.shop.example.com"
    for host in hosts:
        if not _HOST.fullmatch(str(host)):
            yield f"nginx_ingress_hosts: {host!r} is no DNS name (RFC 1123); expected one such as shop.example.com or *.shop.example.com"
    yield from _forms(values)
    yield from _tls(values)
    if values["nginx_ingress_state"] == "present" and values["nginx_ingress_service_type"] != "ClusterIP":
        yield from _node_ports(values)


def _forms(values: Mapping[str, Any]) -> Iterator[str]:
    vhost, size, image = (values[f"nginx_ingress_{name}"] for name in ("upstream_vhost", "header_size", "image"))
    if not _VHOST.fullmatch(vhost):
        yield f"nginx_ingress_upstream_vhost: {vhost!r} is no host; expected a DNS name without a wildcard, $host, or an empty text"
    if not _SIZE.fullmatch(size):
        yield f"nginx_ingress_header_size: {size!r} is no size; expected one such as 16k"
    if image and not _IMAGE.fullmatch(image):
        yield f"nginx_ingress_image: {image!r} is no image; expected registry/name:tag, or an empty text for the chart's own"


def _tls(values: Mapping[str, Any]) -> Iterator[str]:
    mode, certificate = values["nginx_ingress_tls_mode"], values["nginx_ingress_tls_certificate"]
    if bool(certificate) != bool(values["nginx_ingress_tls_key"]):
        given, missing = ("certificate", "key") if certificate else ("key", "certificate")
        yield f"nginx_ingress_tls_{missing}: is empty, and nginx_ingress_tls_{given} is not; expected both, or none of them"
    if certificate and mode != "secret":
        yield f"nginx_ingress_tls_certificate: is given, but nginx_ingress_tls_mode is {mode!r}; expected 'secret'"
    if mode == "cert_manager" and not values["nginx_ingress_tls_issuer"]:
        yield "nginx_ingress_tls_issuer: is empty, and nginx_ingress_tls_mode is 'cert_manager'; expected the name of a ClusterIssuer"
    renew, days = values["nginx_ingress_self_signed_renew_days"], values["nginx_ingress_self_signed_days"]
    if renew >= days:
        yield f"nginx_ingress_self_signed_renew_days: {renew} is not less than nginx_ingress_self_signed_days, which is {days}"


def _node_ports(values: Mapping[str, Any]) -> Iterator[str]:
    """A dry run tells which node ports are taken, but not which ones the API server has.

    It refuses the others only for real (kubernetes, pkg/registry/core/service/portallocator/operation.go). Helm would fail then, in the
    middle of the run, and leave a failed release.
    """
    given = values["nginx_ingress_node_port_range"]
    found = _RANGE.fullmatch(given)
    if found is None:
        yield f"nginx_ingress_node_port_range: {given!r} is no range of ports; expected one such as 30000-32767"
        return
    for name, number in values["nginx_ingress_node_ports"].items():
        if not int(found[1]) <= int(number) <= int(found[2]):
            yield (
                f"nginx_ingress_node_ports.{name}: {number} is outside of {given} (nginx_ingress_node_port_range). That is the range of an "
                "API server without --service-node-port-range. Choose another port, or state the range of this cluster"
            )
