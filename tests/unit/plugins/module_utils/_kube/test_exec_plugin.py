# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exec plugins: one login for all workers of a run, another one on expiry and on 401, and errors that tell what to do."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import exec_plugin, logins
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    KubeError,
    StoppedError,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.exec_plugin import Credential, Mode, Plugin
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.logins import Memory

from tests.unit.plugins.module_utils.conftest import Answer, FaultyServer, events, ok, status

V1, BETA = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"
SECRET = "s3cr3t-t0ken"
# Each call adds a line to the file `calls`: what it was told, its arguments and one variable of its environment.
SCRIPT = """#!{python}
import json, os, sys, time
room = {room!r}
with open(room + "/calls", "a") as calls:
    told = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
    calls.write(json.dumps([told, sys.argv[1:], os.environ.get("PLUGIN_VARIABLE"), sys.stdin.isatty()]) + "\\n")
time.sleep({seconds})
number = len(open(room + "/calls").readlines())
sys.stderr.write({errors!r})
print({answer!r}.replace("NUMBER", str(number)))
sys.exit({code})
"""


class Room:
    """A folder with a plugin, and what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "login"

    def plugin(
        self, *, seconds: float = 0, errors: str = "", code: int = 0, answer: str | None = None, **of: Any
    ) -> dict[str, Any]:
        """Writes the plugin; returns a user's `exec`. `of`: the status of its answer."""
        if answer is None:
            stated = {"token": f"{SECRET}-NUMBER", **of}
            answer = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": stated})
        text = SCRIPT.format(
            python=sys.executable, room=str(self.folder), seconds=seconds, errors=errors, code=code, answer=answer
        )
        self.path.write_text(text, encoding="utf-8")
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)
        return {"apiVersion": V1, "command": str(self.path), "interactiveMode": "Never"}

    @property
    def calls(self) -> list[Any]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def config(self, server: str, user: Any, name: str = "config", **cluster: Any) -> str:
        path = self.folder / name
        content = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "u", "user": user}],
        }  # fmt: skip
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return str(path)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def tokens(server: FaultyServer) -> list[str]:
    return [headers["authorization"].removeprefix(f"Bearer {SECRET}-") for _method, _path, headers in server.seen]


def client(kubeconfig: str, **options: Any) -> Client:
    return Client({"kubeconfig": kubeconfig, **options}, environ={})


# When it logs in ---------------------------------------------------------------------------------------------------------


def test_it_logs_in_once_for_all_clients(faulty: FaultyServer, room: Room) -> None:
    faulty.script = lambda *_: ok()
    path = room.config(faulty.url, {"exec": room.plugin()})
    for _number in range(3):
        client(path).request("GET", "/x")
    assert tokens(faulty) == ["1", "1", "1"]
    assert len(room.calls) == 1


def test_the_library_gets_the_same_login(faulty: FaultyServer, room: Room) -> None:
    faulty.script = lambda *_: ok()
    path = room.config(faulty.url, {"exec": room.plugin()})
    client(path).request("GET", "/x")
    client(path, no_proxy="127.0.0.1").request("GET", "/x")
    assert tokens(faulty) == ["1", "1"]


