"""The CloudEvents SDK, whose events `requests` sends; the option is the binding."""

import requests
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from tests.support.sdk_scripts.scenario import Scenario

scenario = Scenario.of_arguments()
bind = http.to_structured_event if scenario.option == "structured" else http.to_binary_event
session = requests.Session()
session.trust_env = False
session.headers["Authorization"] = f"Bearer {scenario.key}"
retrying = Retry(total=60, backoff_factor=0.05, backoff_max=1, status_forcelist=[429, 500, 503], allowed_methods=None)
session.mount("http://", HTTPAdapter(max_retries=retrying))
sent = 0


def send(call: str, number: int, data: dict[str, object]) -> None:
    """Send one event and wait for the answer."""
    global sent  # noqa: PLW0603
    sent += 1
    attributes = {"id": f"{scenario.person}-{sent}", "source": "/crm", "type": call, "specversion": "1.0"}
    message = bind(CloudEvent(attributes=attributes, data={"type": call, "userId": scenario.user, **data}))
    answer = session.post(f"{scenario.url}/v1/events", data=message.body, headers=dict(message.headers))
    if answer.status_code != requests.codes.ok:
        scenario.failed(call, number, answer.status_code)
    scenario.tell(call, number)


send("alias", 0, {"previousId": scenario.visitor})
send("identify", 0, {"traits": {"email": scenario.email, "title": "Director"}})
send("group", 0, {"groupId": "acme.example", "traits": {"name": "Acme"}})
for number in scenario.numbers():
    send("track", number, {"event": "Numbered", "properties": {"number": number}})
    send("page", number, {"name": "Pricing", "properties": {"url": scenario.page(number)}})
scenario.end()
