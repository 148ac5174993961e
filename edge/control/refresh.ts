// How state comes to an isolate: from whoever has it first (E3). Whatever is handed over is
// verified by the view; a source that hands over something else is counted and the others go on, so
// a poisoned cache or a lying store costs a moment and nothing more.

import type { TenantLookup } from '../../shared/admission/tenant.ts';
import type { Refusal } from '../../shared/control/refusal.ts';
import type { Digest } from '../../shared/digest.ts';
import {
  CACHED_HEAD_AGE_MS,
  COLD_BUDGET_MS,
  HEAD_CACHE_S,
  LAGGING_AGE_MS,
  LOOKUP_FETCHES_MAX,
  NODE_CACHE_S,
} from '../../shared/limits.ts';
import type { EdgePorts } from '../env.ts';
import { type Goal, race, type Source } from './race.ts';
import { cacheKey, sourcesOf, type Wanted } from './sources.ts';
import type { Standing, View } from './view.ts';

/**
 * Brings `view` up to what this location can know by `deadlineMs`. After `news` neither what the
 * location has cached nor what another request is brought is the last word. Never rejects.
 */
export async function refresh(
  view: View,
  ports: EdgePorts,
  colo?: string,
  deadlineMs = ports.nowMs() + COLD_BUDGET_MS,
  after: 'age' | 'news' = 'age',
): Promise<void> {
  const before = view.refreshes;
  view.beginRefresh(deadlineMs);
  await load('head', view, ports, colo, deadlineMs, {
    reached: () => after === 'age' && view.refreshes > before,
    take: async (text, source) => {
      if (!(await view.adopt(text, ports.nowMs()))) return false;
      keep('head', text, source, ports);
      // One that lags behind the agents is not the last word: the next one may know more.
      const isCached = source.kind === 'cache';
      const most = isCached ? CACHED_HEAD_AGE_MS : LAGGING_AGE_MS;
      const isFresh = view.headAgeMs(ports.nowMs()) <= most && !(isCached && after === 'news');
      if (isFresh) view.noteRefreshed();
      return isFresh;
    },
  });
  await view.endRefresh(deadlineMs, ports.nowMs());
  const global = view.missingGlobal;
  if (global === null) return;
  await load(global, view, ports, colo, deadlineMs, {
    reached: () => view.missingGlobal !== global,
    take: takePiece(global, view, ports, (text) => view.takeGlobal(text, global)),
  });
}

/** The tenant of `host`, fetching the nodes on the way; null when they cannot be had in time. */
export async function findTenant(
  view: View,
  standing: Standing,
  host: string,
  ports: EdgePorts,
  colo?: string,
  deadlineMs = ports.nowMs() + COLD_BUDGET_MS,
): Promise<Exclude<TenantLookup, { kind: 'missing' }> | null> {
  for (let fetches = 0; ; fetches++) {
    const found = view.lookUp(host, standing);
    if (found.kind !== 'missing') return found;
    if (fetches === LOOKUP_FETCHES_MAX) return null;
    const { map, digest } = found;
    const loaded = await load(digest, view, ports, colo, deadlineMs, {
      reached: () => view.holdsNode(digest),
      take: takePiece(digest, view, ports, (text) => view.takeNode(text, map, digest)),
    });
    if (!loaded) return null;
  }
}

function load(
  wanted: Wanted,
  view: View,
  ports: EdgePorts,
  colo: string | undefined,
  deadlineMs: number,
  goal: Goal,
): Promise<boolean> {
  return race(sourcesOf(wanted, view, ports, colo), goal, { view, ports, deadlineMs });
}

function takePiece(
  digest: Digest,
  view: View,
  ports: EdgePorts,
  take: (text: string) => Refusal | null,
): Goal['take'] {
  return (text, source) => {
    const fault = take(text);
    if (fault === null) keep(digest, text, source, ports);
    else view.count(fault.code);
    return fault === null;
  };
}

/** What was verified is left to the other isolates of this location (E1). */
function keep(wanted: Wanted, text: string, source: Source, ports: EdgePorts): void {
  if (source.kind === 'cache') return;
  const lifeS = wanted === 'head' ? HEAD_CACHE_S : NODE_CACHE_S;
  ports.background(quietly(ports.cache.put(cacheKey(wanted), text, lifeS)));
}

/** A cache that fails is one that keeps nothing. */
async function quietly(work: Promise<unknown>): Promise<void> {
  await work.catch(() => {});
}
