"""The contact as the router's readers see it."""

from typing import Any

from shared.events.handoff import ContactSnapshot


def email_of(contact: ContactSnapshot) -> str:
    """Return the contact's e-mail address, from the traits or else from an alias."""
    written = contact.traits.get("email")
    if isinstance(written, str) and written:
        return written
    return next((alias.value for alias in contact.aliases if alias.kind == "email"), "")


def name_of(contact: ContactSnapshot) -> str:
    """Return the contact's name, whole or put together from its parts."""
    traits = contact.traits
    whole = traits.get("name")
    if isinstance(whole, str) and whole.strip():
        return whole.strip()
    parts = [
        traits.get(first) or traits.get(second)
        for first, second in (("first_name", "firstName"), ("last_name", "lastName"))
    ]
    return " ".join(part.strip() for part in parts if isinstance(part, str) and part.strip())


def company_of(contact: ContactSnapshot) -> str:
    """Return the name of the contact's account, or else what the contact or the domain says."""
    company = contact.traits.get("company")
    named = company.get("name") if isinstance(company, dict) else company
    for name in (contact.account_traits.get("name"), named, contact.account_domain):
        if isinstance(name, str) and name.strip():
            return name.strip()
    return ""


def contact_json(contact: ContactSnapshot) -> dict[str, Any]:
    """Return the contact as JSON: what is usually wanted first, everything known below."""
    return {
        "id": contact.id,
        "email": email_of(contact),
        "name": name_of(contact),
        "company": company_of(contact),
        "aliases": contact.aliases,
        "traits": contact.traits,
        "account": {
            "id": contact.account_id,
            "domain": contact.account_domain,
            "traits": contact.account_traits,
        },
    }
