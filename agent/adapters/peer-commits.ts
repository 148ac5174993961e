// Commits of a peer, by its API (E6): asked with a request that this agent signs, bounded in bytes
// and time. What comes is handed on as found; whoever asked knows what it must lead to.

import { request } from 'undici';
import { parseJson } from '../../shared/canonical.ts';
import { signRequest } from '../../shared/control/request.ts';
import type { Crypto, Signer } from '../../shared/crypto.ts';
import { COMMITS_PATH, commitsSchema } from '../api/commits.ts';
import { COMMITS_ANSWER_BYTES_MAX, PEER_COMMITS_TIMEOUT_MS } from '../limits.ts';

/** JSON around the commits of an answer takes some more. */
const ANSWER_BYTES_MAX = 2 * COMMITS_ANSWER_BYTES_MAX;

export interface Asker {
  readonly cluster: string;
  readonly signer: () => Signer;
  readonly crypto: Crypto;
  readonly nowMs: () => number;
}

/** `peer` is the URL of its deltas. Rejects when it does not answer, or not so. */
export async function commitsOfPeer(
  peer: string,
  from: bigint,
  { cluster, signer, crypto, nowMs }: Asker,
): Promise<readonly unknown[]> {
  const target = `${COMMITS_PATH}?from=${from}`;
  const seen = { method: 'GET', target, body: new Uint8Array() } as const;
  const authorization = await signRequest(seen, { cluster, atMs: nowMs() }, signer(), crypto);
  const { statusCode, body } = await request(new URL(target, peer), {
    headers: { authorization },
    signal: AbortSignal.timeout(PEER_COMMITS_TIMEOUT_MS),
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += (chunk as Buffer).length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error('the answer is too large');
    chunks.push(chunk as Buffer);
  }
  const parsed = commitsSchema.safeParse(parseJson(Buffer.concat(chunks).toString('utf8'))?.value);
  if (statusCode !== 200 || !parsed.success) throw new Error(`answered ${statusCode}`);
  return parsed.data.commits;
}
