"""The company behind a contact, from what an event tells of it."""

from typing import Any
from urllib.parse import urlsplit

from services.ingest.domain.identifiers import read_email

# Where people have mailboxes of their own: such an address tells nothing about a company.
FREE_MAIL = frozenset(
    """
    126.com 163.com aim.com aol.com att.net bellsouth.net bigpond.com bluewin.ch bol.com.br btinternet.com
    charter.net comcast.net cox.net daum.net duck.com earthlink.net fastmail.com fastmail.fm free.fr freenet.de
    gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com hanmail.net hey.com hotmail.co.uk hotmail.com
    hotmail.de hotmail.es hotmail.fr hotmail.it hushmail.com icloud.com inbox.com laposte.net libero.it live.ca
    live.co.uk live.com live.fr live.nl mac.com mail.com mail.ru mailinator.com me.com msn.com naver.com
    ntlworld.com optonline.net orange.fr outlook.com outlook.de outlook.fr pm.me proton.me protonmail.ch
    protonmail.com qq.com rediffmail.com rocketmail.com sbcglobal.net seznam.cz sfr.fr shaw.ca sina.com sky.com
    t-online.de talktalk.net telenet.be tiscali.it tutanota.com tuta.io uol.com.br verizon.net virgilio.it
    virginmedia.com wanadoo.fr web.de wp.pl ya.ru yahoo.ca yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com
    yahoo.com.au yahoo.com.br yahoo.de yahoo.es yahoo.fr yahoo.it yandex.com yandex.ru yeah.net ymail.com zoho.com
    """.split()
)


def email_domain(email: str) -> str:
    """Return the domain of a business address, or "" for a free mailbox or no address."""
    domain = email.rpartition("@")[2]
    return "" if domain in FREE_MAIL or "." not in domain else domain


def stated_domain(traits: dict[str, Any]) -> str:
    """Return the domain that traits of a company name in `domain` or `website`, or ""."""
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
    domain = read_email(f"x@{host}")[2:].removeprefix("www.")
    return domain if "." in domain else ""
