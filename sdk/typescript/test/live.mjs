// Signs in to a running server, refreshes, verifies, ends a session and logs off, as an app does.
//
//   GATEHOUSE_URL=http://localhost:8080 GATEHOUSE_USERNAME=… GATEHOUSE_PASSWORD=… node test/live.mjs
import assert from "node:assert/strict";
import { createGatehouse } from "../dist/index.js";

const { GATEHOUSE_URL: baseUrl, GATEHOUSE_USERNAME: username, GATEHOUSE_PASSWORD: password } = process.env;

/** A fetch that keeps cookies as a browser does; Node's has no jar. */
function withCookies() {
  const jar = new Map();
  return async (request) => {
    if (jar.size > 0) request.headers.set("Cookie", [...jar].map(([name, value]) => `${name}=${value}`).join("; "));
    const response = await fetch(request);
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/max-age=0|max-age=-|1970/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  };
}

let ended = 0;
const options = { baseUrl, fetch: withCookies() };
const gatehouse = createGatehouse({ ...options, onSignedOut: () => ended++ });

assert.ok((await gatehouse.api.GET("/.well-known/jwks.json")).data.keys, "nobody is signed in yet");

await assert.rejects(gatehouse.signIn({ username, password: `not ${password}` }), { status: 401, signedOut: false });

const grant = await gatehouse.signIn({ username, password });
assert.equal(grant.token_type, "Bearer");
assert.ok(grant.expires_in > 0 && grant.refresh_expires_in > grant.expires_in);
const first = gatehouse.accessToken;
assert.equal(await gatehouse.verify(first), true);
assert.equal(await gatehouse.verify(`${first}x`), false);

await Promise.all([gatehouse.refresh(), gatehouse.refresh(), gatehouse.refresh()]);
const second = gatehouse.accessToken;
assert.notEqual(second, first);
assert.equal(await gatehouse.verify(second), true);

const keys = await (await gatehouse.fetch(new URL("/.well-known/jwks.json", baseUrl))).json();
assert.ok(Array.isArray(keys.keys));

// A page that has the cookie, and nothing in its storage.
await assert.rejects(createGatehouse(options).refresh(), { status: 403, code: "csrf_failed", signedOut: true });
assert.equal(ended, 0);
await gatehouse.refresh();

const { data: { sessions } } = await gatehouse.api.GET("/auth/sessions/");
await gatehouse.api.DELETE("/auth/sessions/{id}/", { params: { path: { id: sessions.find((s) => s.current).id } } });
assert.equal(gatehouse.accessToken, undefined);
assert.equal(ended, 1);

await gatehouse.signIn({ username, password });
await gatehouse.logoff();
assert.equal(gatehouse.accessToken, undefined);
await assert.rejects(gatehouse.refresh(), { status: 401, signedOut: true });
assert.equal(ended, 3);
console.log("signed in, refreshed, verified, ended a session and logged off");
