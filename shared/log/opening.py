"""Which log there is: Kafka where brokers are named, PostgreSQL where they are not."""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from shared.log.kafka import open_kafka_log
from shared.log.kafka_security import IN_THE_OPEN, KafkaSecurity
from shared.log.postgres import open_postgres_log
from shared.log.protocol import EventLog


def open_log(
    *,
    kafka_bootstrap: str | None,
    database_url: str,
    name: str,
    append_timeout: timedelta,
    security: KafkaSecurity = IN_THE_OPEN,
) -> AbstractAsyncContextManager[EventLog]:
    """Open the log under the name that the servers list their clients by."""
    if kafka_bootstrap:
        return open_kafka_log(kafka_bootstrap, client_id=name, append_timeout=append_timeout, security=security)
    return open_postgres_log(database_url, name=name, append_timeout=append_timeout)
