import assert from "node:assert/strict";
import { test } from "node:test";
import { client, credentials, key, server } from "./helpers.mjs";

test("three tabs that refresh at once send one request, and each has the new token", async () => {
  const s = server();
  const tabs = [client(s.fetch), client(s.fetch), client(s.fetch)];
  await Promise.all(tabs.map((t) => t.refresh()));
  assert.equal(s.to("/auth/refresh/").length, 1);
  assert.deepEqual(tabs.map((t) => t.accessToken), ["access-1", "access-1", "access-1"]);
});

test("a tab that hears nothing of a sibling's grant refreshes by itself", async () => {
  const s = server();
  const gatehouse = client(s.fetch);
  // The sibling has counted its grant, and was closed before its message left.
  localStorage.setItem(`${key()} epoch`, "9");
  await gatehouse.refresh();
  assert.equal(s.to("/auth/refresh/").length, 1);
  assert.equal(localStorage.getItem(`${key()} epoch`), "10");
});

test("a logoff in one tab is one in all", async () => {
  const s = server();
  const told = Promise.withResolvers();
  const [first, second] = [client(s.fetch), client(s.fetch, { onSignedOut: () => told.resolve() })];
  await first.signIn(credentials);
  await second.refresh();
  await first.logoff();
  await told.promise;
  assert.equal(second.accessToken, undefined);
});

test("where the browser forbids the storage, the client works without", async () => {
  Object.defineProperty(globalThis, "localStorage", { get() { throw new Error("denied"); }, configurable: true });
  const s = server();
  const gatehouse = client(s.fetch);
  await gatehouse.signIn(credentials);
  await gatehouse.refresh();
  assert.deepEqual(JSON.parse(s.requests[1].body), { CSRF_token: "csrf-1" });
});
