"""Keys and certificates for signing, made anew for each run."""

import datetime

import pytest

from anonyface.media.signing import PURPOSES

x509 = pytest.importorskip("cryptography.x509", reason="the test makes its own certificates")

from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402

NEW_KEYS = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "es512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ps256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def pem_of(key, *, form="PKCS8", passphrase=None):
    lock = serialization.NoEncryption()
    if passphrase:
        lock = serialization.BestAvailableEncryption(passphrase)
    form = getattr(serialization.PrivateFormat, form)
    return key.private_bytes(serialization.Encoding.PEM, form, lock)


def make_chain(key, *, starts=-1, days=30, purpose=PURPOSES[0], ocsp=None):
    """Return PEM of a leaf certificate and of the root above it (C2PA specification 14.5)."""
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    root_key = ec.generate_private_key(ec.SECP256R1())
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    ) | {"encipher_only": False, "decipher_only": False}

    def build(name, public_key, first, last, *, is_root):
        text = [
            x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "anonyface tests"),
        ]
        issuer = [x509.NameAttribute(x509.NameOID.COMMON_NAME, "root"), text[1]]
        signs = {"digital_signature": not is_root, "key_cert_sign": is_root, "crl_sign": is_root}
        return (
            x509.CertificateBuilder(x509.Name(issuer), x509.Name(text), public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(first)
            .not_valid_after(last)
            .add_extension(x509.BasicConstraints(is_root, None), True)
            .add_extension(x509.KeyUsage(**usage, **signs), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False
            )
        )

    root = build("root", root_key.public_key(), now - 99 * day, now + 99 * day, is_root=True)
    first = now + starts * day
    leaf = build("signer", key.public_key(), first, first + days * day, is_root=False)
    if purpose:
        usages = x509.ExtendedKeyUsage([x509.ObjectIdentifier(purpose)])
        leaf = leaf.add_extension(usages, False)
    if ocsp:
        place = x509.UniformResourceIdentifier(ocsp)
        methods = x509.AuthorityInformationAccessOID
        access = [
            x509.AccessDescription(methods.OCSP, place),
            x509.AccessDescription(methods.CA_ISSUERS, place),
        ]
        leaf = leaf.add_extension(x509.AuthorityInformationAccess(access), False)
    return [
        part.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        for part in (leaf, root)
    ]
