import assert from "node:assert/strict";
import { test } from "node:test";
import { GatehouseError } from "../dist/index.js";
import { client, credentials, json, problem, server } from "./helpers.mjs";

test("a sign-in gives an access token, which no storage ever holds", async () => {
  const s = server();
  const gatehouse = client(s.fetch);
  assert.equal(gatehouse.accessToken, undefined);
  await gatehouse.signIn(credentials);
  assert.equal(gatehouse.accessToken, "access-1");
  assert.deepEqual(JSON.parse(s.requests[0].body), credentials);
  assert.equal(s.requests[0].credentials, "include");
  assert.ok(localStorage.values().every((v) => !v.includes("access")));
});

test("an exchange opens a session with an identity provider's tokens", async () => {
  const s = server();
  const gatehouse = client(s.fetch);
  await gatehouse.exchange({ id_token: "i", access_token: "a" });
  assert.equal(s.requests[0].path, "/auth/social-exchange/");
  assert.equal(gatehouse.accessToken, "access-1");
});

test("an exchange opens a session with an authorization code", async () => {
  const s = server();
  const gatehouse = client(s.fetch);
  const body = { code: "c", code_verifier: "v", redirect_uri: "http://app.test/" };
  await gatehouse.exchangeCode(body);
  assert.equal(s.requests[0].path, "/auth/code-exchange/");
  assert.deepEqual(JSON.parse(s.requests[0].body), body);
  assert.equal(gatehouse.accessToken, "access-1");
});

test("a refresh sends the CSRF token of the last grant, also after a reload", async () => {
  const s = server();
  await client(s.fetch).signIn(credentials);
  await client(s.fetch).refresh();
  assert.deepEqual(JSON.parse(s.requests[1].body), { CSRF_token: "csrf-1" });
});

test("the base path can be another", async () => {
  const s = server({ "/login/sign-in/": (_, grant) => grant() });
  await client(s.fetch, { basePath: "/login" }).signIn(credentials);
  assert.equal(s.requests[0].path, "/login/sign-in/");
});

test("twenty requests that meet a 401 at once cause one refresh and are all repeated", async () => {
  const s = server({ "/me": (r) => (r.authorization === "Bearer access-2" ? json(200, {}) : problem(401, "token_not_valid")) });
  const gatehouse = client(s.fetch);
  await gatehouse.signIn(credentials);
  const answers = await Promise.all(Array.from({ length: 20 }, () => gatehouse.fetch("http://orders.test/me")));
  assert.ok(answers.every((a) => a.status === 200));
  assert.equal(s.to("/auth/refresh/").length, 1);
});

test("a repeated request has its body again", async () => {
  const s = server({ "/buy": (r) => (r.authorization === "Bearer access-2" ? json(200, {}) : problem(401, "token_not_valid")) });
  const gatehouse = client(s.fetch);
  await gatehouse.signIn(credentials);
  await gatehouse.fetch("http://orders.test/buy", { method: "POST", body: "three" });
  assert.deepEqual(s.to("/buy").map((r) => r.body), ["three", "three"]);
});

test("a service that goes on saying 401 is asked twice, not for ever", async () => {
  const s = server({ "/me": () => problem(401, "token_not_valid") });
  const gatehouse = client(s.fetch);
  await gatehouse.signIn(credentials);
  assert.equal((await gatehouse.fetch("http://orders.test/me")).status, 401);
  assert.equal(s.to("/me").length, 2);
  assert.equal(gatehouse.accessToken, "access-2");
});

for (const [what, answer] of [["succeeds", (_, grant) => grant()], ["fails", () => problem(503, "store_unavailable")]]) {
  test(`a request that is aborted does not wait for the refresh, which ${what} later`, async () => {
    const held = Promise.withResolvers();
    const s = server({ "/me": () => json(200, {}), "/auth/refresh/": async (...a) => { await held.promise; return answer(...a); } });
    const gatehouse = client(s.fetch);
    const controller = new AbortController();
    const [aborted, other] = [gatehouse.fetch("http://orders.test/me", { signal: controller.signal }), gatehouse.refresh()];
    controller.abort(new Error("the user went on"));
    await assert.rejects(aborted, /the user went on/);
    held.resolve();
    await (what === "fails" ? assert.rejects(other, { status: 503 }) : other);
    assert.deepEqual(s.requests.map((r) => r.path), ["/auth/refresh/"]);
  });
}

