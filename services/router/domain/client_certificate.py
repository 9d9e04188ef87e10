"""Certificates that receivers ask for: what can be known to be wrong before anybody is called."""

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


def certificate_mistake(certificate: str, *, now: datetime | None = None) -> str | None:
    """Return what is wrong with a certificate, or None. Without `now` its time is not looked at."""
    try:
        first, *_ = x509.load_pem_x509_certificates(certificate.encode())
    except (ValueError, IndexError):
        return "expected a certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"
    if now and first.not_valid_after_utc <= now:
        return f"the certificate expired at {first.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    return None


def key_mistake(certificate: str, key: str) -> str | None:
    """Return what is wrong with the key of a good certificate, or None."""
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):  # TypeError: it is encrypted
        return "expected a private key in PEM without a passphrase"
    first, *_ = x509.load_pem_x509_certificates(certificate.encode())
    encoded = [
        each.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for each in (private.public_key(), first.public_key())
    ]
    return None if encoded[0] == encoded[1] else "expected the key of this certificate, not of another"
