// oidc-provider, a certified authorization server, with four clients and a log of everything it does.
//
// Arguments and commands: common.mjs; and one more:
//   reuse CLIENT     sends the last refresh token that was used up, as a thief would
// Must never: know anything of the daemon. What it refuses is for the test to judge.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

import Provider from 'oidc-provider';

import { ask, CONTROL, directory, obey, say, whoami } from './common.mjs';

// Its notices for whoever deploys it.
console.info = (notice) => say({ notice });
console.warn = console.info;

const server = createServer({
  cert: readFileSync(`${directory}/cert.pem`),
  key: readFileSync(`${directory}/key.pem`),
});
await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
const issuer = `https://127.0.0.1:${server.address().port}`;

const code = {
  application_type: 'native',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: ['http://127.0.0.1/callback', 'https://app.example.invalid/callback'],
};
const device = {
  application_type: 'native',
  grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
  response_types: [],
  redirect_uris: [],
};
// RFC 6749 §2.3.1: what must be encoded before it goes into a Basic header.
const secret = 'colon:percent%plus+slash/~';

const provider = new Provider(issuer, {
  clients: [
    { ...code, client_id: 'code-public', token_endpoint_auth_method: 'none' },
    { ...code, client_id: 'code:basic', client_secret: secret, token_endpoint_auth_method: 'client_secret_basic' },
    { ...device, client_id: 'device-public', token_endpoint_auth_method: 'none' },
    { ...device, client_id: 'device-post', client_secret: secret, token_endpoint_auth_method: 'client_secret_post' },
  ],
  features: {
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    devInteractions: { enabled: true },
  },
  pkce: { methods: ['S256'], required: () => true },
  rotateRefreshToken: true,
  // Short, so that a refresh happens while one looks on.
  ttl: {
    AccessToken: 8, RefreshToken: 86_400, Grant: 86_400, Session: 3600, Interaction: 600, DeviceCode: 600,
    AuthorizationCode: 60, IdToken: 3600,
  },
  scopes: ['openid', 'offline_access'],
  cookies: { keys: ['made up for the trial'] },
});

const saved = new Map();
const used = [];
provider.on('refresh_token.saved', (token) => saved.set(token.jti, token.clientId));
provider.on('refresh_token.consumed', (token) => used.push(token.jti));

// The fault of a request, in the server's own word.
const errors = new WeakMap();
for (const event of [
  'authorization.error', 'device_authorization.error', 'grant.error', 'revocation.error', 'discovery.error', 'userinfo.error',
  'code_verification.error', 'server_error',
]) {
  provider.on(event, (ctx, error) => {
    say({ event, error: error.error ?? error.message, description: error.error_description });
    errors.set(ctx.req, error.error ?? error.message);
  });
}

let requests = 0;
const refused = [];
const answer = provider.callback();
server.on('request', (req, res) => {
  res.on('close', () => {
    const agent = req.headers['user-agent'] ?? '';
    const error = errors.get(req);
    // The path alone: queries hold codes and states.
    const path = req.url.split('?')[0];
    say({ method: req.method, path, status: res.statusCode, agent, error });
    if (agent === CONTROL) return;
    const browser = agent.startsWith('Mozilla/');
    if (!browser) requests += 1;
    // The device grant's way to say «not yet».
    if (error === 'authorization_pending') return;
    // A browser carries our authorization request, and looks for an icon besides; a request that was cut off got no answer.
    if (error) refused.push(error);
    else if (!browser && (res.statusCode >= 400 || !res.writableFinished)) refused.push(`${req.method} ${path}: ${res.statusCode}`);
  });
  answer(req, res);
});

say({ issuer, secret, redirect: 'http://127.0.0.1/callback' });
await obey({
  whoami: whoami(`${issuer}/me`),
  async tokens(client) {
    const found = await Promise.all([...saved].filter(([, owner]) => owner === client).map(([jti]) => provider.RefreshToken.find(jti)));
    const live = found.filter((token) => token && !token.consumed).length;
    return { live, spent: found.length - live };
  },
  refused: () => ({ requests, refused }),
  async reuse(client) {
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: used.at(-1), client_id: client });
    const { status, text } = await ask('POST', `${issuer}/token`, { 'content-type': 'application/x-www-form-urlencoded' }, body.toString());
    return { status, error: JSON.parse(text).error };
  },
});
