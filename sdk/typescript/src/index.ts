/**
 * Signs people in to Gatehouse from a single-page app, and keeps them signed in.
 *
 * The access token stays in memory and the refresh token in its HttpOnly cookie,
 * so no script that reads the storage finds either.
 */
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./api.gen.js";
import { type Answer, answer, GatehouseError, isTokenNotValid, noAnswer } from "./errors.js";
import { Tabs } from "./tabs.js";

export { GatehouseError } from "./errors.js";
export type { components, paths } from "./api.gen.js";

type Schemas = components["schemas"];

/** The answer to a sign-in, an exchange and a refresh. */
export type Grant = Schemas["Grant"];

/** The operations without a method of their own, but those that only services call. */
export type Operations = Omit<
  paths,
  | "/auth/sign-in/"
  | "/auth/social-exchange/"
  | "/auth/code-exchange/"
  | "/auth/refresh/"
  | "/auth/logoff/"
  | "/auth/introspect/"
  | "/auth/revoke/"
>;

/** What follows the base path where an operation takes the access token; a test holds it to the contract. */
const TAKES_TOKEN = /^\/(sessions|me|password|forward)\//;

/** What {@link createGatehouse} needs to know. */
export interface GatehouseOptions {
  /** Where Gatehouse is, without its base path: `https://auth.example.com`. */
  baseUrl: string;
  /** The `base_path` of the server's configuration; `/auth` unless given. */
  basePath?: string;
  /**
   * The origins, beside the page's and Gatehouse's own, that `fetch` may send the
   * access token to: `["https://orders.example.com"]`.
   */
  services?: string[];
  /** Called when the session has ended, in this tab or in another, or its CSRF token is lost. */
  onSignedOut?: () => void;
  /** Sends the requests; the global `fetch` unless given. */
  fetch?: (request: Request) => Promise<Response>;
}

/** A client of one Gatehouse server. */
export interface Gatehouse {
  /** Opens a session with username and password. */
  signIn(credentials: Schemas["Credentials"]): Promise<Grant>;
  /** Opens a session with the tokens of an identity provider. */
  exchange(tokens: Schemas["IDPTokens"]): Promise<Grant>;
  /** Opens a session with the authorization code of an identity provider. */
  exchangeCode(code: Schemas["AuthorizationCode"]): Promise<Grant>;
  /**
   * Gets a new access token. Calls at the same time, in all tabs, share one request.
   * It rejects with `signedOut` when the session is over, or its CSRF token lost with the
   * page's storage; any other rejection leaves the session as it is, and the call may be
   * repeated.
   */
  refresh(): Promise<void>;
  /**
   * Ends the session. It resolves when the session is over, also if it was before. It rejects
   * with `signedOut` where the CSRF token is lost: this client can't end that session.
   */
  logoff(): Promise<void>;
  /** Asks the server whether an access token is valid. */
  verify(token: string): Promise<boolean>;
  /**
   * `fetch` with the access token. It refreshes beforehand when there is none or it has
   * expired, and once more, repeating the request, when the service answers 401. It rejects
   * as `refresh` does, and at once when the request's signal aborts.
   */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** The access token, while there is a current one. Don't store it. */
  readonly accessToken: string | undefined;
  /**
   * The contract's other operations, typed: sent as by `fetch` where they take the access
   * token, and without it, also before a sign-in, where they don't. Where one ends this
   * session, the client is signed out.
   */
  readonly api: Client<Operations>;
}

