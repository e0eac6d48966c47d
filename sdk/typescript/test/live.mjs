// Signs in to a running server, refreshes, verifies and logs off, as an app does.
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
const gatehouse = createGatehouse({ baseUrl, fetch: withCookies(), onSignedOut: () => ended++ });

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

await gatehouse.logoff();
assert.equal(gatehouse.accessToken, undefined);
await assert.rejects(gatehouse.refresh(), { status: 401, signedOut: true });
assert.ok(ended > 0);
console.log("signed in, refreshed, verified and logged off");
