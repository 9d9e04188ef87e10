"""The picture of one transparent pixel that answers whoever sends by loading a picture."""

from base64 import b64decode

from starlette.responses import Response

PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")

# A picture from a cache would be an event that never came.
_HEADERS = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache", "Expires": "0"}


def pixel() -> Response:
    """Return the answer."""
    return Response(PIXEL, media_type="image/gif", headers=_HEADERS)
