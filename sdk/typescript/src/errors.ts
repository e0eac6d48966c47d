import type { components } from "./api.gen.js";

type Problem = components["schemas"]["Problem"];

/** The codes that say that the session is over. No other failure does. */
const SIGNED_OUT: ReadonlySet<string> = new Set(["token_not_valid"]);

/** A request that Gatehouse refused, or could not answer. */
export class GatehouseError extends Error {
  override readonly name = "GatehouseError";

  constructor(
    /** The HTTP status. */
    readonly status: number,
    /** What a program branches on; empty where something else than Gatehouse answered. */
    readonly code: string,
    /** Whether the same request may succeed later. */
    readonly retryable: boolean,
    /** Seconds to wait before the next try, where the server names them. */
    readonly retryAfter: number | undefined,
    /** The problem as the server described it. */
    readonly problem: Problem | undefined,
  ) {
    super(problem?.detail ?? `the server answered ${status}`);
  }

  /** Whether the session is over. Only then does the user have to sign in again. */
  get signedOut(): boolean {
    return this.status === 401 && SIGNED_OUT.has(this.code);
  }
}

/** Makes an error of an answer. A proxy's answer, which is no problem document, is one to retry from 500 on. */
export function responseError(body: unknown, response: Response): GatehouseError {
  const problem = isProblem(body) ? body : undefined;
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return new GatehouseError(
    response.status,
    problem?.code ?? "",
    problem?.retryable ?? response.status >= 500,
    Number.isNaN(seconds) ? undefined : seconds,
    problem,
  );
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "code" in body && "detail" in body;
}
