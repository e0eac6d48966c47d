const { ISSUER: issuer, AUDIENCE: audience } = process.env;

import { createRemoteJWKSet, jwtVerify } from "jose";

// Without an audience, jose takes tokens for any service.
if (!issuer || !audience) throw new Error("ISSUER and AUDIENCE are required");

const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", issuer));

export async function verify(token) {
  const { payload } = await jwtVerify(token, keys, { issuer, audience, algorithms: ["ES256"], clockTolerance: 30 });
  if (payload.token_type !== "access") throw new Error("not an access token");
  return payload;
}

// The network's fault is not the token's: the client may come again.
export const isUnavailable = (error) =>
  error instanceof TypeError || ["ERR_JWKS_TIMEOUT", "ERR_JOSE_GENERIC"].includes(error.code);
