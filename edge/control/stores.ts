// Which stores an edge location asks, and how they are reached (E1). THE function that calls
// `getByName`: only the first call for an object honours its location hint, and a call without one
// may place it badly for good.

import type { EdgeEnv, StorePort } from '../env.ts';

interface StorePlace {
  readonly id: string;
  readonly hint: DurableObjectLocationHint;
  /** Continents (`cf.continent`) for which this store is the first to ask. */
  readonly continents: readonly string[];
  readonly binding: 'EDGE_STORE_ENAM' | 'EDGE_STORE_WEUR' | 'EDGE_STORE_APAC';
}

const PLACES: readonly StorePlace[] = [
  { id: 'enam', hint: 'enam', continents: ['NA', 'SA'], binding: 'EDGE_STORE_ENAM' },
  { id: 'weur', hint: 'weur', continents: ['EU', 'AF'], binding: 'EDGE_STORE_WEUR' },
  { id: 'apac', hint: 'apac', continents: ['AS', 'OC', 'AN'], binding: 'EDGE_STORE_APAC' },
];

/**
 * Every store, the nearest first by continent: what a cold isolate can know before it has state.
 */
export function storesNear(env: EdgeEnv, continent: string | undefined): readonly StorePort[] {
  const near = (place: StorePlace) => (place.continents.includes(continent ?? '') ? 0 : 1);
  return PLACES.toSorted((a, b) => near(a) - near(b)).map((place) => storePort(env, place));
}

/**
 * `stores` in the order that the signed table gives this location (`global/stores/<colo>`, else
 * `otherwise`); those it does not name come last.
 */
export function inTableOrder(
  stores: readonly StorePort[],
  table: Readonly<Record<string, readonly string[]>>,
  colo: string | undefined,
): readonly StorePort[] {
  const own = colo !== undefined && Object.hasOwn(table, colo) ? table[colo] : undefined;
  const row = own ?? table['otherwise'] ?? [];
  const place = ({ id }: StorePort) => (row.includes(id) ? row.indexOf(id) : row.length);
  return stores.toSorted((a, b) => place(a) - place(b));
}

function storePort(env: EdgeEnv, { id, hint, binding }: StorePlace): StorePort {
  // Lazy: naming an object costs nothing, and most requests ask no store.
  const stub = () => env[binding].getByName(id, { locationHint: hint });
  return {
    id,
    // Asynchronous, so that a missing binding is a store that cannot be reached.
    ingest: async (delta) => stub().ingest(id, delta),
    head: async () => stub().head(id),
    piece: async (digest) => stub().piece(id, digest),
  };
}
