"""The 256-px output head; skipped where torch is not installed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train' (torch)")
pytest.importorskip("openvino", reason="training needs the extra 'train' (openvino)")


def test_shapes_and_that_the_style_matters() -> None:
    from training.fit_head import Head

    torch.manual_seed(0)
    head = Head(channels=8, width=6, w_dim=16)
    features, w = torch.randn(2, 8, 128, 128), torch.randn(2, 16)
    assert head(features, w).shape == (2, 3, 256, 256)
    torch.nn.init.normal_(head.style_in.weight)
    assert not torch.allclose(head(features, w), head(features, w + 1))


def test_a_crop_sees_its_own_part_of_the_constant_noise() -> None:
    from training.fit_head import Head

    torch.manual_seed(0)
    head = Head(channels=8, width=6, w_dim=16)
    torch.nn.init.normal_(head.noise)
    features, w = torch.randn(1, 8, 128, 128), torch.randn(1, 16)
    whole = head(features, w)
    part = head(features[:, :, 40:80, 30:70], w, head.noise[:, :, 40:80, 30:70])
    # Two 3x3 layers reach 2 feature pixels, 4 image pixels, over a crop's border.
    torch.testing.assert_close(
        part[:, :, 4:-4, 4:-4], whole[:, :, 84:156, 64:136], atol=1e-5, rtol=1e-4
    )
