// oidc-provider, a certified authorization server, with four clients and a log of everything it does.
//
// Arguments: the directory with cert.pem and key.pem. Writes one JSON object a line; the one with `issuer` says
// that it listens. Reads commands, one a line:
//   whoami TOKEN     asks its own userinfo endpoint whether the access token is good
//   reuse CLIENT     sends the last refresh token that was used up, as a thief would
// Must never: know anything of the daemon. What it refuses is for the test to judge.

import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:https';
import { createInterface } from 'node:readline';

import Provider from 'oidc-provider';

const directory = process.argv[2];
const log = (entry) => process.stdout.write(`${JSON.stringify(entry)}\n`);

// Its notices for whoever deploys it.
console.info = (notice) => log({ notice });
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

const used = [];
provider.on('refresh_token.consumed', (token) => used.push(token.jti));
const events = [
  'authorization.success', 'authorization.error', 'device_authorization.success', 'device_authorization.error',
  'grant.success', 'grant.error', 'grant.revoked', 'revocation.error', 'discovery.error', 'userinfo.error', 'server_error',
  'code_verification.error', 'refresh_token.consumed', 'refresh_token.destroyed', 'access_token.destroyed',
];
for (const event of events) {
  provider.on(event, (ctx, error) => {
    const failure = [ctx, error].find((thing) => thing instanceof Error);
    log({ event, error: failure?.error ?? failure?.message, description: failure?.error_description });
  });
}

const answer = provider.callback();
server.on('request', (req, res) => {
  res.on('finish', () => {
    // The path alone: queries hold codes and states.
    log({ method: req.method, path: req.url.split('?')[0], status: res.statusCode, agent: req.headers['user-agent'] ?? '' });
  });
  answer(req, res);
});

const ask = (method, path, headers, body) => new Promise((done, failed) => {
  const asked = request(`${issuer}${path}`, { method, headers, rejectUnauthorized: false }, (res) => {
    let text = '';
    res.on('data', (chunk) => { text += chunk; });
    res.on('end', () => done({ status: res.statusCode, error: text && JSON.parse(text).error }));
  });
  asked.on('error', failed);
  asked.end(body);
});

log({ issuer, secret });
for await (const line of createInterface({ input: process.stdin })) {
  const [command, argument] = line.split(' ');
  if (command === 'whoami') {
    const { status } = await ask('GET', '/me', { authorization: `Bearer ${argument}`, 'user-agent': 'control' });
    log({ control: command, status });
  } else if (command === 'reuse') {
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: used.at(-1), client_id: argument });
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'user-agent': 'control' };
    log({ control: command, ...await ask('POST', '/token', headers, body.toString()) });
  }
}
process.exit(0);
