# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook parses with every inventory, and the checks of the playbooks work without a cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.tree import ROOT

PLAYBOOKS = sorted(path.name for path in (ROOT / "playbooks").glob("*.yml") if not path.name.endswith(".meta.yml"))
ENVIRONMENTS = ["local", "dev", "staging", "prod"]


def ansible_playbook(*args: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs ansible-playbook of this Python from the root of the checkout, without a terminal."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), *args],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "KUBECONFIG": "", **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_playbooks_parse_with_each_inventory(environment: str) -> None:
    books = [f"playbooks/{name}" for name in PLAYBOOKS]
    done = ansible_playbook("--syntax-check", "-i", f"inventories/{environment}", *books)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr, done.stderr


@pytest.mark.parametrize("confirm", [[], ["-e", "confirm=prod"], ["-e", "confirm="]])
def test_teardown_refuses_without_the_environments_name(confirm: list[str]) -> None:
    done = ansible_playbook("playbooks/teardown.yml", "-i", "inventories/dev", *confirm)
    assert done.returncode == 2
    assert "Nothing was deleted: dev is environment 'dev'" in done.stdout + done.stderr
    assert "confirm=dev" in done.stdout + done.stderr


def test_the_demo_refuses_an_environment_that_nobody_confirmed() -> None:
    done = ansible_playbook("playbooks/demo.yml", "-i", "inventories/dev", "-e", "confirm=prod")
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2
    assert "Nothing was done: dev is environment 'dev', and the confirmation given is 'prod'." in text
    assert "run again with -e confirm=dev" in text
    assert "TASK [Read the workloads" not in text


def test_teardown_refuses_with_any_tag() -> None:
    done = ansible_playbook(
        "playbooks/teardown.yml", "-i", "inventories/dev", "--tags", "datastore", "-e", "confirm=no"
    )
    assert done.returncode == 2
    assert "Nothing was deleted" in done.stdout + done.stderr


# Variable -> its wrong value and what is said about it.
WRONG = {
    "user_service_replica": ("2", "role user_service has no such variable; did you mean user_service_replicas?"),
    "platform_replica": ("2", "platform_replica: nothing reads this variable; did you mean platform_replicas?"),
    "nginx_ingress_flavour": (
        "traefik",
        "nginx_ingress_flavour: 'traefik' is no flavour of the ingress; expected one of community, f5",
    ),
    "nginx_ingress_node_ports": ("80", "nginx_ingress_node_ports"),
    "platform_namespace": ("E_commerce", "platform_namespace: 'E_commerce' is not an RFC 1123 label"),
    "platform_domain": ("Shop_", "platform_domain: 'Shop_' is not an RFC 1123 subdomain"),
    "platform_canary": ("7", "platform_canary: '7' is not a dict"),
    "platform_kubeconfig": ("/none/kubeconfig", "platform_kubeconfig: there is no file /none/kubeconfig"),
    "platform_storage": ("tape", "value of platform_storage must be one of"),
    "platform_replicas": ("many", "many"),
}


def test_all_wrong_variables_are_named_once_before_anything_runs() -> None:
    extra = [part for name, (value, _message) in WRONG.items() for part in ("-e", f"{name}={value}")]
    done = ansible_playbook("playbooks/site.yml", "-i", "inventories/dev", *extra)
    text = done.stdout + done.stderr
    assert done.returncode == 2, text
    assert [message for _value, message in WRONG.values() if message not in text] == [], text
    # What is made from a wrong value is no finding of its own; the images are, which the inventory does not give.
    assert f"{len(WRONG) + 1} variables are wrong; nothing was changed" in text, text
    assert "TASK [servicemesh.platform." not in done.stdout, "a role started"
