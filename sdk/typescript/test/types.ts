// What the types allow. The compiler is the test; nothing runs this.
import type { Gatehouse } from "../dist/index.js";

export async function types({ api, exchangeCode }: Gatehouse) {
  const { data } = await api.GET("/auth/authorize-url/", { params: { query: { redirect_uri: "https://app.example.com/" } } });
  if (data === undefined) return;
  await exchangeCode({ code: "c", code_verifier: "v", redirect_uri: "https://app.example.com/" });
  await api.DELETE("/auth/sessions/", { params: { query: { scope: "all" } } });

  // @ts-expect-error: services introspect, with a form and their secret
  await api.POST("/auth/introspect/", { body: { token: "t" } });
  // @ts-expect-error: services revoke, with a form and their secret
  await api.POST("/auth/revoke/", { body: { token: "t" } });
  // @ts-expect-error: exchangeCode takes the grant, and api would not
  await api.POST("/auth/code-exchange/", { body: { code: "c", code_verifier: "v", redirect_uri: "https://app.example.com/" } });
}
