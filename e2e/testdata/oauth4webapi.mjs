// A service that is told an issuer, an id and a secret, and finds the rest by the RFCs.
import * as oauth from "oauth4webapi";

const { ISSUER, CLIENT_ID, CLIENT_SECRET, TOKEN } = process.env;
const insecure = { [oauth.allowInsecureRequests]: true }; // http on loopback
const issuer = new URL(ISSUER);
const seen = {};
for (const algorithm of ["oauth2", "oidc"]) {
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm, ...insecure }));
  seen[algorithm] = server.introspection_endpoint;
}
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure }));
const client = { client_id: CLIENT_ID };
for (const auth of [oauth.ClientSecretBasic(CLIENT_SECRET), oauth.ClientSecretPost(CLIENT_SECRET)]) {
  const response = await oauth.introspectionRequest(server, client, auth, TOKEN, insecure);
  const { active, username, token_type } = await oauth.processIntrospectionResponse(server, client, response);
  (seen.introspected ??= []).push([active, username, token_type].join(" "));
}
const auth = oauth.ClientSecretBasic(CLIENT_SECRET);
await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, auth, TOKEN, insecure));
await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, auth, "rubbish", insecure));
const after = await oauth.introspectionRequest(server, client, auth, TOKEN, insecure);
seen.afterwards = (await oauth.processIntrospectionResponse(server, client, after)).active;
try {
  const refused = await oauth.introspectionRequest(server, client, oauth.ClientSecretBasic("wrong"), TOKEN, insecure);
  await oauth.processIntrospectionResponse(server, client, refused);
} catch (error) {
  seen.refused = error.code + " " + error.cause?.map?.(({ scheme }) => scheme);
}
console.log(JSON.stringify(seen));
