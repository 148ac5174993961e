// What is said between an agent, an edge and one of its stores, as texts: deltas, what store and
// edge answer, the head and the pieces that the store hands to isolates. Keys and moments are the
// kit's, so the same words come out every time, and those of another version can be said again.

import { ingest } from '../../edge/control/ingest.ts';
import { View } from '../../edge/control/view.ts';
import type { StorePort } from '../../edge/env.ts';
import { canonical, utf8 } from '../../shared/canonical.ts';
import { sealDelta } from '../../shared/control/delta.ts';
import { trusting } from '../../shared/control/holder.ts';
import type { Jws } from '../../shared/control/jws.ts';
import { PROTOCOL } from '../../shared/control/protocol.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { carriedTrust } from '../../shared/control/trust-chain.ts';
import { agentKey, attest, crypto, keyNamed, receive, signCommit } from '../shared/kit.ts';
import { agentCommit, creation, TEMPLATES } from '../shared/provisioning.ts';
import { rotated, WITHOUT_ALICE } from '../shared/rotations.ts';
import { fakePorts } from './fake-ports.ts';
import { type HeldStore, STORE_ID } from './held-store.ts';
import { change, NOW, Origin } from './origin.ts';

export interface Said {
  readonly atMs: number;
  readonly delta: string;
}

export interface Exchange extends Said {
  readonly status: number;
  /** The edge's. */
  readonly answer: string;
  /** The store's; null: it was not asked. */
  readonly stored: string | null;
  /** What the store hands out afterwards. */
  readonly head: string;
}

export interface Conversation {
  readonly v: number;
  /** The pinned document. */
  readonly trust: Jws;
  readonly exchanges: readonly Exchange[];
  /** Of the last head: what an isolate asks for first, by digest. */
  readonly pieces: Readonly<Record<string, string>>;
}

/** Says each delta to a new edge in front of `held`, and notes what comes back. */
export async function converse(
  held: HeldStore,
  trust: Trust,
  said: readonly Said[],
): Promise<Conversation> {
  const view = new View(trust, crypto);
  const answers: string[] = [];
  const port: StorePort = {
    id: STORE_ID,
    ingest: async (delta) => {
      const text = canonical(await held.running.ingest(delta));
      answers.push(text);
      return text;
    },
    head: async () => held.running.head(),
    piece: async (digest) => held.running.piece(digest),
  };
  const exchanges: Exchange[] = [];
  for (const { atMs, delta } of said) {
    const ports = { ...fakePorts([]), stores: [port] };
    ports.clock.nowMs = atMs;
    held.nowMs = atMs;
    const request = { body: [utf8(delta)] } as unknown as Request;
    const answer = await ports.clock.run(ingest(request, view, ports));
    const { status } = answer;
    const stored = answers.pop() ?? null;
    const head = held.running.head();
    exchanges.push({ atMs, delta, status, answer: await answer.text(), stored, head });
  }
  const { v, trust: _, commits } = JSON.parse(exchanges.at(-1)?.head ?? '{}') as Head;
  const { manifest } = commits.at(-1) ?? { manifest: {} };
  const digests = ['global', 'hosts', 'tenants'].flatMap((part) => manifest[part] ?? []);
  const pieces = digests.map((digest) => [digest, held.running.piece(digest) ?? '']);
  return { v, trust: trust.jws, exchanges, pieces: Object.fromEntries(pieces) };
}

interface Head {
  readonly v: number;
  readonly trust: unknown;
  readonly commits: readonly { readonly manifest: Readonly<Record<string, string>> }[];
}

/**
 * What senders of this version say, every kind once: nothing, commits of an operator, of an agent,
 * words, a rotation, and what a store or an edge refuses.
 */
export async function senders(trust: Trust): Promise<readonly Said[]> {
  const origin = await Origin.start(trust, change(1), TEMPLATES);
  const words = (atMs: number) => origin.words(atMs);
  const said: Said[] = [
    await say(0, {}),
    await say(1_000, { commits: origin.commits, attestations: await words(NOW + 1_000) }),
  ];
  await take(origin, await agentCommit(origin.held, [creation('shop')]));
  const later = { commits: origin.commits.slice(3), attestations: await words(NOW + 2_000) };
  said.push(await say(2_000, later));
  const gap = await signCommit(origin.held, change(2), { version: 9n });
  const old = await words(NOW + 1_500);
  const stranger = await attest(origin.held, 'w1', NOW + 3_000, {}, keyNamed('stranger'));
  said.push(await say(3_000, { commits: [gap], attestations: [...old, stranger] }));
  const two = await rotated(trust, WITHOUT_ALICE);
  origin.held.holder = trusting(origin.held.holder, two);
  const completion = await signCommit(origin.held, [], { author: 'bob' }, keyNamed('bob'));
  await take(origin, completion);
  const attestations = await words(NOW + 4_000);
  said.push(await say(4_000, { trust: carriedTrust(two), commits: [completion], attestations }));
  said.push(await say(5_000, {}, 'alice'));
  return said;
}

async function take(origin: Origin, jws: Jws): Promise<void> {
  const outcome = await receive(origin.held, jws);
  if (outcome === 'known' || 'code' in outcome) throw new Error(JSON.stringify(outcome));
}

interface Parts {
  readonly trust?: readonly Jws[];
  readonly commits?: readonly Jws[];
  readonly attestations?: readonly Jws[];
}

async function say(afterMs: number, parts: Parts, key?: string): Promise<Said> {
  const delta = { v: PROTOCOL, trust: [], commits: [], attestations: [], ...parts } as const;
  const from = { cluster: 'demo', site: 'eu1', agent: 'eu1-1' };
  const signer = key === undefined ? agentKey('eu1') : keyNamed(key);
  return { atMs: NOW + afterMs, delta: await sealDelta(delta, from, signer, crypto) };
}
