"""Snowplow's Python tracker; the option is the method."""

import time
from urllib.parse import urlsplit

from snowplow_tracker.emitters import Emitter
from snowplow_tracker.events.page_view import PageView
from snowplow_tracker.events.self_describing import SelfDescribing
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker

from tests.support.sdk_scripts.scenario import EVENTS_A_REQUEST, Scenario

NUMBERED = "iglu:com.acme/numbered/jsonschema/1-0-0"

scenario = Scenario.of_arguments()
emitter = Emitter(
    str(urlsplit(scenario.url).hostname),
    protocol="http",
    port=urlsplit(scenario.url).port,
    method="get" if scenario.option == "get" else "post",
    batch_size=1 if scenario.option == "get" else EVENTS_A_REQUEST,
    request_timeout=30,
)
# The tracker has neither identify nor alias: an event with both ids says as much.
subject = Subject().set_user_id(scenario.email).set_domain_user_id(scenario.visitor)
tracker = Tracker("website", emitter, subject, app_id=scenario.key)


def drain() -> None:
    """Return when all has been answered. Its own flush returns at once while a retry is due."""
    emitter.flush()
    while emitter.retry_timer.is_active() or emitter.event_store.size():
        time.sleep(0.02)
        emitter.flush()


for number in scenario.numbers():
    tracker.track(SelfDescribing(SelfDescribingJson(NUMBERED, {"number": number})))
    scenario.tell("track", number)
    # By GET it forgets what failed when a later event of the same flush did not: one at a time, it tries again.
    if scenario.option == "get":
        drain()
    tracker.track(PageView(scenario.page(number), "Pricing"))
    scenario.tell("page", number)
    if scenario.option == "get":
        drain()
drain()
scenario.end()
