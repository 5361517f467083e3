// A person at a browser: headless Chromium, driven over WebDriver by what is on its pages.
//
// Arguments: the address to open, "approve" or "deny", the address at which the walk ends, and a directory for what the browser
// remembers, if it is to. Prints the last page as JSON: url, title, text, and how often it logged in.

import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';

const [start, wish, end, profile] = process.argv.slice(2);
const driver = spawn('chromedriver', ['--port=0'], { stdio: ['ignore', 'pipe', 'inherit'] });
process.on('exit', () => driver.kill());
const port = await new Promise((done, failed) => {
  let said = '';
  driver.stdout.on('data', (chunk) => {
    said += chunk;
    const started = said.match(/started successfully on port (\d+)/);
    if (started) done(started[1]);
  });
  driver.on('exit', () => failed(new Error(`chromedriver ended: ${said}`)));
});

async function call(method, path, body) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method, body: body && JSON.stringify(body), headers: { 'content-type': 'application/json' },
  });
  const { value } = await response.json();
  if (!response.ok) throw Object.assign(new Error(value.message), { word: value.error });
  return value;
}

const { sessionId } = await call('POST', '/session', {
  capabilities: {
    alwaysMatch: {
      acceptInsecureCerts: true,
      pageLoadStrategy: 'normal',
      'goog:chromeOptions': {
        args: [
          '--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--no-first-run',
          // Nothing leaves this machine, whatever a page wants.
          '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost',
          ...(profile ? [`--user-data-dir=${profile}`] : []),
        ],
      },
    },
  },
});
const session = `/session/${sessionId}`;
const find = async (css) => Object.values((await call('POST', `${session}/elements`, { using: 'css selector', value: css }))[0] ?? {})[0];
const click = (id) => call('POST', `${session}/element/${id}/click`, {});
const type = (id, text) => call('POST', `${session}/element/${id}/value`, { text });
const run = (script) => call('POST', `${session}/execute/sync`, { script, args: [] });

// A page that cannot be loaded (a name that nobody has) is an error here and an address all the same.
const tolerate = (error) => { if (!/ERR_NAME_NOT_RESOLVED|ERR_UNKNOWN_URL_SCHEME/.test(error.message)) throw error; };

// Filled as it is wanted, whatever an earlier try left there.
async function fill(id, text) {
  const value = await call('GET', `${session}/element/${id}/property/value`);
  if (value === text) return;
  if (value) await call('POST', `${session}/element/${id}/clear`, {});
  await type(id, text);
}

const filled = new Set();
let sent;
async function step() {
  const abort = await find('button[name=abort], a[href$="/abort"]');
  const login = await find('input[name=login], input[name=username]');
  if (wish === 'deny' && abort && !login) return click(abort);
  if (login) {
    // A page that asks its server by itself stays until it knows: sent already, it is left alone.
    if (login === sent) return undefined;
    filled.add(login);
    await fill(login, 'operator');
    await fill(await find('input[name=password]'), 'operator');
  }
  const box = await find('input[type=checkbox]:enabled:not(:checked)');
  if (box) return click(box);
  const submit = await find('button[type=submit]:not([name=abort]), .carousel button.btn-primary') ?? await find('button.btn-success');
  if (submit) await click(submit);
  if (submit && login) sent = login;
  return undefined;
}

await call('POST', `${session}/url`, { url: start }).catch(tolerate);
let page;
// Far more than any page takes; a busy machine may well need some seconds for each.
const limit = Date.now() + 80_000;
while (Date.now() < limit) {
  const url = await call('GET', `${session}/url`);
  page = { url, title: await call('GET', `${session}/title`), text: await run('return document.body ? document.body.innerText : ""') };
  if (url.startsWith(end) || /success|interrupted|authorization complete/i.test(page.title + page.text)) break;
  // A page may go away under a click; the next look finds the one after it.
  await step().catch((error) => { if (!/stale|no such element|not interactable|click intercepted|detached/.test(error.word ?? '')) tolerate(error); });
  await pause(50);
}
// Said before the browser ends: how it does that is no part of the walk.
process.stdout.write(`${JSON.stringify({ ...page, logins: filled.size })}\n`);
await call('DELETE', session);
process.exit(0);
