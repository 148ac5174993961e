// How state comes to an isolate: the location's cache, then the stores in order (E1). Whatever is
// handed over is verified by the view; a source that hands over something else is counted and the
// next one is asked, so one poisoned cache or lying store costs a round trip and nothing more.

import type { TenantLookup } from '../../shared/admission/tenant.ts';
import type { Refusal } from '../../shared/control/refusal.ts';
import type { Digest } from '../../shared/digest.ts';
import {
  HEAD_CACHE_S,
  LAGGING_AGE_MS,
  LOOKUP_FETCHES_MAX,
  NODE_CACHE_S,
  SOFT_AGE_MS,
  STORE_READ_TIMEOUT_MS,
} from '../../shared/limits.ts';
import type { EdgePorts, StorePort } from '../env.ts';
import { inTableOrder } from './stores.ts';
import type { Standing, View } from './view.ts';

const HEAD_KEY = 'head';

/** Brings `view` up to what this location can know now. Never rejects. */
export async function refresh(view: View, ports: EdgePorts, colo?: string): Promise<void> {
  const cached = await quietly(ports.cache.get(HEAD_KEY));
  const adopted = cached !== null && (await view.adopt(cached, ports.nowMs()));
  if (!adopted || view.headAgeMs(ports.nowMs()) > SOFT_AGE_MS) {
    await refreshFromStores(view, ports, colo);
  }
  const global = view.missingGlobal;
  if (global !== null) {
    await loadPiece(view, ports, colo, global, (text) => view.takeGlobal(text, global));
  }
}

/** The tenant of `host`, fetching the nodes on the way; null when they cannot be had. */
export async function findTenant(
  view: View,
  standing: Standing,
  host: string,
  ports: EdgePorts,
  colo?: string,
): Promise<Exclude<TenantLookup, { kind: 'missing' }> | null> {
  for (let fetches = 0; ; fetches++) {
    const found = view.lookUp(host, standing);
    if (found.kind !== 'missing') return found;
    if (fetches === LOOKUP_FETCHES_MAX) return null;
    const { map, digest } = found;
    const loaded = await loadPiece(view, ports, colo, digest, (text) => {
      return view.takeNode(text, map, digest);
    });
    if (!loaded) return null;
  }
}

async function refreshFromStores(view: View, ports: EdgePorts, colo?: string): Promise<void> {
  for (const store of ordered(view, ports, colo)) {
    const head = await asked(view, ports, store, store.head());
    if (head !== null && (await view.adopt(head, ports.nowMs()))) {
      ports.background(quietly(ports.cache.put(HEAD_KEY, head, HEAD_CACHE_S)));
      // One that lags behind the agents is not the last word: the next one may know more.
      if (view.headAgeMs(ports.nowMs()) <= LAGGING_AGE_MS) return;
    }
  }
}

async function loadPiece(
  view: View,
  ports: EdgePorts,
  colo: string | undefined,
  digest: Digest,
  take: (text: string) => Refusal | null,
): Promise<boolean> {
  const key = `piece/${digest}`;
  const cached = await quietly(ports.cache.get(key));
  if (cached !== null && accept(view, take(cached))) return true;
  for (const store of ordered(view, ports, colo)) {
    const text = await asked(view, ports, store, store.piece(digest));
    if (text === null || !accept(view, take(text))) continue;
    ports.background(quietly(ports.cache.put(key, text, NODE_CACHE_S)));
    return true;
  }
  return false;
}

function accept(view: View, fault: Refusal | null): boolean {
  if (fault !== null) view.count(fault.code);
  return fault === null;
}

/** By the signed table, else by continent; those that failed just now come last. */
function ordered(view: View, ports: EdgePorts, colo: string | undefined): readonly StorePort[] {
  const table = view.standing?.global.stores;
  const stores = table === undefined ? ports.stores : inTableOrder(ports.stores, table, colo);
  const nowMs = ports.nowMs();
  return stores.toSorted((a, b) => {
    return Number(view.hasFailed(a.id, nowMs)) - Number(view.hasFailed(b.id, nowMs));
  });
}

/** What a store answers in time; null, and counted, when it does not. */
async function asked<T>(
  view: View,
  ports: EdgePorts,
  { id }: StorePort,
  work: Promise<T>,
): Promise<T | null> {
  try {
    return await Promise.race([work, ports.timeout(STORE_READ_TIMEOUT_MS, 'store-timeout')]);
  } catch (error) {
    const late = error instanceof Error && error.message === 'store-timeout';
    view.count(late ? 'store-timeout' : 'store-failed');
    view.noteFailure(id, ports.nowMs());
    return null;
  }
}

/** A source that fails is a source without an answer. */
async function quietly<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch {
    return null;
  }
}
