#!/usr/bin/python
# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: local_node
short_description: (internal) Start, repair or remove the node of a local cluster
version_added: 0.1.0
author:
  - servicemesh.platform contributors (@servicemesh)
description:
  - "B(Internal:) serves the role P(servicemesh.platform.local_cluster#role) only. Its options and results may change with every version."
  - Runs one node's process tree under a process supervisor, in a network namespace that has a route to this machine only, and in its
    own PID and mount namespaces. When the tree ends, the kernel ends all its processes and removes its mounts.
  - C(state=started) repairs what is missing, and restarts the tree when a configuration file or a binary that it runs has changed.
  - Requires root, and iproute2, util-linux and supervisor on the machine.
options:
  name:
    description: Name of the cluster.
    type: str
    required: true
  home:
    description: Folder of the node's files. It is removed with the node.
    type: path
    required: true
  network:
    description: The /30 that links machine and node. The first address is the machine's, the second the node's.
    type: str
    required: true
  service_cidr:
    description: Range of the cluster's Service addresses.
    type: str
    default: 10.96.0.0/12
  supervisor_config:
    description: Configuration of supervisord. Its socket is C(run/supervisor.sock) in O(home).
    type: path
  config:
    description: Files and links; the tree is restarted when their content has changed.
    type: list
    elements: path
    default: []
  binds:
    description: Folders in O(home) by the path at which the node's processes see them.
    type: dict
    default: {}
  links:
    description: Symbolic links to keep in O(home), target by name.
    type: dict
    default: {}
  folders:
    description: Folders to keep in O(home) with O(state=configured).
    type: list
    elements: str
    default: []
  files:
    description:
      - Files to keep in O(home) with O(state=configured), content by name. One task writes them all, because a loop starts a process for
        each.
    type: dict
    default: {}
  state:
    description:
      - Whether the node runs or is removed. V(checked) checks that it can run here (root, a network that nothing else on this machine
        uses) and changes nothing. V(configured) writes O(folders) and O(files) and does not touch the node.
    type: str
    choices: [started, absent, checked, configured]
    default: started
attributes:
  check_mode:
    description: Returns what would be done, changes nothing.
    support: full
  diff_mode:
    description: Returns a diff of the files that V(state=configured) writes.
    support: partial
  idempotent:
    description: A second run without a change in between does nothing.
    support: full
  platform:
    description: Linux with root.
    platforms: linux
    support: full
"""

EXAMPLES = r"""
- name: Write the configuration
  servicemesh.platform.local_node:
    name: local
    home: /var/lib/servicemesh-platform/local
    network: 198.18.0.0/30
    state: configured
    folders: [etc]
    files:
      etc/supervisord.conf: "{{ lookup('ansible.builtin.template', 'supervisord.conf.j2') }}"

- name: Run the node
  servicemesh.platform.local_node:
    name: local
    home: /var/lib/servicemesh-platform/local
    network: 198.18.0.0/30
    supervisor_config: /var/lib/servicemesh-platform/local/etc/supervisord.conf
    config: [/var/lib/servicemesh-platform/local/etc/supervisord.conf]

- name: Remove the node with everything it left on the machine
  servicemesh.platform.local_node:
    name: local
    home: /var/lib/servicemesh-platform/local
    network: 198.18.0.0/30
    state: absent
"""

RETURN = r"""
actions:
  description: What was done (in check mode, would be done).
  returned: always
  type: list
  elements: str
  sample: [network created, node started]
address:
  description: The node's address.
  returned: always
  type: str
  sample: 198.18.0.2
"""

import hashlib
import ipaddress
import os
import pathlib
import subprocess
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.platform.plugins.module_utils import _local_node as core


def config_digest(paths: list[str]) -> str:
    """Digest of files' contents and links' targets."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.encode() + b"\0")
        content = os.readlink(path).encode() if os.path.islink(path) else pathlib.Path(path).read_bytes()
        digest.update(content + b"\0")
    return digest.hexdigest()


def supervisorctl(config: str, *words: str) -> list[list[str]]:
    """Words of each line that supervisorctl prints."""
    argv = ["supervisorctl", "-c", config, *words]
    # run_command is a method of AnsibleModule; this works without one too.  pylint: disable-next=ansible-bad-function
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return [line.split() for line in done.stdout.splitlines()]


def idle_programs(config: str) -> list[str]:
    """Daemons that the supervisor does not restart any more or that were stopped; one-shot programs may have ended."""
    return [
        words[0]
        for words in supervisorctl(config, "status")
        if len(words) > 1
        and (words[1] in ("FATAL", "STOPPED", "UNKNOWN") or (words[1] == "EXITED" and not words[0].startswith("once-")))
    ]


