// Puts people on a list with Iterable's own client, as a user would write it: 1,000
// a request, one request after the other or several at once. An answer of 429 is
// tried again a second later. The addresses are in memory before the clock starts.
//
//   node upload.mjs URL KEY FILE AT_ONCE
import { readFileSync } from "node:fs";
import { IterableClient } from "@iterable/api";

const [baseUrl, apiKey, file, atOnce] = process.argv.slice(2);
const people = readFileSync(file, "utf8").trimEnd().split("\n").map((email) => ({ email }));
const client = new IterableClient({ apiKey, baseUrl });
const began = process.hrtime.bigint();
const { listId } = await client.createList({ name: `peer ${atOnce}` });

let next = 0;
let refused = 0;
async function send() {
  while (next < people.length) {
    const subscribers = people.slice(next, next + 1000);
    next += 1000;
    for (;;) {
      try {
        const answer = await client.subscribeUserToList({ listId, subscribers });
        refused += answer.failCount; // after the wait: others add to it meanwhile
        break;
      } catch (error) {
        if (error.statusCode !== 429) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  }
}
await Promise.all(Array.from({ length: Number(atOnce) }, send));
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
client.destroy();
// The peak in megabytes; the system's resource usage counts the parent's too.
const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0) / 1e3;
console.log(JSON.stringify({ seconds, peak, refused }));
