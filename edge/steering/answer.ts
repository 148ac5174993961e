// What a client is told when its request is not forwarded: that, when to come back, and the id
// under which the operator finds the reason. Nothing about regions or versions: the client
// may be a stranger.

import { RETRY_AFTER_S } from '../../shared/limits.ts';
import { type SteeringCode, steeringStatus } from '../../shared/steering/refusal.ts';

export const DECISION_HEADER = 'portolan-decision';

/** `jitter` is one random byte: clients that were refused together do not come back together. */
export function answerRefusal(code: SteeringCode, decision: string, jitter: number): Response {
  const { status, title, retry } = steeringStatus[code];
  const headers = new Headers({
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    [DECISION_HEADER]: decision,
  });
  if (retry) {
    const extraS = Math.floor((jitter / 256) * (RETRY_AFTER_S.jitter + 1));
    headers.set('retry-after', String(RETRY_AFTER_S.base + extraS));
  }
  const body = { type: 'about:blank', title, status, decision };
  return new Response(JSON.stringify(body), { status, headers });
}
