// An OpenID provider for the tests: oidc-provider, whose pages accept any name.
import Provider from 'oidc-provider'

const issuer = process.env.ISSUER
const client = (client_id, more) => ({
  client_id, redirect_uris: [process.env.REDIRECT_URI], token_endpoint_auth_method: 'none', ...more,
})
const provider = new Provider(issuer, {
  clients: [
    client('spa'),
    client('other'),
    client('basic', { client_secret: 'a+secret: of/ours%', token_endpoint_auth_method: 'client_secret_basic' }),
    client('post', { client_secret: 'a+secret: of/ours%', token_endpoint_auth_method: 'client_secret_post' }),
    client('es256', { id_token_signed_response_alg: 'ES256' }),
    client('ps256', { id_token_signed_response_alg: 'PS256' }),
    client('eddsa', { id_token_signed_response_alg: 'EdDSA' }),
  ],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username', 'given_name', 'family_name'] },
  conformIdTokenClaims: false, // put them into the ID token
  cookies: { keys: ['a key of the tests'] },
  jwks: JSON.parse(process.env.JWKS),
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, preferred_username: id, given_name: 'María', family_name: 'Gold',
      email: `${id}@example.test`, email_verified: !id.startsWith('unverified'),
    }),
  }),
})
provider.listen(Number(process.env.PORT), '127.0.0.1', () => console.log(`listening at ${issuer}`))
