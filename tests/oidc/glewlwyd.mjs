// glewlwyd, an authorization server in C that Debian ships, with clients of its own and a log that leaves nothing out.
//
// Arguments and commands: common.mjs; and one more:
//   forget CLIENT    takes all its refresh tokens away, as its user does on the server's page
// $GLEWLWYD: where its packages were unpacked (tests/oidc/run). It speaks TLS itself. As root
// it is started as nobody. It does not say what it answered to each request: what it refused is what its log holds besides
// events, and what its counters of refusals say.
// Must never: know anything of the daemon. What it refuses is for the test to judge.

import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

import { ask, directory, obey, ports, say, whoami } from './common.mjs';

const unpacked = process.env.GLEWLWYD;
if (!unpacked) throw new Error('$GLEWLWYD is not set: tests/oidc/run sets it');
const share = `${unpacked}/usr/share`;
const modules = `${unpacked}/usr/lib/glewlwyd`;

// The next of its ports that is free. It is bound only later, by another process, the redirect's after a whole walk through the
// pages.
async function free() {
  for (;;) {
    const port = ports.shift();
    if (!port) throw new Error('none of its ports is free');
    const unused = await new Promise((done) => {
      const probe = createServer();
      probe.on('error', () => done(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)));
    });
    if (unused) return port;
  }
}
const [port, metricsPort, redirectPort] = [await free(), await free(), await free()];
const origin = `https://127.0.0.1:${port}`;
const api = `${origin}/api`;
const issuer = `${api}/oidc`;

// Its pages, with the file that a link out of the package stands for.
const pages = `${directory}/pages`;
const target = `${share}/glewlwyd/templates/config.json`;
cpSync(`${share}/glewlwyd/webapp`, pages, { recursive: true, dereference: true, filter: (file) => !file.endsWith('/config.json') });
cpSync(target, `${pages}/config.json`);
mkdirSync(`${directory}/none`);
const database = `${directory}/glewlwyd.db`;
execFileSync('sqlite3', [database], { input: readFileSync(`${share}/dbconfig-common/data/glewlwyd/install/sqlite3`) });

const types = Object.entries({
  html: 'text/html', css: 'text/css', js: 'application/javascript', json: 'application/json', map: 'application/json',
  png: 'image/png', ico: 'image/x-icon', svg: 'image/svg+xml', ttf: 'font/ttf', woff: 'font/woff', woff2: 'font/woff2',
}).map(([extension, type]) => `{ extension = ".${extension}" mime_type = "${type}" compress = 0 }`);
writeFileSync(`${directory}/glewlwyd.conf`, `
port = ${port}
bind_address = "127.0.0.1"
external_url = "${origin}"
api_prefix = "api"
login_url = "login.html"
static_files_path = "${pages}"
static_files_mime_types = ( ${types.join(', ')} )
log_mode = "console"
log_level = "DEBUG"
cookie_domain = "127.0.0.1"
cookie_secure = 1
hash_algorithm = "SHA256"
use_secure_connection = true
secure_connection_key_file = "${directory}/key.pem"
secure_connection_pem_file = "${directory}/cert.pem"
metrics_endpoint = true
metrics_bind_address = "127.0.0.1"
metrics_endpoint_port = ${metricsPort}
user_module_path = "${modules}/user"
user_middleware_module_path = "${directory}/none"
client_module_path = "${modules}/client"
user_auth_scheme_module_path = "${modules}/scheme"
plugin_module_path = "${modules}/plugin"
database = { type = "sqlite3" path = "${database}" }
`);

const unprivileged = {};
if (process.getuid() === 0) {
  Object.assign(unprivileged, {
    uid: Number(execFileSync('id', ['-u', 'nobody'])), gid: Number(execFileSync('id', ['-g', 'nobody'])),
  });
  for (const file of ['.', 'key.pem', 'glewlwyd.db']) chownSync(`${directory}/${file}`, unprivileged.uid, unprivileged.gid);
}
chmodSync(`${directory}/key.pem`, 0o600);

// Warnings go to standard error; in one pipe nothing overtakes anything.
const binary = `${unpacked}/usr/bin/glewlwyd`;
const server = spawn('/bin/sh', ['-c', 'exec "$0" "$@" 2>&1', binary, `--config-file=${directory}/glewlwyd.conf`], {
  ...unprivileged, stdio: ['ignore', 'pipe', 'inherit'],
});
process.on('exit', () => server.kill());
server.on('exit', (code) => { throw new Error(`glewlwyd ended with ${code}`); });