test("a request that was aborted before refreshes nothing", async () => {
  const s = server();
  await assert.rejects(client(s.fetch).fetch("http://orders.test/me", { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(s.requests.length, 0);
});

test("a request whose session ends under way is not repeated without a token", async () => {
  const held = Promise.withResolvers();
  const s = server({ "/buy": async () => { await held.promise; return problem(401, "token_not_valid"); } });
  const gatehouse = client(s.fetch);
  await gatehouse.signIn(credentials);
  const buying = gatehouse.fetch("http://orders.test/buy", { method: "POST", body: "three" });
  await gatehouse.logoff();
  held.resolve();
  const response = await buying;
  assert.equal(response.status, 401);
  assert.equal((await response.json()).code, "token_not_valid", "the body is there to read");
  assert.equal(s.to("/buy").length, 1);
});

test("after a reload the first request refreshes before it is sent", async () => {
  const s = server({ "/me": () => json(200, {}) });
  const gatehouse = client(s.fetch);
  await gatehouse.fetch("http://orders.test/me");
  assert.deepEqual(s.requests.map((r) => [r.path, r.authorization]), [["/auth/refresh/", null], ["/me", "Bearer access-1"]]);
});

test("the access token goes to no origin that was not named", async () => {
  const s = server();
  const gatehouse = client(s.fetch);
  await gatehouse.signIn(credentials);
  await assert.rejects(gatehouse.fetch("http://elsewhere.test/"), /not meant for http:\/\/elsewhere.test/);
  assert.equal(s.requests.length, 1);
});

for (const [what, answer] of [
  ["an unavailable store", () => problem(503, "store_unavailable", { "Retry-After": "7" })],
  ["a proxy's error page", () => new Response("<h1>Bad gateway</h1>", { status: 502 })],
  ["a CSRF token of another session", () => problem(403, "csrf_failed")],
  ["a 401 of somebody else", () => new Response("", { status: 401 })],
  ["a broken connection", () => { throw new TypeError("fetch failed"); }],
]) {
  test(`${what} is not taken for the end of the session`, async () => {
    let ended = 0;
    const s = server({ "/auth/refresh/": answer });
    const gatehouse = client(s.fetch, { onSignedOut: () => ended++ });
    await gatehouse.signIn(credentials);
    await assert.rejects(gatehouse.refresh(), (e) => !(e instanceof GatehouseError && e.signedOut));
    assert.equal(gatehouse.accessToken, "access-1");
    assert.equal(ended, 0);
    assert.equal(localStorage.keys().length, 2, "the CSRF token is kept");
  });
}

test("an unavailable server says when to come back", async () => {
  const s = server({ "/auth/refresh/": () => problem(503, "store_unavailable", { "Retry-After": "7" }) });
  await assert.rejects(client(s.fetch).refresh(), { status: 503, code: "store_unavailable", retryable: true, retryAfter: 7 });
});

for (const [what, answer, retryAfter] of [
  ["a proxy that says 429", () => new Response("slow down", { status: 429, headers: { "Retry-After": "3" } }), 3],
  ["a broken connection", () => { throw new TypeError("fetch failed"); }],
  ["a time-out", () => { throw new DOMException("The operation timed out.", "TimeoutError"); }],
  ["a captive portal's page", () => new Response("<h1>Welcome</h1>", { status: 200 })],
  ["somebody else's JSON", () => json(200, { welcome: true })],
]) {
  test(`${what} is a GatehouseError, to retry`, async () => {
    const s = server({ "/auth/sign-in/": answer, "/auth/refresh/": answer });
    const gatehouse = client(s.fetch);
    for (const ask of [() => gatehouse.signIn(credentials), () => gatehouse.refresh()]) {
      await assert.rejects(ask(), (e) => e instanceof GatehouseError && e.retryable && !e.signedOut && e.retryAfter === retryAfter);
    }
    assert.equal(gatehouse.accessToken, undefined);
    assert.deepEqual(localStorage.keys(), []);
  });
}

test("a session whose CSRF token is lost is one to sign in again for", async () => {
  let ended = 0;
  const refused = (r, grant) => (JSON.parse(r.body).CSRF_token ? grant() : problem(403, "csrf_failed"));
  const s = server({ "/auth/refresh/": refused, "/auth/logoff/": refused });
  const gatehouse = client(s.fetch, { onSignedOut: () => ended++ });
  for (const ask of [() => gatehouse.refresh(), () => gatehouse.fetch("http://orders.test/me"), () => gatehouse.logoff()]) {
    await assert.rejects(ask(), { status: 403, code: "csrf_failed", signedOut: true });
  }
  assert.equal(ended, 3);
  await gatehouse.signIn(credentials);
  await gatehouse.refresh();
  assert.equal(gatehouse.accessToken, "access-2");
});

test("token_not_valid at a refresh ends the session and clears the state", async () => {
  let ended = 0;
  const s = server({ "/auth/refresh/": () => problem(401, "token_not_valid") });
  const gatehouse = client(s.fetch, { onSignedOut: () => ended++ });
  await gatehouse.signIn(credentials);
  await assert.rejects(gatehouse.refresh(), { signedOut: true });
  assert.equal(gatehouse.accessToken, undefined);
  assert.equal(ended, 1);
  assert.ok(localStorage.keys().every((k) => !k.endsWith("csrf")));
});

test("a wrong password does not end a session that is there", async () => {
  let ended = 0;
  const s = server({ "/auth/sign-in/": () => problem(401, "no_active_account") });
  const gatehouse = client(s.fetch, { onSignedOut: () => ended++ });
  await gatehouse.refresh();
  await assert.rejects(gatehouse.signIn(credentials), { code: "no_active_account", signedOut: false });
  assert.equal(gatehouse.accessToken, "access-1");
  assert.equal(ended, 0);
});

test("a logoff clears the state, also when the session was over before", async () => {
  for (const answer of [() => json(200, {}), () => problem(401, "token_not_valid")]) {
    const s = server({ "/auth/logoff/": answer });
    const gatehouse = client(s.fetch);
    await gatehouse.signIn(credentials);
    await gatehouse.logoff();
    assert.equal(gatehouse.accessToken, undefined);
  }
});

for (const ending of ["logoff", "refresh"]) {
  test(`an onSignedOut that throws at a ${ending} keeps no tab from hearing of it`, async () => {
    const s = server({ "/auth/refresh/": () => problem(401, "token_not_valid") });
    const told = Promise.withResolvers();
    client(s.fetch, { onSignedOut: () => told.resolve() });
    const gatehouse = client(s.fetch, { onSignedOut: () => { throw new Error("the app's"); } });
    await gatehouse.signIn(credentials);
    await assert.rejects(gatehouse[ending](), /the app's/);
    await told.promise;
    assert.equal(gatehouse.accessToken, undefined);
    assert.ok(localStorage.keys().every((k) => !k.endsWith("csrf")));
  });
}

test("a logoff that the server could not do is not passed off as done", async () => {
  const s = server({ "/auth/logoff/": () => problem(503, "store_unavailable") });
  const gatehouse = client(s.fetch);
  await gatehouse.signIn(credentials);
  await assert.rejects(gatehouse.logoff(), { retryable: true });
  assert.equal(gatehouse.accessToken, "access-1");
});

test("verify says yes, no, or that it does not know", async () => {
  let answer = () => json(200, {});
  const gatehouse = client(server({ "/auth/verify/": () => answer() }).fetch);
  assert.equal(await gatehouse.verify("t"), true);
  answer = () => problem(401, "token_not_valid");
  assert.equal(await gatehouse.verify("t"), false);
  answer = () => problem(500, "internal_error");
  await assert.rejects(gatehouse.verify("t"), { status: 500 });
});
