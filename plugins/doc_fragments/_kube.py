# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file, several paths separated by C(:), or its content as a mapping.
      - Without it and without O(host), E(K8S_AUTH_KUBECONFIG) and then E(KUBECONFIG) are used, then the ServiceAccount of the
        pod that the module runs in, then C(~/.kube/config). An empty string counts as not set.
    type: raw
  context:
    description:
      - Context of the kubeconfig; its current context by default. Also E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description:
      - URL of the API server. Also E(K8S_AUTH_HOST).
    type: str
  api_key:
    description:
      - Bearer token. Also E(K8S_AUTH_API_KEY).
    type: str
  username:
    description:
      - User for HTTP basic authentication. Also E(K8S_AUTH_USERNAME).
    type: str
  password:
    description:
      - Password for HTTP basic authentication. Also E(K8S_AUTH_PASSWORD).
    type: str
  validate_certs:
    description:
      - Whether to verify the API server's certificate. Also E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description:
      - Path of the CA certificate of the API server. Also E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description:
      - Path of a client certificate. Also E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - Path of the client certificate's key. Also E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  proxy:
    description:
      - URL of a proxy for the connection to the API server. Also E(K8S_AUTH_PROXY).
    type: str
  no_proxy:
    description:
      - Hosts, domains, addresses and CIDRs that are reached without the proxy, separated by commas.
        Also E(K8S_AUTH_NO_PROXY).
    type: str
  proxy_headers:
    description:
      - Headers for the proxy.
    type: dict
    suboptions:
      proxy_basic_auth:
        description: User and password for the proxy, separated by a colon.
        type: str
      basic_auth:
        description: User and password for basic authentication, separated by a colon.
        type: str
      user_agent:
        description: The user agent.
        type: str
  persist_config:
    description:
      - Accepted so that one C(module_defaults) group also works for C(kubernetes.core); refreshed tokens are never written back.
    type: bool
  impersonate_user:
    description:
      - User to act as, in place of C(as) of the kubeconfig's user. Also E(K8S_AUTH_IMPERSONATE_USER).
      - C(as), C(as-uid), C(as-groups) and C(as-user-extra) of a kubeconfig's user mean what they mean for C(kubectl).
    type: str
  impersonate_groups:
    description:
      - Groups to act as, in place of C(as-groups) of the kubeconfig's user. Also E(K8S_AUTH_IMPERSONATE_GROUPS), separated by commas.
    type: list
    elements: str
requirements:
  - python >= 3.11
  - kubernetes >= 32.0.0
  - PyYAML >= 6.0
notes:
  - Runs on a machine that can reach the cluster, usually on the controller (C(connection=local)).
"""
