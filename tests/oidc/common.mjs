// The protocol of every server of the trial: one JSON object a line.
//
// One says `issuer`, `secret` and `redirect`, the loopback address that its clients have: it listens. Then it reads commands, one a line, and answers each with `control`:
//   whoami TOKEN      status: what its own userinfo endpoint says of an access token
//   tokens CLIENT     live, spent: how many refresh tokens of a client it takes, and how many it takes no more
//   refused           requests: how many it got that no browser and no command sent; refused: a word for each that it refused
// Must never: know anything of the daemon. What was to be refused is for the test to judge.

import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { createInterface } from 'node:readline';

/// The directory with ca.pem, cert.pem and key.pem.
export const directory = process.argv[2];
/// Ports that no other process is told of, and that the kernel gives to nobody who asks for any.
export const ports = process.argv.slice(3).map(Number);
const ca = readFileSync(`${directory}/ca.pem`);

/// The user agent of requests that commands make.
export const CONTROL = 'control';

export const say = (entry) => process.stdout.write(`${JSON.stringify(entry)}\n`);

/// One request, and its answer as it came.
export const ask = (method, address, headers = {}, body = undefined) => new Promise((done, failed) => {
  const asked = request(address, { method, ca, headers: { 'user-agent': CONTROL, ...headers } }, (res) => {
    let text = '';
    res.on('data', (chunk) => { text += chunk; });
    res.on('end', () => done({ status: res.statusCode, headers: res.headers, text }));
  });
  asked.on('error', failed);
  asked.end(body);
});

/// The status of a server's userinfo endpoint for an access token.
export const whoami = (address) => async (token) => {
  const { status } = await ask('GET', address, { authorization: `Bearer ${token}` });
  return { status };
};

/// Serves until nobody commands any more.
export async function obey(commands) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, argument] = line.split(' ');
    say({ control: command, ...await commands[command](argument) });
  }
  process.exit(0);
}
