// authority.mjs '{"port": 1, "clients": [...], ...}': a certified OpenID provider that requires PKCE, rotates refresh
// tokens and forgets the whole family of one that comes twice. Whoever signs in gets in; every account is known.
import http from "node:http";
import Provider, { errors } from "oidc-provider";
import { obey } from "./obeying.mjs";

const { port, clients, accessSeconds, resources, format } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const counts = {};
const trouble = { path: "", status: 0, body: "" };

console.info = console.warn = console.error;
const provider = new Provider(issuer, {
  clients,
  clientBasedCORS: () => false,
  cookies: { keys: ["of a test"] },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  scopes: ["openid", "offline_access", "email", "profile", "tools:read", "tools:write"],
  conformIdTokenClaims: false,
  extraTokenClaims: (_, { accountId: email }) =>
    email && { email, email_verified: !email.startsWith("unverified"), groups: [email.split("@")[1]] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
  findAccount: (_, sub) => ({
    accountId: sub,
    claims: () => ({ sub, email: sub, email_verified: !sub.startsWith("unverified"), name: sub.split("@")[0] }),
  }),
  ttl: { AccessToken: accessSeconds, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600, RefreshToken: 3600, Session: 3600, ClientCredentials: accessSeconds },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => {
        if (!resources.includes(resource)) throw new errors.InvalidTarget();
        return { scope: "tools:read tools:write", audience: resource, accessTokenFormat: format, accessTokenTTL: accessSeconds };
      },
    },
    revocation: { enabled: true },
  },
});

const counted = (name) => (counts[name] = (counts[name] ?? 0) + 1);
provider.on("grant.success", (ctx) => counted(`granted ${ctx.oidc.params.grant_type}`));
provider.on("grant.error", (ctx, error) => counted(`refused ${ctx.oidc.params?.grant_type} ${error.error}`));
provider.on("grant.revoked", () => counted("forgot a family"));
const answer = provider.callback();
http
  .createServer((request, response) => {
    const path = request.url.split("?")[0];
    counted(`${request.method} ${path}`);
    if (trouble.status && path === trouble.path) return response.writeHead(trouble.status).end(trouble.body);
    answer(request, response);
  })
  .listen(port, () =>
    obey({
      counts: () => counts,
      trouble: (path, status, body) => void Object.assign(trouble, { path, status, body }),
    }),
  );
