// Stores that are lost, in a whole world: one, then all (E3), and what they signed before (C11).

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { newHolder, put, receive, signCommit } from '../shared/kit.ts';
import { cities } from './cities.ts';
import { SITES } from './demo.ts';
import { STORES } from './edge-host.ts';
import { closeTraffic, send } from './traffic.ts';
import { until } from './wait.ts';
import { World } from './world.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 90_000 });

const deadline = { deadlineMs: 20_000 };

let world: World;

beforeAll(async () => {
  world = await World.start(() => {});
});
afterAll(async () => {
  await closeTraffic();
  await world.stop();
});

async function ask(): Promise<number> {
  const request = { host: 'globex.example', city: cities.paris, path: '/notes' };
  return (await send(world.edges.fra, request)).status;
}

/** The next commit, by the operator, into the source. */
async function commit(n: number): Promise<bigint> {
  const { control, trust } = world.deployment;
  const held = newHolder(trust);
  for (const jws of (await control.read(1n)).commits) await receive(held, jws);
  const change = [put('global/latency/zrh', { eu1: n, us1: n + 1 })];
  const author = { author: 'operator' };
  const jws = await signCommit(held, change, author, await world.operatorSigner());
  const version = held.holder.state.manifest.version + 1n;
  await control.append(version, jws);
  return version;
}

interface StoreShown {
  readonly store: string;
  readonly applied: { readonly version: string } | null;
  readonly lag: string | null;
}

test('every agent holds what every store signed that it applied (C11)', async () => {
  const version = await commit(1);
  for (const site of SITES) {
    await until(
      `${site} hears of every store`,
      async () => {
        const stores = (await world.agentStatus(site))['stores'] as readonly StoreShown[];
        const level = stores.filter((one) => one.applied?.version === `${version}`);
        return level.length === STORES.length && level.every(({ lag }) => lag === '0');
      },
      deadline,
    );
  }
});

test('a location that starts while its first store is lost is served by another', async () => {
  await world.edgeHost.ask({ stop: 'store-weur' });
  await world.edgeHost.ask({ stop: 'fra' });
  await world.edgeHost.ask({ start: 'fra' });
  await world.edgeHost.ask({ cachePurge: { location: 'fra' } });
  expect(await ask()).toBe(200);
});

test('with every store lost, what is decided comes to the edge by a gateway', async () => {
  for (const store of ['enam', 'apac']) await world.edgeHost.ask({ stop: `store-${store}` });
  const version = await commit(3);
  await until(
    'the edge stands on the new commit',
    async () => {
      expect(await ask()).toBe(200);
      return (await world.probe('fra')).edge.version === version;
    },
    deadline,
  );
  const { stores } = await world.probe('fra');
  for (const { code } of stores) expect(code).toMatch(/^store-(?:failed|timeout)$/);
});
