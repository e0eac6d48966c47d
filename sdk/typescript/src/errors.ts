import type { components } from "./api.gen.js";

type Problem = components["schemas"]["Problem"];

/** A request that Gatehouse refused, or did not answer. */
export class GatehouseError extends Error {
  override readonly name = "GatehouseError";

  constructor(
    /** The HTTP status; 0 where nothing came, or nothing of Gatehouse's: `cause` has more. */
    readonly status: number,
    /** What a program branches on; empty where something else than Gatehouse answered. */
    readonly code: string,
    /** Whether the same request may succeed later. */
    readonly retryable: boolean,
    /** Seconds to wait before the next try, where the server names them. */
    readonly retryAfter: number | undefined,
    /** The problem as the server described it. */
    readonly problem: Problem | undefined,
    /** Whether the session is over, or its CSRF token lost. Only then does the user have to sign in again. */
    readonly signedOut: boolean,
  ) {
    super(problem?.detail ?? (status === 0 ? "Gatehouse did not answer" : `the server answered ${status}`));
  }
}

/** Whether the token that was sent is refused, the refresh token in its cookie included. No other failure says so. */
export function isTokenNotValid(error: unknown): error is GatehouseError {
  return error instanceof GatehouseError && error.status === 401 && error.code === "token_not_valid";
}

/** What openapi-fetch resolves to. */
export interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/**
 * Waits for an answer of Gatehouse's. Everything else is a {@link GatehouseError}: a problem,
 * and a broken connection, a time-out or a page of the network's. `lost` says that the client
 * has no CSRF token to send.
 */
export async function answer<T>(request: Promise<Answer<T>>, lost = false): Promise<T> {
  const { data, error, response } = await request.catch((cause: unknown) => {
    throw noAnswer(cause);
  });
  if (!response.ok) throw responseError(error, response, lost);
  return data as T;
}

/** The error where nothing of Gatehouse's came. */
export function noAnswer(cause: unknown): GatehouseError {
  return Object.assign(new GatehouseError(0, "", true, undefined, undefined, false), { cause });
}

/** Makes an error of an answer. A proxy's, which is no problem document, is one to retry if it is a 429 or from 500 on. */
function responseError(body: unknown, response: Response, lost: boolean): GatehouseError {
  const { status } = response;
  const problem = isProblem(body) ? body : undefined;
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const code = problem?.code ?? "";
  return new GatehouseError(
    status,
    code,
    problem?.retryable ?? (status >= 500 || status === 429),
    Number.isNaN(seconds) ? undefined : seconds,
    problem,
    (status === 401 && code === "token_not_valid") || (lost && status === 403 && code === "csrf_failed"),
  );
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "code" in body && "detail" in body;
}
