"""Which windows are run: everything is covered, nothing twice the bound."""

from __future__ import annotations

import numpy as np
import pytest

from anonyface.detection.passes import (
    OVERLAP,
    THOROUGH_FINE_PIXELS,
    WHOLE_PIXELS,
    Window,
    plan_windows,
)

SIZES = [(1, 1), (1, 20000), (20000, 1), (480, 640), (886, 1280), (3000, 4000), (8000, 12000)]


@pytest.mark.parametrize("detail", ["fast", "normal", "thorough"])
@pytest.mark.parametrize("image_hw", SIZES)
def test_every_pixel_is_seen_and_every_window_is_bounded(
    image_hw: tuple[int, int], detail: str
) -> None:
    height, width = image_hw
    windows = plan_windows(image_hw, detail)  # type: ignore[arg-type]
    seen = np.zeros((-(-height // 50), -(-width // 50)), bool)
    for w in windows:
        assert 0 <= w.x0 < w.x1 <= width
        assert 0 <= w.y0 < w.y1 <= height
        assert min(w.size_wh) >= 1
        if min(height, width) > 100:
            # A long thin photo can't be cut smaller than the overlap is wide.
            assert w.size_wh[0] * w.size_wh[1] < 1.1 * WHOLE_PIXELS
        seen[w.y0 // 50 : -(-w.y1 // 50), w.x0 // 50 : -(-w.x1 // 50)] = True
    assert seen.all()


def test_more_detail_runs_more_pixels() -> None:
    def cost(detail: str) -> int:
        windows = plan_windows((3000, 4000), detail)  # type: ignore[arg-type]
        return sum(w.size_wh[0] * w.size_wh[1] for w in windows)

    assert cost("fast") < cost("normal") < cost("thorough")
    # What the docstring of plan_windows says, and the overlaps of tiles.
    assert cost("normal") <= 1.3 * (12e6 + WHOLE_PIXELS)
    assert cost("thorough") <= 1.3 * (5 * (12e6 + WHOLE_PIXELS) + THOROUGH_FINE_PIXELS)


def test_a_small_photo_is_enlarged_and_every_way_up_is_run() -> None:
    normal, thorough = (plan_windows((480, 640), d) for d in ("normal", "thorough"))  # type: ignore[arg-type]
    assert max(w.size_wh[1] for w in normal) == 960
    assert {w.sight for w in normal} == {0, 1, 2}
    assert {(w.turns, w.mirrored) for w in thorough} == {
        (0, False),
        (0, True),
        (1, False),
        (2, False),
        (3, False),
    }


def test_a_face_up_to_the_overlap_is_whole_in_some_tile() -> None:
    tiles = [w for w in plan_windows((3000, 4000), "normal") if w.x1 - w.x0 < 4000]
    assert len(tiles) > 1
    rng = np.random.default_rng(0)
    corners = rng.uniform((0, 0), (4000 - OVERLAP, 3000 - OVERLAP), (400, 2))
    faces = np.concatenate([corners, corners + OVERLAP - 4], axis=1).astype(np.float32)
    owned = np.stack([w.owns(faces, (3000, 4000)) for w in tiles])
    assert owned.any(axis=0).all()


def test_a_box_cut_by_an_inner_edge_is_left_to_the_neighbour() -> None:
    window = Window(100, 0, 300, 200, (200, 200))
    faces = np.array([[100, 50, 150, 90], [140, 50, 190, 90], [-5, 0, 40, 30]], np.float32)
    assert window.owns(faces, (200, 300)).tolist() == [False, True, False]
    assert Window(0, 0, 300, 200, (300, 200)).owns(faces, (200, 300)).all()
