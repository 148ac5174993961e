// Co-signing (C3), both sides. Who is asked believes nothing of what it is handed: it verifies
// every signature in the batch and judges every step at its own state before it signs. Who asks
// believes no answer: one signature that does not hold would spoil the whole commit.

import * as z from 'zod/mini';
import { parseJson } from '../../shared/canonical.ts';
import { type Batch, batchKind, type Mandate, openBatch } from '../../shared/control/batch.ts';
import type { Holder } from '../../shared/control/holder.ts';
import { decodeJws, type Jws, signJws, verifyJws } from '../../shared/control/jws.ts';
import type { NodeSource } from '../../shared/control/merkle-map.ts';
import { groundOn, stepsFault } from '../../shared/control/provision.ts';
import { isRefusal, type Refusal, refuse } from '../../shared/control/refusal.ts';
import { keyringOf } from '../../shared/control/trust.ts';
import type { Crypto, Signer } from '../../shared/crypto.ts';
import { COSIGN_TIMEOUT_MS } from '../limits.ts';

export type Cosignature = Jws['signatures'][number];

/** The agent that is asked. */
export interface Cosigner {
  readonly holder: () => Holder;
  readonly nodes: NodeSource;
  readonly crypto: Crypto;
  readonly signer: Signer;
  /** Reads the source. */
  readonly catchUp: () => Promise<void>;
}

/** Our signature, if we would land the batch ourselves. Refusals: of `openBatch`, `stepsFault`. */
export async function cosign(input: unknown, own: Cosigner): Promise<Cosignature | Refusal> {
  const { crypto, signer } = own;
  const opened = await openBatch(input, own.holder().trust, crypto);
  if (opened.kind === 'refused') return opened;
  // Who asks may know a newer head: a tenant that was made a moment ago is suspended now.
  if (batchFault(opened, own) !== null) await own.catchUp();
  const fault = batchFault(opened, own);
  if (fault !== null) return fault;
  const { signatures } = await signJws(batchKind.typ, opened.batch.value, [signer]);
  const [signature] = signatures;
  return signature ?? refuse('signature', 'nothing was signed');
}

function batchFault(
  { batch, steps }: Mandate,
  { holder, nodes, crypto }: Cosigner,
): Refusal | null {
  const ground = groundOn(holder().state, nodes, crypto);
  const { generation, notAfterVersion } = batch.value;
  if (generation !== ground.generation) return refuse('generation', `${generation}`);
  if (ground.version > notAfterVersion) return refuse('step-expired', `${ground.version} is next`);
  return stepsFault(steps, ground, crypto);
}

const answerSchema = z.union([
  z.looseObject({ signature: z.object({ protected: z.string(), signature: z.string() }) }),
  z.looseObject({ code: z.string(), detail: z._default(z.string(), '') }),
]);

export interface GatherPorts {
  readonly crypto: Crypto;
  readonly signer: Signer;
  /** Other agents, by whatever name `ask` knows. */
  readonly peers: () => readonly string[];
  /** Hands a batch to a peer's `cosign`; the text of its answer. Rejects when there is none. */
  readonly ask: (peer: string, batch: string) => Promise<string>;
  readonly pause: (ms: number) => Promise<void>;
}

/**
 * `batch` signed by us and by agents of enough other sites. Refusal: cosignatures, with what the
 * peers said.
 */
export async function gather(
  batch: Batch,
  { trust }: Pick<Holder, 'trust'>,
  ports: GatherPorts,
): Promise<Jws | Refusal> {
  const own = await signJws(batchKind.typ, batch, [ports.signer]);
  const bySite = new Map<string, Cosignature>();
  const said: string[] = [];
  const take = (signature: Cosignature, kid: string) => {
    const role = trust.roles.get(kid);
    if (role?.kind === 'agent') bySite.set(role.site, signature);
  };
  for (const signature of own.signatures) take(signature, ports.signer.kid);
  const enough = Promise.withResolvers<void>();
  const asked = ports.peers().map(async (peer) => {
    const { payload } = own;
    const verified = await heard(payload, await ports.ask(peer, JSON.stringify(own)), trust, ports);
    if (isRefusal(verified)) said.push(`${peer}: ${verified.code} ${verified.detail}`);
    else take(verified.signature, verified.kid);
    if (bySite.size >= trust.threshold) enough.resolve();
  });
  if (bySite.size < trust.threshold) {
    const all = Promise.allSettled(asked);
    await Promise.race([enough.promise, all, ports.pause(COSIGN_TIMEOUT_MS)]);
  }
  if (bySite.size >= trust.threshold) {
    return { payload: own.payload, signatures: [...bySite.values()].slice(0, trust.threshold) };
  }
  const why = said.length === 0 ? 'no peer answered' : said.join('; ');
  return refuse('cosignatures', `${bySite.size} of ${trust.threshold} sites; ${why}`);
}

interface Heard {
  readonly kind: 'heard';
  readonly signature: Cosignature;
  readonly kid: string;
}

async function heard(
  payload: string,
  text: string,
  trust: Holder['trust'],
  { crypto }: GatherPorts,
): Promise<Heard | Refusal> {
  const parsed = answerSchema.safeParse(parseJson(text)?.value);
  if (!parsed.success) return refuse('malformed', 'no answer to read');
  if (!('signature' in parsed.data)) {
    return refuse('cosignatures', `${parsed.data.code} ${parsed.data.detail}`);
  }
  const { signature } = parsed.data as { signature: Cosignature };
  const decoded = decodeJws({ payload, signatures: [signature] }, batchKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const verified = await verifyJws(decoded, keyringOf(trust, 'agent'), crypto);
  if ('code' in verified) return verified;
  return { kind: 'heard', signature, kid: verified.kids[0] ?? '' };
}
