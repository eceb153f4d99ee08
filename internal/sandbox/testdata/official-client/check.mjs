// Runs Iterable's own client against the sandbox. Every answer passes the
// client's zod schemas, which throw if the sandbox words something differently.
// Usage: node check.mjs BASE_URL API_KEY, with KeepData set in the sandbox.
import assert from "node:assert/strict";
import { IterableClient } from "@iterable/api";

const [baseUrl, apiKey] = process.argv.slice(2);
const client = new IterableClient({ apiKey, baseUrl, timeout: 10_000 });

assert.deepEqual(await client.getLists(), { lists: [] });
const { listId } = await client.createList({ name: "High-value customers", description: "made by a test" });
const { lists } = await client.getLists();
assert.equal(lists.length, 1);
assert.equal(lists[0].id, listId);
assert.equal(lists[0].name, "High-value customers");
assert.equal(lists[0].description, "made by a test");
assert.equal(lists[0].listType, "Standard");
assert.ok(Math.abs(lists[0].createdAt - Date.now()) < 600_000);

const subscribed = await client.subscribeUserToList({
  listId,
  subscribers: [
    { email: "Ann@Example.com", userId: "u1", dataFields: { plan: "gold", visits: 3, seen: "2026-01-02 03:04:05 +00:00" }, mergeNestedObjects: false },
    { email: "bob@example.com", preferUserId: true },
    { email: "Not An Address" },
    { userId: "nobody" },
  ],
  updateExistingUsersOnly: false,
});
assert.equal(subscribed.successCount, 2);
assert.equal(subscribed.failCount, 2);
assert.deepEqual(subscribed.createdFields, ["plan", "seen", "visits"]);
assert.deepEqual(subscribed.invalidEmails, ["not an address"]);
assert.deepEqual(subscribed.failedUpdates.invalidEmails, ["not an address"]);

assert.deepEqual(await client.getListSize({ listId }), { size: 2 });
const users = (await client.getListUsers({ listId })).users.map((u) => u.email).sort();
assert.deepEqual(users, ["ann@example.com", "bob@example.com"]);
assert.equal((await client.getListUsers({ listId, maxResults: 1 })).users.length, 1);
assert.deepEqual((await client.getListPreviewUsers({ listId, preferUserId: true, size: 5000 })).users.sort(), ["bob@example.com", "u1"]);

const { fields } = await client.getUserFields();
assert.deepEqual(fields, { plan: "string", visits: "long", seen: "date" });
const byEmail = await client.getUserByEmail({ email: "ann@example.com" });
assert.equal(byEmail.user.userId, "u1");
assert.equal(byEmail.user.dataFields.visits, 3);
assert.equal((await client.getUserByUserId({ userId: "u1" })).user.email, "ann@example.com");
assert.equal((await client.getUserByEmail({ email: "nobody@example.com" })).user, undefined);

const unsubscribed = await client.unsubscribeUserFromList({ listId, subscribers: [{ email: "ann@example.com" }, { email: "carol@example.com" }] });
assert.equal(unsubscribed.successCount, 1);
assert.equal(unsubscribed.failCount, 1);
assert.deepEqual(await client.getListSize({ listId }), { size: 1 });

const refused = async (call, status, code) => {
  const error = await call.then(() => assert.fail("no error"), (e) => e);
  assert.equal(error.name, "IterableApiError", String(error));
  assert.deepEqual([error.statusCode, error.code], [status, code]);
};
await refused(client.getListSize({ listId: listId + 1 }), 400, "Success");
await refused(client.createList({ name: "x", colour: "red" }), 400, "BadParams");
const stranger = new IterableClient({ apiKey: "wrong", baseUrl });
await refused(stranger.getLists(), 401, "BadApiKey");

assert.equal((await client.deleteList({ listId })).code, "Success");
await refused(client.deleteList({ listId }), 400, "Success");
client.destroy();
stranger.destroy();
console.log("the official client agrees");
