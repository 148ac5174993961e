// The gateway's own refusals and failures, in the one form that people and programs read (RFC
// 9457). They tell a stranger a code and the decision's id, and nothing of what stands behind the
// gateway.

import { randomInt } from 'node:crypto';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import { RETRY_AFTER_S } from '../../shared/limits.ts';
import { noStoreHeader } from './hop-headers.ts';

export interface Problem {
  readonly status: number;
  readonly code: string;
  /** Id of the decision, under which the logs of edge and gateway say more. */
  readonly decision: string;
  /** Ends the connection: what else the client may send on it cannot be understood. */
  readonly close?: boolean;
}

export function answerProblem(response: ServerResponse, problem: Problem): void {
  const { status, code, decision } = problem;
  const title = STATUS_CODES[status] ?? 'Error';
  const body = JSON.stringify({ type: 'about:blank', title, status, code, decision });
  response.writeHead(status, [
    ...['Content-Type', 'application/problem+json', 'Content-Length', `${Buffer.byteLength(body)}`],
    ...['Cache-Control', 'no-store', ...noStoreHeader],
    // Jittered, so that clients refused together do not come back together (S8).
    ...(status === 503
      ? ['Retry-After', String(RETRY_AFTER_S.base + randomInt(RETRY_AFTER_S.jitter + 1))]
      : []),
    ...(problem.close === true ? ['Connection', 'close'] : []),
  ]);
  response.end(body);
}
