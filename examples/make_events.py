"""Write `events.jsonl`: a month at a company that sells planning software to logistics and manufacturing firms.

Run `python examples/make_events.py` to write it anew; the same seed gives the same file. The cast is listed first, then
what they do, then what goes wrong on the way: retries under the same messageId, late events, events that nobody can
understand.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
START = datetime(2026, 2, 2, 8, tzinfo=UTC)
DAYS = 28
WEBSITE = "wk_demo_website_5f0c1a77"
CAMPAIGNS = "wk_demo_campaigns_c2d94e01"

Event = dict[str, Any]

# domain, name, industry, employees
COMPANIES = [
    ("acme-freight.example", "Acme Freight", "logistics", 420),
    ("baltic-cargo.example", "Baltic Cargo", "logistics", 150),
    ("cobalt-parts.example", "Cobalt Parts", "manufacturing", 900),
    ("delta-pumps.example", "Delta Pumps", "manufacturing", 260),
    ("elm-retail.example", "Elm Retail", "retail", 3000),
    ("fjord-shipping.example", "Fjord Shipping", "logistics", 75),
    ("granite-tools.example", "Granite Tools", "manufacturing", 510),
    ("hillside-school.example", "Hillside School", "education", 60),
    ("ibis-consulting.example", "Ibis Consulting", "consulting", 25),
    ("juniper-packaging.example", "Juniper Packaging", "manufacturing", 700),
    ("kestrel-media.example", "Kestrel Media", "media", 40),
    ("rival.example", "Rival Planning", "software", 300),
]

FIRST = (
    "Ada Bruno Chiara Daan Elif Farid Grete Hanna Ivo Jana Karim Lena Milo Nora Oskar Paula Quentin Rosa Sven Tara "
    "Umut Vera Wim Xenia Yara Zeno Alma Boris Carla Dario Edda Finn Gita Henk Ines Jonas Kaya Luca Mira Nils"
).split()
TITLES = ("Planner", "Dispatcher", "Analyst", "Buyer", "Assistant", "Engineer", "Coordinator")

# Who becomes what. Everyone else looks around and stays unknown to sales.
EAGER = {0: "Director of Operations", 3: "VP Supply Chain", 6: "Head of Planning", 9: "Chief Operating Officer"}
HAND_RAISER = 13  # asks for a demo after two visits
OPTED_OUT = 2  # a director on the way to ready who unsubscribes
COMPETITOR = 11  # reads everything, works for the rival
WRONG_FIT = 7  # reads everything, for a school project


@dataclass(frozen=True)
class Person:
    """One of the cast."""

    number: int
    name: str
    title: str
    company: tuple[str, str, str, int]

    @property
    def email(self) -> str:
        return f"{self.name.lower()}@{self.company[0]}"

    @property
    def anonymous_id(self) -> str:
        return f"anon-{self.number:02d}-{self.name.lower()}"


def cast() -> list[Person]:
    """Return the forty contacts."""
    people = []
    for number, name in enumerate(FIRST):
        title = EAGER.get(number, TITLES[number % len(TITLES)])
        if number == OPTED_OUT:
            title = "Director of Production"
        people.append(Person(number, name, title, COMPANIES[number % len(COMPANIES)]))
    return people


class Month:
    """The month, told person by person and sorted by time at the end."""

    def __init__(self) -> None:
        self.dice = random.Random(20260202)
        self.events: list[Event] = []

    def at(self, day: float) -> datetime:
        """Return a moment of that day, in working hours."""
        return START + timedelta(days=day, minutes=self.dice.randrange(0, 540), milliseconds=self.dice.randrange(1000))

    def add(self, when: datetime, key: str, event: Event) -> None:
        """Add an event that reaches Tandem through the source of the key."""
        number = len(self.events)
        self.events.append({"writeKey": key, "messageId": f"demo-{number:05d}", "timestamp": stamp(when), **event})

    def page(self, person: Person, when: datetime, path: str, title: str, campaign: str | None = None) -> None:
        """Add a page view, known only by the browser's anonymous id."""
        context: Event = {"page": {"path": path, "url": f"https://www.harbour.example{path}", "title": title}}
        if campaign:
            context["campaign"] = {"name": campaign, "source": "newsletter", "medium": "email"}
        event = {"type": "page", "name": title, "anonymousId": person.anonymous_id, "context": context}
        self.add(when, WEBSITE, {**event, "properties": {"path": path, "title": title}})

    def identify(self, person: Person, when: datetime, form: str, **answers: str) -> None:
        """Add a submitted form: the browser learns who it is."""
        domain, company, industry, employees = person.company
        ids = {"anonymousId": person.anonymous_id}
        traits = {"email": person.email, "name": person.name, "title": person.title}
        self.add(when, WEBSITE, {"type": "identify", **ids, "traits": traits})
        group = {"name": company, "industry": industry, "employees": employees, "domain": domain}
        self.add(when + timedelta(seconds=1), WEBSITE, {"type": "group", **ids, "groupId": domain, "traits": group})
        properties = {"form": form, **answers}
        event = {"type": "track", "event": "Form Submitted", **ids, "properties": properties}
        self.add(when + timedelta(seconds=2), WEBSITE, event)

    def mail(self, person: Person, when: datetime, what: str, campaign: str, **properties: str) -> None:
        """Add what the mail platform reports; it knows people by address."""
        event = {"type": "track", "event": what, "context": {"traits": {"email": person.email}}}
        self.add(when, CAMPAIGNS, {**event, "properties": {"campaign_name": campaign, **properties}})


