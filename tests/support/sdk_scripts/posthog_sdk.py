"""PostHog's Python SDK; the option is the capture mode."""

from posthog import Posthog

from tests.support.sdk_scripts.scenario import EVENTS_A_REQUEST, Scenario

scenario = Scenario.of_arguments()
client = Posthog(
    scenario.key,
    host=scenario.url,
    flush_at=EVENTS_A_REQUEST,
    flush_interval=0.5,
    on_error=scenario.failed,
    max_retries=20,
    capture_mode=scenario.option,
)
client.capture("$pageview", distinct_id=scenario.visitor, properties={"$current_url": scenario.page(0)})
scenario.tell("page")
client.alias(scenario.visitor, scenario.user)
scenario.tell("alias")
client.set(distinct_id=scenario.user, properties={"email": scenario.email, "title": "Director"})
scenario.tell("identify")
company = {"name": "Acme", "industry": "logistics"}
client.group_identify("company", "acme.example", company, distinct_id=scenario.user)
scenario.tell("group")
for number in scenario.numbers():
    client.capture("Numbered", distinct_id=scenario.user, properties={"number": number})
    scenario.tell("track", number)
    client.capture("$pageview", distinct_id=scenario.user, properties={"$current_url": scenario.page(number)})
    scenario.tell("page", number)
client.flush()
client.shutdown()
scenario.end()
