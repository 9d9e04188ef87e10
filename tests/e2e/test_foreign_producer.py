"""Another system's producer on Kafka, whose events become touches of the scorer."""

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent

from services.client import TandemClient
from tests.e2e.conftest import Install, sign_agreement
from tests.support.processes import running_tandem
from tests.support.waiting import until


async def test_a_cloudevent_written_twice(install: Install, own_kafka: str) -> None:
    """It is counted once, from a topic that was not there when Tandem started."""
    on_kafka = install.on_kafka(own_kafka)
    settings = {**on_kafka.settings, "TANDEM_EXTRA_TOPICS": "shop.orders=web"}
    async with running_tandem("up", settings=settings, log=install.directory / "tandem.log") as tandem:
        await sign_agreement(tandem.url, install.keys)
        admin = AIOKafkaAdminClient(bootstrap_servers=own_kafka)
        await admin.start()
        assert "shop.orders" not in await admin.list_topics()
        await admin.create_topics([NewTopic("shop.orders", 2, 1)])
        await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=own_kafka) as producer:
            for number in (1, 1, 2):
                attributes = {"specversion": "1.0", "id": str(number), "source": "/shop", "type": "Order Completed"}
                person = {"email": "ada@acme.example", "datacontenttype": "application/json"}
                message = kafka.to_binary_event(CloudEvent(attributes={**attributes, **person}, data={"total": 5}))
                headers = list(message.headers.items())
                await producer.send_and_wait("shop.orders", bytes(message.value or b""), headers=headers)
        async with TandemClient(tandem.url, install.keys["marketing"]) as api:

            async def counted() -> bool:
                contacts = (await api.get("/v1/contacts", email="ada@acme.example"))["contacts"]
                return bool(contacts) and contacts[0]["touches"] >= 2

            await until(counted, seconds=60, what=lambda: f"all counted\n{tandem.log_text()}")
            (contact,) = (await api.get("/v1/contacts", email="ada@acme.example"))["contacts"]
            touches = (await api.get(f"/v1/contacts/{contact['id']}/touches"))["touches"]

    assert contact["touches"] == 2
    assert {touch["source"] for touch in touches} == {"/shop"}
