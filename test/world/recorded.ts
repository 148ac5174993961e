// A recorded conversation, said again to live edges and stores over HTTP: as it was recorded, or in
// the words of another version, with members that nobody knows. Their clocks are of today, so what
// sites attested then has expired; commits and trust have not.

import { request } from 'undici';
import { sealDelta } from '../../shared/control/delta.ts';
import type { Signer } from '../../shared/crypto.ts';
import { agentKey, crypto, keyNamed } from '../shared/kit.ts';
import one from '../vectors/protocol-1.json' with { type: 'json' };

/** The oldest that this version must read. */
export const recorded = one;

export type Heard = {
  /** The edge's. */
  readonly status: number;
  /** What every store has by then. */
  readonly heads: readonly string[];
  /** Codes that any store refused something for, or the edge all; without those of age. */
  readonly refused: string;
};

type Answer = {
  readonly code?: string;
  readonly stores?: readonly {
    readonly head: { readonly version: string };
    readonly refused: readonly string[];
  }[];
};

/** Says everything to the edge at `origin` as a sender of version `v`. */
export async function replay(v: number, origin: string): Promise<readonly Heard[]> {
  const heard: Heard[] = [];
  for (const { delta } of recorded.exchanges) {
    const body = v === recorded.v ? delta : await inWordsOf(v, delta);
    const options = { method: 'POST', body } as const;
    const answer = await request(`${origin}/.portolan/ingest`, options);
    const { code, stores = [] } = (await answer.body.json()) as Answer;
    const codes = new Set(stores.flatMap(({ refused }) => refused));
    for (const aged of ['attestation-expired', 'attestation-old']) codes.delete(aged);
    const refused = code ?? [...codes].sort().join(' ');
    const heads = stores.map(({ head }) => head.version);
    heard.push({ status: answer.statusCode, heads, refused });
  }
  return heard;
}

/** The same delta of another version: it says more, and its sender signs that too. */
async function inWordsOf(v: number, text: string): Promise<string> {
  const { sender, ...delta } = JSON.parse(text) as { sender: Sealed };
  const claim = readPart(sender.payload) as Parameters<typeof sealDelta>[1];
  const more = { ...delta, v, novelty: { of: v } } as unknown as Parameters<typeof sealDelta>[0];
  const { cluster, site, agent } = claim;
  return sealDelta(more, { cluster, site, agent }, signerOf(sender), crypto);
}

type Sealed = {
  readonly payload: string;
  readonly signatures: readonly { readonly protected: string }[];
};

function signerOf({ signatures }: Sealed): Signer {
  const { kid } = readPart(signatures[0]?.protected ?? '') as { kid: string };
  const known = [agentKey('eu1'), keyNamed('alice')].find((key) => key.kid === kid);
  if (known === undefined) throw new Error(`the recording's sender ${kid} is nobody`);
  return known;
}

function readPart(base64url: string): unknown {
  return JSON.parse(Buffer.from(base64url, 'base64url').toString('utf8'));
}
