"""Photos of twelve megapixels: time with models loaded, and peak memory in fresh processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from anonyface.demo import make_people
from anonyface.detection.faces import FaceFinder
from anonyface.identities.generator import Generator
from benchmarks.contract import measure, spread
from benchmarks.fresh_process import run_python
from benchmarks.scenes import make_group

SIZE_WH = (4000, 3000)
FACES, FACE_PX = 6, 375
REPEATS = 10
MEMORY = """
import json, resource, sys
import cv2
from pathlib import Path
from anonyface.detection.faces import FaceFinder
image = cv2.imread(sys.argv[1], cv2.IMREAD_COLOR_RGB)
faces = FaceFinder(detail=sys.argv[2], threads=int(sys.argv[3]))(image)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
# ru_maxrss starts with what the parent had before exec; VmHWM is this program's alone.
status = Path("/proc/self/status")
if status.is_file():
    lines = status.read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(json.dumps({"kilobytes": peak, "faces": len(faces)}))
"""


def measure_large(folder: Path, threads: int, seed: int) -> dict[str, Any]:
    """Time a photo of six generated people at both levels, and weigh it.

    Args:
        folder: For the photo.
        threads: Threads for inference.
        seed: Of the people.
    """
    people = make_people(Generator(threads=threads), FACES, seed=seed)
    image = make_group(people, SIZE_WH, FACE_PX, seed)
    path = folder / "photo.png"
    cv2.imwrite(str(path), np.ascontiguousarray(image[:, :, ::-1]))
    out: dict[str, Any] = {}
    for detail in ("normal", "thorough"):
        finder = FaceFinder(detail=detail, threads=threads)
        taken = measure({"find": finder}, lambda _: image, repeats=REPEATS)["find"]
        answers = [
            json.loads(run_python(MEMORY, str(path), detail, str(threads))[0]) for _ in range(3)
        ]
        out[detail] = {
            "time": spread([t / 1000 for t in taken], "s"),
            "peak": spread([a["kilobytes"] * 1024 / 1e6 for a in answers], "MB"),
            "faces": answers[-1]["faces"],
            "faces_there": FACES,
        }
    return out
