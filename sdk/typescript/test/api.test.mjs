import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { client, credentials, json, problem, server } from "./helpers.mjs";

/** Every operation of the contract that `api` has, and whether it takes the access token. */
function operations() {
  const found = [];
  let path, method;
  for (const line of readFileSync(new URL("../../../openapi.yaml", import.meta.url), "utf8").split("\n")) {
    path = /^  (\/.*):$/.exec(line)?.[1] ?? path;
    method = /^    (get|post|put|patch|delete):$/.exec(line)?.[1].toUpperCase() ?? method;
    const security = /^      security: (.*)$/.exec(line)?.[1];
    if (security === "[]" || security?.includes("accessToken")) found.push({ method, path, token: security !== "[]" });
  }
  return found;
}

test("an operation is sent with the access token if the contract says so, and without also before a sign-in", async () => {
  assert.ok(operations().length > 15, "the contract is read");
  for (const basePath of [undefined, "/login"]) {
    for (const { method, path, token } of operations()) {
      const sent = [];
      const gatehouse = client(async (request) => {
        sent.push([new URL(request.url).pathname, request.headers.get("Authorization")]);
        return sent.length === 1 && token ? json(200, { access_token: "a", expires_in: 300, CSRF_token: "c" }) : json(404, {});
      }, { basePath });
      const base = basePath ?? "/auth";
      const url = path.replace(/^\/auth/, base).replace("{id}", "7");
      await gatehouse.api[method](path, { params: { path: { id: "7" } } });
      const expected = token ? [[`${base}/refresh/`, null], [url, "Bearer a"]] : [[url, null]];
      assert.deepEqual(sent, expected, `${method} ${path}`);
    }
  }
});

for (const [what, path, options, over] of [
  ["everywhere", "/auth/sessions/", { params: { query: { scope: "all" } } }, true],
  ["by its id", "/auth/sessions/{id}/", { params: { path: { id: "mine" } } }, true],
  ["elsewhere", "/auth/sessions/", { params: { query: { scope: "others" } } }, false],
  ["elsewhere by its id", "/auth/sessions/{id}/", { params: { path: { id: "other" } } }, false],
]) {
  test(`a session that is ended ${what} is ${over ? "" : "not "}over in all tabs`, async () => {
    let alive = true;
    const end = () => {
      alive = !over;
      return json(200, { ended: 1 });
    };
    const s = server({
      "/auth/sessions/": end,
      "/auth/sessions/mine/": end,
      "/auth/sessions/other/": end,
      "/auth/refresh/": (_, grant) => (alive ? grant() : problem(401, "token_not_valid")),
    });
    const told = Promise.withResolvers();
    let ended = 0;
    const sibling = client(s.fetch, { onSignedOut: () => told.resolve() });
    const gatehouse = client(s.fetch, { onSignedOut: () => ended++ });
    await gatehouse.signIn(credentials);
    await gatehouse.api.DELETE(path, options);
    assert.equal(gatehouse.accessToken === undefined, over);
    assert.equal(ended, over ? 1 : 0);
    if (!over) return;
    await told.promise;
    assert.equal(sibling.accessToken, undefined);
  });
}

test("sessions that could not be ended are not taken for ended", async () => {
  const s = server({ "/auth/sessions/": () => problem(503, "store_unavailable") });
  const gatehouse = client(s.fetch);
  await gatehouse.signIn(credentials);
  await gatehouse.api.DELETE("/auth/sessions/", { params: { query: { scope: "all" } } });
  assert.equal(gatehouse.accessToken, "access-1");
});
