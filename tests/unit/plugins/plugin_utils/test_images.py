# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images come from a place that the inventory names, and that can be the user's own."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _images as images


@pytest.mark.parametrize(
    "place",
    [
        "registry.example.com/shop",
        "registry.example.com:5000/team/shop_a/b__c--d.e",
        "registry.example.com",
        "localhost/ecommerce",
        "localhost",
        "127.0.0.1:5000",
        "docker.io/mine",
        "ghcr.io/mine/shop",
    ],
)
def test_a_place_of_ones_own(place: str) -> None:
    assert images.place_finding(place) is None
    assert list(images.findings(place, {"user_service_image": f"{place}/user-service:v1.0"})) == []


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (
            "docker.io",
            "is a public registry, and no place of yours in it; expected for example docker.io/<your namespace>",
        ),
        ("ghcr.io", "is a public registry"),
        ("quay.io", "is a public registry"),
        ("ecommerce", "images would come from docker.io/ecommerce; write docker.io/ecommerce if that is yours"),
        ("ecommerce/shop", "images would come from docker.io/ecommerce/shop"),
        ("https://registry.example.com/shop", "without scheme, tag and '/' at the end"),
        ("registry.example.com/shop/", "without scheme"),
        ("registry.example.com/shop:v1", "without scheme"),
        ("registry.example.com/Shop", "without scheme"),
        (["registry.example.com"], "without scheme"),
    ],
)
def test_a_place_that_is_none(place: object, told: str) -> None:
    (found,) = images.findings(place, {})
    assert found.startswith(f"platform_image_registry: {place!r}")
    assert told in found


def test_a_mirror_of_others_images_may_be_a_whole_registry() -> None:
    assert list(images.findings("", {}, "docker.io")) == []
    (found,) = images.findings("", {}, "https://mirror.example.com")
    assert found.startswith("platform_upstream_registry: 'https://mirror.example.com' is not a registry")


@pytest.mark.parametrize("registry", [None, ""])
def test_services_without_an_image_are_told_once_with_what_to_do(registry: str | None) -> None:
    wanted = {"user_service_image": "", "order_service_image": None, "review_service_image": "shop/review:v1"}
    (found,) = images.findings(registry, wanted)
    assert found.startswith("user_service_image, order_service_image: no image is given, and there is no default.")
    assert "platform_image_registry" in found
    assert "ansible-playbook playbooks/images.yml" in found
    assert list(images.findings(registry, {})) == [], "nothing that needs an image runs"
