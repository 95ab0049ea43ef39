# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""images.yml calls podman, docker or buildah as they want to be called. Stubs stand in for them and write down each call."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.test_playbooks import ansible_playbook
from tests.contract.tree import ROOT, service_roles

PLACE = "registry.example.com/shop"
SERVICES = {role.replace("_", "-") for role in service_roles()}
STUB = """#!{python}
import json, sys
with open({log!r}, "a") as log:
    log.write(json.dumps([{name!r}, *sys.argv[1:]]) + chr(10))
if sys.argv[1] == "info" and not {works}:
    sys.exit("cannot connect to the engine")
"""
Calls = list[list[str]]


class Tools:
    """A folder of stubs, which is all that PATH names, beside what Ansible itself runs."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._log = folder, folder / "log"
        for name in ("mkdir", "chmod", "rm", "sleep"):
            (folder / name).symlink_to(shutil.which(name) or "")

    def add(self, name: str, *, works: bool = True) -> None:
        path = self._folder / name
        path.write_text(
            STUB.format(python=sys.executable, log=str(self._log), name=name, works=works), encoding="utf-8"
        )
        path.chmod(0o755)

    def run(self, *args: str, environment: str = "dev", **variables: Any) -> tuple[int, str, Calls]:
        """(exit code, output, what the tools were called with)."""
        extra = ["-e", json.dumps(variables)] if variables else []
        book = ("playbooks/images.yml", "-i", f"inventories/{environment}")
        done = ansible_playbook(*book, *extra, *args, environment={"PATH": str(self._folder)})
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        return done.returncode, done.stdout + done.stderr, [json.loads(line) for line in lines]


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path)


def test_the_first_tool_that_works_builds_and_pushes(tools: Tools) -> None:
    tools.add("docker", works=False)
    tools.add("buildah")
    code, text, calls = tools.run(platform_image_registry=PLACE, image_versions=["v1.0", "v1.1"])
    assert code == 0, text
    assert calls[:2] == [["docker", "info"], ["buildah", "info"]]
    built, pushed = calls[2:4], calls[4:]
    for call, version in zip(built, ("v1.0", "v1.1"), strict=True):
        containerfile = str(ROOT / "playbooks" / "files" / "reference-service.Containerfile")
        assert call[:4] == ["buildah", "build", "--file", containerfile]
        assert call[4:8] == [
            "--build-arg",
            "BASE=docker.io/library/python:3.13-slim",
            "--build-arg",
            f"VERSION={version}",
        ]
        assert {word for word in call if word.startswith("--tag=")} == {
            f"--tag={PLACE}/{name}:{version}" for name in SERVICES
        }
        assert (Path(call[-1]) / "app" / "__main__.py").is_file()
    expected = [["buildah", "push", f"{PLACE}/{name}:{version}"] for version in ("v1.0", "v1.1") for name in SERVICES]
    assert sorted(pushed) == sorted(expected)


def test_what_is_given_arrives(tools: Tools) -> None:
    for name in ("podman", "docker"):
        tools.add(name)
    code, text, calls = tools.run(
        platform_image_registry="127.0.0.1:5000/a",
        base_image="localhost/base:1",
        build_tool="docker",
        build_arguments=["--platform=linux/arm64"],
        push_arguments=["--quiet"],
    )
    assert code == 0, text
    assert {call[0] for call in calls} == {"docker"}
    build = next(call for call in calls if call[1] == "build")
    assert {"BASE=localhost/base:1", "--platform=linux/arm64", "--tag=127.0.0.1:5000/a/user-service:v1.0"} <= set(build)
    assert ["docker", "push", "--quiet", "127.0.0.1:5000/a/user-service:v1.0"] in calls


def test_clusters_of_one_registry_need_the_images_once(tools: Tools) -> None:
    tools.add("podman")
    code, text, calls = tools.run(environment="prod", platform_image_registry=PLACE, push_images=False)
    assert code == 0, text
    assert [call[1] for call in calls] == ["info", "build", "info"], "prod has two clusters"


def test_a_check_run_builds_nothing(tools: Tools) -> None:
    tools.add("podman")
    code, text, calls = tools.run("--check", platform_image_registry=PLACE)
    assert code == 0, text
    assert calls == [["podman", "info"]]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "Nothing was built: platform_image_registry is not given"),
        ({"platform_image_registry": "docker.io"}, "is a public registry, and no place of yours in it"),
        ({"platform_image_registry": PLACE, "build_tool": "kaniko"}, "build_tool"),
        ({"platform_image_registry": PLACE, "base_img": "x"}, "base_img: nothing reads this variable; did you mean base_image?"),
        ({"platform_image_registry": PLACE}, "none of podman, docker, buildah works here"),
        ({"platform_image_registry": PLACE, "build_tool": "podman"}, "`podman info`: cannot connect to the engine"),
    ],
    ids=["no registry", "a public one", "an unknown tool", "a misspelt argument", "no tool that works", "the tool that was asked for"],
)  # fmt: skip
def test_what_is_missing_is_told_before_anything_is_built(tools: Tools, variables: dict[str, Any], told: str) -> None:
    tools.add("podman", works=False)
    code, text, calls = tools.run(**variables)
    assert code == 2, text
    assert told in " ".join(text.split()), text
    assert [call for call in calls if call[1] != "info"] == []