let ready = false;
let requests = 0;
const refused = [];
const awaited = [];
createInterface({ input: server.stdout }).on('line', (line) => {
  const [, level, message] = line.match(/Glewlwyd ([A-Z]+): (.*)$/) ?? [undefined, 'WARNING', line];
  say({ level, message });
  for (const one of awaited.splice(0)) if (!one(message)) awaited.push(one);
  if (!ready) return;
  // Each of these is the end of a request of a client's; of a browser's is a code alone.
  if (/^Event oidc .* (Refresh token|Access token|Device code)/.test(message)) requests += 1;
  if (level !== 'INFO') refused.push(message);
});
const logged = (wanted) => new Promise((done) => {
  awaited.push((message) => { const found = wanted.test(message); if (found) done(); return found; });
});

// The administrator of a new database, whom everybody knows.
let cookie = '';
async function login() {
  const body = JSON.stringify({ username: 'admin', password: 'password' });
  const { headers } = await ask('POST', `${api}/auth/`, { 'content-type': 'application/json' }, body);
  cookie = headers['set-cookie'].map((one) => one.split(';')[0]).join('; ');
}
async function order(method, path, body) {
  const headers = { cookie, 'content-type': 'application/json' };
  const { status, text } = await ask(method, `${api}${path}`, headers, body && JSON.stringify(body));
  if (status !== 200) throw new Error(`${method} ${path}: ${status} ${text}`);
  return text && JSON.parse(text);
}

await logged(/^Glewlwyd started/);
await login();
await order('POST', '/mod/plugin/', {
  module: 'oidc', name: 'oidc', display_name: 'The trial', enabled: true,
  parameters: {
    iss: issuer, 'jwt-type': 'sha', 'jwt-key-size': '256', key: 'made up for the trial',
    // Short, so that a refresh happens while one looks on.
    'access-token-duration': 8, 'refresh-token-duration': 86_400, 'code-duration': 60, 'device-authorization-interval': 2,
    'allow-non-oidc': true, 'auth-type-code-enabled': true, 'auth-type-refresh-enabled': true, 'auth-type-device-enabled': true,
    'refresh-token-one-use': 'always', 'pkce-allowed': true, 'pkce-required': true, 'oauth-as-iss-id': true,
    'introspection-revocation-allowed': true, 'introspection-revocation-allow-target-client': true,
  },
});
await order('POST', '/scope/', { name: 'offline_access', display_name: 'Without you', password_required: false });
await order('POST', '/user/', {
  username: 'operator', password: 'operator', name: 'Operator', enabled: true, scope: ['openid', 'offline_access'],
});
// It takes id and secret of a Basic header as they are, against RFC 6749 §2.3.1: only what encodes to itself gets through.
const secret = 'made-up_for.the~trial';
// It wants the port of a loopback redirect registered, against RFC 8252 §7.3.
const redirect = `http://127.0.0.1:${redirectPort}/callback`;
const code = { authorization_type: ['code', 'refresh_token'], redirect_uri: [redirect] };
const device = { authorization_type: ['device_authorization', 'refresh_token'], redirect_uri: [] };
const open = { confidential: false, token_endpoint_auth_method: ['none'] };
const closed = (method) => ({ confidential: true, client_secret: secret, token_endpoint_auth_method: [method] });
for (const client of [
  { client_id: 'code-public', ...code, ...open },
  { client_id: 'code-basic', ...code, ...closed('client_secret_basic') },
  { client_id: 'device-public', ...device, ...open },
  { client_id: 'device-post', ...device, ...closed('client_secret_post') },
]) {
  await order('POST', '/client/', { name: client.client_id, enabled: true, ...client });
}
ready = true;

const given = async (client) => (await order('GET', '/oidc/token?impersonate=operator')).filter((token) => token.client_id === client);

say({ issuer, secret, redirect });
await obey({
  whoami: whoami(`${issuer}/userinfo`),
  async tokens(client) {
    const all = await given(client);
    const live = all.filter((token) => token.enabled).length;
    return { live, spent: all.length - live };
  },
  async forget(client) {
    for (const { token_hash: hash, enabled } of await given(client)) {
      if (enabled) await order('DELETE', `/oidc/token/${encodeURIComponent(hash)}?impersonate=operator`);
    }
  },
  async refused() {
    // Its log is read whole up to here.
    const read = logged(/^Event - User 'admin' authenticated/);
    await login();
    await read;
    const counters = await (await fetch(`http://127.0.0.1:${metricsPort}/`)).text();
    const counted = [...counters.matchAll(/^(glewlwyd_oidc_(?:invalid|unauthorized)\w*)(?:\{.*\})? ([1-9]\d*)$/gm)];
    return { requests, refused: [...refused, ...counted.map(([, name, times]) => `${name} ${times}`)] };
  },
});
