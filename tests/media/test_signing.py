"""A signed file validates, keeps every pixel and tag, and holds nothing of the original."""

import http.server
import io
import json
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from anonyface.errors import BackendError, InputError
from anonyface.media import signing
from anonyface.media.images import load_image, save_image
from anonyface.media.metadata import DIGITAL_SOURCE_TYPE
from anonyface.media.provenance import PROVENANCE, find_provenance
from anonyface.media.signing import MEDIA_TYPES, PURPOSES, C2paSigner, sign_bytes
from anonyface.types import Action

c2pa = pytest.importorskip("c2pa", reason="signing needs the extra c2pa")
pytest.importorskip("cryptography.x509", reason="the test makes its own certificates")

from .certificates import NEW_KEYS, make_chain, pem_of  # noqa: E402

WRITTEN = ["JPEG", "PNG", "WEBP", "TIFF"]
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}
PICTURE_STARTS = [b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"II*\0", b"MM\0*", b"ftypavif"]


@pytest.fixture(scope="module")
def key():
    return NEW_KEYS["es256"]()


@pytest.fixture(scope="module")
def chain(key):
    return make_chain(key)


@pytest.fixture
def signer(key, chain):
    return C2paSigner(b"".join(chain), pem_of(key))


@pytest.fixture
def photo(leaky):
    return load_image(leaky.data)


@pytest.fixture
def write(tmp_path):
    """Return a function (photo, format) -> bytes of the file that would be written unsigned."""

    def save(photo, file_format):
        path = tmp_path / f"written{SUFFIXES[file_format]}"
        return save_image(photo.pixels, path, source=photo).read_bytes()

    return save


def read(data, file_format, **settings):
    """Return the manifest, the codes of the failures, and the state of a signed file."""
    with (
        c2pa.Context.from_dict({"version": 1, **settings}) as context,
        c2pa.Reader(MEDIA_TYPES[file_format], io.BytesIO(data), context=context) as reader,
    ):
        report = json.loads(reader.detailed_json())
        results, state = report["validation_results"], reader.get_validation_state()
    assert len(report["manifests"]) == 1
    codes = {failure["code"] for failure in results["activeManifest"]["failure"]}
    return report["manifests"][report["active_manifest"]], codes, state


def decoded(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        exif = image.getexif()
        tags = {tag: value for tag, value in exif.items() if tag != 0xCD41}
        return np.asarray(image), tags, dict(exif.get_ifd(0x8769)), image.info.get("icc_profile")


def pictures_in(data):
    """Count the places where a picture can be opened."""
    count = 0
    for start in PICTURE_STARTS:
        for hit in re.finditer(re.escape(start), data):
            try:
                Image.open(io.BytesIO(data[hit.start() - 4 * start.startswith(b"ftyp") :])).close()
                count += 1
            except (OSError, SyntaxError):
                pass
    return count


# --- what a signed file is ----------------------------------------------------------------------


@pytest.mark.parametrize("file_format", WRITTEN)
def test_a_signed_file_validates_and_is_otherwise_the_same(
    photo, write, signer, chain, file_format
):
    plain = write(photo, file_format)
    signed = sign_bytes(plain, file_format, signer=signer, actions=["replaced"])
    assert find_provenance(signed)[0] == "c2pa"
    _, codes, state = read(signed, file_format)
    assert (codes, state) == ({"signingCredential.untrusted"}, "Valid")
    trust = {"trust": {"trust_anchors": chain[1].decode()}}
    assert read(signed, file_format, **trust)[1:] == (set(), "Trusted")
    before, after = decoded(plain), decoded(signed)
    np.testing.assert_array_equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert before[1]  # there was something to keep


@pytest.mark.parametrize("file_format", ["GIF", "AVIF"])
def test_other_formats_can_be_signed(pixels, encode, signer, file_format):
    plain = encode(pixels, file_format)
    signed = sign_bytes(plain, file_format, signer=signer, actions=[])
    assert find_provenance(signed) == ("c2pa",)
    assert read(signed, file_format)[1] == {"signingCredential.untrusted"}
    np.testing.assert_array_equal(decoded(plain)[0], decoded(signed)[0])


def test_heic_can_be_signed(pixels, signer):
    heif = pytest.importorskip("pillow_heif", reason="HEIC needs the extra heif")
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(pixels)).save(buffer)
    signed = sign_bytes(buffer.getvalue(), "HEIF", signer=signer, actions=[])
    assert find_provenance(signed) == ("c2pa",)
    np.testing.assert_array_equal(load_image(buffer.getvalue()).pixels, load_image(signed).pixels)


@pytest.mark.parametrize("file_format", WRITTEN)
def test_no_picture_is_added(photo, write, signer, file_format):
    plain = write(photo, file_format)
    signed = sign_bytes(plain, file_format, signer=signer, actions=["replaced"])
    assert b"c2pa.thumbnail" not in signed
    assert len(signed) - len(plain) < 10_000
    assert pictures_in(signed) == pictures_in(plain) == 1


