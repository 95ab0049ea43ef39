# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of behaviour share: playbooks, the ingress, and the cluster behind it."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RECAP = re.compile(r"^(\S+)\s+: (ok=.*)$", re.MULTILINE)
TELLING = re.compile(r"^(?:fatal|failed|changed): |ERROR|WARNING", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of ansible-playbook."""

    returncode: int
    text: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """Host -> the counters of PLAY RECAP."""
        return {
            host: {key: int(number) for key, number in (part.split("=") for part in counters.split())}
            for host, counters in RECAP.findall(self.text.rpartition("PLAY RECAP")[2])
        }

    @property
    def told(self) -> str:
        """The output for who has to find out why a run was not as expected: first the tasks that failed or changed
        something and the recap, because a log of tests is often cut after some lines, then everything.
        """
        blocks = re.split(r"\n\n(?=[A-Z])", self.text)
        telling = [block for block in blocks if TELLING.search(block) or block.startswith("PLAY RECAP")]
        return "\n\n".join([*telling, "==== the whole output ====", self.text])


def ansible_playbook(
    playbook: str, *args: str, environment: dict[str, str] | None = None, timeout: float = 900, folder: Path = ROOT
) -> Run:
    """Runs a playbook with this Python's ansible and without a terminal: ``playbooks/<playbook>``, from the root of the checkout, or a
    playbook of an installed collection by its full name, from another folder.
    """
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            playbook if playbook.startswith("servicemesh.") else f"playbooks/{playbook}",
            *args,
        ],
        cwd=folder,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Run(done.returncode, done.stdout)


def processes_with(variable: str) -> list[int]:
    """All processes with a variable (`NAME=value`) in their environment, whoever their parents are."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def make(target: str) -> str:
    """What ``make -s <target>`` prints."""
    done = subprocess.run(["make", "-s", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@dataclasses.dataclass(frozen=True)
class Answer:
    """Status, headers (lower case) and body of one HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.status} {self.body[:500]!r}"


class Ingress:
    """A client outside of the cluster, in front of the NGINX ingress. Nothing is retried."""

    def __init__(self, base_url: str, host: str) -> None:
        self.url = urllib.parse.urlsplit(base_url)
        self.host = host

    def __call__(
        self, method: str, path: str, body: Any = None, token: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        sent = {"Host": self.host, "Accept": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        if self.url.scheme == "https":
            context = ssl._create_unverified_context()  # noqa: S323  # the local certificate is self-signed
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self.url.hostname or "", self.url.port, timeout=30, context=context
            )
        else:
            connection = http.client.HTTPConnection(self.url.hostname or "", self.url.port, timeout=30)
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@dataclasses.dataclass(frozen=True)
class Executed:
    """Result of a command in a container."""

    code: int
    out: str


# Runs in an app container: METHOD URL [BODY] -> status on the first line, the body below. Redirects and proxies are left out.
CALL = """
import sys, urllib.request, urllib.error
method, url, body = sys.argv[1], sys.argv[2], (sys.argv[3].encode() if len(sys.argv) > 3 else None)
request = urllib.request.Request(url, body, {"content-type": "application/json"} if body else {}, method=method)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    answer = opener.open(request, timeout=15)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status)
print(answer.read().decode(errors="replace"))
"""

# HOST PORT HEX -> hex of the first 64 bytes that come back, or how the connection ended.
TALK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as talk:
        talk.sendall(bytes.fromhex(sys.argv[3]))
        answer = talk.recv(64)
        print(answer.hex() or "closed")
except ConnectionError:
    print("closed")
"""


class Cluster:
    """The cluster behind a kubeconfig."""

    def __init__(self, kubeconfig: str) -> None:
        from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
        from kubernetes import client, config

        self.raw = Client({"kubeconfig": kubeconfig}, environ={})
        self.kubeconfig = kubeconfig
        self.api = config.new_client_from_config(kubeconfig)
        self.core = client.CoreV1Api(self.api)
        self.apps = client.AppsV1Api(self.api)

    def get(self, path: str) -> Any:
        """Body of a GET on the API server, as plain dicts."""
        found = self.raw.get(path)
        assert found is not None, f"{path} is not there"
        return found

    def promql(self, query: str) -> list[dict[str, Any]]:
        """The result of an instant query to the platform's Prometheus."""
        proxy = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy"
        answer = self.get(f"{proxy}/api/v1/query?{urllib.parse.urlencode({'query': query})}")
        assert answer["status"] == "success", (query, answer)
        return list(answer["data"]["result"])

    def pods(self, namespace: str, selector: str) -> list[Any]:
        """Running pods, oldest first."""
        items = self.core.list_namespaced_pod(
            namespace, label_selector=selector, field_selector="status.phase=Running"
        ).items
        return sorted(
            (i for i in items if i.metadata.deletion_timestamp is None), key=lambda i: i.metadata.creation_timestamp
        )

    def execute(self, namespace: str, pod: str, container: str, argv: list[str]) -> Executed:
        """Runs a command in a container and waits for its end."""
        from kubernetes.stream import stream

        talk = stream(
            self.core.connect_get_namespaced_pod_exec,
            pod,
            namespace,
            container=container,
            command=argv,
            stdin=False,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
        )
        talk.run_forever(timeout=60)
        out = talk.read_stdout() + talk.read_stderr()
        return Executed(int(talk.returncode), out)

    def output(self, namespace: str, selector: str, container: str, lines: int = 2000) -> str:
        """The last lines of a container of the newest pod."""
        name = self.pods(namespace, selector)[-1].metadata.name
        answer = self.core.read_namespaced_pod_log(
            name, namespace, container=container, tail_lines=lines, _preload_content=False
        )
        return str(answer.data.decode())

    def app_container(self, namespace: str, service: str) -> tuple[str, str]:
        """(pod, container that is not the sidecar) of a service."""
        pod = self.pods(namespace, f"app={service},track=stable")[-1]
        (name,) = [c.name for c in pod.spec.containers if c.name != "istio-proxy"]
        return pod.metadata.name, name

    def call_as(
        self, service: str, method: str, url: str, body: str = "", namespace: str = "ecommerce"
    ) -> tuple[int, str]:
        """(status, body) of an HTTP call that one service makes, through its own sidecar."""
        pod, container = self.app_container(namespace, service)
        argv = ["python3", "-c", CALL, method, url, *([body] if body else [])]
        done = self.execute(namespace, pod, container, argv)
        assert done.code == 0, done.out
        status, _newline, text = done.out.partition("\n")
        return int(status), text

    def talk_as(self, service: str, host: str, port: int, data: bytes, namespace: str = "ecommerce") -> str:
        """First bytes (hex) that a TCP server answers to a service, or ``closed``."""
        pod, container = self.app_container(namespace, service)
        done = self.execute(namespace, pod, container, ["python3", "-c", TALK, host, str(port), data.hex()])
        assert done.code == 0, done.out
        return done.out.strip()
