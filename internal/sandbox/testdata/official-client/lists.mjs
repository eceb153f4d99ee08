// Does with Iterable's own client what Iterable's integration tests for lists do
// against the live service (Iterable/api-client, tests/integration/lists.test.ts):
// it tries again for up to 30 s while a new list is not known, and waits for up to
// 60 s until a change of the members shows.
// Usage: node lists.mjs BASE_URL API_KEY
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { IterableClient } from "@iterable/api";

const [baseUrl, apiKey] = process.argv.slice(2);
const client = new IterableClient({ apiKey, baseUrl, timeout: 10_000 });
const email = `sandbox+${randomUUID()}@example.com`;
const userId = `sandbox-${randomUUID()}`;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// again repeats an operation with pauses of 2, 4, 8, 16, 20, 20 … seconds.
async function again(operation, seconds, may = () => true) {
  const started = Date.now();
  for (let wait = 2_000; ; wait = Math.min(20_000, 2 * wait + 100 * Math.random())) {
    try {
      return await operation();
    } catch (error) {
      if (!may(error) || Date.now() - started >= 1_000 * seconds) throw error;
    }
    await pause(wait);
  }
}

const onceKnown = (operation) => again(operation, 30, (e) => e.statusCode === 400 && e.message.includes("invalidListId"));

const onceMember = (listId, member) =>
  again(async () => {
    const { users } = await client.getListUsers({ listId, maxResults: 1000 });
    assert.equal(users.some((u) => u.email === email), member);
  }, 60);

async function withList(work) {
  const { listId } = await client.createList({ name: `sandbox-${randomUUID()}`, description: "made by a test" });
  try {
    await work(listId);
  } finally {
    assert.equal((await client.deleteList({ listId })).code, "Success");
  }
}

assert.ok(Array.isArray((await client.getLists()).lists));

await withList(async (listId) => {
  await client.updateUser({ email, userId, dataFields: { source: "sandbox" } });
  await onceKnown(() => client.subscribeUserToList({ listId, subscribers: [{ email }] }));
  await onceMember(listId, true);
  assert.ok(Array.isArray((await client.getListUsers({ listId, maxResults: 10 })).users));
  await client.unsubscribeUserFromList({ listId, subscribers: [{ email }] });
  await onceMember(listId, false);
});

const subscribers = [{ email, userId, dataFields: { sizeTest: true } }];
await withList(async (listId) => {
  await onceKnown(() => client.subscribeUserToList({ listId, subscribers }));
  await onceMember(listId, true);
  assert.ok((await client.getListSize({ listId })).size >= 0);
});

await withList(async (listId) => {
  await onceKnown(() => client.subscribeUserToList({ listId, subscribers }));
  await onceMember(listId, true);
  assert.ok((await client.getListPreviewUsers({ listId, size: 10 })).users.length >= 1);
});

await client.deleteUserByEmail({ email });
client.destroy();
console.log("the integration tests pass");
