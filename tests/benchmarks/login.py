# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`site.yml` again on the finished local platform, with a kubeconfig whose exec plugin takes a second, as those of clouds do."""

from __future__ import annotations

import base64
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks._harness import Harness
from tests.benchmarks._rows import Row, at_most, quantity

TITLE = "Platform: site.yml again, with a login of 1 s"
LIMIT = 2  # seconds
_PLUGIN = """#!/bin/sh
sleep 1
echo login >> {calls}
cat {answer}
"""


def rows(harness: Harness) -> list[Row]:
    """All rows of this benchmark."""
    playbook = str(Path(sys.executable).parent / "ansible-playbook")
    argv = [playbook, "playbooks/site.yml", "-i", "inventories/local"]
    kubeconfig, calls = with_plugin(harness.kubeconfig, harness.scratch)
    harness.timed(argv)  # not counted: it may have to finish earlier work
    plain, with_login, logins = [], [], []
    for number in range(harness.runs):
        for seconds, more in ((plain, []), (with_login, ["-e", f"platform_kubeconfig={kubeconfig}"])):
            calls.unlink(missing_ok=True)
            done = harness.timed([*argv, *more])
            seconds.append(done.seconds)
            harness.say(f"round {number + 1} of {harness.runs}: {done.seconds:.1f} s, changed={done.changed}")
        logins.append(len(calls.read_text(encoding="utf-8").splitlines()))
    longer = statistics.median(with_login) - statistics.median(plain)
    return [
        at_most(
            "site.yml again with an exec plugin of 1 s, against a client certificate",
            {"with a plugin": with_login, "with a certificate": plain},
            limit=LIMIT,
            unit="s",
            value=longer,
            target=f"{LIMIT} s longer at most",
            measured=f"{quantity(longer, 's')} longer",
            reason=f"the plugin ran {max(logins)} times",
        ),
        at_most(
            "logins of a run", {"logins": [float(count) for count in logins]}, limit=1, unit="", target="1 at most"
        ),
    ]


def with_plugin(kubeconfig: Path, folder: Path) -> tuple[Path, Path]:
    """(a kubeconfig with a plugin that answers with the client certificate of the given one, the file with a line for each login)."""
    config: dict[str, Any] = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    user = config["users"][0]["user"]
    status = {
        f"{theirs}Data": base64.b64decode(user[f"{ours}-data"]).decode()
        for ours, theirs in (("client-certificate", "clientCertificate"), ("client-key", "clientKey"))
    }
    version = "client.authentication.k8s.io/v1"
    calls, answer, plugin, path = (folder / name for name in ("logins", "answer.json", "plugin", "with-plugin"))
    answer.touch(mode=0o600)
    answer.write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}), encoding="utf-8")
    plugin.write_text(_PLUGIN.format(calls=calls, answer=answer), encoding="utf-8")
    plugin.chmod(0o700)
    config["users"][0]["user"] = {"exec": {"apiVersion": version, "command": str(plugin), "interactiveMode": "Never"}}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path, calls


if __name__ == "__main__":
    from tests.benchmarks.__main__ import alone

    alone("login")
