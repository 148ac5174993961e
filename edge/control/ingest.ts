// The ingest (E1): the one way in for state. The sender is checked BEFORE a store is touched, so a
// stranger wakes no object. He costs the reading of DELTA_BYTES_MAX at most, one verification of
// his own signature, and those of the trust documents that he brings, eight at most: a sender is
// judged by the newest (C5). Who sends a captured delta again is taken for its sender; it changes
// nothing (C9). Then the very bytes go to every store, each of which judges them for itself; a slow
// or broken store delays nobody beyond its timeout.

import { canonical, parseJson } from '../../shared/canonical.ts';
import { type StoreAnswer, storeAnswerSchema } from '../../shared/control/answer.ts';
import { openDelta } from '../../shared/control/delta.ts';
import type { ControlCode } from '../../shared/control/refusal.ts';
import {
  COLD_BUDGET_MS,
  DELTA_BYTES_MAX,
  INGEST_REFRESH_MS,
  STORE_INGEST_TIMEOUT_MS,
} from '../../shared/limits.ts';
import type { EdgePorts, StorePort } from '../env.ts';
import { boundedText } from './bounded-text.ts';
import { refresh } from './refresh.ts';
import type { View } from './view.ts';

export async function ingest(
  request: Request,
  view: View,
  ports: EdgePorts,
  colo?: string,
): Promise<Response> {
  const body = await boundedText(request.body, DELTA_BYTES_MAX);
  if (body === null) {
    view.count('too-large');
    return refusal('too-large', 413);
  }
  const delta = await openDelta(body, view.trust, ports.crypto);
  if (delta.kind === 'refused') {
    view.count(delta.code);
    return refusal(delta.code, 403);
  }
  // Before anything else: heads and words that this isolate reads next are judged by it (C5).
  view.trusting(delta.trust);
  for (const { code } of delta.refused) view.count(code);
  const stores = await Promise.all(ports.stores.map((store) => offer(store, body, ports)));
  const refreshed = refresh(view, ports, colo, ports.nowMs() + COLD_BUDGET_MS, 'news');
  await Promise.race([refreshed, elapsed(INGEST_REFRESH_MS, ports)]);
  return json(200, { stores, edge: view.status(ports.nowMs()) });
}

/** The answer says where this isolate is by then; it does not wait for a store that hangs. */
async function elapsed(ms: number, ports: EdgePorts): Promise<void> {
  await ports.timeout(ms, 'refresh').catch(() => {});
}

async function offer(store: StorePort, body: string, ports: EdgePorts): Promise<StoreAnswer> {
  const failed = (code: ControlCode) => ({ id: store.id, floor: null, refused: [], code });
  let answered: string;
  try {
    const late = ports.timeout(STORE_INGEST_TIMEOUT_MS, 'store-timeout');
    answered = await Promise.race([store.ingest(body), late]);
  } catch (error) {
    const late = error instanceof Error && error.message === 'store-timeout';
    return failed(late ? 'store-timeout' : 'store-failed');
  }
  const answer = storeAnswerSchema.safeParse(parseJson(answered)?.value);
  return answer.success ? answer.data : failed('store-failed');
}

function refusal(code: ControlCode, status: number): Response {
  return json(status, { code });
}

function json(status: number, body: unknown): Response {
  return new Response(canonical(body), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  });
}
