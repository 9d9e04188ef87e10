"""TLS settings of endpoints that ask for a certificate of ours."""

import os
import ssl
import tempfile
from pathlib import Path

import httpx

from services.router.domain.endpoint import ClientCertificate


def client_context(presented: ClientCertificate) -> ssl.SSLContext:
    """Return settings that present the certificate. Raises ssl.SSLError.

    OpenSSL reads certificates from files only; this one is ours alone and gone before anything is sent.
    """
    context = httpx.create_ssl_context()
    descriptor, name = tempfile.mkstemp(prefix="tandem-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{presented.certificate}\n{presented.key}\n")
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
    return context
