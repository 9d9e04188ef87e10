"""Locks on contacts: whoever links to a contact, merges it or undoes that, excludes the others."""

from collections.abc import Iterable

from sqlalchemy import ARRAY, Integer, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.ids import ContactId, derived_id

# Contacts are locked by the bucket they fall into: a lock for each would fill the server's lock table.
LOCK_BUCKETS = 256
_LOCK_SPACE = derived_id("ingest", "contact").int & 0x7FFF_FFFF

_LOCK = text(
    "SELECT pg_advisory_xact_lock(:space, bucket) FROM unnest(:buckets) WITH ORDINALITY AS locked (bucket, place)"
    " ORDER BY place"
).bindparams(bindparam("space", _LOCK_SPACE, Integer), bindparam("buckets", type_=ARRAY(Integer)))


async def lock_contacts(connection: AsyncConnection, contacts: Iterable[ContactId]) -> None:
    """Hold the contacts until the transaction ends; in one order for all, so nobody waits in a circle.

    Only what later statements read is sure to be what those before have left. Once in a transaction.
    """
    await connection.execute(_LOCK, {"buckets": sorted({contact.int % LOCK_BUCKETS for contact in contacts})})