def test_another_server_user_or_environment_is_another_login(
    faulty: FaultyServer, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.script = lambda *_: ok()
    plugin = room.plugin()
    path = room.config(faulty.url, {"exec": plugin})
    client(path).request("GET", "/x")
    client(room.config(faulty.url, {"exec": {**plugin, "args": ["other"]}}, "b")).request("GET", "/x")
    client(room.config(faulty.url, {"exec": {**plugin, "env": [{"name": "A", "value": "1"}]}}, "c")).request(
        "GET", "/x"
    )
    client(room.config(faulty.url + "/", {"exec": plugin}, "d")).request("GET", "/x")
    monkeypatch.setenv("AWS_PROFILE", "other")
    client(path).request("GET", "/x")
    assert tokens(faulty) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("kind", ["request", "stream"])
def test_an_expired_login_is_made_again_before_the_request(faulty: FaultyServer, room: Room, kind: str) -> None:
    faulty.script = lambda *_: ok() if kind == "request" else events()
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    path = room.config(faulty.url, {"exec": room.plugin(expirationTimestamp=soon)})
    one = client(path)
    assert len(room.calls) == 1
    room.plugin(expirationTimestamp="2099-01-01T00:00:00+02:00")
    time.sleep(2.2)
    for _number in range(2):
        _ask(one, kind)
    _ask(client(path), kind)
    assert tokens(faulty) == ["2", "2", "2"]


def _ask(one: Client, kind: str) -> None:
    if kind == "request":
        one.request("GET", "/x")
    else:
        one.stream("/x", {"watch": "true"}, 5).close()


@pytest.mark.parametrize("kind", ["request", "stream"])
def test_a_refused_login_is_made_again_once_and_by_one_of_several(faulty: FaultyServer, room: Room, kind: str) -> None:
    path = room.config(faulty.url, {"exec": room.plugin()})
    one, other = client(path), client(path)

    def script(_method: str, _path: str) -> Answer:
        good = ok() if kind == "request" else events()
        return good if tokens(faulty)[-1] == "2" else status(401, "Unauthorized")

    faulty.script = script
    for each in (one, other):
        _ask(each, kind)
    _ask(client(path), kind)
    assert tokens(faulty) == ["1", "2", "1", "2", "2"]
    assert len(room.calls) == 2


def test_a_login_that_stays_refused_is_told(faulty: FaultyServer, room: Room) -> None:
    faulty.script = lambda *_: status(401, "Unauthorized")
    with pytest.raises(ApiError, match="does not accept these credentials") as caught:
        client(room.config(faulty.url, {"exec": room.plugin()})).request("GET", "/x")
    assert tokens(faulty) == ["1", "2"]
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("user", "options"),
    [
        ({"token": f"{SECRET}-own"}, {}),
        ({}, {"api_key": f"{SECRET}-own"}),
        ({}, {"username": "eve", "password": "p"}),
        ({"username": "eve", "password": "p"}, {}),
    ],
)
def test_no_login_where_something_else_says_who_it_is(
    faulty: FaultyServer, room: Room, user: Any, options: Any
) -> None:
    faulty.script = lambda *_: ok()
    client(room.config(faulty.url, {"exec": room.plugin(), **user}), **options).request("GET", "/x")
    sent = {name.lower(): value for name, value in faulty.seen[0][2].items()}["authorization"]
    assert sent in (f"Bearer {SECRET}-own", "Basic " + base64.b64encode(b"eve:p").decode())
    assert room.calls == []


# Several workers ---------------------------------------------------------------------------------------------------------


def worker(memory: Memory, plugin: Plugin, results: Any) -> None:
    results.put(logins.credential(plugin, "https://x", memory=memory).token)


def forked(memory: Memory, plugin: Plugin, results: Any) -> Any:
    process = multiprocessing.get_context("fork").Process(target=worker, args=(memory, plugin, results))
    process.start()
    return process


def made(entry: dict[str, Any]) -> Plugin:
    return exec_plugin.plugin_of(entry, "u", "/k", {"server": "https://x"})


def test_workers_that_start_together_log_in_once_and_later_ones_not_at_all(room: Room) -> None:
    memory, plugin, results = Memory(), made(room.plugin(seconds=0.5)), multiprocessing.get_context("fork").Queue()
    workers = [forked(memory, plugin, results) for _number in range(5)]
    assert {results.get(timeout=60) for _worker in workers} == {f"{SECRET}-1"}
    workers.append(forked(memory, plugin, results))
    assert results.get(timeout=60) == f"{SECRET}-1"
    for process in workers:
        process.join(60)
    assert len(room.calls) == 1


def test_a_worker_that_is_killed_while_it_logs_in_keeps_nobody(room: Room) -> None:
    memory, plugin, results = Memory(), made(room.plugin(seconds=60)), multiprocessing.get_context("fork").Queue()
    first = forked(memory, plugin, results)
    until(lambda: len(room.calls) == 1)
    second = forked(memory, plugin, results)
    room.plugin()
    time.sleep(0.1)
    assert len(room.calls) == 1
    os.kill(first.pid, signal.SIGKILL)
    assert results.get(timeout=60) == f"{SECRET}-2"
    for process in (first, second):
        process.join(60)


