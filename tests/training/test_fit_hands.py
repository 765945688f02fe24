"""What tells hands ships as it is fitted, and tells those it was not fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="training/ needs the extra 'train' (scikit-learn)")

from anonyface.identities.flaws import load_flaw
from training import fit_hands


def test_the_shipped_fit_is_that_of_what_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(fit_hands, "WEIGHTS", tmp_path)
    monkeypatch.setattr(fit_hands, "record", lambda name, path, figures: told.update(figures))
    monkeypatch.setattr("sys.argv", ["fit_hands"])
    fit_hands.main()
    with np.load(tmp_path / "hands.npz") as fitted:
        np.testing.assert_allclose(fitted["weight"], load_flaw("hands").weight, atol=1e-3)
        assert float(fitted["bias"]) == pytest.approx(load_flaw("hands").bias, abs=1e-2)
    assert told["area under the ROC curve, 8-fold"] > 0.9
    assert told["of the others taken for one, 8-fold"] < 0.1
