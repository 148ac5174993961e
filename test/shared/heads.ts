// Heads for tests: stores at a version, what their sites said of it, and mirrors that take it.

import { canonical, toWire } from '../../shared/canonical.ts';
import { type Envelope, envelopeKind, type Operation } from '../../shared/control/envelope.ts';
import { adoptHead, emptyMirror, type Mirror, writeHead } from '../../shared/control/head.ts';
import { receiveAll, verifyAttestations } from '../../shared/control/holder.ts';
import type { Jws } from '../../shared/control/jws.ts';
import type { Manifest } from '../../shared/control/manifest.ts';
import { digestOf } from '../../shared/digest.ts';
import { policyOfBytes } from './drafts.ts';
import { alice, payloadOf, signText } from './forge.ts';
import {
  attest,
  commit,
  crypto,
  FIRST,
  newHolder,
  put,
  SITES,
  type SiteName,
  type TestHolder,
  testTrust,
} from './kit.ts';
import { NOW } from './words.ts';

export const trust = await testTrust();

export interface Body {
  v: unknown;
  commits: { jws: Jws; manifest: unknown }[];
  attestations: unknown[];
}

export const scopePut = (id: string): readonly Operation[] => [
  put(`global/scopes/${id}`, { regions: ['eu1'], ingress: 'any' }),
];

/** A store at `version`; each commit after the first is named by `line`. */
export async function storeAt(version: number, line = 'a'): Promise<TestHolder> {
  const held = newHolder(trust);
  await commit(held, FIRST);
  for (let v = 2; v <= version; v++) await commit(held, scopePut(`${line}${v}`));
  return held;
}

export async function hear(held: TestHolder, words: readonly Jws[], nowMs = NOW): Promise<void> {
  const { book, trust: own } = held.holder;
  const { verified } = await verifyAttestations(book, words, own, crypto);
  held.holder = receiveAll(held.holder, verified, nowMs).holder;
}

export async function attested(
  held: TestHolder,
  sites: readonly SiteName[] = SITES,
  nowMs = NOW,
): Promise<TestHolder> {
  await hear(held, await Promise.all(sites.map((site) => attest(held, site, nowMs))), nowMs);
  return held;
}

/** A store at `version` whose sites have all got to `active`. */
export async function storeAhead(active: number, version: number): Promise<TestHolder> {
  const held = await attested(await storeAt(active));
  for (let v = active + 1; v <= version; v++) await commit(held, scopePut(`a${v}`));
  return held;
}

export function headOf(held: TestHolder, change: (body: Body) => unknown = (body) => body): string {
  return JSON.stringify(change(JSON.parse(writeHead(held.holder)) as Body));
}

/** Throws when a refusal changed the mirror it was given. */
export async function adopt(mirror: Mirror, text: string, nowMs = NOW) {
  const before = digestsOf(mirror);
  const outcome = await adoptHead(mirror, text, nowMs, crypto);
  if (digestsOf(mirror) !== before) throw new Error('the mirror was changed in place');
  return outcome;
}

export async function adopted(mirror: Mirror, text: string, nowMs = NOW): Promise<Mirror> {
  const outcome = await adopt(mirror, text, nowMs);
  if (outcome.kind === 'refused') throw new Error(`${outcome.code}: ${outcome.detail}`);
  return outcome.mirror;
}

export function digestsOf({ chain, active, freshAtMs, book }: Mirror): string {
  const words = [...book.latest.values()].map(({ signed }) => signed.digest);
  return canonical([chain.map(({ digest }) => digest), active?.digest ?? null, freshAtMs, words]);
}

export const versionOf = ({ active }: Mirror) => (active === null ? null : Number(active.version));
export const empty = emptyMirror(trust);

interface Forgery {
  readonly manifest?: unknown;
  readonly signers?: readonly (typeof alice)[];
  readonly alg?: string;
}

/** A head of one commit on top of version 1, by an operator who lies or whose key was stolen. */
export async function forged(
  changes: Partial<Envelope>,
  { manifest, signers = [alice], alg }: Forgery = {},
): Promise<{ text: string; held: TestHolder }> {
  const held = await attested(await storeAt(1));
  const next = await storeAt(2);
  const own = manifest ?? toWire(next.holder.state.manifest);
  const envelope = JSON.parse(payloadOf(next.commits[1] ?? raise())) as object;
  const named = manifest === undefined ? {} : { manifest: digestOf(own, crypto) };
  const text = canonical({ ...envelope, ...named, ...changes });
  const jws = await signText(envelopeKind.typ, text, signers, alg);
  const head = headOf(held, (body) => ({
    ...body,
    commits: [...body.commits, { jws, manifest: own }],
  }));
  return { text: head, held };
}

export function raise(): never {
  throw new Error('not there');
}

export const SECOND: Manifest = (await storeAt(2)).holder.state.manifest;

/** Operations of about 512 KiB: as much as one commit takes. */
export function largestChange(round: number): readonly Operation[] {
  return Array.from({ length: 15 }, (_, i) => {
    return put(`global/policies/p${i}`, policyOfBytes(32 * 1024, `round-${round}`));
  });
}