def test_two_clusters_log_in_at_once(room: Room) -> None:
    memory, results = Memory(), multiprocessing.get_context("fork").Queue()
    plugin = room.plugin(seconds=60)
    slow = forked(memory, made(plugin), results)
    until(lambda: len(room.calls) == 1)
    room.plugin()
    other = forked(memory, made({**plugin, "args": ["other"]}), results)
    assert results.get(timeout=60) == f"{SECRET}-2"
    os.kill(slow.pid, signal.SIGKILL)
    for process in (slow, other):
        process.join(60)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_who_waits_for_a_login_ends_with_its_run(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, plugin, results = Memory(), made(room.plugin(seconds=60)), multiprocessing.get_context("fork").Queue()
    first = forked(memory, plugin, results)
    until(lambda: len(room.calls) == 1)
    monkeypatch.setattr(_parent, "why_stop", lambda: "it was cancelled")
    with pytest.raises(StoppedError, match="cancelled"):
        logins.credential(plugin, "https://x", memory=memory)
    os.kill(first.pid, signal.SIGKILL)
    first.join(60)
    with pytest.raises(StoppedError, match="cancelled"):  # and who logs in
        exec_plugin.run(plugin)


def test_what_has_no_room_is_not_kept() -> None:
    memory = Memory()
    memory.put("a", Credential("t"))
    memory.put("b", Credential("t" * (1 << 20)))
    assert memory.get("a") == Credential("t")
    assert memory.get("b") is None


# What it is told, and how it is run --------------------------------------------------------------------------------------


def test_it_is_told_about_the_cluster_if_it_wants_to_know(room: Room) -> None:
    (room.folder / "ca.pem").write_text("PEM", encoding="ascii")
    extensions = [
        {"name": "other", "extension": {"a": 1}},
        {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}},
    ]
    cluster = {"certificate-authority": "ca.pem", "tls-server-name": "api", "extensions": extensions}
    entry = {**room.plugin(), "provideClusterInfo": True, "args": ["get", "token"]}
    entry["env"] = [{"name": "PLUGIN_VARIABLE", "value": "set"}]
    with pytest.raises(KubeError, match="cannot be used"):  # the CA is none
        client(room.config("https://192.0.2.1:6443", {"exec": entry}, **cluster))
    ((told, arguments, variable, terminal),) = room.calls
    data = base64.b64encode(b"PEM").decode()
    about = {"server": "https://192.0.2.1:6443", "tls-server-name": "api", "certificate-authority-data": data}
    assert told == {
        "apiVersion": V1, "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {**about, "config": {"audience": "x"}}},
    }  # fmt: skip
    assert (arguments, variable, terminal) == (["get", "token"], "set", False)


def test_it_is_told_nothing_about_the_cluster_otherwise(room: Room) -> None:
    client(room.config("http://192.0.2.1", {"exec": room.plugin()}))
    assert room.calls[0][0]["spec"] == {"interactive": False}


@pytest.mark.parametrize(
    ("terminal", "mode", "interactive"),
    [
        (False, Mode.NEVER, False), (False, Mode.IF_AVAILABLE, False),
        (True, Mode.NEVER, False), (True, Mode.IF_AVAILABLE, True), (True, Mode.ALWAYS, True),
    ],
)  # fmt: skip
def test_it_may_ask_where_there_is_a_terminal(
    room: Room, monkeypatch: pytest.MonkeyPatch, terminal: bool, mode: Mode, interactive: bool
) -> None:
    monkeypatch.setattr(os, "isatty", lambda _descriptor: terminal)
    exec_plugin.run(made({**room.plugin(), "interactiveMode": mode.value}))
    assert room.calls[0][0]["spec"] == {"interactive": interactive}


def test_one_that_must_ask_is_told_where_there_is_no_terminal(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda _descriptor: False)
    with pytest.raises(KubeError, match=r"interactiveMode Always.*log in with it first"):
        exec_plugin.run(made({**room.plugin(), "interactiveMode": "Always"}))
    assert room.calls == []


def test_the_old_api_may_ask_by_default() -> None:
    assert made({"apiVersion": BETA, "command": "x"}).mode is Mode.IF_AVAILABLE


def test_a_relative_command_is_beside_its_kubeconfig_and_the_first_of_several_counts(
    faulty: FaultyServer, room: Room
) -> None:
    faulty.script = lambda *_: ok()
    first = room.config(faulty.url, {"exec": {**room.plugin(), "command": "./login"}})
    (room.folder / "other").mkdir()
    second = Room(room.folder / "other").config("http://192.0.2.1", {"token": "never"})
    client(os.pathsep.join((first, "/nowhere", second))).request("GET", "/x")
    assert tokens(faulty) == ["1"]


