"""What reading costs beside finding: ``python -m training.retinaface.cost MODEL FOLDER``.

Each photo of the folder is run by the shipped detector, by MODEL without and by MODEL with reading
of all faces with a score of 0.5 or more, one after the other, in CPU time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from anonyface.runtime import engine
from anonyface.types import FloatArray
from training.manifest import WEIGHTS
from training.retinaface.evaluate import network_blob

LEAST = 0.5
OUTPUTS = ["loc", "conf", "landmarks"]


def run_photo(
    sessions: Sequence[Any], blob: FloatArray, repeats: int
) -> tuple[list[float], int, float]:
    """Return CPU ms of finding, of finding with the new model, and of reading too; median each.

    Also the number of faces read and the largest difference of the detector's outputs.
    """
    plain, ours = sessions
    least = np.array([LEAST], np.float32)
    feeds: list[dict[str, FloatArray]] = [{"input": blob}, {"input": blob}]
    feeds.append({"input": blob, "least": least})
    rows = []
    for _ in range(repeats):
        row = []
        for session, feed in zip((plain, ours, ours), feeds, strict=True):
            start = time.process_time()
            outputs = session.run(OUTPUTS if session is plain else None, feed)
            row.append(1e3 * (time.process_time() - start))
        rows.append(row)
    pairs = zip(plain.run(OUTPUTS, feeds[0]), outputs, strict=False)
    worst = max(float(np.abs(want - got).max()) for want, got in pairs)
    return [float(v) for v in np.median(rows, axis=0)], len(outputs[-1]), worst


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="photos are enlarged so much")
    args = parser.parse_args()
    options = engine().SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    sessions = [
        engine().InferenceSession(str(path), options)
        for path in (WEIGHTS / "detector.onnx", args.model)
    ]
    paths = sorted(p for p in args.folder.rglob("*") if p.suffix.lower() in (".jpg", ".png"))
    spent, faces, worst = [], 0, 0.0
    for path in paths[: args.photos]:
        image = cv2.cvtColor(np.asarray(cv2.imread(str(path))), cv2.COLOR_BGR2RGB)
        size = (round(image.shape[1] * args.scale), round(image.shape[0] * args.scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        blob = network_blob(np.asarray(image, dtype=np.uint8))
        times, count, difference = run_photo(sessions, blob, args.repeats)
        spent.append(times)
        faces, worst = faces + count, max(worst, difference)
    total = np.sum(spent, axis=0)
    result = {
        "photos": len(spent),
        "faces read": faces,
        "shipped detector, ms a photo": round(float(total[0]) / len(spent), 2),
        "nothing read, ms a photo": round(float(total[1]) / len(spent), 2),
        "all faces read, ms a photo": round(float(total[2]) / len(spent), 2),
        "extra, nothing read": round(float(total[1] / total[0] - 1), 4),
        "extra, all faces read": round(float(total[2] / total[0] - 1), 4),
        "ms a face": round(float((total[2] - total[1]) / max(1, faces)), 2),
        "largest difference of the detector's outputs": worst,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
