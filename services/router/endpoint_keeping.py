"""Keeping endpoints: their secrets made, sealed and replaced; what is off, and what is tried."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.attempt_ending import AttemptEnding
from services.router.attempting import Attempted, Attempts
from services.router.domain.endpoint import Endpoint, Order, Private, Retired, Signature, private_parts
from services.router.domain.kind import Kind
from services.router.domain.sample import sample_message
from services.router.domain.signing import SECRET_BYTES, kind_of, public_key, secret_mistake, write_secret
from services.router.domain.team import Team
from services.router.domain.webhook import ENDPOINT_TEST, Message
from services.router.errors import EndpointMissing, EndpointRefuses, TeamInvalid
from services.router.store.endpoints import DisabledBecause, EndpointState, EndpointStore, SavedEndpoint
from services.router.targets import TargetBroken, Targets
from services.router.vault import Vault
from shared.agreement.reading import Mistake
from shared.clock import Clock
from shared.secrets import SecretsError

OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=7)
MOST_RETIRED = 4  # secrets that sign besides the new one; each makes every attempt's header longer


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new secret of an endpoint (of ed25519 the public key), and until when the one before signs too."""

    secret: str | None
    public_key: str | None
    until: datetime


class EndpointKeeper:
    """Keeps endpoints. `changed` is called when something may be due again."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        endpoints: EndpointStore,
        vault: Vault,
        targets: Targets,
        attempts: Attempts,
        ending: AttemptEnding,
        clock: Clock,
        changed: Callable[[], None],
        public_url: str,
    ) -> None:
        self._engine = engine
        self._endpoints = endpoints
        self._vault = vault
        self._targets = targets
        self._attempts = attempts
        self._ending = ending
        self._clock = clock
        self._changed = changed
        self._public_url = public_url

    async def save(self, connection: AsyncConnection, team: Team) -> tuple[dict[str, str], set[str]]:
        """Make the endpoints those of the team; return the secrets made, and the names that the team has no more.

        Raises TeamInvalid when something has to be given that nobody gave before.
        """
        known = {state.name: state for state in await self._endpoints.all(connection)}
        mistakes: list[Mistake] = []
        new: dict[str, str] = {}
        saved = []
        for number, endpoint in enumerate(team.endpoints):
            state = known.get(endpoint.name)
            if state and state.removed:
                state = None
            saved.append(self._saved(endpoint, state, new, mistakes, at=f"endpoints[{number}]"))
        if mistakes:
            raise TeamInvalid(mistakes)
        await self._endpoints.save(connection, saved)
        return new, known.keys() - {endpoint.name for endpoint in team.endpoints}

    async def rotate(self, name: str, *, overlap: timedelta, secret: str | None = None) -> Rotated:
        """Give the endpoint a new secret; the old one signs too until the overlap ends."""
        now = self._clock()
        async with self._engine.begin() as connection:
            state = await self._lock(connection, name)
            old = self._vault.open(state.secret)
            signature = kind_of(old)
            if secret and (mistake := secret_mistake(secret, signature)):
                raise EndpointRefuses(f"{name}: {mistake}.")
            retired = self._vault.open_retired(state.retired, now=now)
            if overlap and len(retired) >= MOST_RETIRED:
                raise EndpointRefuses(f"{name} has {len(retired)} old secrets that still sign; wait until one ends.")
            new = secret or write_secret(secrets.token_bytes(SECRET_BYTES), signature)
            # Without an overlap the older ones end too: somebody has a secret who should not.
            retired = (Retired(secret=old, until=now + overlap), *retired) if overlap else ()
            await self._endpoints.save_secrets(
                connection,
                name,
                secret=self._vault.seal(new),
                retired=self._vault.seal_retired(retired),
                public_key=public_key(new),
            )
        told = new if signature is Signature.V1 else None
        return Rotated(secret=told, public_key=public_key(new), until=now + overlap)

    async def enable(self, name: str) -> EndpointState:
        """Send to the endpoint again; what waited for it goes out."""
        async with self._engine.begin() as connection:
            state = await self._lock(connection, name)
            if not state.enabled:
                raise EndpointRefuses(f"The team has {name} with `enabled: false`; change it there.")
            await self._endpoints.enable(connection, name)
            (state,) = await self._endpoints.all(connection, names=[name])
        self._changed()
        return state

    async def disable(self, name: str) -> EndpointState:
        """Send nothing more to the endpoint; what is for it waits until it is enabled."""
        now = self._clock()
        async with self._engine.begin() as connection:
            await self._lock(connection, name)
            because = DisabledBecause.ASKED
            disabled = await self._endpoints.disable(connection, [name], because=because, now=now)
            await self._ending.tell_disabled(connection, disabled, because=because, now=now)
            (state,) = await self._endpoints.all(connection, names=[name])
        self._changed()
        return state

    async def test(self, name: str) -> Attempted:
        """Send a message that means nothing, once and now, whatever holds the endpoint back."""
        state = _there(await self._endpoints.all(names=[name]), name)
        now = self._clock()
        message_id = f"msg_{uuid4().hex}"
        body = {"type": ENDPOINT_TEST, "timestamp": now, "data": {"endpoint": name}}
        message = Message(id=message_id, body=msgspec.json.encode(body))
        try:
            target = self._targets.read(state)
        except SecretsError as error:
            return await self._attempts.make(TargetBroken(str(error)), message, traceparent=None)
        if target.kind is not Kind.WEBHOOK:  # a system that keeps records is tried with one
            message = sample_message(name, message_id=message_id, at=now, public_url=self._public_url)
        return await self._attempts.make(target, message, traceparent=None)

    async def _lock(self, connection: AsyncConnection, name: str) -> EndpointState:
        return _there(await self._endpoints.lock(connection, [name]), name)

    def _saved(
        self,
        endpoint: Endpoint,
        state: EndpointState | None,
        new: dict[str, str],
        mistakes: list[Mistake],
        *,
        at: str,
    ) -> SavedEndpoint:
        now = self._clock()
        secret, private = "", None
        retired: tuple[Retired, ...] = ()
        try:
            secret, retired = self._secrets(endpoint, state, new, now=now)
            stored = self._vault.open_private(state.private) if state and state.private else Private()
            parts, missing = private_parts(endpoint, stored)
            mistakes += [Mistake(1, 1, f"{at}.{part}", "expected a value; there is none to keep") for part in missing]
            private = self._vault.seal_private(parts)
        except SecretsError as error:
            mistakes.append(Mistake(1, 1, at, str(error)))
        return SavedEndpoint(
            name=endpoint.name,
            url=endpoint.url,
            secret=self._vault.seal(secret),
            enabled=endpoint.enabled,
            options=_options(endpoint),
            retired=self._vault.seal_retired(retired),
            private=private,
            public_key=public_key(secret) if secret else None,
            rate=endpoint.rate,
            concurrency=endpoint.concurrency,
            ordered=endpoint.order is Order.CONTACT,
        )

    def _secrets(
        self, endpoint: Endpoint, state: EndpointState | None, new: dict[str, str], *, now: datetime
    ) -> tuple[str, tuple[Retired, ...]]:
        """Return the secret of the endpoint and those that sign beside it; a replaced one goes on for a day."""
        before = self._vault.open(state.secret) if state else None
        retired = self._vault.open_retired(state.retired, now=now) if state else ()
        if endpoint.secret:
            secret = endpoint.secret
        elif before and kind_of(before) is endpoint.signature:
            secret = before
        else:
            secret = write_secret(secrets.token_bytes(SECRET_BYTES), endpoint.signature)
            if endpoint.signature is Signature.V1:  # of ed25519 nobody but us needs the secret
                new[endpoint.name] = secret
        if before and before != secret:
            retired = (Retired(secret=before, until=now + OVERLAP), *retired)[:MOST_RETIRED]
        return secret, retired


def _there(states: list[EndpointState], name: str) -> EndpointState:
    for state in states:
        if not state.removed:
            return state
    raise EndpointMissing(name)


def _options(endpoint: Endpoint) -> Mapping[str, object]:
    options: dict[str, object] = msgspec.to_builtins(endpoint.without_secrets())
    return options