/** Makes a client. Nothing is sent until it is used. */
export function createGatehouse(options: GatehouseOptions): Gatehouse {
  const base = new URL(options.baseUrl);
  const origins = new Set([base.origin, ...(options.services ?? []).map((s) => new URL(s).origin)]);
  if (typeof location !== "undefined") origins.add(location.origin);
  const trimmed = options.baseUrl.replace(/\/$/, "");
  const send = options.fetch ?? ((request: Request) => fetch(request));
  const home = trimmed + (options.basePath ?? "/auth");
  const tabs = new Tabs<Grant>(home);
  let token: { value: string; until: number } | undefined;
  let refreshing: Promise<void> | undefined;

  const settings = {
    baseUrl: options.baseUrl,
    credentials: "include" as const,
    Request: class extends Request {
      constructor(input: RequestInfo | URL, init?: RequestInit) {
        const moved = typeof input === "string" && options.basePath !== undefined;
        super(moved ? input.replace(`${trimmed}/auth/`, `${trimmed}${options.basePath}/`) : input, init);
      }
    },
  };
  // A request that hangs would hold the lock, and every other tab with it.
  const plain = createClient<paths>({
    ...settings,
    fetch: (request) => send(new Request(request, { signal: AbortSignal.timeout(30_000) })),
  });

  function adopt(grant: Grant, at: number) {
    // A little early, so that the token does not expire on its way.
    token = { value: grant.access_token, until: at + Math.max(grant.expires_in - 5, 1) * 1000 };
  }

  function forget() {
    token = undefined;
    options.onSignedOut?.();
  }

  tabs.onMessage = (grant, at) => (grant ? adopt(grant, at) : forget());

  /** Takes what the server granted. */
  function accept(grant: Grant): Grant {
    if (typeof grant?.access_token !== "string") throw noAnswer(grant);
    adopt(grant, Date.now());
    tabs.granted(grant, grant.CSRF_token);
    return grant;
  }

  /** Forgets the session, here and in the other tabs; these come first, as the app's function may throw. */
  function end() {
    tabs.ended();
    forget();
  }

  /** Asks with the CSRF token, and forgets the session if it is over. */
  async function askWithCSRF<T>(ask: (body: Schemas["CSRF"]) => Promise<Answer<T>>): Promise<T> {
    const { csrf } = tabs;
    try {
      return await answer(ask(csrf === undefined ? {} : { CSRF_token: csrf }), csrf === undefined);
    } catch (error) {
      if (isTokenNotValid(error)) end();
      // Where the CSRF token is lost, another tab may still have it.
      else if (error instanceof GatehouseError && error.signedOut) forget();
      throw error;
    }
  }

  /** Refreshes, unless another tab has done so since this one got its token. */
  async function refreshAlone(known: number) {
    if (await tabs.caughtUp(known)) return;
    accept(await askWithCSRF((body) => plain.POST("/auth/refresh/", { body })));
  }

  function refresh(): Promise<void> {
    const known = tabs.known;
    refreshing ??= tabs.exclusively(() => refreshAlone(known)).finally(() => (refreshing = undefined));
    return refreshing;
  }

  async function authorized(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init);
    if (!origins.has(new URL(request.url).origin)) {
      throw new TypeError(`the access token is not meant for ${new URL(request.url).origin}; see the option services`);
    }
    if (token === undefined || Date.now() >= token.until) await unlessAborted(request.signal, refresh);
    const again = request.clone(); // a body can be sent once only
    const used = token?.value;
    const response = await send(withToken(request, used));
    if (response.status !== 401) return response;
    if (token?.value === used) await unlessAborted(request.signal, refresh);
    if (token === undefined) return response; // signed out meanwhile
    await response.body?.cancel();
    return send(withToken(again, token.value));
  }

  /** Sends an operation of `api`. */
  async function operate(request: Request): Promise<Response> {
    const { href, searchParams } = new URL(request.url);
    if (!TAKES_TOKEN.test(href.replace(new URL(home).href, ""))) return send(request);
    const response = await authorized(request);
    if (request.method !== "DELETE" || !response.ok) return response;
    if (searchParams.get("scope") === "all") await tabs.exclusively(async () => end());
    if (!searchParams.has("scope")) await refresh().catch(() => {}); // the session that is ended may be this one
    return response;
  }

  /** Opens a session. It waits for a refresh under way, whose cookies would replace its own. */
  function open(ask: () => Promise<Answer<Grant>>): Promise<Grant> {
    return tabs.exclusively(async () => accept(await answer(ask())));
  }

  return {
    signIn: (body) => open(() => plain.POST("/auth/sign-in/", { body })),
    exchange: (body) => open(() => plain.POST("/auth/social-exchange/", { body })),
    exchangeCode: (body) => open(() => plain.POST("/auth/code-exchange/", { body })),
    refresh,
    logoff: () =>
      tabs.exclusively(async () => {
        const over = (error: unknown) => {
          if (!isTokenNotValid(error)) throw error;
        };
        await askWithCSRF((body) => plain.POST("/auth/logoff/", { body })).then(end, over);
      }),
    async verify(presented) {
      try {
        await answer(plain.POST("/auth/verify/", { body: { token: presented } }));
        return true;
      } catch (error) {
        if (isTokenNotValid(error)) return false;
        throw error;
      }
    },
    fetch: authorized,
    get accessToken() {
      return token !== undefined && Date.now() < token.until ? token.value : undefined;
    },
    api: createClient<Operations>({ ...settings, fetch: operate }),
  };
}

/** Waits for the task, or rejects as soon as the signal aborts; the task goes on, for others. */
async function unlessAborted(signal: AbortSignal, task: () => Promise<void>): Promise<void> {
  signal.throwIfAborted();
  let abort = () => {};
  const aborted = new Promise<void>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
  });
  await Promise.race([task(), aborted]).finally(() => signal.removeEventListener("abort", abort));
}

function withToken(request: Request, token: string | undefined): Request {
  if (token !== undefined) request.headers.set("Authorization", `Bearer ${token}`);
  return request;
}