def link_actions(home: pathlib.Path, links: dict[str, str], check: bool) -> list[str]:
    """Sets the symbolic links; returns what changed."""
    changed = []
    for name, target in sorted(links.items()):
        path = home / name
        if path.is_symlink() and os.readlink(path) == target:
            continue
        changed.append(f"link {name} set")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(path.name + ".new")
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(target)
            os.replace(temporary, path)
    return changed


def configure(
    home: pathlib.Path, folders: list[str], files: dict[str, str], check: bool
) -> tuple[list[str], list[dict[str, str]]]:
    """Writes folders and files that are not as wanted; returns what changed, and a diff of each file."""
    changed: list[str] = []
    diffs: list[dict[str, str]] = []
    for name in folders:
        path = home / name
        if not path.is_dir():
            changed.append(f"folder {name} created")
            if not check:
                path.mkdir(mode=0o755, parents=True)
    for name, content in sorted(files.items()):
        path = home / name
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        if path.is_file() and before == content and path.stat().st_mode & 0o777 == 0o644:
            continue
        changed.append(f"file {name} written")
        diffs.append({"before": before, "after": content, "before_header": str(path), "after_header": str(path)})
        if not check:
            temporary = path.with_name(path.name + ".new")
            temporary.write_text(content, encoding="utf-8")
            temporary.chmod(0o644)
            os.replace(temporary, path)
    return changed, diffs


def ensure_started(node: core.Node, params: dict[str, t.Any], check: bool) -> list[str]:
    """Starts the node, or repairs only what is missing; returns what was done."""
    actions = link_actions(node.home, params["links"], check)
    if check and (actions or not all(os.path.exists(path) for path in params["config"])):
        return [*actions, "node started"]
    digest = config_digest(params["config"])
    mark = node.home / "run" / "config.digest"
    alive = core.running(node) is not None
    if not core.network_is_there(node):
        actions.append("network created")
    stale = alive and (not mark.exists() or mark.read_text(encoding="utf-8") != digest)
    if stale or "network created" in actions:
        actions.append("node stopped: its configuration or network has changed" if alive else "leftovers removed")
        alive = False
    if not alive:
        actions.append("node started")
        if not check:
            _start(node, params, digest, mark)
        return actions
    idle = idle_programs(params["supervisor_config"])
    if idle:
        actions.append(f"restarted {', '.join(idle)}")
        if not check:
            supervisorctl(params["supervisor_config"], "start", *idle)
    return actions


def _start(node: core.Node, params: dict[str, t.Any], digest: str, mark: pathlib.Path) -> None:
    core.stop(node)
    core.wait_until_empty(node)
    core.remove_cgroups(node)
    core.ensure_network(node)
    core.remove_pod_links(node)
    core.start(node, ["supervisord", "--nodaemon", "--configuration", params["supervisor_config"]])
    mark.write_text(digest, encoding="utf-8")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "home": {"type": "path", "required": True},
            "network": {"type": "str", "required": True},
            "service_cidr": {"type": "str", "default": "10.96.0.0/12"},
            "supervisor_config": {"type": "path"},
            "config": {"type": "list", "elements": "path", "default": []},
            "binds": {"type": "dict", "default": {}},
            "links": {"type": "dict", "default": {}},
            "folders": {"type": "list", "elements": "str", "default": []},
            "files": {"type": "dict", "default": {}},
            "state": {"type": "str", "choices": ["started", "absent", "checked", "configured"], "default": "started"},
        },
        required_if=[("state", "started", ("supervisor_config",))],
        supports_check_mode=True,
    )
    params = module.params
    if os.geteuid() != 0:
        module.fail_json(
            msg="a local cluster needs root, because it creates network namespaces and cgroups. Run this as root."
        )
    try:
        network = ipaddress.IPv4Network(params["network"])
        if network.prefixlen != 30:
            raise ValueError("the prefix is not /30")
    except ValueError as exc:
        module.fail_json(msg=f"network: {params['network']!r} is not an IPv4 /30 ({exc}); for example 198.18.0.0/30")
    home = pathlib.Path(params["home"])
    binds = {target: str(home / source) for target, source in params["binds"].items()}
    node = core.Node(params["name"], home, network, params["service_cidr"], binds)
    actions: list[str] = []
    diffs: list[dict[str, str]] = []
    try:
        if params["state"] == "checked":
            core.check_network_is_free(node)
        elif params["state"] == "configured":
            actions, diffs = configure(home, params["folders"], params["files"], module.check_mode)
        elif params["state"] == "started":
            actions = ensure_started(node, params, module.check_mode)
        elif module.check_mode:
            actions = ["node removed"] if home.exists() or node.netns_path.exists() else []
        else:
            actions = ["node removed"] if core.destroy(node) else []
    except core.NodeError as exc:
        module.fail_json(msg=f"local cluster {params['name']}: {exc}")
    module.exit_json(changed=bool(actions), actions=actions, address=node.node_address, diff=diffs)


if __name__ == "__main__":
    main()
