// Pushing a delta over HTTP: to an edge's ingest or to a peer's API. One bounded exchange, no
// retry: the next push comes with the next turn.

import { request } from 'undici';
import { PUSH_ANSWER_BYTES_MAX, PUSH_TIMEOUT_MS } from '../../shared/limits.ts';
import type { Push } from '../ports.ts';

export const pushOverHttp: Push = async (url, delta) => {
  const { statusCode, body } = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: delta,
    signal: AbortSignal.timeout(PUSH_TIMEOUT_MS),
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += (chunk as Buffer).length;
    if (bytes > PUSH_ANSWER_BYTES_MAX) throw new Error('the answer is too large');
    chunks.push(chunk as Buffer);
  }
  // Decoded as a whole: the network cuts inside characters.
  const text = Buffer.concat(chunks).toString('utf8');
  if (statusCode !== 200) throw new Error(`answered ${statusCode} ${text.slice(0, 200)}`);
  return text;
};