def test_a_certificate_and_a_token_are_both_used(certificates: Path, room: Room, tmp_path: Path) -> None:
    pems = {name: (certificates / f"client.{end}").read_text() for name, end in (("cert", "pem"), ("key", "key"))}
    plugin = room.plugin(clientCertificateData=pems["cert"], clientKeyData=pems["key"])
    one = client(room.config("https://192.0.2.1", {"exec": plugin}))
    assert one.headers("*/*")["authorization"] == f"Bearer {SECRET}-1"
    assert one.tls["ssl_context"].cert_store_stats() is not None
    assert (one._configuration.cert_file, one._configuration.key_file) == (pems["cert"], pems["key"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls", "config", "login"]


# What is refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"command": ""}, "command is not set"),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "apiVersion is 'client.authentication.k8s.io/v1alpha1'"),
        ({"apiVersion": None}, "apiVersion is ''"),
        ({"interactiveMode": None}, "interactiveMode is ''; expected Never, IfAvailable, Always"),
        ({"interactiveMode": "Maybe"}, "interactiveMode is 'Maybe'"),
        ({"env": [{"value": SECRET}]}, "env has a variable without a name"),
    ],
)  # fmt: skip
def test_an_entry_that_kubectl_refuses_is_refused(room: Room, entry: dict[str, Any], why: str) -> None:
    with pytest.raises(KubeError) as caught:
        made({**room.plugin(), **entry})
    assert why in str(caught.value)
    assert "user 'u' in kubeconfig /k" in str(caught.value)
    assert "aws eks update-kubeconfig" in str(caught.value)
    assert SECRET not in str(caught.value)


def answer(**more: Any) -> str:
    return json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"token": SECRET}, **more})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no ExecCredential"),
        (SECRET, "no ExecCredential"),
        (json.dumps([SECRET]), "no ExecCredential"),
        (answer(kind="Token"), "no ExecCredential"),
        (answer(apiVersion=BETA), f"apiVersion '{BETA}'"),
        (answer(status=None), "without a status"),
        (answer(status={}), "without a token and without a certificate"),
        (answer(status={"token": 5}), "no text"),
        (answer(status={"token": SECRET, "clientKeyData": SECRET}), "not with both"),
        (answer(status={"clientCertificateData": SECRET}), "not with both"),
        (answer(status={"token": SECRET, "expirationTimestamp": "soon"}), "expirationTimestamp 'soon'"),
        (answer(status={"token": SECRET, "expirationTimestamp": "2026-01-01T00:00:00"}), "no time of RFC 3339"),
    ],
)
def test_an_answer_that_is_none_is_told_without_its_secrets(room: Room, text: str, why: str) -> None:
    with pytest.raises(KubeError) as caught:
        exec_plugin.run(made(room.plugin(answer=text)))
    assert why in str(caught.value)
    assert "kubectl get namespaces" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_login_that_fails_says_what_the_plugin_said_and_the_next_task_tries_again(room: Room) -> None:
    path = room.config(
        "http://192.0.2.1", {"exec": room.plugin(code=255, errors="Token has expired:\n  run sso login")}
    )
    for calls in (1, 2):
        with pytest.raises(
            KubeError, match=r"failed with exit code 255: Token has expired: run sso login. Log in"
        ) as caught:
            client(path)
        assert SECRET not in str(caught.value)
        assert len(room.calls) == calls
    room.plugin()
    client(path)


def test_one_that_waits_for_a_person_is_ended(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exec_plugin, "TIMEOUT", 0.1)
    with pytest.raises(KubeError, match=r"did not end within .* Log in before the run"):
        exec_plugin.run(made(room.plugin(seconds=60)))


@pytest.mark.parametrize(("command", "where"), [("no-such-plugin", " in PATH"), ("/no/such/plugin", "")])
def test_one_that_is_not_installed_is_told_with_its_hint(command: str, where: str) -> None:
    hint = "get it from\n example.com"
    entry = {"apiVersion": BETA, "command": command, "installHint": hint}
    with pytest.raises(KubeError) as caught:
        exec_plugin.run(made(entry))
    assert f"there is no such command{where}. Expected it on this machine. Install it: get it from example.com." in str(
        caught.value
    )


def test_secrets_show_in_no_representation(room: Room) -> None:
    plugin = made({**room.plugin(), "env": [{"name": "A", "value": SECRET}]})
    assert SECRET not in repr(plugin) + plugin.key("https://x") + repr(Credential(SECRET, SECRET, SECRET))
