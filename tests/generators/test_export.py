"""Any checkpoint to ONNX and safetensors, and what a file that fits nothing says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")
onnx = pytest.importorskip("onnx", reason="exporting needs onnx")
pytest.importorskip("safetensors", reason="exporting needs safetensors")

from generators.checkpoint import load_networks, load_state_dicts  # noqa: E402
from generators.export import (  # noqa: E402
    TOLERANCE,
    check,
    export,
    golden_path,
    load_generator,
    main,
)
from generators.settings import (  # noqa: E402
    UnknownArchitecture,
    infer_settings,
    pick_network,
)
from generators.stylegan2_ada import Discriminator, Generator  # noqa: E402

from .test_parity import FOLDER, NAME  # noqa: E402

ODD: dict[str, dict[str, Any]] = {
    "unconditional, 64 px": {"z_dim": 12, "w_dim": 10, "img_resolution": 64, "mapping_layers": 3},
    "conditional, residual, grey": {
        "z_dim": 5,
        "c_dim": 4,
        "w_dim": 7,
        "img_resolution": 16,
        "img_channels": 1,
        "mapping_layers": 1,
        "architecture": "resnet",
    },
    "plain, one class, uneven features": {
        "z_dim": 9,
        "c_dim": 1,
        "w_dim": 9,
        "img_resolution": 32,
        "mapping_layers": 8,
        "architecture": "orig",
        "channel_base": 250,
    },
}
NARROW = {"channel_base": 256, "channel_max": 16}


def make(seed: int = 0, **options: Any) -> Generator:
    """A random generator in which everything plays a part: noise, mean style, biases."""
    torch.manual_seed(seed)
    generator = Generator(**{**NARROW, **options})
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            parameter.data.add_(0.3 * torch.randn(parameter.shape))
    generator.mapping.w_avg.copy_(torch.randn(generator.mapping.w_dim))
    return generator.eval().requires_grad_(False)


def write(path: Path, generator: Generator) -> Path:
    torch.save(generator.state_dict(), path)
    return path


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
def test_an_export_gives_what_the_network_gives(name: str, kind: Any, tmp_path: Path) -> None:
    generator = make(**ODD[name])
    out = tmp_path / f"network.{kind}"
    export(write(tmp_path / "network.pt", generator), out, kind=kind, golden=True)
    deviations = check(out)
    assert set(deviations) == {"image", "w"}
    assert max(deviations.values()) <= TOLERANCE
    # The sample itself is what the original network gives, and not a flat picture.
    with np.load(golden_path(out)) as golden:
        z, psi = torch.from_numpy(golden["in.z"]), torch.from_numpy(golden["in.psi"])
        c = torch.from_numpy(golden["in.c"]) if "in.c" in golden else None
        for row in range(len(z)):
            label = None if c is None else c[row : row + 1]
            image = generator(z[row : row + 1], label, psi=float(psi[row]), noise="const")
            np.testing.assert_allclose(golden["out.image"][row], image[0], atol=1e-4)
        assert golden["out.image"].std(axis=0).mean() > 0.01


def session(path: Path) -> Any:
    from anonyface.runtime import engine

    ort = engine()
    return ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])


def test_the_graph_is_plain_and_its_batch_is_free(tmp_path: Path) -> None:
    generator = make(**ODD["unconditional, 64 px"])
    source = write(tmp_path / "n.pt", generator)
    for part, inputs in (("whole", ["z", "psi"]), ("mapping", ["z", "psi"]), ("synthesis", ["w"])):
        export(source, tmp_path / f"{part}.onnx", kind="onnx", part=part, golden=True)
        assert max(check(tmp_path / f"{part}.onnx").values()) <= TOLERANCE
        model = onnx.load(tmp_path / f"{part}.onnx")
        onnx.checker.check_model(model, full_check=True)
        assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
        assert {node.domain for node in model.graph.node} == {""}
        assert [i.name for i in model.graph.input] == inputs
    whole, mapping, synthesis = (
        session(tmp_path / f"{part}.onnx") for part in ("whole", "mapping", "synthesis")
    )
    for count in (1, 5):
        feed = {
            "z": np.random.default_rng(count).standard_normal((count, 12)).astype(np.float32),
            "psi": np.linspace(0, 1, count, dtype=np.float32)[:, None],
        }
        image, w = whole.run(["image", "w"], feed)
        assert image.shape == (count, 3, 64, 64)
        np.testing.assert_allclose(w[0], generator.mapping.w_avg, atol=1e-5)  # psi 0
        np.testing.assert_allclose(mapping.run(["w"], feed)[0], w, atol=1e-5)
        np.testing.assert_allclose(synthesis.run(["image"], {"w": w})[0], image, atol=1e-4)


def test_the_parity_checkpoint_exported(tmp_path: Path) -> None:
    source = FOLDER / f"{NAME}.safetensors"
    if not source.exists():
        pytest.skip(f"no parity files in {FOLDER}; set ANONYFACE_PARITY to their folder")
    io = load_state_dicts(source)["model"]
    settings = json.loads((FOLDER / f"{NAME}.json").read_text())
    found = infer_settings(pick_network(load_networks(source)))
    names = ("z_dim", "c_dim", "w_dim", "img_resolution", "mapping_layers", "channel_max")
    assert {n: getattr(found, n) for n in names} == {n: settings[n] for n in names}
    export(source, tmp_path / "n.onnx", kind="onnx", conv_clamp=settings["conv_clamp"])
    feed = {"z": io["io.z"].numpy(), "c": io["io.c"].numpy()}
    feed["psi"] = np.full((len(feed["z"]), 1), 0.7, np.float32)
    image, w = session(tmp_path / "n.onnx").run(["image", "w"], feed)
    np.testing.assert_allclose(image, io["io.img_const_psi07"], atol=1e-4)
    np.testing.assert_allclose(w, io["io.w_psi07"][:, 0], atol=1e-4)


def test_the_averaged_generator_is_taken_and_the_limit_kept(official: Any, tmp_path: Path) -> None:
    options = ODD["conditional, residual, grey"]
    last, average = make(1, **options), make(2, **options)
    other = Discriminator(img_resolution=16, c_dim=4, img_channels=1, **NARROW)
    path = tmp_path / "network.pkl"
    content = {"D": other, "G": last, "G_ema": average}
    path.write_bytes(official(content, synthesis_kwargs={"conv_clamp": 0.25}))
    got = load_generator(path)
    torch.testing.assert_close(got.mapping.w_avg, average.mapping.w_avg)
    torch.testing.assert_close(load_generator(path, network="G").mapping.w_avg, last.mapping.w_avg)
    z, c = 5 * torch.randn(2, 5), torch.eye(4)[:2]
    limited = Generator(**{**NARROW, **options, "conv_clamp": 0.25})
    limited.load_state_dict(average.state_dict())
    assert not torch.allclose(limited(z, c, noise="const"), average(z, c, noise="const"))
    torch.testing.assert_close(got(z, c, noise="const"), limited(z, c, noise="const"))
    # Our own files keep the limit, too.
    export(path, tmp_path / "n.safetensors", kind="safetensors")
    again = load_generator(tmp_path / "n.safetensors")
    torch.testing.assert_close(again(z, c, noise="const"), limited(z, c, noise="const"))
    with pytest.raises(UnknownArchitecture, match="no network 'H'; the file has D, G, G_ema"):
        load_generator(path, network="H")


@pytest.mark.parametrize("name", ["unconditional, 64 px", "plain, one class, uneven features"])
def test_the_example_of_the_page(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[2] / "docs" / "bringing-a-generator.md"
    code = page.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    generator = make(**ODD[name])
    export(write(tmp_path / "n.pt", generator), tmp_path / "network.onnx", kind="onnx")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, page.name, "exec"), names)  # noqa: S102 the page's own lines
    z = torch.from_numpy(names["feed"]["z"])
    c = torch.ones(1, 1) if generator.mapping.c_dim else None
    image = generator(z, c, psi=0.7, noise="const")[0].permute(1, 2, 0)
    want = (image * 127.5 + 128).clamp(0, 255).byte().numpy().astype(int)
    assert np.abs(names["pixels"].astype(int) - want).max() <= 1


def command(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def test_the_command_exports_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "n.pt", make(**ODD["conditional, residual, grey"]))
    out = tmp_path / "n.onnx"
    assert command(source, "--to", "onnx", "--out", out, "--golden") == 0
    assert "16 px, 4 labels" in capsys.readouterr().out
    assert command("--check", out) == 0
    assert "image: largest deviation" in capsys.readouterr().out
    # Another network's file beside this one's sample is found out.
    write(source, make(7, **ODD["conditional, residual, grey"]))
    assert command(source, "--out", out) == 0
    assert command("--check", out) == 1
    assert "more than 0.001" in capsys.readouterr().err


def test_the_command_says_in_one_line_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "n.pt", make(**ODD["conditional, residual, grey"]))
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"nothing")
    lonely = tmp_path / "lonely.onnx"
    export(source, damaged, kind="onnx", golden=True)
    damaged.write_bytes(b"nothing")
    cases: list[tuple[list[object], str]] = [
        ([tmp_path / "absent.pt", "--out", lonely], "absent.pt"),
        ([damaged, "--out", lonely], "damaged"),
        ([source, "--out", lonely, "--to", "safetensors", "--part", "mapping"], "whole"),
        (["--check", lonely], "no golden sample"),
        (["--check", damaged], "onnxruntime can't run"),
    ]
    for arguments, message in cases:
        assert command(*arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
    assert not lonely.exists()
    golden_path(damaged).write_bytes(b"PK\x03\x04 and then nothing")
    assert command("--check", damaged) == 2
    assert "is damaged" in capsys.readouterr().err
