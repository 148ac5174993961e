// Whole worlds: two at once, and what is left when a launcher dies.

import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { cities } from './cities.ts';
import { closeTraffic, send } from './traffic.ts';
import { isAlive, until } from './wait.ts';
import { World } from './world.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const STARTED_MS = 60_000;
const GONE_MS = 10_000;

const quiet = () => {};

test('two worlds run side by side and do not see one another', { timeout: 120_000 }, async () => {
  const worlds = await Promise.all([World.start(quiet), World.start(quiet)]);
  try {
    const [first, second] = worlds;
    const request = { host: 'globex.example', city: cities.paris, path: '/notes' };
    const statuses = await Promise.all([
      send(first.edges.fra, request),
      send(first.edges.fra, request),
      send(second.edges.fra, request),
    ]);
    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await first.arrivals('eu1')).total).toBe(2);
    expect((await second.arrivals('eu1')).total).toBe(1);
    expect((await first.arrivals('us1')).total + (await second.arrivals('us1')).total).toBe(0);
    // Agents push through the links: to the locations of their own, and to no other.
    const pushed = (['fra', 'iad', 'nrt', 'gru'] as const).map(
      (id) => first.edgeLinks[id].counts().bytesToTarget > 0,
    );
    expect(pushed).toEqual([true, true, true, false]);
    // The one's agents are strangers to the other's edges.
    const foreign = await first.seal('w1', { commits: [], attestations: [] });
    expect(await second.push('fra', foreign)).toEqual({
      status: 403,
      text: '{"code":"key-unknown"}',
    });
  } finally {
    await closeTraffic();
    await Promise.all(worlds.map((world) => world.stop()));
  }
});

test('a launcher that is killed leaves no process behind', { timeout: 120_000 }, async () => {
  const launcher = spawn(process.execPath, [MAIN], { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines = createInterface({ input: launcher.stdout });
  const started = Promise.withResolvers<void>();
  lines.on('line', (line) => {
    if (line.startsWith('edge ')) started.resolve();
  });
  const late = setTimeout(() => started.reject(new Error('no world')), STARTED_MS);
  await started.promise;
  clearTimeout(late);
  const pids = descendantsOf(launcher.pid ?? 0);
  // The guardian, the edges' host with its runtimes, three agents, two services.
  expect(pids.length).toBeGreaterThanOrEqual(12);
  launcher.kill('SIGKILL');
  await until('every process is gone', () => pids.every((pid) => !isAlive(pid)), {
    deadlineMs: GONE_MS,
  });
});

function descendantsOf(root: number): readonly number[] {
  const table = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' });
  const pairs = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const found: number[] = [];
  const queue = [root];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    for (const [pid = 0, parent] of pairs) {
      if (parent !== next) continue;
      found.push(pid);
      queue.push(pid);
    }
  }
  return found;
}
