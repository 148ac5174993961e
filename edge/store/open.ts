// Reading a store's rows back (after eviction, a deploy, a restart). Rows are believed no more than
// the network: authors, digests and the chain are checked again (E2). Damage is not repaired in
// place: the store starts again from nothing but its floor, and agents send what it lacks.

import { parseCanonical, parseJson, utf8 } from '../../shared/canonical.ts';
import type { Place } from '../../shared/control/answer.ts';
import { append, compareVersions, type Link, linkOf } from '../../shared/control/chain.ts';
import { envelopeKind } from '../../shared/control/envelope.ts';
import { emptyHolder, type Holder, verifyCommit } from '../../shared/control/holder.ts';
import { decodeJws, type Jws } from '../../shared/control/jws.ts';
import { readManifest } from '../../shared/control/manifest.ts';
import { globalSchema } from '../../shared/control/record.ts';
import { isRefusal, type Refusal, refuse } from '../../shared/control/refusal.ts';
import type { ControlState } from '../../shared/control/state.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { type Adopted, adoptTrust } from '../../shared/control/trust-chain.ts';
import { usageSchema } from '../../shared/control/usage.ts';
import type { Crypto } from '../../shared/crypto.ts';
import { type Digest, digestBytes } from '../../shared/digest.ts';
import type { CommitRow, Rows } from './rows.ts';

/**
 * The pin with the documents that were adopted before: each is verified again, forwards and back
 * from the pin. A row that does not hold is left out; agents bring it again.
 */
export function openTrustRows(rows: Rows, pin: Trust, crypto: Crypto): Promise<Adopted> {
  const inputs = rows.trust().map((jws) => parseJson(jws)?.value);
  return adoptTrust(pin, inputs, crypto);
}

/** The floor that the rows prove, and what is wrong with the row, if anything. */
export interface OpenedFloor {
  readonly floor: Floor | null;
  readonly fault: Refusal | null;
}

export interface Floor extends Place {
  readonly jws: Jws;
}

/**
 * The floor's row names a place and carries the commit of that place, so it cannot be raised to
 * what was never signed (that would silence the store) nor be turned into nonsense unnoticed.
 */
export async function openFloor(rows: Rows, trust: Trust, crypto: Crypto): Promise<OpenedFloor> {
  const row = rows.floor();
  if (row === null) return { floor: null, fault: null };
  const decoded = decodeJws(parseJson(row.jws)?.value, envelopeKind, crypto);
  if (!('claimed' in decoded)) return { floor: null, fault: decoded };
  const envelope = await verifyCommit(decoded, trust, crypto);
  if ('code' in envelope) return { floor: null, fault: envelope };
  const { cluster, generation, version } = envelope.value;
  if (cluster !== trust.cluster) return { floor: null, fault: refuse('cluster', cluster) };
  const same = row.generation === `${generation}` && row.version === `${version}`;
  const fault = same ? null : refuse('rollback', `the floor is ${version}, not ${row.version}`);
  return { floor: { generation, version, jws: envelope.jws }, fault };
}

/** The holder that the rows amount to, or what is wrong with them. Nothing below `floor` is all. */
export async function openHolder(
  rows: Rows,
  floor: Floor | null,
  trust: Trust,
  crypto: Crypto,
): Promise<{ readonly kind: 'opened'; readonly holder: Holder } | Refusal> {
  const { holder: empty, writes } = emptyHolder(trust, crypto);
  let holder = empty;
  for (const row of rows.commits()) {
    const link = await readLink(row, holder, crypto);
    if ('code' in link) return link;
    holder = { ...holder, chain: append(holder.chain, link) };
  }
  const head = holder.chain.at(-1);
  if (floor !== null && (head === undefined || compareVersions(head, floor) < 0)) {
    return refuse('rollback', `the rows end before the floor, ${floor.version}`);
  }
  if (head === undefined) {
    rows.reset(writes);
    return { kind: 'opened', holder };
  }
  const state = readState(rows, head, crypto);
  return 'code' in state ? state : { kind: 'opened', holder: { ...holder, state } };
}

/** The state at `link`, its global part and usage read back from the pieces. Refusal: digest. */
export function readState(
  rows: Rows,
  { manifest, manifestDigest, digest: envelope }: Link,
  crypto: Crypto,
): ControlState | Refusal {
  const global = globalSchema.safeParse(readPiece(rows, manifest.global, crypto));
  const usage = usageSchema.safeParse(readPiece(rows, manifest.usage, crypto));
  if (!global.success || !usage.success) return refuse('digest', 'the global part is damaged');
  return { manifest, manifestDigest, envelope, global: global.data, usage: usage.data };
}

async function readLink(row: CommitRow, holder: Holder, crypto: Crypto): Promise<Link | Refusal> {
  const decoded = decodeJws(parseJson(row.jws)?.value, envelopeKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const { cluster, version, previous, manifest } = decoded.claimed;
  const before = holder.chain.at(-1);
  if (cluster !== holder.trust.cluster) return refuse('cluster', cluster);
  if (version !== BigInt(row.version)) return refuse('gap', `row ${row.version}: ${version}`);
  if (before !== undefined && version !== before.version + 1n) return refuse('gap', `${version}`);
  if (before !== undefined && previous !== before.digest) return refuse('previous', `${version}`);
  const envelope = await verifyCommit(decoded, holder.trust, crypto);
  if ('code' in envelope) return envelope;
  const read = readManifest(utf8(row.manifest), manifest, crypto);
  return isRefusal(read) ? read : linkOf(envelope, read);
}

function readPiece(rows: Rows, digest: Digest, crypto: Crypto): unknown {
  const text = rows.piece(digest);
  if (text === null || digestBytes(utf8(text), crypto) !== digest) return undefined;
  return parseCanonical(utf8(text))?.value;
}
