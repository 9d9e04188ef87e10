// What every script sends: the same numbered events of one person.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

export const EVENTS_A_REQUEST = 5; // so that some events are many requests

const [url, key, person] = process.argv.slice(2);

export const scenario = {
  url,
  key,
  user: `user-${person}`,
  visitor: `visitor-${person}`,
  email: `${person}@acme.example`,
  page: (number) => `https://acme.example/pricing?number=${number}`,
};

// The packages are in the working directory, not beside the scripts.
export const load = createRequire(`${process.cwd()}/`);

// As many numbers as each line on the standard input asks for, as soon as it does, until it ends.
export async function* numbers() {
  let next = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    for (let left = Number(line); left > 0; left -= 1) {
      next += 1;
      yield next;
    }
  }
}

// Say that the event was handed to the SDK.
export function tell(call, number = 0) {
  process.stdout.write(`${JSON.stringify({ call, number })}\n`);
}

// Take what the SDK says it gave up on.
export function failed(...what) {
  console.error(...what);
  process.exitCode = 1;
}
