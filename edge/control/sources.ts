// Where an isolate can have control state from, and in which order it asks (E1, E3): the location's
// cache, the stores in the order of the signed table, gateways last. Every text that they hold
// verifies by itself, so who hands it over does not matter, only how soon.

import * as z from 'zod/mini';
import { parseJson } from '../../shared/canonical.ts';
import { regionSiteSchema } from '../../shared/control/record.ts';
import type { Digest } from '../../shared/digest.ts';
import {
  CACHE_HEAD_START_MS,
  DELTA_BYTES_MAX,
  RACE_STAGGER_MS,
  SITES_MAX,
  STATE_GATEWAYS_MAX,
} from '../../shared/limits.ts';
import type { EdgePorts, StorePort } from '../env.ts';
import { boundedText } from './bounded-text.ts';
import type { Source } from './race.ts';
import { inTableOrder } from './stores.ts';
import type { View } from './view.ts';

const gatewaysSchema = z.array(regionSiteSchema.shape.gateway).check(z.maxLength(SITES_MAX));

/** The head, or one piece by its digest. */
export type Wanted = 'head' | Digest;

export function cacheKey(wanted: Wanted): string {
  return wanted === 'head' ? wanted : `piece/${wanted}`;
}

/**
 * The cache, alone for a moment, because an object call for every fresh isolate of a location would
 * be what stores cost most; then the first store; then, a stagger apart, a store and a gateway at a
 * time.
 */
export function sourcesOf(
  wanted: Wanted,
  view: View,
  ports: EdgePorts,
  colo: string | undefined,
): readonly Source[] {
  const [first, ...others] = storesInOrder(view, ports, colo);
  const gateways = gatewaysInOrder(view, ports);
  const key = cacheKey(wanted);
  const cache: Source = { id: 'cache', kind: 'cache', afterMs: 0, ask: () => ports.cache.get(key) };
  const staged = Array.from({ length: Math.max(others.length, gateways.length) }, (_, i) => {
    const afterMs = (i + 1) * RACE_STAGGER_MS;
    const [store, gateway] = [others[i], gateways[i]];
    return [
      ...(store === undefined ? [] : [fromStore(store, wanted, afterMs)]),
      ...(gateway === undefined ? [] : [fromGateway(gateway, wanted, afterMs, ports)]),
    ];
  });
  const nearest = first === undefined ? [] : [fromStore(first, wanted, CACHE_HEAD_START_MS)];
  return [cache, ...nearest, ...staged.flat()];
}

/**
 * Origins from the Worker's variable: a JSON list, as text or as a value, empty when it is
 * not set; null when it is no such list.
 */
export function configuredGateways(variable: unknown): readonly string[] | null {
  if (variable === undefined) return [];
  const value = typeof variable === 'string' ? parseJson(variable)?.value : variable;
  const read = gatewaysSchema.safeParse(value);
  return read.success ? read.data : null;
}

/** By the signed table, else by continent; those that failed just now come last. */
function storesInOrder(
  view: View,
  ports: EdgePorts,
  colo: string | undefined,
): readonly StorePort[] {
  const table = view.standing?.global.stores;
  const stores = table === undefined ? ports.stores : inTableOrder(ports.stores, table, colo);
  const nowMs = ports.nowMs();
  return stores.toSorted((a, b) => {
    return Number(view.hasFailed(a.id, nowMs)) - Number(view.hasFailed(b.id, nowMs));
  });
}

/**
 * Gateways of the deployment, any of them: what they hand over is signed by others, and is no
 * tenant's data. From a random one on, so that a herd spreads; who failed or is down comes last.
 */
function gatewaysInOrder(view: View, ports: EdgePorts): readonly string[] {
  const nowMs = ports.nowMs();
  const { standing } = view;
  const verdicts = standing === null ? {} : view.verdicts(standing, nowMs);
  const known =
    standing === null
      ? ports.gateways().map((origin) => ({ origin, isDown: false }))
      : Object.entries(standing.global.sites).flatMap(([id, site]) => {
          return site.region ? [{ origin: site.gateway, isDown: verdicts[id] === 'down' }] : [];
        });
  const from = known.length === 0 ? 0 : (ports.random(1)[0] ?? 0) % known.length;
  return [...known.slice(from), ...known.slice(0, from)]
    .map(({ origin, isDown }) => ({ origin, last: isDown || view.hasFailed(origin, nowMs) }))
    .toSorted((a, b) => Number(a.last) - Number(b.last))
    .slice(0, STATE_GATEWAYS_MAX)
    .map(({ origin }) => origin);
}

function fromStore(store: StorePort, wanted: Wanted, afterMs: number): Source {
  const ask = () => (wanted === 'head' ? store.head() : store.piece(wanted));
  return { id: store.id, kind: 'store', afterMs, ask };
}

function fromGateway(origin: string, wanted: Wanted, afterMs: number, ports: EdgePorts): Source {
  const ask = async (signal: AbortSignal): Promise<string | null> => {
    const url = `${origin}/.portolan/${cacheKey(wanted)}`;
    const answer = await ports.send(new Request(url, { redirect: 'manual', signal }));
    if (answer.status === 200) return boundedText(answer.body, DELTA_BYTES_MAX);
    await answer.body?.cancel();
    if (answer.status === 404) return null;
    throw new Error(`answered ${answer.status}`);
  };
  return { id: origin, kind: 'gateway', afterMs, ask };
}
