"""The body of a request: compressed or not, and never more of it than the limit."""

import zlib

GZIP_MAGIC = b"\x1f\x8b"
# What deflate begins with as SDKs send it; no JSON does, and no base64.
_ZLIB_MAGIC = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_EITHER_WINDOW = 32 + zlib.MAX_WBITS


class BodyError(Exception):
    """Base of what is wrong with a body before anybody reads it."""


class BodyTooLarge(BodyError):
    """Raised as soon as the body is known to exceed the limit, inflated or not."""


class BodyNotGzip(BodyError):
    """Raised for a body that begins as gzip and does not go on so."""


def inflate(body: bytes, *, max_bytes: int) -> bytes:
    """Return the body without its compression, told by its first bytes: labels are often wrong both ways.

    Inflates at most `max_bytes`, so that a small body cannot fill the memory. Raises BodyTooLarge, BodyNotGzip.
    """
    if not body.startswith((GZIP_MAGIC, *_ZLIB_MAGIC)):
        if len(body) > max_bytes:
            raise BodyTooLarge
        return body
    inflated = bytearray()
    while True:
        stream = zlib.decompressobj(_EITHER_WINDOW)
        try:
            inflated += stream.decompress(body, max_bytes + 1 - len(inflated))
        except zlib.error as error:
            raise BodyNotGzip(str(error)) from None
        if len(inflated) > max_bytes:
            raise BodyTooLarge
        if not stream.eof:
            raise BodyNotGzip("the data ends too early")
        body = stream.unused_data
        if not body.startswith(GZIP_MAGIC):  # which allows several members one after the other
            return bytes(inflated)
