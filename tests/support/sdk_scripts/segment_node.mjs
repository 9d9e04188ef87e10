// Segment's Node.js SDK.
import { EVENTS_A_REQUEST, failed, load, numbers, scenario, tell } from "./scenario.mjs";

const { Analytics } = load("@segment/analytics-node");
const { user, visitor, email, page } = scenario;
const client = new Analytics({
  writeKey: scenario.key,
  host: scenario.url,
  flushAt: EVENTS_A_REQUEST,
  flushInterval: 500,
  maxRetries: 20,
});
client.on("error", failed);

client.page({ anonymousId: visitor, name: "Pricing", properties: { url: page(0) } });
tell("page");
client.alias({ previousId: visitor, userId: user });
tell("alias");
client.identify({ userId: user, traits: { email, title: "Director" } });
tell("identify");
client.group({ userId: user, groupId: "acme.example", traits: { name: "Acme", industry: "logistics" } });
tell("group");
for await (const number of numbers()) {
  client.track({ userId: user, event: "Numbered", properties: { number } });
  tell("track", number);
  client.page({ userId: user, name: "Pricing", properties: { url: page(number) } });
  tell("page", number);
}
await client.closeAndFlush({ timeout: 120_000 });
