// A service that believes Gatehouse's access tokens: it tells who asks what the
// token says. VERIFIER is the library that it does so with.
import { createServer } from "node:http";

const { verify, isUnavailable } = await import(`./${process.env.VERIFIER ?? "jose"}.mjs`);

const server = createServer(async (request, response) => {
  const answer = (status, body, headers) => {
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer" || !token) {
    return answer(401, { detail: "The request has no access token." }, { "WWW-Authenticate": "Bearer" });
  }
  try {
    const claims = await verify(token);
    answer(200, { id: String(claims.user_id), department: claims.department });
  } catch (error) {
    console.error(`an access token is refused: ${error.name}: ${error.message}`);
    if (isUnavailable(error)) return answer(503, { detail: "Try again later." }, { "Retry-After": "5" });
    answer(401, { detail: "Token is invalid or expired" }, { "WWW-Authenticate": 'Bearer error="invalid_token"' });
  }
});

server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () =>
  console.log(`listening at http://127.0.0.1:${server.address().port}`));
