import { beforeEach } from "node:test";
import { createGatehouse } from "../dist/index.js";

let count = 0;

/** A storage as browsers have it, shared by every client of a test. */
export function storage() {
  const items = new Map();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
    keys: () => [...items.keys()],
    values: () => [...items.values()],
  };
}

/** Answers requests by path, and keeps what came. */
export function server(routes = {}) {
  const requests = [];
  let tokens = 0;
  const grant = () => {
    tokens++;
    return json(200, {
      access_token: `access-${tokens}`, token_type: "Bearer", expires_in: 300, expires: 0,
      refresh_expires_in: 1, session_expires_in: 1, CSRF_token: `csrf-${tokens}`,
    });
  };
  const all = { "/auth/sign-in/": grant, "/auth/social-exchange/": grant, "/auth/code-exchange/": grant, "/auth/refresh/": grant, "/auth/logoff/": () => json(200, {}), ...routes };
  const fetch = async (request) => {
    const { pathname } = new URL(request.url);
    requests.push({ path: pathname, authorization: request.headers.get("Authorization"), credentials: request.credentials, body: await request.text() });
    return all[pathname](requests.at(-1), grant);
  };
  return { fetch, requests, to: (path) => requests.filter((r) => r.path === path) };
}

export const json = (status, body, headers = {}) =>
  new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": status < 400 ? "application/json" : "application/problem+json", ...headers },
  });

export const problem = (status, code, headers) =>
  json(status, { type: `urn:gatehouse:problem:${code}`, title: code, status, detail: code, code, retryable: status === 503 }, headers);

/** A client of its own origin, so that tests do not meet in the lock or the channel. */
export function client(fetch, options = {}) {
  return createGatehouse({ baseUrl: `http://auth-${count}.test`, services: ["http://orders.test"], fetch, ...options });
}

export const credentials = { username: "alice", password: "correct horse battery" };

/** Puts another storage before the clients to come. */
export function useStorage(value) {
  Object.defineProperty(globalThis, "localStorage", { value, configurable: true });
}

/** What the clients of this test keep their state under. */
export const key = () => `http://auth-${count}.test/auth`;

beforeEach(() => {
  count++;
  useStorage(storage());
});