def stamp(when: datetime) -> str:
    """Return the time as the SDKs write it."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def tell(month: Month, people: list[Person]) -> None:
    """Let everybody do what they do."""
    guide = "Spring planning guide"
    for person in people:
        if person.number in EAGER or person.number in {OPTED_OUT, COMPETITOR, WRONG_FIT}:
            deep_interest(month, person, guide)
        elif person.number == HAND_RAISER:
            asks_for_a_demo(month, person)
        else:
            looks_around(month, person, guide)
    for number in range(14):
        stranger = Person(100 + number, f"visitor{number}", "", COMPANIES[0])
        for visit in range(month.dice.randint(1, 3)):
            month.page(stranger, month.at(number * 2 + visit), "/", "Harbour")


def deep_interest(month: Month, person: Person, campaign: str) -> None:
    """Tell the long way: an article, the guide, cases, prices on several days."""
    first = 1 + person.number % 4
    month.page(person, month.at(first), "/blog/late-trucks", "Why trucks run late", campaign)
    month.page(person, month.at(first + 1), "/blog/planning-on-paper", "Planning on paper")
    month.page(person, month.at(first + 2), "/guide", "The planning guide", campaign)
    words = "Our dispatch plan is out of date by nine every morning. What do others do?"
    month.identify(person, month.at(first + 3), "guide", message=words)
    for week in (1, 2, 3):
        opened = month.at(first + 3 + week * 5)
        month.mail(person, opened, "Email Opened", campaign)
        month.mail(person, opened + timedelta(minutes=2), "Email Link Clicked", campaign, link="/customers/baltic")
        month.page(person, opened + timedelta(minutes=3), "/customers/baltic", "How Baltic Cargo plans", campaign)
    if person.number == OPTED_OUT:
        month.mail(person, month.at(20), "Unsubscribed", campaign)
    for day in (21, 23, 25, 27):
        visit = month.at(day)
        month.page(person, visit, "/pricing", "Pricing")
        month.page(person, visit + timedelta(minutes=4), "/pricing/compare", "Compare plans")
        month.page(person, visit + timedelta(minutes=9), "/customers/granite", "How Granite Tools plans")


def asks_for_a_demo(month: Month, person: Person) -> None:
    """Tell the short way: two visits, then the hand goes up."""
    month.page(person, month.at(24), "/", "Harbour")
    month.page(person, month.at(26), "/pricing", "Pricing")
    words = "We move 300 orders a day and plan them in a spreadsheet. Can you show us a day with ours?"
    month.identify(person, month.at(27), "demo", message=words)


def looks_around(month: Month, person: Person, campaign: str) -> None:
    """Tell an ordinary month: a few pages, some mail, perhaps a name."""
    for visit in range(month.dice.randint(1, 4)):
        path, title = month.dice.choice(
            [("/", "Harbour"), ("/blog/late-trucks", "Why trucks run late"), ("/jobs", "Jobs")]
        )
        month.page(person, month.at(visit * 3), path, title)
    month.identify(person, month.at(13), "newsletter")
    for week in range(2):
        month.mail(person, month.at(15 + week * 6), "Email Opened", campaign)


def trouble(month: Month) -> Iterator[Event | str]:
    """Yield the month as it arrives: mostly in order, some late, some twice, some broken."""
    end = stamp(START + timedelta(days=DAYS))  # phones that were offline, platforms that report at night
    arrivals = [
        (
            end if event["type"] in {"page", "track"} and month.dice.random() < 0.06 else event["timestamp"],
            number,
            event,
        )
        for number, event in enumerate(month.events)
    ]
    for number, (_, _, event) in enumerate(sorted(arrivals, key=lambda arrival: arrival[:2])):
        yield event
        if month.dice.random() < 0.05:
            yield event  # the platform did not see our answer and sent it again
        match number:
            case 40:
                yield '{"type": "track", "event": "Cut off'
            case 90:
                yield {"writeKey": WEBSITE, "messageId": "bad-1", "type": "page", "name": "Nobody"}
            case 120:
                yield {**event, "messageId": "bad-2", "timestamp": "yesterday, about noon"}
            case 160:
                yield {"writeKey": CAMPAIGNS, "messageId": "bad-3", "type": "track", "userId": "null", "event": 7}
            case 200:
                yield {**event, "messageId": "odd-1", "timestamp": "2199-01-01T00:00:00Z"}


def main() -> None:
    """Write the file and say how many lines it has."""
    month = Month()
    tell(month, cast())
    lines = [line if isinstance(line, str) else json.dumps(line) for line in trouble(month)]
    (HERE / "events.jsonl").write_text("\n".join(lines) + "\n")
    people = cast()
    leads = [f"- {{email: {people[number].email}, reason: threshold}}" for number in EAGER]
    leads.append(f"- {{email: {people[HAND_RAISER].email}, reason: hand_raise}}")
    header = "# The leads that events.jsonl must give under agreement.yaml; `tandem demo` checks them.\n"
    (HERE / "expected-leads.yaml").write_text(header + "\n".join(leads) + "\n")


if __name__ == "__main__":
    main()
