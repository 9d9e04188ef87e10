"""Endpoints as attempts need them: opened once for each revision, and anew after a while."""

import ssl
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from time import monotonic

import msgspec

from services.router.client_tls import client_context
from services.router.domain.client_certificate import certificate_mistake
from services.router.domain.destination import Target
from services.router.domain.endpoint import ClientCertificate, OAuth2
from services.router.domain.kind import Kind
from services.router.domain.mapping import FieldRule
from services.router.store.endpoints import EndpointState, EndpointStore
from services.router.vault import Vault
from shared.clock import Clock
from shared.secrets import SecretsError

_LONGEST = timedelta(seconds=30)  # a process of another release may write without a new revision


class TargetBroken(Exception):
    """Raised when an endpoint cannot be called as it is stored; the message says what to mend."""


class _Options(msgspec.Struct):
    oauth2: OAuth2 | None = None
    mtls: ClientCertificate | None = None
    retries: tuple[timedelta, ...] | None = None
    kind: Kind = Kind.WEBHOOK
    settings: dict[str, str] = {}
    mapping: dict[str, FieldRule] = {}
    template: str | None = None


class Targets:
    """Opens endpoints and keeps them open for a while."""

    def __init__(self, *, endpoints: EndpointStore, vault: Vault, clock: Clock) -> None:
        self._endpoints = endpoints
        self._vault = vault
        self._clock = clock
        self._kept: dict[str, tuple[Target | TargetBroken, float]] = {}
        self._contexts: dict[str, tuple[ClientCertificate, ssl.SSLContext]] = {}

    async def open(self, wanted: Iterable[tuple[str, int]]) -> dict[str, Target | TargetBroken]:
        """Return the endpoints by name, each of this revision or a later one."""
        revisions = dict(wanted)
        old = [name for name, revision in revisions.items() if not self._is_good(name, revision)]
        if old:
            for state in await self._endpoints.all(names=old):
                try:
                    opened: Target | TargetBroken = self.read(state)
                except (SecretsError, ValueError) as error:
                    opened = TargetBroken(str(error))
                self._kept[state.name] = opened, monotonic()
        return {name: self._kept[name][0] for name in revisions}

    def read(self, state: EndpointState) -> Target:
        """Open what is stored of an endpoint. Raises SecretsError."""
        options = msgspec.convert(dict(state.options), _Options)
        private = self._vault.open_private(state.private)
        return Target(
            name=state.name,
            revision=state.revision,
            url=state.url,
            secret=self._vault.open(state.secret),
            retired=self._vault.open_retired(state.retired, now=self._clock()),
            headers=private.headers,
            oauth2=options.oauth2 and replace(options.oauth2, client_secret=private.client_secret),
            mtls=options.mtls and replace(options.mtls, key=private.client_key),
            retries=options.retries,
            kind=options.kind,
            settings=options.settings,
            mapping=options.mapping,
            template=options.template,
        )

    def tls(self, target: Target) -> ssl.SSLContext | None:
        """Return the TLS settings of an endpoint that has its own. Raises TargetBroken."""
        if target.mtls is None:
            return None
        if mistake := certificate_mistake(target.mtls.certificate, now=self._clock()):
            raise TargetBroken(f"mtls: {mistake}; put a new one into the team.")
        presented, context = self._contexts.get(target.name, (None, None))
        if presented != target.mtls or context is None:
            try:
                context = client_context(target.mtls)
            except ssl.SSLError as error:
                raise TargetBroken(f"mtls: the certificate cannot be used: {error.reason}.") from None
            self._contexts[target.name] = target.mtls, context
        return context

    def _is_good(self, name: str, revision: int) -> bool:
        if name not in self._kept:
            return False
        opened, at = self._kept[name]
        return (
            isinstance(opened, Target) and opened.revision >= revision and monotonic() - at < _LONGEST.total_seconds()
        )