def test_a_thumbnail_from_the_package_is_an_error(photo, write, signer, monkeypatch):
    plain = write(photo, "JPEG")
    monkeypatch.setitem(signing.SETTINGS["builder"], "thumbnail", {"enabled": True})
    with pytest.raises(BackendError, match="not the one"):
        sign_bytes(plain, "JPEG", signer=signer, actions=[])


def test_one_changed_byte_shows(photo, write, signer):
    plain = write(photo, "JPEG")
    signed = bytearray(sign_bytes(plain, "JPEG", signer=signer, actions=[]))
    signed[-40] ^= 1
    _, codes, state = read(bytes(signed), "JPEG")
    assert "assertion.dataHash.mismatch" in codes
    assert state == "Invalid"


def test_several_threads(photo, write, signer):
    plain = write(photo, "PNG")
    with ThreadPoolExecutor(4) as pool:
        files = list(
            pool.map(lambda _: sign_bytes(plain, "PNG", signer=signer, actions=[]), range(16))
        )
    assert len(set(files)) == 16
    assert all(read(data, "PNG")[1] == {"signingCredential.untrusted"} for data in files)


# --- what the manifest says ---------------------------------------------------------------------


def manifest_of(photo, write, signer, **options):
    plain = write(photo, "JPEG")
    manifest = read(sign_bytes(plain, "JPEG", signer=signer, **options), "JPEG")[0]
    return manifest["claim"], manifest["assertion_store"]


def test_the_original_appears_without_anything_of_it(photo, write, signer):
    claim, store = manifest_of(photo, write, signer, actions=["replaced"])
    assert set(store) == {"c2pa.actions.v2", "c2pa.hash.data", "c2pa.ingredient.v3"}
    assert set(store["c2pa.ingredient.v3"]) == {"relationship", "description"}
    assert store["c2pa.ingredient.v3"]["relationship"] == "parentOf"
    assert claim["claim_generator_info"]["name"] == "anonyface"
    assert "dc:title" not in claim
    assert photo.sha256 not in json.dumps(store)


def test_actions_stand_in_order_and_once(photo, write, signer):
    actions = ["kept", "redacted", "replaced", "redacted", "replaced"]
    claim, store = manifest_of(photo, write, signer, actions=actions)
    created = [entry["url"].rpartition("/")[2] for entry in claim["created_assertions"]]
    assert "c2pa.actions.v2" in created
    listed = store["c2pa.actions.v2"]["actions"]
    kinds = [action["action"] for action in listed]
    assert kinds == ["c2pa.opened", "c2pa.edited", "c2pa.edited", "c2pa.edited.metadata"]
    parents = [entry["url"] for entry in listed[0]["parameters"]["ingredients"]]
    assert parents == ["self#jumbf=c2pa.assertions/c2pa.ingredient.v3"]
    assert [action.get("digitalSourceType") for action in listed[1:]] == [
        DIGITAL_SOURCE_TYPE,
        None,
        None,
    ]
    assert {action["softwareAgent"]["name"] for action in listed[1:]} == {"anonyface"}


@pytest.mark.parametrize("actions", [[], ["kept"]])
def test_nothing_synthetic_is_claimed_where_nothing_is(photo, write, signer, actions):
    _, store = manifest_of(photo, write, signer, actions=actions)
    listed = store["c2pa.actions.v2"]["actions"]
    assert [action["action"] for action in listed] == ["c2pa.opened", "c2pa.edited.metadata"]
    assert "digitalSourceType" not in json.dumps(store)


def test_provenance_of_the_original_is_named(photo, write, signer):
    _, store = manifest_of(
        photo, write, signer, actions=[], source_had=["digital-source-type", "c2pa"]
    )
    text = store["c2pa.ingredient.v3"]["description"]
    assert PROVENANCE["c2pa"] in text
    assert PROVENANCE["digital-source-type"] in text
    assert PROVENANCE["c2pa-link"] not in text


def test_a_manifest_in_the_input_is_not_carried_over(photo, write, signer, encode):
    plain = write(photo, "JPEG")
    first = sign_bytes(plain, "JPEG", signer=signer, actions=[], title="Anna at home")
    source = load_image(first)
    again = write(source, "JPEG")
    assert b"Anna at home" in first
    assert "c2pa" in find_provenance(first)
    assert "c2pa" not in find_provenance(again)
    second = sign_bytes(again, "JPEG", signer=signer, actions=[])
    assert len(second) - len(again) < 10_000
    assert b"Anna at home" not in second


@pytest.mark.parametrize("title", ["Straße 7", "\udcff broken name"])
def test_a_title_is_written_if_given(photo, write, signer, title):
    claim, _ = manifest_of(photo, write, signer, actions=[], title=title)
    assert claim["dc:title"] == title.encode("utf-8", "replace").decode()


def test_every_action_has_its_words():
    assert set(signing.EDITS) == set(get_args(Action))


