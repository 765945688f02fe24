"""The bytes of a gallery file: versioned JSON, encrypted where there is a passphrase."""

from __future__ import annotations

import base64
import binascii
import importlib
import json
import secrets
import unicodedata
from typing import Any

from anonyface.errors import InputError

FORMAT, VERSION = "anonyface-gallery", 1
SPACE = {
    "embedding": "dlib-resnet-v1, picture and mirror image, unit length",
    "second": "sface-2021dec, whole chip, unit length",
}
"""What the embeddings in the file are: those of other encoders mean nothing to these."""
MAX_BYTES = 64_000_000
"""Some 40,000 references; a larger file is none of ours."""

SCRYPT = {"n": 2**16, "r": 8, "p": 1}
"""Cost of a new file: 64 MiB and about 0.2 s a guess (RFC 7914, section 2)."""
MAX_SCRYPT_N, MAX_SCRYPT_P = 2**18, 4
"""Cost up to which a file is opened, 256 MiB: a hostile header must not eat the machine."""
SALT_BYTES, NONCE_BYTES, KEY_BYTES = 16, 12, 32
"""NIST SP 800-132 asks for 128 bits of salt; SP 800-38D, 8.2.2, for a nonce of 96."""


class PassphraseNeeded(InputError):
    """A gallery is encrypted and no passphrase was given."""


def pack(content: dict[str, Any], passphrase: str | None) -> bytes:
    """Return the file for a content.

    Args:
        content: JSON-ready.
        passphrase: None writes it in the clear.

    Raises:
        InputError: The passphrase is empty or no text, or the package for it is not installed.
    """
    header = {"format": FORMAT, "version": VERSION, "embeddings": SPACE}
    if passphrase is None:
        return _json(header | {"encryption": None, "content": content})
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    encryption = {
        "cipher": "AES-256-GCM",
        "kdf": "scrypt",
        **SCRYPT,
        "salt": base64.b64encode(salt).decode(),
        "nonce": base64.b64encode(nonce).decode(),
    }
    signed = header | {"encryption": encryption}
    cipher = _aes_gcm(_derive(passphrase, salt, **SCRYPT))
    sealed: bytes = cipher.encrypt(nonce, _json(content), _json(signed))
    return _json(signed | {"content": base64.b64encode(sealed).decode()})


def is_gallery(data: bytes) -> bool:
    """Whether bytes are a gallery file, of whatever version."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("format") == FORMAT


def unpack(data: bytes, passphrase: str | None, *, name: str) -> dict[str, Any]:
    """Return the content of a file; what it says is still to be checked.

    Args:
        data: The whole file.
        passphrase: What it was written with.
        name: What to call the file in errors.

    Raises:
        InputError: It is no gallery, of another version or encoder, or damaged; it is encrypted and
            no passphrase or a wrong one was given; or it is not and one was given.
    """
    if not is_gallery(data):
        raise InputError(f"{name}: not a gallery file, or a damaged one")
    document = json.loads(data)
    if document.get("version") != VERSION:
        raise InputError(
            f"{name}: a gallery of version {_short(document.get('version'))}, "
            f"this program reads version {VERSION}"
        )
    if document.get("embeddings") != SPACE:
        raise InputError(f"{name}: the gallery was made with another encoder")
    content = document.pop("content", None)
    if document.get("encryption") is None:
        if passphrase is not None:
            # Somebody may have put an open file in the place of the encrypted one.
            raise InputError(f"{name}: the gallery is not encrypted, yet a passphrase was given")
    else:
        if passphrase is None:
            raise PassphraseNeeded(f"{name}: the gallery is encrypted, a passphrase is needed")
        content = _unseal(document, content, passphrase, name)
    if not isinstance(content, dict):
        raise InputError(f"{name}: the gallery is damaged")
    return content


def _unseal(signed: dict[str, Any], sealed: Any, passphrase: str, name: str) -> Any:
    """Decrypt the content; the header it came with is authenticated along with it.

    Raises:
        InputError: If a parameter is not acceptable, or the passphrase or any byte is wrong.
    """
    encryption = signed["encryption"]
    if not isinstance(encryption, dict) or not _acceptable(encryption):
        raise InputError(f"{name}: the gallery's encryption is damaged or not supported")
    salt, nonce, box = (_bytes(v) for v in (encryption["salt"], encryption["nonce"], sealed))
    if salt is None or nonce is None or box is None or len(nonce) != NONCE_BYTES:
        raise InputError(f"{name}: the gallery is damaged")
    cost = {key: encryption[key] for key in SCRYPT}
    cipher = _aes_gcm(_derive(passphrase, salt, **cost))
    invalid_tag = importlib.import_module("cryptography.exceptions").InvalidTag
    try:
        return json.loads(cipher.decrypt(nonce, box, _json(signed)))
    except (invalid_tag, ValueError, RecursionError):
        raise InputError(f"{name}: wrong passphrase, or the gallery is damaged") from None


def _acceptable(encryption: dict[str, Any]) -> bool:
    """Whether the parameters are ones this program would work with, and affordable."""
    n, r, p = (encryption.get(key) for key in ("n", "r", "p"))
    return (
        encryption.get("cipher") == "AES-256-GCM"
        and encryption.get("kdf") == "scrypt"
        and all(type(value) is int for value in (n, r, p))
        and n in (2**k for k in range(14, MAX_SCRYPT_N.bit_length()))
        and r == SCRYPT["r"]
        and p in range(1, MAX_SCRYPT_P + 1)
        and "salt" in encryption
        and "nonce" in encryption
    )


def _derive(passphrase: str, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    """Return the key that a passphrase stands for.

    Raises:
        InputError: The passphrase is empty or no text, or the package is not installed.
    """
    if not isinstance(passphrase, str) or not passphrase:
        raise InputError("the passphrase of a gallery must be a text that is not empty")
    try:
        # The same letters may be typed as different code points on another keyboard.
        secret = unicodedata.normalize("NFC", passphrase).encode()
    except UnicodeEncodeError:
        raise InputError("the passphrase of a gallery must be valid Unicode") from None
    module = _cryptography("cryptography.hazmat.primitives.kdf.scrypt")
    key: bytes = module.Scrypt(salt=salt, length=KEY_BYTES, n=n, r=r, p=p).derive(secret)
    return key


def _aes_gcm(key: bytes) -> Any:
    return _cryptography("cryptography.hazmat.primitives.ciphers.aead").AESGCM(key)


def _cryptography(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError("an encrypted gallery needs `pip install anonyface[gallery]`") from None


def _bytes(value: Any) -> bytes | None:
    """Decode base64; None where it is none."""
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return None


def _json(value: Any) -> bytes:
    """Return the one way to write a value, so that what was authenticated can be made again."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False).encode()


def _short(value: Any) -> str:
    return repr(value)[:40]
