# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static credentials: a client certificate or a token in one kubeconfig, or in options. The `kubernetes` package handles the rest.

Its import takes 0.25 s and 12 MB, mostly for login plugins (google-auth, requests, oauth), which a certificate or a token does not need.
Imported once, before the workers fork, it would still cost 0.25 s in each run of any playbook, and it takes 11 ms where this file takes
4 ms, in each of the 30 tasks of site.yml that connect: half a second together (processor time, ansible-core 2.19, Python 3.11). Nothing is
validated here: a kubeconfig with other settings, or with an error, is left to the package and its messages.
"""

from __future__ import annotations

import base64
import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import impersonation
from ansible_collections.servicemesh.platform.plugins.module_utils._tls import verify_as_go

with contextlib.suppress(ImportError):  # config.IMPORT_ERROR holds the error; Client reports it
    import yaml
    from urllib3.util.ssl_ import ALPN_PROTOCOLS, create_urllib3_context

_USER = impersonation.SETTINGS | {
    "client-certificate", "client-certificate-data", "client-key", "client-key-data", "token",
}  # fmt: skip
_CLUSTER = frozenset(
    {
        "server",
        "certificate-authority",
        "certificate-authority-data",
        "insecure-skip-tls-verify",
        "tls-server-name",
        "extensions",
    }
)


@dataclass(slots=True)
class Plain:
    """Settings of a connection, named as in the package's Configuration, so that `config` treats both alike.

    Certificates and the key are PEM texts or paths of files.
    """

    host: str = ""
    verify_ssl: bool = True
    ssl_ca_cert: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    tls_server_name: str | None = None
    username: str = ""
    password: str = ""
    api_key: dict[str, str] = field(default_factory=dict)
    api_key_prefix: dict[str, str] = field(default_factory=dict)
    connection_pool_maxsize: int = 1
    refresh_api_key_hook: Any = None
    acts_as: dict[str, Any] = field(default_factory=dict)  # impersonation.settings_of

    def auth_settings(self) -> dict[str, dict[str, str]]:
        """Headers with the credentials."""
        token = self.api_key.get("authorization")
        return {"BearerToken": {"key": "authorization", "value": token}} if token else {}

    def get_basic_auth_token(self) -> str:
        """Value of the header for HTTP basic authentication."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def plain(kubeconfig: str | Mapping[str, Any], context: str | None) -> Plain | None:
    """Credentials and cluster of a context, or None when the `kubernetes` package has to find them."""
    base = ""
    if isinstance(kubeconfig, Mapping):
        config: Any = kubeconfig
    else:
        path = os.path.expanduser(kubeconfig)
        try:
            with open(path, encoding="utf-8") as stream:
                config = yaml.load(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        except (OSError, yaml.YAMLError, UnicodeDecodeError):
            return None
        base = os.path.dirname(os.path.abspath(path))
    try:
        return _from_config(config, context, base)
    except (KeyError, TypeError, AttributeError, ValueError):
        return None


def _from_config(config: Mapping[str, Any], context: str | None, base: str) -> Plain | None:
    chosen = _named(config, "contexts", context or config["current-context"])["context"]
    cluster = _named(config, "clusters", chosen["cluster"])["cluster"]
    user = _named(config, "users", chosen["user"])["user"] or {}
    if not set(user) <= _USER or not set(cluster) <= _CLUSTER:
        return None
    server = cluster["server"].rstrip("/")
    found = Plain(host=server, verify_ssl=not cluster.get("insecure-skip-tls-verify", False))
    found.acts_as = impersonation.settings_of(user)
    found.tls_server_name = cluster.get("tls-server-name")
    if server.startswith("https"):
        found.ssl_ca_cert = _pem(cluster, "certificate-authority", base)
        found.cert_file = _pem(user, "client-certificate", base)
        found.key_file = _pem(user, "client-key", base)
        if (found.cert_file is None) != (found.key_file is None):
            return None
    elif not server.startswith("http://"):
        return None
    if token := user.get("token"):
        found.api_key["authorization"] = "Bearer " + token
    return found


def _named(config: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    """The only entry of this name; raises ValueError otherwise, and the package reports it."""
    (entry,) = [entry for entry in config[kind] if entry["name"] == name]
    found: Mapping[str, Any] = entry
    return found


def _pem(entry: Mapping[str, Any], name: str, base: str) -> str | None:
    if data := entry.get(f"{name}-data"):
        return base64.b64decode(data, validate=True).decode("ascii")
    if f"{name}-data" in entry:
        raise ValueError(f"{name}-data is empty")
    if (path := entry.get(name)) is None:
        return None
    if not os.path.isabs(path) and not base:
        raise ValueError("a relative path in a kubeconfig that is not a file")
    path = os.path.normpath(os.path.join(base, path))
    if not os.path.isfile(path):
        raise ValueError(f"{path} does not exist")
    return str(path)


def tls_context(identity: Any) -> ssl.SSLContext:
    """One TLS context for all connections of a `Plain`, or of the package's Configuration. A key is on disk only while it is read.

    Raises SSLError, OSError or ValueError where the certificates or the key cannot be used.
    """
    context: ssl.SSLContext = verify_as_go(create_urllib3_context())
    if not identity.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif identity.ssl_ca_cert is None:
        context.load_default_certs()
    elif _is_text(identity.ssl_ca_cert):
        context.load_verify_locations(cadata=identity.ssl_ca_cert)
    else:
        context.load_verify_locations(cafile=identity.ssl_ca_cert)
    if identity.cert_file is not None:
        _load_chain(context, identity.cert_file, identity.key_file)
    _set_alpn_once(context)
    return context


def _set_alpn_once(context: ssl.SSLContext) -> None:
    """Sets the ALPN protocols, and prevents that urllib3 sets them again for each connection (util/ssl_.py, ssl_wrap_socket).

    Setting them again frees the old list, which the connection of another thread may be copying. Its ClientHello then holds garbage,
    and the server answers with the alert decode_error (https://github.com/python/cpython/issues/141012): once in 20,000 calls.
    """
    context.set_alpn_protocols(ALPN_PROTOCOLS)
    context.set_alpn_protocols = _already_set  # type: ignore[assignment]


def _already_set(_protocols: Iterable[str]) -> None:
    """Replaces a context's ``set_alpn_protocols`` from its first connection on."""


def _is_text(value: str) -> bool:
    return "-----BEGIN" in value


def _load_chain(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    if not _is_text(cert) and not (key and _is_text(key)):
        context.load_cert_chain(cert, key)
        return
    with tempfile.TemporaryDirectory() as room:  # for this user only
        paths: list[str | None] = []
        for name, value in (("cert", cert), ("key", key)):
            if value is None or not _is_text(value):
                paths.append(value)
                continue
            path = os.path.join(room, name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
                stream.write(value)
            paths.append(path)
        if paths[0] is None:
            raise AssertionError("a key without a certificate is not plain")
        context.load_cert_chain(paths[0], paths[1])