# --- signers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", NEW_KEYS)
def test_algorithms(photo, write, algorithm):
    key = NEW_KEYS[algorithm]()
    signer = C2paSigner(b"".join(make_chain(key)), pem_of(key), algorithm=algorithm)
    plain = write(photo, "PNG")
    signed = sign_bytes(plain, "PNG", signer=signer, actions=[])
    assert read(signed, "PNG")[1] == {"signingCredential.untrusted"}


@pytest.mark.parametrize("purpose", PURPOSES)
def test_purposes_of_certificates(photo, write, key, purpose):
    signer = C2paSigner(b"".join(make_chain(key, purpose=purpose)), pem_of(key))
    signed = sign_bytes(write(photo, "PNG"), "PNG", signer=signer, actions=[])
    trust = {"trust": {"trust_config": purpose}}
    assert read(signed, "PNG", **trust)[1] == {"signingCredential.untrusted"}


def test_files_instead_of_bytes(tmp_path, photo, write, key, chain):
    certificates, private = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificates.write_bytes(b"".join(chain))
    private.write_bytes(pem_of(key))
    signer = C2paSigner(certificates, str(private))
    plain = write(photo, "PNG")
    signed = sign_bytes(plain, "PNG", signer=signer, actions=[])
    assert read(signed, "PNG")[1] == {"signingCredential.untrusted"}


def test_the_key_is_not_shown(signer):
    assert "PRIVATE" not in repr(signer)


def fails(make, words):
    with pytest.raises(InputError) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert re.search(words, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"starts": -40, "days": 10}, "not valid at time of signing"),
        ({"starts": 5}, "not valid at time of signing"),
        ({"purpose": None}, "certificate is invalid"),
        ({"purpose": "1.3.6.1.5.5.7.3.3"}, "certificate is invalid"),  # code signing
    ],
)
def test_certificates_that_must_not_sign(key, options, words):
    fails(lambda: C2paSigner(b"".join(make_chain(key, **options)), pem_of(key)), words)


def test_bad_signers_are_refused_in_one_line(tmp_path, key, chain):
    certificates, private = b"".join(chain), pem_of(key)
    other = NEW_KEYS["es256"]()
    old, locked = pem_of(key, form="TraditionalOpenSSL"), pem_of(key, passphrase=b"x")
    missing = tmp_path / "none.pem"
    fails(lambda: C2paSigner(certificates, pem_of(other)), "does not match")
    fails(lambda: C2paSigner(b"".join(chain[::-1]), private), "self-signed")
    fails(lambda: C2paSigner(certificates, private, algorithm="ps256"), "algorithm")
    fails(lambda: C2paSigner(certificates, private, algorithm="rot13"), "rot13.*es256")
    fails(lambda: C2paSigner(certificates, old), "PKCS#8")
    fails(lambda: C2paSigner(certificates, locked), "passphrase")
    fails(lambda: C2paSigner(certificates, b""), "PKCS#8")
    fails(lambda: C2paSigner(b"hello", private), "not PEM")
    fails(lambda: C2paSigner(certificates[:200], private), "can't sign")
    fails(lambda: C2paSigner(certificates + private, private), "private key among")
    fails(lambda: C2paSigner(missing, private), "none.pem: No such file")
    fails(lambda: C2paSigner(certificates, "a\0b"), "null")
    fails(lambda: C2paSigner(certificates, private, timestamp_url="ftp://x"), "time stamp")


def test_bad_calls_are_refused_in_one_line(photo, write, signer):
    plain = write(photo, "BMP")
    fails(lambda: sign_bytes(plain, "BMP", signer=signer, actions=[]), "BMP.*JPEG")
    fails(lambda: sign_bytes(plain, "PNG", signer=signer, actions=["eaten"]), "'eaten'")
    had = ["rumour"]
    fails(lambda: sign_bytes(plain, "PNG", signer=signer, actions=[], source_had=had), "rumour")
    with pytest.raises(BackendError, match="can't sign"):
        sign_bytes(plain, "PNG", signer=signer, actions=[])


def test_without_the_package_the_message_says_what_to_install(key, chain, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    fails(lambda: C2paSigner(b"".join(chain), pem_of(key)), r"pip install anonyface\[c2pa\]")


# --- no network ---------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    """A web server on this machine that counts what it is asked and refuses it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(500)

        do_POST = do_GET

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=[0.02])
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()
        thread.join()


def test_nothing_is_fetched_unless_a_time_stamp_is_asked_for(pixels, encode, key, server):
    address, asked = server
    certificates = b"".join(make_chain(key, ocsp=f"{address}/status"))
    link = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
        f' xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{address}/a.c2pa"/>'
        "</rdf:RDF>"
    )
    plain = encode(pixels, "JPEG", {"xmp": link.encode()})
    assert find_provenance(plain) == ("c2pa-link",)
    sign_bytes(plain, "JPEG", signer=C2paSigner(certificates, pem_of(key)), actions=[])
    assert asked == []
    stamped = C2paSigner(certificates, pem_of(key), timestamp_url=f"{address}/time")
    assert asked == []
    fails(lambda: sign_bytes(plain, "JPEG", signer=stamped, actions=[]), "can't sign.*500")
    assert asked == ["/time"]
