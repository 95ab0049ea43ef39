#!/usr/bin/env python3
"""Build the local cluster's images into one OCI archive, without running a process in them. containerd imports it in one step.

CATALOGUE is a JSON list: {"name", "context", "tags": [...], "files": {"path in the context": "source"}, "args": {...}}.
buildah reads the Containerfiles. Their layers come unchanged from its storage, so the shared root file system
is not compressed, and not copied for each image.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import typing as t

ROOTFS = "localhost/rootfs:local"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
Descriptor = dict[str, t.Any]


class Archive:
    """An OCI image layout, written as one tar file; each blob once."""

    def __init__(self, path: pathlib.Path) -> None:
        self.tar = tarfile.open(path, "w")  # noqa: SIM115  # closed by close(), after the index
        self.known: set[str] = set()
        self.manifests: list[Descriptor] = []
        self._add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def _add(self, name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self.tar.addfile(entry, io.BytesIO(content))

    def blob(self, content: bytes, media_type: str) -> Descriptor:
        """Add bytes and return their descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self.known:
            self.known.add(digest)
            self._add(f"blobs/sha256/{digest}", content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def file(self, path: pathlib.Path, media_type: str) -> Descriptor:
        """Add a file and return its descriptor."""
        with open(path, "rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
            if digest not in self.known:
                self.known.add(digest)
                handle.seek(0)
                entry = tarfile.TarInfo(f"blobs/sha256/{digest}")
                entry.size = path.stat().st_size
                self.tar.addfile(entry, handle)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": path.stat().st_size}

    def image(self, tags: list[str], config: dict[str, t.Any], layers: list[Descriptor]) -> None:
        """Add an image under all its names, in the form that containerd expects."""
        config = {**config, "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}}
        config.pop("history", None)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(json.dumps(config).encode(), CONFIG),
            "layers": layers,
        }
        descriptor = self.blob(json.dumps(manifest).encode(), MANIFEST)
        for tag in tags:
            annotations = {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": tag}
            self.manifests.append({**descriptor, "annotations": annotations})

    def close(self) -> None:
        self._add("index.json", json.dumps({"schemaVersion": 2, "manifests": self.manifests}).encode())
        self.tar.close()


class Builder:
    """buildah with a separate storage that is deleted after the build."""

    def __init__(self, images: pathlib.Path, scratch: pathlib.Path) -> None:
        self.images, self.scratch = images, scratch
        self.storage = scratch / "storage"
        self.buildah = [
            "buildah",
            "--root",
            str(self.storage),
            "--runroot",
            f"{scratch}/run",
            "--storage-driver",
            "overlay",
        ]

    def build(self, context: pathlib.Path, tag: str, arguments: dict[str, str]) -> None:
        words = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        command = [
            "bud",
            "--layers=false",
            "--timestamp=0",
            *words,
            "--file",
            f"{context}/Containerfile",
            "--tag",
            tag,
            str(context),
        ]
        subprocess.run([*self.buildah, *command], check=True, stdout=subprocess.DEVNULL)

    def context(self, image: dict[str, t.Any]) -> pathlib.Path:
        """Copy an image's folder and the files that it takes from builds."""
        context = self.scratch / "contexts" / image["name"].replace("/", "-").replace(" ", "-")
        shutil.copytree(
            self.images / image["context"], context, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
        for target, source in image.get("files", {}).items():
            (context / target).parent.mkdir(parents=True, exist_ok=True)
            if os.path.isdir(source):
                shutil.copytree(source, context / target, symlinks=True)
            else:
                os.link(source, context / target) if _same_device(source, context) else shutil.copy2(
                    source, context / target
                )
        if (context / "prepare.py").exists():
            subprocess.run(["python3", str(context / "prepare.py"), str(context)], check=True)
        return context

    def config(self, tag: str) -> dict[str, t.Any]:
        """The image's OCI configuration."""
        told = subprocess.run([*self.buildah, "inspect", "--type", "image", tag], check=True, stdout=subprocess.PIPE)
        config: dict[str, t.Any] = json.loads(told.stdout)["OCIv1"]
        return config

    def top_layer(self, tag: str, output: pathlib.Path) -> tuple[pathlib.Path, bool]:
        """Write the layer that the image adds as a tar file; return also whether it is based on the root file system."""
        images = json.loads((self.storage / "overlay-images/images.json").read_text())
        layers = {layer["id"]: layer for layer in json.loads((self.storage / "overlay-layers/layers.json").read_text())}
        layer = next(image["layer"] for image in images if tag in image.get("names", []))
        with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as archive:
            archive.add(self.storage / "overlay" / layer / "diff", arcname=".", filter=_plain)
        return output, bool(layers[layer].get("parent"))


def _same_device(source: str, target: pathlib.Path) -> bool:
    return os.stat(source).st_dev == target.stat().st_dev


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same content gives the same layer: it contains no names and times of the build."""
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


def build_all(builder: Builder, archive: Archive, rootfs: pathlib.Path, catalogue: list[dict[str, t.Any]]) -> None:
    """Build the image of the root file system, then each image of the catalogue based on it."""
    total = len(catalogue) + 1
    print(f"image 1/{total}: root file system", flush=True)
    context = builder.scratch / "contexts/rootfs"
    context.mkdir(parents=True)
    shutil.copy(builder.images / "rootfs/Containerfile", context)
    shutil.copyfile(rootfs, context / "rootfs.tar")
    builder.build(context, ROOTFS, {})
    base = archive.file(rootfs, LAYER)
    for number, image in enumerate(catalogue, 2):
        print(f"image {number}/{total}: {image['name']}", flush=True)
        tag = image["tags"][0]
        builder.build(builder.context(image), tag, image.get("args", {}))
        layer, stands_on_base = builder.top_layer(tag, builder.scratch / "layer.tar")
        layers = ([base] if stands_on_base else []) + [archive.file(layer, LAYER)]
        archive.image(image["tags"], builder.config(tag), layers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--images", type=pathlib.Path, required=True, help="folder with a Containerfile for each image")
    parser.add_argument("--rootfs", type=pathlib.Path, required=True, help="rootfs.tar")
    parser.add_argument("--catalogue", type=json.loads, required=True)
    options = parser.parse_args()
    output = options.output.resolve()
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        archive = Archive(output / "images.tar")
        build_all(Builder(options.images.resolve(), pathlib.Path(scratch)), archive, options.rootfs, options.catalogue)
        archive.close()


if __name__ == "__main__":
    main()
