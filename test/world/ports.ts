// Ports for what must come back at the same port: a restarted etcd member, a healed proxy. All else
// listens at 0 and says what it got.
//
// They lie below the range from which systems take ports for outgoing connections (32768 and up on
// Linux, 49152 on macOS): in that range a client that tries again and again while the server is
// down may be given the server's own port, and then speaks to itself.

import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

const FIRST = 10_000;
const LAST = 32_767;
const TRIES = 100;

/**
 * `count` different ports of 127.0.0.1 that were free a moment ago. By chance, so that two worlds
 * that start together hardly meet; whoever loses such a race asks again.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const held: Server[] = [];
  try {
    for (let tries = 0; held.length < count; tries++) {
      if (tries >= TRIES + count) throw new Error(`no ${count} free ports after ${tries} tries`);
      const server = await hold(FIRST + Math.floor(Math.random() * (LAST - FIRST + 1)));
      if (server !== null) held.push(server);
    }
    return held.map((server) => (server.address() as { port: number }).port);
  } finally {
    await Promise.all(held.map(release));
  }
}

async function hold(port: number): Promise<Server | null> {
  const server = createServer();
  const refused = Promise.withResolvers<null>();
  server.on('error', () => refused.resolve(null));
  server.listen(port, '127.0.0.1');
  return Promise.race([once(server, 'listening').then(() => server), refused.promise]);
}

async function release(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}
