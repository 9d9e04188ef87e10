"""The providers, each with how it proves who it is, how it is read, and what it is told."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum

import msgspec

from services.ingest.domain.source import Source
from services.ingest.intake.hooks import (
    calendly,
    customerio,
    generic,
    hubspot,
    mailchimp,
    mailgun,
    mandrill,
    mautic,
    postmark,
    sendgrid,
    typeform,
)
from services.ingest.intake.hooks.mapping import MappingError, compile_consent, compile_mapping
from services.ingest.intake.hooks.reading import Item, Reading
from services.ingest.intake.hooks.signature import HookRequest


class Provider(StrEnum):
    """Who sends webhooks, by the name in the path."""

    SENDGRID = "sendgrid"
    MAILGUN = "mailgun"
    POSTMARK = "postmark"
    MAILCHIMP = "mailchimp"
    MANDRILL = "mandrill"
    HUBSPOT = "hubspot"
    CUSTOMERIO = "customerio"
    MAUTIC = "mautic"
    TYPEFORM = "typeform"
    CALENDLY = "calendly"
    GENERIC = "generic"


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know of a provider."""

    read: Callable[[bytes, Reading], list[Item]]
    verify: Callable[[HookRequest, Sequence[str]], None] | None = None  # None: it signs nothing
    # What it is told where nothing proves who sent the request, if not 401 or 403: Mailgun repeats those for hours.
    unproven: int | None = None
    # Whether errors have it switch the webhook off, or hold back all that comes after: Calendly after a day of them,
    # Typeform after 300, Mautic after 100; Customer.io and Mandrill hold back. It is answered with 200 even while its
    # source is disabled, and what it sends is kept as rejected.
    stopped_by_errors: bool = False
    # Customer.io hangs up after four seconds; a 503 before that is tried again just the same.
    patience: timedelta = timedelta(seconds=3)


HOOKS: Mapping[Provider, Hook] = {
    Provider.SENDGRID: Hook(read=sendgrid.read, verify=sendgrid.verify),
    Provider.MAILGUN: Hook(read=mailgun.read, verify=mailgun.verify, unproven=406),
    Provider.POSTMARK: Hook(read=postmark.read),
    Provider.MAILCHIMP: Hook(read=mailchimp.read),
    Provider.MANDRILL: Hook(read=mandrill.read, verify=mandrill.verify, stopped_by_errors=True),
    Provider.HUBSPOT: Hook(read=hubspot.read, verify=hubspot.verify),
    Provider.CUSTOMERIO: Hook(read=customerio.read, verify=customerio.verify, stopped_by_errors=True),
    Provider.MAUTIC: Hook(read=mautic.read, verify=mautic.verify, stopped_by_errors=True),
    Provider.TYPEFORM: Hook(read=typeform.read, verify=typeform.verify, stopped_by_errors=True),
    Provider.CALENDLY: Hook(read=calendly.read, verify=calendly.verify, stopped_by_errors=True),
    Provider.GENERIC: Hook(read=generic.read),
}


def provider_of(name: str) -> Provider | None:
    """Return the provider of this name."""
    try:
        return Provider(name)
    except ValueError:
        return None


def problems_of(source: Source) -> list[str]:
    """Return what is wrong with the provider, the secrets and the mapping of a source; nothing when it can be used."""
    problems = []
    provider = provider_of(source.provider)
    if source.provider and provider is None:
        problems.append(f"The provider {source.provider!r} is not known; it is one of {', '.join(Provider)}.")
    if provider is Provider.SENDGRID and not all(sendgrid.public_key(secret) for secret in source.secrets):
        problems.append("The secret is not the verification key that SendGrid shows under Mail Settings, in base64.")
    if provider is Provider.GENERIC and not source.mapping.strip():
        problems.append("A source of the provider generic needs a mapping.")
    if source.mapping.strip():
        try:
            if provider is Provider.GENERIC:
                compile_mapping(source.mapping)
            else:
                compile_consent(source.mapping)
        except MappingError as error:
            problems += [f"Mapping: {problem}" for problem in error.problems]
    return problems
