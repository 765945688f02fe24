"""A signed C2PA manifest for a file that is about to be written (extra ``c2pa``).

Nothing of the original goes into it: no thumbnail, no hash, no name, and no earlier manifest, since
those usually hold a thumbnail of their own. References are to the C2PA Technical Specification 2.4.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from anonyface.errors import BackendError, InputError
from anonyface.media.metadata import DIGITAL_SOURCE_TYPE, software
from anonyface.media.opening import one_line
from anonyface.media.provenance import PROVENANCE
from anonyface.types import Action

Algorithm: TypeAlias = Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"]
Pem: TypeAlias = str | os.PathLike[str] | bytes

MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}
REASON = "c2pa.PII.present"  # specification 18.15.4.2; PII: personally identifiable information
# What a manifest says about each thing that can happen to a face; nothing where it stays.
EDITS: dict[Action, dict[str, Any] | None] = {
    "replaced": {
        "action": "c2pa.edited",
        "description": "Faces were replaced by synthetic faces of people who do not exist.",
        "digitalSourceType": DIGITAL_SOURCE_TYPE,
        "reason": REASON,
    },
    "redacted": {
        "action": "c2pa.edited",
        "description": "Faces were covered.",
        "reason": REASON,
    },
    "kept": None,
}
CLEANED = {
    "action": "c2pa.edited.metadata",
    "description": "Metadata was rewritten; previews and earlier manifests were left out.",
    "reason": REASON,
}
# Purposes a certificate may have: e-mail protection, document signing (RFC 9336), C2PA's own. The
# package signs with any of them but, left alone, refuses the last two when it checks its work.
PURPOSES = ("1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "1.3.6.1.4.1.62558.2.1")
SETTINGS: dict[str, Any] = {
    "version": 1,
    "trust": {"trust_config": "\n".join(PURPOSES)},
    "builder": {
        "thumbnail": {"enabled": False},
        "actions": {
            f"auto_{action}_action": {"enabled": False}
            for action in ("created", "opened", "placed")
        },
    },
    "verify": {
        "verify_after_sign": True,
        "verify_trust": False,  # there is no list of trusted roots here; readers have theirs
        "verify_timestamp_trust": False,
        "remote_manifest_fetch": False,
        "ocsp_fetch": False,
    },
}
# The smallest picture there is, for the trial signature: GIF89a, 1x1.
SAMPLE = bytes.fromhex("474946383961010001008000000000000000002c00000000010001000002024401003b")


@dataclass(frozen=True)
class C2paSigner:
    """Whose certificate a written file is signed with; checked when it is made, never over a net.

    Attributes:
        certificates: PEM of the signing certificate and those above it, in this order: the path of
            a file or its bytes. It becomes part of every signed file and says who signed.
        private_key: PEM of its key, PKCS#8 without a passphrase: the path of a file or its bytes.
        algorithm: COSE name of the signature algorithm; must suit the key.
        timestamp_url: Time stamp authority (RFC 3161) that is asked over the network for each
            file; None for none.
    """

    certificates: Pem = field(repr=False)
    private_key: Pem = field(repr=False)
    algorithm: Algorithm = "es256"
    timestamp_url: str | None = None

    def __post_init__(self) -> None:
        """Check everything that can be checked without a file.

        Raises:
            InputError: The package is missing, an option is unusable, or a trial signature failed
                (expired certificate, key of another certificate).
        """
        if self.algorithm not in get_args(Algorithm):
            known = " ".join(get_args(Algorithm))
            raise InputError(f"unknown signature algorithm {self.algorithm!r}, known: {known}")
        url = self.timestamp_url
        if url is not None and not re.fullmatch(r"https?://[!-~]+", url):
            raise InputError(f"not the http address of a time stamp authority: {url!r}")
        _sign(SAMPLE, "image/gif", self, _manifest(title=None, actions=(), source_had=()), url=None)

    def read(self) -> tuple[bytes, bytes]:
        """Return the PEM of the certificates and of the key.

        Raises:
            InputError: A file can't be read or does not hold what it should.
        """
        certificates = _read_pem(self.certificates, "certificate")
        key = _read_pem(self.private_key, "private key")
        if b"PRIVATE KEY" in certificates:  # the file would be published with every photo
            raise InputError("can't sign: there is a private key among the certificates")
        if b"-----BEGIN CERTIFICATE-----" not in certificates:
            raise InputError("can't sign: the certificate is not PEM (BEGIN CERTIFICATE)")
        if b"-----BEGIN PRIVATE KEY-----" not in key:
            raise InputError("can't sign: the key must be PKCS#8 PEM without a passphrase")
        return certificates, key


def sign_bytes(
    data: bytes,
    file_format: str,
    *,
    signer: C2paSigner,
    actions: Iterable[str],
    title: str | None = None,
    source_had: Iterable[str] = (),
) -> bytes:
    """Put a signed C2PA manifest into a finished file; pixels and metadata stay as they are.

    The signature covers every byte outside the manifest, so this must be the last step. It is not
    reproducible: each manifest gets a random name.

    Args:
        data: The whole file, as it would be written.
        file_format: Pillow's name of its format, one of `MEDIA_TYPES`.
        signer: Who signs.
        actions: What became of the faces, ``FaceOutcome.action`` of each; how often is not told.
        title: Name of the picture in the manifest; names can be personal, so by default none.
        source_had: what `anonyface.media.provenance.find_provenance` found
            in the original; the manifest says it is left out.

    Returns:
        The signed file.

    Raises:
        InputError: The format has no place for a manifest, the package is missing, or the
            certificate, the key or the time stamp authority can't be used.
        BackendError: The file could not be signed for another reason.
    """
    if file_format not in MEDIA_TYPES:
        known = " ".join(MEDIA_TYPES)
        raise InputError(f"can't sign a {file_format} file, only {known} have room for a manifest")
    manifest = _manifest(title=title, actions=actions, source_had=source_had)
    return _sign(data, MEDIA_TYPES[file_format], signer, manifest, url=signer.timestamp_url)


def _manifest(
    *, title: str | None, actions: Iterable[str], source_had: Iterable[str]
) -> dict[str, Any]:
    """Return the definition of a manifest.

    Raises:
        InputError: An action or a kind of provenance is not a known one.
    """
    done, had = set(actions), set(source_had)
    if unknown := sorted(done - set(EDITS)) + sorted(had - set(PROVENANCE)):
        raise InputError(f"can't sign: unknown action or provenance {unknown[0]!r}")
    name, _, version = software().partition(" ")
    agent = {"name": name, "version": version}
    edits = [edit for action, edit in EDITS.items() if edit and action in done]
    text = "The photo before anonymization; neither it nor its hash is enclosed."
    if had:
        carried = ", ".join(PROVENANCE[kind] for kind in PROVENANCE if kind in had)
        text += f" It carried {carried}, not taken over."
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["original"]}}
    listed = [opened, *({**edit, "softwareAgent": agent} for edit in (*edits, CLEANED))]
    return {
        "claim_generator_info": [agent],
        # A file name may hold bytes that are no text.
        **({} if title is None else {"title": title.encode("utf-8", "replace").decode()}),
        "ingredients": [{"label": "original", "relationship": "parentOf", "description": text}],
        # created: the signer vouches for it (specification 18.15.2 asks for that).
        "assertions": [{"label": "c2pa.actions.v2", "created": True, "data": {"actions": listed}}],
    }


def _sign(
    data: bytes, media_type: str, signer: C2paSigner, manifest: dict[str, Any], *, url: str | None
) -> bytes:
    """Sign a file with a manifest.

    Raises:
        InputError: The package is missing, or certificate, key or time stamp can't be used.
        BackendError: The package failed, or put a picture into the manifest.
    """
    certificates, key = signer.read()
    c2pa = _package()
    signed = io.BytesIO()
    try:
        info = c2pa.C2paSignerInfo(signer.algorithm, certificates, key, url)
        with (
            c2pa.Signer.from_info(info) as hand,
            c2pa.Context.from_dict(SETTINGS) as context,
            c2pa.Builder(manifest, context) as builder,
        ):
            store = builder.sign(hand, media_type, io.BytesIO(data), signed)
    except c2pa.C2paError.Signature as error:
        raise InputError(f"can't sign: {_reason(error)}") from error
    except Exception as error:  # the package raises its own errors and those of ctypes
        raise BackendError(f"can't sign: {_reason(error)}") from error
    if not store or b"c2pa.thumbnail" in store:
        raise BackendError("can't sign: the manifest is not the one that was asked for")
    return signed.getvalue()


def _package() -> Any:
    """Return the module c2pa.

    Raises:
        InputError: It is not installed.
        BackendError: It can't be loaded.
    """
    try:
        return import_module("c2pa")
    except ImportError:
        raise InputError("signing needs `pip install anonyface[c2pa]`") from None
    except Exception as error:  # it checks its shared library while it is imported
        raise BackendError(f"can't load the c2pa package: {one_line(error)}") from error


def _reason(error: Exception) -> str:
    """Return an error of the package on one line, without the name of its class."""
    return one_line(error).removeprefix("Signature: ").removeprefix("Other: ")


def _read_pem(source: Pem, what: str) -> bytes:
    """Return PEM bytes, from a file unless they were given.

    Raises:
        InputError: The file can't be read.
    """
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        problem = getattr(error, "strerror", None) or one_line(error)
        raise InputError(f"can't read the {what} {source}: {problem}") from error
