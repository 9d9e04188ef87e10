"""The path that providers send their webhooks to.

What a provider is answered decides whether it goes on sending: never 404 or 410, which some take for the end, and 200
as soon as the log has the request, whatever is in it. What is not understood is kept with its reason, for a replay.
"""

import asyncio
import hmac
from collections.abc import Iterator
from itertools import product

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingest.domain.source import Source
from services.ingest.intake.credentials import header_keys, header_password
from services.ingest.intake.hooks.providers import HOOKS, Hook, Provider, provider_of
from services.ingest.intake.hooks.signature import HookRequest, NotVerified
from services.ingest.intake.record import DISABLED_HEADER, hook_intake
from services.ingest.reception import RETRY_AFTER, Handler, Reception, accepted
from services.ingest.sources import require_enabled
from shared.http.problems import ProblemError
from shared.log.records import Headers

HOOKS_PATH = "/v1/hooks/{provider}/{source}"
SECRET_HEADER = "x-webhook-secret"  # noqa: S105  # its name
KEY_PARAMETERS = ("key", "writeKey", "access_token")

# A batch of SendGrid's grows to 768 KB; a refusal for its size would be tried again for a day and then be lost.
MAX_HOOK_BYTES = 2_000_000


def hook_routes(reception: Reception) -> dict[str, Handler]:
    """Return the handler of the path."""

    async def accept(request: Request) -> Response:
        provider = provider_of(request.path_params["provider"])
        if provider is None:
            raise ProblemError(400, "unknown_provider", f"The provider is one of {', '.join(Provider)}.")
        if request.method in {"GET", "HEAD"}:
            return accepted()  # the visit that some pay before they save an address: it has to be there, no more
        hook = HOOKS[provider]
        body = await reception.body(request, max_bytes=MAX_HOOK_BYTES)
        source = _source(reception, request.path_params["source"], provider)
        try:
            _check(reception, request, body, source, hook)
        except NotVerified as error:
            raise ProblemError(hook.unproven or 401, "not_verified", str(error)) from None
        except ProblemError as problem:
            problem.status = hook.unproven or problem.status
            raise
        content_type = request.headers.get("content-type", "")
        more: Headers = (("content-type", content_type.encode()),) if content_type else ()
        if source.disabled_at is not None:  # and its provider must not be told so
            more += ((DISABLED_HEADER, b"true"),)
            source = msgspec.structs.replace(source, disabled_at=None)
        try:
            async with asyncio.timeout(hook.patience.total_seconds()):
                await reception.store(
                    request,
                    body,
                    events=1,
                    source=source,
                    intake=hook_intake(provider),
                    more=more,
                )
        except TimeoutError:
            raise _later("unavailable", "The webhook could not be stored in time. Send it again.") from None
        return accepted()

    return {HOOKS_PATH: reception.answering(accept)}


def _source(reception: Reception, name: str, provider: Provider) -> Source:
    """Return the source. Raises a 503 problem where there is none: it is tried again, and may be there by then."""
    source = reception.sources.named(name)
    if source is None or source.provider not in {"", provider}:
        raise _later("unknown_source", f"There is no source {name[:80]!r} of the provider {provider}; add it.")
    return source


def _check(reception: Reception, request: Request, body: bytes, source: Source, hook: Hook) -> None:
    """Have the signature prove who sends, or else the key of the source. Raises NotVerified and problems."""
    if not hook.stopped_by_errors:
        require_enabled(source)
    if hook.verify and source.secrets:
        hook.verify(_as_signed(reception, request, body), source.secrets)
        return
    keys = list(_keys(request))
    secrets = [secret.encode() for secret in source.secrets]
    if sum(hmac.compare_digest(key.encode(), secret) for key in keys for secret in secrets):
        return
    found = reception.sources.find(keys) or reception.sources.authorised(keys)  # which raises the problem
    if found.name != source.name:
        raise ProblemError(403, "forbidden", f"The key is that of another source than {source.name!r}.")


def _as_signed(reception: Reception, request: Request, body: bytes) -> HookRequest:
    headers = request.headers
    schemes = dict.fromkeys([headers.get("x-forwarded-proto", "https"), "https", request.url.scheme])
    hosts = dict.fromkeys(filter(None, [headers.get("x-forwarded-host"), headers.get("host")]))
    prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
    query = request.scope["query_string"].decode("latin-1")
    target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    targets = dict.fromkeys([f"{prefix}{target}", target])
    return HookRequest(
        method=request.method,
        urls=[f"{scheme}://{host}{path}" for scheme, host, path in product(schemes, hosts, targets)],
        headers=dict(headers),
        body=body,
        received_at=reception.clock(),
    )


def _keys(request: Request) -> Iterator[str]:
    """Yield what may be the key of the source or its secret, in all places that providers have for it."""
    authorization = request.headers.get("authorization", "")
    yield from header_keys(authorization)
    yield from header_password(authorization)
    if secret := request.headers.get(SECRET_HEADER):
        yield secret
    for name in KEY_PARAMETERS:
        if key := request.query_params.get(name):
            yield key


def _later(code: str, message: str) -> ProblemError:
    return ProblemError(503, code, message, headers={"Retry-After": str(int(RETRY_AFTER.total_seconds()))})
