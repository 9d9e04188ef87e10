"""Write keys, in every way that the SDKs send them."""

from base64 import b64decode
from collections.abc import Iterator

# `access_token` is how CloudEvents over HTTP webhooks send it.
QUERY_PARAMETERS = ("writeKey", "access_token")


def header_keys(authorization: str) -> Iterator[str]:
    """Yield the keys that the header may mean: Basic with the key as user name, with or without colon; Bearer."""
    scheme, _, credentials = authorization.strip().partition(" ")
    credentials = credentials.strip()
    match scheme.lower():
        case "basic":
            try:
                decoded = b64decode(credentials, validate=True).decode()
            except ValueError:
                return
            user, _, password = decoded.partition(":")
            if user:
                yield user
            elif password:
                yield password
        case "bearer" if credentials:
            yield credentials
        case _:
            return


def header_password(authorization: str) -> Iterator[str]:
    """Yield the password of Basic, for who has to put the key into an address, as in `https://tandem:key@…`."""
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        password = b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return
    if password:
        yield password
