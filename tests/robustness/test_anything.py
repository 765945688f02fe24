"""Whatever is passed in: a right result, or an InputError of one line."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonyface.config import Config
from anonyface.errors import InputError
from anonyface.media.images import load_image
from fuzz.decode import judge, seeds

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Seeded, no file of earlier failures: the same examples everywhere.
steady = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SEEDS = [data for _, data in itertools.islice(seeds(), 0, None, 4) if not data[4:12] == b"ftypheic"]
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def attempt(action):
    """Return what an action returns, None if it refuses in one line."""
    try:
        return action()
    except InputError as error:
        lines = str(error).splitlines()
    assert len(lines) == 1, lines
    return None


@steady
@given(
    shape=st.lists(st.integers(0, 40), min_size=0, max_size=4),
    dtype=st.sampled_from(["uint8", "uint16", "int8", "int64", "float32", "bool", "O", "U4"]),
    seed=st.integers(0, 99),
    order=st.sampled_from("CF"),
)
def test_arrays_of_any_shape_and_dtype(fake, shape, dtype, seed, order):
    values = np.random.default_rng(seed).integers(0, 100, shape)
    array = np.asarray(values, order=order).astype(dtype)
    right = len(shape) == 3 and shape[2] == 3 and dtype == "uint8" and array.size > 0
    result = attempt(lambda: fake(array))
    assert right == (result is not None)
    if right:
        assert result.image.shape == array.shape
        assert result.image.dtype == np.uint8


@steady
@given(ANYTHING)
def test_options_of_any_value(value):
    for name in Config.__dataclass_fields__:
        config = attempt(lambda name=name, value=value: Config(**{name: value}))
        assert config is None or getattr(config, name) == value


@steady
@given(
    st.one_of(
        ANYTHING,
        st.lists(
            st.one_of(
                st.integers(-3, 3),
                st.lists(st.floats(-50, 50, width=32), max_size=5),
                st.none(),
                st.text(max_size=2),
            ),
            max_size=4,
        ),
    ),
    st.sampled_from(["keep", "only"]),
)
def test_selections_of_any_value(fake, selection, name):
    image = np.full((40, 40, 3), 90, np.uint8)
    image[::2] = 30
    result = attempt(lambda: fake(image, **{name: selection}))
    if result is not None:
        assert len(result.faces) == 1
        kept = result.faces[0].action == "kept"
        assert kept == np.array_equal(result.image, image)


@steady
@given(ANYTHING)
def test_images_of_any_type(fake, value):
    assert attempt(lambda: fake(value)) is None


@steady
@given(st.binary(max_size=600), st.sampled_from([b"", *{data[:16] for data in SEEDS}]))
def test_any_bytes_behind_the_start_of_a_photo(tmp_path, tail, head):
    assert judge(head + tail, tmp_path) in ("done", "refused")


@settings(steady, max_examples=150)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5), st.binary(min_size=1, max_size=6))),
)
def test_photos_with_damage(tmp_path, data, damage):
    for where, kind, piece in damage:
        at = int(where * len(data))
        if kind < 3:  # overwrite
            data = data[:at] + piece + data[at + len(piece) :]
        elif kind == 3:
            data = data[:at] + piece + data[at:]
        elif kind == 4:
            data = data[:at] + data[at + len(piece) :]
        else:
            data = data[: max(at, 1)]
    assert judge(data, tmp_path) in ("done", "refused")


def test_the_harness_notices(tmp_path, monkeypatch):
    good = io.BytesIO()
    Image.new("RGB", (20, 10), (9, 99, 200)).save(good, "PNG")
    assert judge(good.getvalue(), tmp_path) == "done"
    assert judge(b"no photo", tmp_path) == "refused"
    assert list(tmp_path.iterdir()) == []

    class TwoLines(InputError):
        def __str__(self):
            return "one\ntwo"

    def two_lines(data, **limits):
        raise TwoLines

    def crash(data, **limits):
        raise KeyError("tag")

    def other_pixels(pixels, path, **options):
        Image.fromarray(255 - pixels).save(path)

    def litter(pixels, path, **options):
        Image.fromarray(pixels).save(path)
        Path(path).with_suffix(".tmp").touch()

    for replaced, by, error in (
        ("save_image", other_pixels, AssertionError),
        ("save_image", litter, AssertionError),
        ("load_image", two_lines, AssertionError),
        ("load_image", crash, KeyError),
    ):
        place = tmp_path / by.__name__
        place.mkdir()
        with monkeypatch.context() as patch:
            patch.setattr(f"anonyface.media.images.{replaced}", by)
            with pytest.raises(error):
                judge(good.getvalue(), place)


def test_most_seeds_are_photos(tmp_path):
    results = [judge(data, tmp_path) for data in SEEDS]
    assert len(results) >= 40
    assert results.count("done") > len(results) / 2


@steady
@given(st.text(min_size=1, max_size=30))
def test_paths_of_any_name(name):
    assert attempt(lambda: load_image(f"no-such-folder/{name}")) is None
