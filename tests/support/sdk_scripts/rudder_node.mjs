// RudderStack's Node.js SDK.
import { EVENTS_A_REQUEST, failed, load, numbers, scenario, tell } from "./scenario.mjs";

const RudderAnalytics = load("@rudderstack/rudder-sdk-node");
const { user, visitor, email, page } = scenario;
const client = new RudderAnalytics(scenario.key, {
  dataPlaneUrl: scenario.url,
  flushAt: EVENTS_A_REQUEST,
  flushInterval: 500,
  logLevel: "none",
  retryCount: 12,
  errorHandler: failed, // without one the process dies of the first request that it gives up
});
let open = 0;

function send(call, message, number = 0) {
  open += 1;
  client[call](message, () => {
    open -= 1;
  });
  tell(call, number);
}

send("page", { anonymousId: visitor, name: "Pricing", properties: { url: page(0) } });
send("alias", { previousId: visitor, userId: user });
send("identify", { userId: user, traits: { email, title: "Director" } });
send("group", { userId: user, groupId: "acme.example", traits: { name: "Acme", industry: "logistics" } });
for await (const number of numbers()) {
  send("track", { userId: user, event: "Numbered", properties: { number } }, number);
  send("page", { userId: user, name: "Pricing", properties: { url: page(number) } }, number);
}
// A flush sends one request's worth only.
while (open > 0) {
  await client.flush();
  await new Promise(setImmediate);
}
