"""The Python SDKs of Segment and RudderStack, which have one interface; the option names the module."""

import importlib

from tests.support.sdk_scripts.scenario import EVENTS_A_REQUEST, Scenario

scenario = Scenario.of_arguments()
client = importlib.import_module(scenario.option).Client(
    scenario.key,
    host=scenario.url,
    upload_size=EVENTS_A_REQUEST,
    on_error=scenario.failed,
    max_retries=20,
)
client.page(None, None, "Pricing", {"url": scenario.page(0)}, anonymous_id=scenario.visitor)
scenario.tell("page")
client.alias(scenario.visitor, scenario.user)
scenario.tell("alias")
client.identify(scenario.user, {"email": scenario.email, "title": "Director"})
scenario.tell("identify")
client.group(scenario.user, "acme.example", {"name": "Acme", "industry": "logistics"})
scenario.tell("group")
for number in scenario.numbers():
    client.track(scenario.user, "Numbered", {"number": number})
    scenario.tell("track", number)
    client.page(scenario.user, None, "Pricing", {"url": scenario.page(number)})
    scenario.tell("page", number)
client.flush()
client.join()
scenario.end()
