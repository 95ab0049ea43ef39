# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which chart releases are current, by Helm's own records."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._helm import chart_release as _helm
from ansible_collections.servicemesh.platform.plugins.module_utils._helm.chart_release import Chart, release_of
from ansible_collections.servicemesh.platform.plugins.module_utils._helm.charts import (
    chart_of,
    local_chart,
    version_finding,
)
from hypothesis import given
from hypothesis import strategies as st

CHART = Chart("istiod", "1.31.0", "1.31.0")
VALUES = {"servicemesh.platform/managed-by": "x", "global": {"hub": "h", "tag": "1"}}


def secret(
    revision: int = 1, status: str = "deployed", *, chart: Chart = CHART, packed: bool = True, **other: Any
) -> dict[str, Any]:
    config = other.get("config", VALUES)
    metadata = {"name": chart.name, "version": chart.version, "appVersion": chart.app_version}
    record = json.dumps({"config": config, "chart": {"metadata": metadata}}).encode()
    data = base64.b64encode(base64.b64encode(gzip.compress(record) if packed else record)).decode()
    return {
        "metadata": {"name": f"r.v{revision}", "labels": {"version": str(revision), "status": status}},
        "data": {"release": data},
    }


def test_the_same_chart_and_values_are_current() -> None:
    release = release_of("istiod", "n", [secret(packed=False)], CHART, VALUES)
    assert release.current
    assert (release.status, release.revision, release.chart, release.managed) == ("deployed", 1, "istiod-1.31.0", True)


@pytest.mark.parametrize(
    ("secrets", "chart", "values", "why"),
    [
        ([], CHART, VALUES, "it is not installed"),
        ([secret()], Chart("istiod", "1.31.1", "1.31.0"), VALUES, "chart istiod-1.31.0 instead of istiod-1.31.1"),
        ([secret()], Chart("istiod", "1.31.0", "1.31.9"), VALUES, "app version 1.31.0 instead of 1.31.9"),
        ([secret()], None, VALUES, "the chart's version is not set"),
        ([secret()], CHART, {**VALUES, "global": {"hub": "h", "tag": "2"}}, "values: global.tag"),
        ([secret()], CHART, {**VALUES, "x": None}, "values: x"),
        ([secret(), secret(2, "pending-upgrade")], CHART, VALUES, "revision 2 is pending-upgrade"),
        ([secret(), secret(2, "failed")], CHART, VALUES, "revision 2 is failed"),
        ([secret(1, "uninstalled")], CHART, VALUES, "it is uninstalled"),
        ([secret(config=None)], CHART, {"a": 1}, "values: a"),
    ],
)
def test_what_differs_is_named(secrets: list[Any], chart: Chart | None, values: dict[str, Any], why: str) -> None:
    release = release_of("istiod", "n", secrets, chart, values)
    assert not release.current
    assert release.differs == (why,)


def test_the_number_of_a_revision_counts_and_not_the_order_of_the_list() -> None:
    old = secret(9, config={"old": True})
    assert release_of("i", "n", [secret(10), old], CHART, VALUES).current
    assert release_of("i", "n", [old, secret(10)], CHART, VALUES).revision == 10


def test_a_chart_whose_app_version_is_not_known_is_compared_without_it() -> None:
    chart = chart_of("oci://registry.example.com/charts/istiod", "1.31.0")
    assert chart == Chart("istiod", "1.31.0", None)
    assert release_of("istiod", "n", [secret()], chart, VALUES).current
    assert chart_of("oci://registry.example.com/charts/istiod", "") is None
    assert chart_of("https://example.com/istiod-1.31.0.tgz", "1.31.0") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
MAPPING = st.dictionaries(st.text(max_size=3), JSON, max_size=3)


@given(config=MAPPING, values=MAPPING)
def test_current_means_equal_values(config: dict[str, Any], values: dict[str, Any]) -> None:
    release = release_of("r", "n", [secret(config=config)], CHART, values)
    assert release.current == (config == values)
    assert bool(release.differs) == (config != values)


def test_values_are_never_told() -> None:
    release = release_of("r", "n", [secret(config={"password": "geheim-1"})], CHART, {"password": "geheim-2"})
    assert "geheim" not in json.dumps(release.as_dict())


def test_something_else_than_a_record_is_named() -> None:
    broken = secret()
    broken["data"]["release"] = "AAAA"
    with pytest.raises(ValueError, match=r"Secret r\.v1 is not a record of a chart release"):
        _helm.decoded(broken)


def test_charts_are_read_from_folders_and_archives(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    text = b"name: small\nversion: 1.0.0\nappVersion: 1\n"
    (tmp_path / "c" / "Chart.yaml").write_bytes(text)
    archive = tmp_path / "small-1.0.0.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in (("small/charts/x/Chart.yaml", b"name: other\nversion: 9"), ("small/Chart.yaml", text)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert local_chart(str(tmp_path / "c")) == local_chart(str(archive)) == Chart("small", "1.0.0", "1")


def test_what_is_wrong_with_a_chart_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Chart\.yaml does not exist"):
        local_chart(str(tmp_path))
    (tmp_path / "Chart.yaml").write_text("[1]")
    with pytest.raises(ValueError, match="is not a chart"):
        local_chart(str(tmp_path))
    (tmp_path / "x.tgz").write_text("no archive")
    with pytest.raises(ValueError, match=r"x\.tgz cannot be read"):
        local_chart(str(tmp_path / "x.tgz"))


@pytest.mark.parametrize(
    ("helm", "core", "expected"),
    [
        ("v3.22.0", "6.2.0", ""),
        ("v3.8.0-rc.1", "", ""),
        ("v4.3.1", "6.4.0", ""),
        ("v4.0.0", "6.10.1", ""),
        ("v4.3.1", "7.0.0-beta1", ""),
        ("v4.3.1", "6.3.0", "kubernetes.core is 6.3.0. Helm 4 needs kubernetes.core 6.4 or newer"),
        ("v4.3.1", "", "has a version that cannot be read. Helm 4 needs"),
        ("v5.0.0", "6.4.0", "version is 'v5.0.0'. Expected Helm 3 or 4"),
        ("v2.17.0", "6.4.0", "Expected Helm 3 or 4"),
        ("", "6.4.0", "version is ''. Expected Helm 3 or 4"),
    ],
)
def test_helm_4_needs_a_collection_that_knows_it(helm: str, core: str, expected: str) -> None:
    found = version_finding(helm, core)
    assert expected in found
    assert bool(found) == bool(expected)


def test_the_controllers_version_of_kubernetes_core_is_read() -> None:
    from ansible_collections.servicemesh.platform.plugins.action.chart_check import core_version

    assert core_version()[:2] in ("6.", "7.")
