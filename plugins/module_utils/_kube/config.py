# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach a cluster: makes a client configuration from options, environment and kubeconfig."""

from __future__ import annotations

import base64
import importlib
import os
import ssl
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import impersonation, logins, static_auth
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import kubeconfig as kubeconfigs
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.exec_plugin import Credential, plugin_of

try:
    import urllib3
    import yaml

    IMPORT_ERROR: Exception | None = None
except ImportError as error:  # Client reports it, with the interpreter's path
    IMPORT_ERROR = error


def missing(error: Exception) -> KubeError:
    """The error for a Python package that is not installed."""
    return KubeError(
        f"Python {sys.executable} cannot import a package that the connection to Kubernetes needs ({error}). "
        "Install the packages 'kubernetes' and 'PyYAML' for it, or set ansible_python_interpreter for the host "
        'to "{{ ansible_playbook_python }}".'
    )


def _library() -> Any:
    """The `kubernetes` package, imported only when it is needed, because the import takes 0.2 s."""
    try:
        importlib.import_module("kubernetes.client")
        importlib.import_module("kubernetes.config")
    except ImportError as error:
        raise missing(error) from None
    return sys.modules["kubernetes"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the settings of a connection come from, for messages."""

    kubeconfig: str
    origin: str
    context: str
    server: str

    def __str__(self) -> str:
        parts = [f"server {self.server}"]
        if self.kubeconfig:
            parts.append(f"kubeconfig {self.kubeconfig} ({self.origin})")
        if self.context:
            parts.append(f"context {self.context}")
        return ", ".join(parts)


# Option: the environment variables that kubernetes.core reads for it.
_ENVIRONMENT = {
    "kubeconfig": ("K8S_AUTH_KUBECONFIG",),
    "context": ("K8S_AUTH_CONTEXT",),
    "host": ("K8S_AUTH_HOST",),
    "api_key": ("K8S_AUTH_API_KEY",),
    "username": ("K8S_AUTH_USERNAME",),
    "password": ("K8S_AUTH_PASSWORD",),
    "validate_certs": ("K8S_AUTH_VALIDATE_CERTS", "K8S_AUTH_VERIFY_SSL"),
    "ca_cert": ("K8S_AUTH_CA_CERT", "K8S_AUTH_SSL_CA_CERT"),
    "client_cert": ("K8S_AUTH_CLIENT_CERT", "K8S_AUTH_CERT_FILE"),
    "client_key": ("K8S_AUTH_CLIENT_KEY", "K8S_AUTH_KEY_FILE"),
    "proxy": ("K8S_AUTH_PROXY",),
    "no_proxy": ("K8S_AUTH_NO_PROXY",),
    "impersonate_user": ("K8S_AUTH_IMPERSONATE_USER",),
    "impersonate_groups": ("K8S_AUTH_IMPERSONATE_GROUPS",),
}
_DEFAULT = "~/.kube/config"
# What says who the user is instead of an exec plugin, in a kubeconfig's user and as options.
_OTHER_CREDENTIALS = (
    "token", "tokenFile", "username", "password", "client-certificate", "client-certificate-data",
)  # fmt: skip
_CREDENTIAL_OPTIONS = ("api_key", "username", "client_cert")
_loading = threading.Lock()  # the library gives two loads with the same certificate the same file
_EXTENSION = "client.authentication.k8s.io/exec"  # a cluster's extension for the plugin
_TLS_FILES = ("ca_certs", "ca_cert_data", "cert_file", "key_file")
_PROXY_HEADERS = ("proxy_basic_auth", "basic_auth", "user_agent")
_HINT = "Set platform_kubeconfig in the inventory (option kubeconfig, or K8S_AUTH_KUBECONFIG or KUBECONFIG in the environment)"


def options_of(params: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """Connection options, from parameters first and then from the environment, and where the kubeconfig came from.

    An empty string counts as not set, so that a variable of an inventory can be empty.
    """
    found: dict[str, Any] = {}
    origin = "option kubeconfig, platform_kubeconfig in the inventory"
    for name, variables in _ENVIRONMENT.items():
        value = params.get(name)
        if value is not None and value != "":
            found[name] = value
            continue
        for variable in variables:
            text = environ.get(variable)
            if text:
                found[name] = _from_text(name, text)
                if name == "kubeconfig":
                    origin = f"environment variable {variable}"
                break
    if "kubeconfig" not in found and environ.get("KUBECONFIG"):
        found["kubeconfig"], origin = environ["KUBECONFIG"], "environment variable KUBECONFIG"
    headers = {k: v for k, v in (params.get("proxy_headers") or {}).items() if v}
    for name in _PROXY_HEADERS:
        text = environ.get(f"K8S_AUTH_PROXY_HEADERS_{name.upper()}")
        if text:
            headers.setdefault(name, text)
    if headers:
        found["proxy_headers"] = headers
    return found, origin


def _from_text(name: str, text: str) -> Any:
    if name == "validate_certs":
        return text.lower() not in ("0", "false", "no")
    if name == "impersonate_groups":
        return [part for part in text.split(",") if part]
    return text


@dataclass(frozen=True, slots=True)
class Identity:
    """The client configuration, where it comes from, headers that say whom it acts as, and the credential of an exec plugin in it."""

    configuration: Any
    source: Source
    acts_as: list[tuple[str, str]]
    login: Credential | None = None


def identity_of(options: Mapping[str, Any], origin: str, refused: Credential | None = None) -> Identity:
    """Who asks which server. `refused`: a login that the server did not accept; another one is made then. Raises KubeError."""
    kubeconfig, context = options.get("kubeconfig"), options.get("context")
    complete = options.get("host") and (
        options.get("api_key")
        or (options.get("username") and options.get("password"))
        or (options.get("client_cert") and options.get("client_key"))
    )
    source = kubeconfig or (os.path.expanduser(_DEFAULT) if context else "")
    described = "given as a mapping" if isinstance(source, Mapping) else str(source)
    login = None
    if source and not complete:
        given, login = _logged_in(options, source, context, refused)
        if given is not None:
            options = {**options, "kubeconfig": given, "context": None}
    configuration = plain_configuration(options, complete=bool(complete))
    acts_as = configuration.acts_as if configuration else {}
    if complete:
        described, context = "", None
        configuration = configuration or _library().client.Configuration()
    elif configuration is None:
        configuration = _library().client.Configuration()
        if source:
            acts_as = _load_kubeconfig(configuration, options.get("kubeconfig"), options.get("context"), origin)
        else:
            described, acts_as, login = _load_default(configuration, options, refused)
            origin = "the default" if described else ""
    _override(configuration, options)
    where = Source(described, origin, str(context or ""), str(configuration.host))
    return Identity(configuration, where, impersonation.headers_of(options, acts_as, described), login)


def _logged_in(
    options: Mapping[str, Any], kubeconfig: Any, context: str | None, refused: Credential | None
) -> tuple[dict[str, Any] | None, Credential | None]:
    """A kubeconfig with a credential in place of the user's exec plugin, and the credential. (None, None) where no plugin is to be run.

    A plugin is not run where something else says who the user is (client-go, plugin/pkg/client/auth/exec/exec.go, UpdateTransportConfig).
    """
    found = kubeconfigs.with_exec(kubeconfig, context)
    if found is None:
        return None, None
    user = {name: value for name, value in found.user.items() if name != "exec"}
    if any(user.get(name) for name in _OTHER_CREDENTIALS) or any(options.get(name) for name in _CREDENTIAL_OPTIONS):
        return found.kubeconfig(user), None
    described = "given as a mapping" if isinstance(kubeconfig, Mapping) else str(kubeconfig)
    try:
        cluster = _told_to_plugin(found.cluster, options)
    except OSError as error:
        raise KubeError(
            f"kubeconfig {described}: the cluster's CA cannot be read ({error}). Expected a PEM file. {_HINT}."
        ) from None
    login = logins.credential(
        plugin_of(found.user["exec"], found.user_name, described, cluster), str(cluster["server"]), refused
    )
    if login.token:
        user["token"] = login.token
    if login.certificate:
        for name, text in (("client-certificate-data", login.certificate), ("client-key-data", login.key)):
            user[name] = base64.b64encode(text.encode()).decode()
    return found.kubeconfig(user), login


def _told_to_plugin(cluster: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """What a plugin is told about the cluster if its entry has provideClusterInfo (client-go, rest/exec.go, ConfigToExecCluster)."""
    if ca := options.get("ca_cert"):
        cluster = {"certificate-authority": ca, **{n: v for n, v in cluster.items() if not n.startswith("certificate")}}
    insecure = not options["validate_certs"] if "validate_certs" in options else cluster.get("insecure-skip-tls-verify")
    extensions = {entry.get("name"): entry.get("extension") for entry in cluster.get("extensions") or []}
    told = {
        "tls-server-name": cluster.get("tls-server-name"),
        "insecure-skip-tls-verify": insecure,
        "certificate-authority-data": kubeconfigs.ca_data(cluster),
        "proxy-url": options.get("proxy") or cluster.get("proxy-url"),
        "disable-compression": cluster.get("disable-compression"),
        "config": extensions.get(_EXTENSION),
    }
    server = str(options.get("host") or cluster.get("server") or "")
    return {"server": server, **{name: value for name, value in told.items() if value}}


def plain_configuration(options: Mapping[str, Any], *, complete: bool) -> Any:
    """A configuration without the `kubernetes` package, where a certificate or a token is enough; else None.

    `complete`: the options name the server and the credentials, so that no kubeconfig is needed.
    """
    if options.get("proxy") or options.get("no_proxy") or options.get("proxy_headers") or urllib.request.getproxies():
        return None
    if complete:
        return static_auth.Plain()
    kubeconfig = options.get("kubeconfig")
    if not kubeconfig or (isinstance(kubeconfig, str) and os.pathsep in kubeconfig):
        return None  # this may be a pod, or there are several files to merge
    return static_auth.plain(kubeconfig, options.get("context"))


def _load_default(
    configuration: Any, options: Mapping[str, Any], refused: Credential | None
) -> tuple[str, dict[str, Any], Credential | None]:
    """Loads the pod's own identity, or else the default kubeconfig: (its path, whom it acts as, the credential of its exec plugin)."""
    config = _library().config
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        pass
    else:
        return "", {}, None
    path = os.path.expanduser(_DEFAULT)
    if not os.path.exists(path):
        raise KubeError(
            f"No cluster is given: no kubeconfig is set, this is not a pod, and {path} does not exist. {_HINT}."
        )
    given, login = _logged_in(options, path, None, refused)
    return path, _load_kubeconfig(configuration, path if given is None else given, None, "the default"), login


def _load_kubeconfig(configuration: Any, kubeconfig: Any, context: str | None, origin: str) -> dict[str, Any]:
    """Loads a context's cluster and credentials, and returns whom it acts as (`impersonation.settings_of`)."""
    config = _library().config
    if kubeconfig is None:
        kubeconfig, origin = os.path.expanduser(_DEFAULT), "the default"
    described = "given as a mapping" if isinstance(kubeconfig, Mapping) else str(kubeconfig)
    if not isinstance(kubeconfig, Mapping):
        _check_files(described, origin)
    try:
        names, current = _contexts(kubeconfig)
        if context and context not in names:
            raise KubeError(
                f"context (platform_context in the inventory) is '{context}'; kubeconfig {described} has: "
                f"{', '.join(sorted(names)) or 'none'}. Use one of these, or another kubeconfig."
            )
        if not context and not current:
            raise KubeError(
                f"kubeconfig {described} ({origin}) names no current-context and option context "
                f"(platform_context in the inventory) is empty. Expected one of: {', '.join(sorted(names)) or 'none'}."
            )
        with _loading, tempfile.TemporaryDirectory() as room:  # for this user only
            settings: dict[str, Any] = {
                "context": context,
                "client_configuration": configuration,
                "persist_config": False,
                "temp_file_path": room,
            }
            if isinstance(kubeconfig, Mapping):
                config.load_kube_config_from_dict(dict(kubeconfig), **settings)
            else:
                config.load_kube_config(os.pathsep.join(map(str, _paths(kubeconfig))), **settings)
            _into_memory(configuration, room)
        return impersonation.settings_of(kubeconfigs.user_of(kubeconfig, context))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise KubeError(
            f"kubeconfig {described} ({origin}) is not YAML{line}. Expected a kubeconfig file. {_HINT}."
        ) from None
    except (config.ConfigException, OSError, TypeError, KeyError, AttributeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise KubeError(f"kubeconfig {described} ({origin}) cannot be used: {first}. {_HINT}.") from None


def _into_memory(configuration: Any, room: str) -> None:
    """Certificates and the key as text, where the library has written a file for them: a worker of Ansible ends without removing it."""
    for name in ("ssl_ca_cert", "cert_file", "key_file"):
        path = getattr(configuration, name)
        if path and os.path.dirname(path) == room:
            setattr(configuration, name, Path(path).read_text(encoding="ascii"))


def _paths(text: str) -> list[Path]:
    """Files of a kubeconfig. A user without a home keeps the `~`, and a file in a folder that it cannot read does not exist for it."""
    return [Path(os.path.expanduser(part)) for part in text.split(os.pathsep) if part]


def _check_files(path: str, origin: str) -> None:
    existing = [part for part in _paths(path) if os.path.exists(part)]
    if not existing:
        raise KubeError(f"kubeconfig is '{path}' ({origin}): no such file. Expected a kubeconfig file. {_HINT}.")
    for part in existing:
        if not part.is_file():
            raise KubeError(f"kubeconfig is '{part}' ({origin}): not a file. Expected a kubeconfig file. {_HINT}.")
        if not os.access(part, os.R_OK):
            raise KubeError(f"kubeconfig is '{part}' ({origin}): this user cannot read it. Fix its permissions.")


def _contexts(kubeconfig: Any) -> tuple[set[str], str]:
    """Names of the contexts, and the current context (empty when none is set)."""
    documents = [kubeconfig]
    if not isinstance(kubeconfig, Mapping):
        documents = [
            yaml.safe_load(part.read_text(encoding="utf-8")) for part in _paths(kubeconfig) if os.path.exists(part)
        ]
    names: set[str] = set()
    current = ""
    for document in documents:
        if not isinstance(document, Mapping):
            raise TypeError("it is empty or not a mapping")
        names |= {str(entry["name"]) for entry in document.get("contexts") or []}
        current = current or str(document.get("current-context") or "")
    return names, current


def _override(configuration: Any, options: Mapping[str, Any]) -> None:
    """Options override the kubeconfig."""
    for option, attribute in (
        ("username", "username"),
        ("password", "password"),
        ("validate_certs", "verify_ssl"),
        ("ca_cert", "ssl_ca_cert"),
        ("client_cert", "cert_file"),
        ("client_key", "key_file"),
        ("proxy", "proxy"),
        ("no_proxy", "no_proxy"),
    ):
        if option in options:
            setattr(configuration, attribute, options[option])
    if "host" in options:
        configuration.host = str(options["host"]).rstrip("/")
    if "api_key" in options:
        configuration.api_key = {"authorization": f"Bearer {options['api_key']}"}
        configuration.api_key_prefix = {}
        configuration.refresh_api_key_hook = None
    if "proxy_headers" in options:
        configuration.proxy_headers = urllib3.util.make_headers(**options["proxy_headers"])
    for name in ("ca_cert", "client_cert", "client_key"):
        path = options.get(name)
        if path and not Path(path).is_file():
            raise KubeError(f"{name} is '{path}': no such file. Expected a PEM file.")


def pool_of(configuration: Any) -> Any:
    """The connection pool for a configuration, with TLS, client certificate and proxy. Raises KubeError."""
    pool: Any = None
    if not isinstance(configuration, static_auth.Plain):  # the library knows proxies
        pool = _library().client.ApiClient(configuration).rest_client.pool_manager
        for name in _TLS_FILES:  # urllib3 would load them again for each connection
            pool.connection_pool_kw.pop(name, None)
    settings: dict[str, Any] = {"maxsize": configuration.connection_pool_maxsize}
    if configuration.host.startswith("https"):
        try:
            settings["ssl_context"] = static_auth.tls_context(configuration)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise KubeError(
                f"The certificates or the key for server {configuration.host} cannot be used: {error}. Expected PEM, and a "
                f"key that belongs to the certificate. {_HINT}."
            ) from None
        if not configuration.verify_ssl:
            settings["cert_reqs"] = "CERT_NONE"
        if configuration.tls_server_name:
            settings["server_hostname"] = configuration.tls_server_name
    if pool is None:
        return urllib3.PoolManager(**settings)
    pool.connection_pool_kw.update(settings)
    return pool
