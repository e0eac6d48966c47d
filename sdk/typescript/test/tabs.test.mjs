import assert from "node:assert/strict";
import { test } from "node:test";
import { client, credentials, key, problem, server, storage, useStorage } from "./helpers.mjs";

/** Puts another lock in place of the platform's while the test runs. */
function useLocks(t, value) {
  const { locks } = navigator;
  Object.defineProperty(navigator, "locks", { value, configurable: true });
  t.after(() => Object.defineProperty(navigator, "locks", { value: locks, configurable: true }));
}

const denied = async () => { throw new DOMException("The lock is denied here.", "SecurityError"); };

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

test("where the storage is full, the client works with its memory", async () => {
  const full = () => { throw new DOMException("full", "QuotaExceededError"); };
  for (const broken of [{ setItem: full }, { setItem: full, removeItem: full }]) {
    useStorage({ ...storage(), ...broken });
    const s = server();
    const gatehouse = client(s.fetch);
    await gatehouse.signIn(credentials);
    await gatehouse.refresh();
    assert.deepEqual(JSON.parse(s.requests[1].body), { CSRF_token: "csrf-1" });
    await gatehouse.logoff();
    assert.equal(gatehouse.accessToken, undefined);
  }
});

test("a CSRF token that the storage has no room for is not hidden by an older one", async () => {
  const s = server();
  const gatehouse = client(s.fetch);
  await gatehouse.signIn(credentials);
  localStorage.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };
  await gatehouse.signIn(credentials);
  await gatehouse.refresh();
  assert.deepEqual(JSON.parse(s.to("/auth/refresh/")[0].body), { CSRF_token: "csrf-2" });
});

for (const [what, locks] of [["there is no lock", undefined], ["the lock is denied", { request: denied }]]) {
  test(`where ${what}, a logoff waits for the refresh under way`, async (t) => {
    useLocks(t, locks);
    const held = Promise.withResolvers();
    const s = server({ "/auth/refresh/": async (_, grant) => { await held.promise; return grant(); } });
    const gatehouse = client(s.fetch);
    await gatehouse.signIn(credentials);
    const done = [gatehouse.refresh(), gatehouse.logoff()];
    held.resolve();
    await Promise.all(done);
    assert.equal(gatehouse.accessToken, undefined);
    assert.deepEqual(s.requests.map((r) => r.path), ["/auth/sign-in/", "/auth/refresh/", "/auth/logoff/"]);
  });

  test(`where ${what}, a task that fails does not hold up the next`, async (t) => {
    useLocks(t, locks);
    const s = server({ "/auth/refresh/": () => problem(503, "store_unavailable") });
    const gatehouse = client(s.fetch);
    await assert.rejects(gatehouse.refresh(), { status: 503 });
    await gatehouse.signIn(credentials);
    assert.equal(gatehouse.accessToken, "access-1");
  });
}

test("a task that has the lock runs once, also when the lock is taken away", async (t) => {
  useLocks(t, { request: async (_, task) => { await task(); throw new DOMException("stolen", "AbortError"); } });
  const s = server();
  await client(s.fetch).signIn(credentials);
  assert.equal(s.requests.length, 1);
});
