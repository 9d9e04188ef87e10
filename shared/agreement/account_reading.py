"""Reading what an agreement says about companies, and about those whom marketing keeps.

`accounts: {ready: {engagement: 80, contacts: 3, within: 7d, roles: [decision_maker]}, rearm: {below: 50},
per_contact: {least: 5, cap: 40}, roles: {decision_maker: {contact.title: ["vp *", "*director*"]}}}`
"""

from collections.abc import Collection

import yaml

from shared.agreement.model import AccountReady, Accounts, Nurture, Role
from shared.agreement.reading import Reader
from shared.agreement.when_reading import CONTACT_FIELDS, read_when
from shared.durations import parse_duration

LEAST = 5.0  # points that make a person count
CAP = 40.0
LARGEST_ENGAGEMENT = 10_000.0  # of an account; nothing caps what its people add up to

_MOST_OFTEN = parse_duration("1h")
_EVERY = parse_duration("1d")


def read_accounts(reader: Reader, section: yaml.Node) -> Accounts:
    """Read `accounts`; what is wrong is told to the reader."""
    given = reader.mapping(section, "accounts", required=("ready", "rearm"), optional=("per_contact", "roles"))
    each = reader.mapping(given.get("per_contact"), "accounts.per_contact", required=(), optional=("least", "cap"))
    rearm = reader.mapping(given.get("rearm"), "accounts.rearm", required=("below",))
    roles = tuple(
        Role(id=str(name.value), when=read_when(reader, node, key, fields=CONTACT_FIELDS))
        for name, node, key in reader.entries(given.get("roles"), "accounts.roles")
    )
    accounts = Accounts(
        ready=_ready(reader, given.get("ready"), known=[role.id for role in roles]),
        least=_points(reader, each.get("least"), "accounts.per_contact.least", otherwise=LEAST),
        cap=_points(reader, each.get("cap"), "accounts.per_contact.cap", otherwise=CAP),
        roles=roles,
        rearm_below=reader.number(rearm.get("below"), "accounts.rearm.below", least=0, most=LARGEST_ENGAGEMENT),
    )
    _check_parts_agree(reader, accounts, section)
    return accounts


def read_nurture(reader: Reader, section: yaml.Node) -> Nurture:
    """Read `nurture`."""
    given = reader.mapping(section, "nurture", required=(), optional=("every",))
    if "every" not in given:
        return Nurture(every=_EVERY)
    return Nurture(every=reader.duration(given["every"], "nurture.every", least=_MOST_OFTEN))


def _ready(reader: Reader, section: yaml.Node | None, *, known: Collection[str]) -> AccountReady:
    key = "accounts.ready"
    given = reader.mapping(section, key, required=("engagement",), optional=("contacts", "within", "roles"))
    needed: list[str] = []
    for node, at in reader.items(given.get("roles"), f"{key}.roles"):
        role = reader.text(node, at)
        if role and role not in known:
            reader.unknown(node, at, role, kind="role", known=known or ["none, because accounts.roles names none"])
        needed.append(role)
    return AccountReady(
        engagement=reader.number(given.get("engagement"), f"{key}.engagement", least=1, most=LARGEST_ENGAGEMENT),
        contacts=reader.integer(given["contacts"], f"{key}.contacts", least=1) if "contacts" in given else 1,
        within=reader.duration(given["within"], f"{key}.within") if "within" in given else None,
        roles=tuple(sorted(set(needed))),
    )


def _points(reader: Reader, node: yaml.Node | None, key: str, *, otherwise: float) -> float:
    return otherwise if node is None else reader.number(node, key, least=1, most=100)


def _check_parts_agree(reader: Reader, accounts: Accounts, section: yaml.Node) -> None:
    """Find contradictions between parts that are each right: accounts that flap, and people who never count."""
    sound, ready = reader.sound, accounts.ready
    below = sound.get("accounts.rearm.below")
    if below is not None and "accounts.ready.engagement" in sound and accounts.rearm_below >= ready.engagement:
        message = (
            f"expected less than accounts.ready.engagement ({ready.engagement:g}): "
            "accounts would be handed off repeatedly"
        )
        reader.wrong(below, "accounts.rearm.below", message)
    if accounts.cap < accounts.least:
        message = f"expected least ({accounts.least:g}) to be no more than cap ({accounts.cap:g})"
        reader.wrong(section, "accounts.per_contact", message)
