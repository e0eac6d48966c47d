const { ISSUER: issuer, AUDIENCE: audience } = process.env;
if (!issuer || !audience) throw new Error("ISSUER and AUDIENCE are required");

import { JwtVerifier } from "aws-jwt-verify";
import { FetchError } from "aws-jwt-verify/error";

const verifier = JwtVerifier.create({
  issuer,
  audience,
  jwksUri: new URL("/.well-known/jwks.json", issuer).href,
  graceSeconds: 30,
  customJwtCheck: ({ payload }) => {
    if (payload.token_type !== "access") throw new Error("not an access token");
  },
});

export const verify = (token) => verifier.verify(token);

// The network's fault is not the token's: the client may come again.
export const isUnavailable = (error) => error instanceof FetchError;
