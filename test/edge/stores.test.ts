// Which stores a location asks, in which order, and how it names them (E1).

import { describe, expect, test } from 'vitest';
import { inTableOrder, storesNear } from '../../edge/control/stores.ts';
import type { EdgeEnv, StorePort } from '../../edge/env.ts';
import { FakeStore } from './fake-ports.ts';

const NOTHING = { pieces: new Map<string, string>() };

function idsOf(stores: readonly StorePort[]): string {
  return stores.map(({ id }) => id).join(' ');
}

interface Named {
  readonly binding: string;
  readonly name: string;
  readonly options: unknown;
}

/** Bindings that note how an object is named, and answer with what they were called. */
function fakeEnv(): { env: EdgeEnv; named: Named[] } {
  const named: Named[] = [];
  const namespace = (binding: string) => ({
    getByName(name: string, options: unknown) {
      named.push({ binding, name, options });
      const echo =
        (method: string) =>
        async (...values: unknown[]) =>
          `${method} ${values.join()}`;
      return { ingest: echo('ingest'), head: echo('head'), piece: echo('piece') };
    },
  });
  const bindings = ['EDGE_STORE_ENAM', 'EDGE_STORE_WEUR', 'EDGE_STORE_APAC'];
  const env = Object.fromEntries(bindings.map((binding) => [binding, namespace(binding)]));
  return { env: env as unknown as EdgeEnv, named };
}

describe('by continent, before there is state', () => {
  test.each([
    ['NA', 'enam weur apac'],
    ['SA', 'enam weur apac'],
    ['EU', 'weur enam apac'],
    ['AF', 'weur enam apac'],
    ['AS', 'apac enam weur'],
    ['OC', 'apac enam weur'],
    ['AN', 'apac enam weur'],
    [undefined, 'enam weur apac'],
    ['', 'enam weur apac'],
    ['EUROPE', 'enam weur apac'],
  ])('%s asks %s', (continent, order) => {
    expect(idsOf(storesNear(fakeEnv().env, continent))).toBe(order);
  });

  test('naming the stores calls none of them', () => {
    const { env, named } = fakeEnv();
    storesNear(env, 'EU');
    expect(named).toEqual([]);
  });
});

describe('by the signed table', () => {
  const stores = ['weur', 'enam', 'apac'].map((id) => new FakeStore(id, NOTHING));

  test.each([
    [{}, 'fra', 'weur enam apac'],
    [{ fra: ['apac', 'enam'] }, 'fra', 'apac enam weur'],
    [{ fra: ['apac'] }, 'fra', 'apac weur enam'],
    [{ fra: ['apac'] }, 'nrt', 'weur enam apac'],
    [{ fra: ['apac'], otherwise: ['enam'] }, 'nrt', 'enam weur apac'],
    [{ fra: ['apac'], otherwise: ['enam'] }, undefined, 'enam weur apac'],
    [{ fra: ['mars', 'apac'] }, 'fra', 'apac weur enam'],
    [{ fra: ['mars', 'venus'] }, 'fra', 'weur enam apac'],
    [{ fra: ['apac', 'apac'] }, 'fra', 'apac weur enam'],
  ])('%o: %s asks %s', (table, colo, order) => {
    expect(idsOf(inTableOrder(stores, table as Record<string, string[]>, colo))).toBe(order);
  });

  test.each(['constructor', '__proto__', 'otherwise'])('a location called %s is one', (colo) => {
    expect(idsOf(inTableOrder(stores, {}, colo))).toBe('weur enam apac');
  });

  test('the order given is left as it was', () => {
    inTableOrder(stores, { fra: ['apac'] }, 'fra');
    expect(idsOf(stores)).toBe('weur enam apac');
  });
});

test.each([
  ['enam', 'EDGE_STORE_ENAM'],
  ['weur', 'EDGE_STORE_WEUR'],
  ['apac', 'EDGE_STORE_APAC'],
])('%s is named by its id, with its hint, at every call', async (id, binding) => {
  const { env, named } = fakeEnv();
  const store = storesNear(env, undefined).find((one) => one.id === id);
  expect(await store?.head()).toBe(`head ${id}`);
  expect(await store?.piece('digest')).toBe(`piece ${id},digest`);
  expect(await store?.ingest('delta')).toBe(`ingest ${id},delta`);
  const call = { binding, name: id, options: { locationHint: id } };
  expect(named).toEqual([call, call, call]);
});
