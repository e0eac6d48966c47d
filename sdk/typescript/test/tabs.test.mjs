import assert from "node:assert/strict";
import { test } from "node:test";
import { client, credentials, key, problem, server, storage, useStorage } from "./helpers.mjs";

/** Puts another lock in place of the platform's while the test runs. */
function useLocks(t, value) {
  const { locks } = navigator;
  Object.defineProperty(navigator, "locks", { value, configurable: true });
  t.after(() => Object.defineProperty(navigator, "locks", { value: locks, configurable: true }));
}

function forbidStorage() {
  Object.defineProperty(globalThis, "localStorage", { get() { throw new Error("denied"); }, configurable: true });
}

/** The channel of the clients of this test. */
function channel(t) {
  const opened = new BroadcastChannel(`gatehouse ${key()}`);
  t.after(() => opened.close());
  return opened;
}

async function until(condition) {
  while (!condition()) await new Promise(setImmediate);
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
  assert.ok(Number(localStorage.getItem(`${key()} epoch`)) > 9);
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

test("a tab without a CSRF token does not sign the others out", async (t) => {
  forbidStorage();
  const s = server({ "/auth/refresh/": (r, grant) => (JSON.parse(r.body).CSRF_token ? grant() : problem(403, "csrf_failed")) });
  const [first, second] = [client(s.fetch), client(s.fetch)];
  const heard = [];
  channel(t).onmessage = ({ data }) => heard.push(data);
  await assert.rejects(second.refresh(), { signedOut: true });
  await first.signIn(credentials);
  await until(() => heard.length > 0);
  assert.ok(heard[0].grant, "the first word is the grant");
});

test("a logoff in a new tab reaches the others after the storage was cleared", async (t) => {
  t.mock.timers.enable({ apis: ["Date"] });
  const s = server();
  const told = Promise.withResolvers();
  const first = client(s.fetch, { onSignedOut: () => told.resolve() });
  await first.signIn(credentials);
  for (let n = 0; n < 3; n++) await first.refresh();
  useStorage(storage());
  t.mock.timers.tick(1000);
  const second = client(s.fetch);
  await second.signIn(credentials);
  await second.logoff();
  await told.promise;
  assert.equal(first.accessToken, undefined);
});

test("a logoff reaches the tabs where the browser forbids the storage", async (t) => {
  t.mock.timers.enable({ apis: ["Date"] });
  forbidStorage();
  const s = server();
  const told = Promise.withResolvers();
  const [first, second] = [client(s.fetch, { onSignedOut: () => told.resolve() }), client(s.fetch)];
  await first.signIn(credentials);
  for (let n = 0; n < 3; n++) await first.refresh();
  await second.logoff();
  await told.promise;
  assert.equal(first.accessToken, undefined);
});

for (const [what, forbid] of [["", () => {}], [", also where the browser forbids the storage", forbidStorage]]) {
  test(`a late word of an old logoff does not end a new session${what}`, async (t) => {
    t.mock.timers.enable({ apis: ["Date"] });
    forbid();
    const s = server();
    let ended = 0;
    const gatehouse = client(s.fetch, { onSignedOut: () => ended++ });
    const old = Date.now();
    t.mock.timers.tick(1000);
    await gatehouse.signIn(credentials);
    const sibling = channel(t);
    sibling.postMessage({ epoch: old });
    sibling.postMessage({ epoch: Date.now() + 1, grant: { access_token: "access-9", expires_in: 300 }, csrf: "csrf-9" });
    await until(() => gatehouse.accessToken !== "access-1");
    assert.equal(gatehouse.accessToken, "access-9", "the word after it has come");
    assert.equal(ended, 0);
  });
}

test("a logoff is one in all tabs after the clock was set back", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 3_600_000 });
  const s = server();
  const told = Promise.withResolvers();
  const [first, second] = [client(s.fetch), client(s.fetch, { onSignedOut: () => told.resolve() })];
  await first.signIn(credentials);
  await second.refresh();
  t.mock.timers.setTime(0);
  await first.logoff();
  await told.promise;
  assert.equal(second.accessToken, undefined);
});

test("a grant that a tab hears of late is not good for longer", async (t) => {
  t.mock.timers.enable({ apis: ["Date"] });
  const s = server();
  const [first, second] = [client(s.fetch), client(s.fetch)];
  await first.signIn(credentials);
  t.mock.timers.tick(200_000); // the machine sleeps, and the message with it
  await second.refresh();
  assert.equal(s.to("/auth/refresh/").length, 0, "the message has come");
  assert.equal(second.accessToken, "access-1");
  t.mock.timers.tick(100_000);
  assert.equal(second.accessToken, undefined);
});

test("where the browser forbids the storage, the client works without", async () => {
  forbidStorage();
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
