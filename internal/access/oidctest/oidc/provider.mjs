// An OpenID Connect provider for tests and demonstrations: node provider.mjs PORT [HOST].
// Its people are ann, bob and vic, an administrator, a contributor and a viewer; any
// password is theirs.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const require = createRequire(pathToFileURL(process.env.OIDC_MODULES + '/'))
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href)

const roles = { ann: 'administrator', bob: 'contributor', vic: 'viewer' }
const [port, host = '127.0.0.1'] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'segment-export',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    response_types: [],
    redirect_uris: [],
  }],
  claims: { openid: ['sub', 'roles'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, roles: [roles[id]].filter(Boolean), email: `${id}@example.com`, email_verified: true }),
  }),
  ttl: { AccessToken: 3600, IdToken: Number(process.env.OIDC_TTL || 3600), DeviceCode: 600, RefreshToken: 86400, Grant: 86400, Interaction: 600, Session: 86400 },
})
provider.listen(Number(port), host, () => console.log(`listens at ${issuer}`))
