// Commits from peers, for an agent whose source cannot be read (E6, C9): a new region, or one that
// was restarted, while etcd is down. A peer alone decides nothing: only a run of commits that
// leads,
// digest by digest, to what a threshold of OTHER sites attests is taken. Otherwise one stolen agent
// could bring what an operator signed and nobody decided (I16).

import { namedByOthers } from '../../shared/control/activation.ts';
import { envelopeKind } from '../../shared/control/envelope.ts';
import type { Holder } from '../../shared/control/holder.ts';
import { decodeJws } from '../../shared/control/jws.ts';
import type { Crypto } from '../../shared/crypto.ts';
import type { Digest } from '../../shared/digest.ts';
import { CATCH_UP_COMMITS_MAX } from '../../shared/limits.ts';

/** Commits of one peer from a version on, oldest first, as many as it gives at once. */
export type AskPeer = (from: bigint) => Promise<readonly unknown[]>;

/**
 * The commits behind the head of `holder` up to what others attest, from the first peer that has
 * them; [] when there is nothing to catch up with, or nobody has it. Never rejects.
 */
export async function commitsFromPeers(
  site: string,
  holder: Holder,
  peers: readonly AskPeer[],
  nowMs: number,
  crypto: Crypto,
): Promise<readonly unknown[]> {
  const target = namedByOthers(site, { ...holder, nowMs });
  const { manifest, envelope } = holder.state;
  if (target === null || target.generation !== manifest.generation) return [];
  const missing = target.version - manifest.version;
  if (missing <= 0n || missing > BigInt(CATCH_UP_COMMITS_MAX)) return [];
  for (const ask of peers) {
    const run = await runFrom(ask, manifest.version, envelope, target, crypto);
    if (run !== null) return run;
  }
  return [];
}

async function runFrom(
  ask: AskPeer,
  head: bigint,
  envelope: Digest | null,
  target: { readonly version: bigint; readonly digest: Digest },
  crypto: Crypto,
): Promise<readonly unknown[] | null> {
  const run: unknown[] = [];
  let before = envelope;
  try {
    for (let version = head; version < target.version; ) {
      const page = await ask(version + 1n);
      if (page.length === 0) return null;
      for (const input of page) {
        if (version === target.version) break;
        const decoded = decodeJws(input, envelopeKind, crypto);
        if (!('claimed' in decoded)) return null;
        const { claimed, digest } = decoded;
        if (claimed.version !== version + 1n || claimed.previous !== before) return null;
        run.push(input);
        before = digest;
        version += 1n;
      }
    }
  } catch {
    // A peer that is down, or answers nonsense, is a peer without an answer.
    return null;
  }
  return before === target.digest ? run : null;
}
