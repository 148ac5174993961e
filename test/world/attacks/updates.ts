// Bad updates: for every attack the documents that carry it, each of one kind and wrong in one
// thing alone. A text is sent as it is; anything else as its JSON.

import { sealDelta } from '../../../shared/control/delta.ts';
import { type Jws, signJws } from '../../../shared/control/jws.ts';
import type { Step } from '../../../shared/control/step.ts';
import type { TrustDocument } from '../../../shared/control/trust.ts';
import { trustKind } from '../../../shared/control/trust.ts';
import type { Signer } from '../../../shared/crypto.ts';
import { digestOf } from '../../../shared/digest.ts';
import {
  ATTESTATION_BYTES_MAX,
  ATTESTATION_LIFE_MS,
  COMMIT_BYTES_MAX,
  DELTA_BYTES_MAX,
  STEP_BYTES_MAX,
  TRUST_BYTES_MAX,
} from '../../../shared/limits.ts';
import { attest, crypto, keyNamed } from '../../shared/kit.ts';
import { agentCommit, creation, signBatch, signStep } from '../../shared/provisioning.ts';
import { until } from '../wait.ts';
import { type Bench, flipLast, withSignature } from './bench.ts';
import type { Loot } from './loot.ts';

export type DocumentName = 'commit' | 'attestation' | 'trust' | 'step' | 'batch' | 'delta';

type Forge = (bench: Bench, loot: Loot) => unknown;
type Forges = Readonly<Partial<Record<DocumentName, Forge>>>;

const OTHER = digestOf('another', crypto);
const NOTHING = { v: 1, trust: [], commits: [], attestations: [] } as const;
const W1 = { cluster: 'demo', site: 'w1', agent: 'w1-1' };

const WIDER = {
  op: 'put',
  key: 'global/scopes/eu',
  value: { regions: ['eu1', 'us1'], ingress: 'any' },
} as const;

/** Well-formed documents; `by` signs instead of whoever may. */
const whole = {
  commit: (b: Bench, by?: Signer) => b.commit({}, by),
  attestation: async (b: Bench, by?: Signer) =>
    attest(b.held, 'w1', Date.now(), {}, by ?? (await b.world.agentSigner('w1'))),
  trust: (b: Bench, by?: Signer) => signedTrust(b, {}, by === undefined ? undefined : [by]),
  step: async (b: Bench, by?: Signer) => signStep(tenant('bad'), [by ?? (await shopOf(b))]),
  batch: (b: Bench, by?: Signer) => batchOf(b, [tenant('bad')], by),
} as const;

const all = (forge: (jws: Jws) => unknown, delta: Forge): Forges => ({
  ...Object.fromEntries(
    Object.entries(whole).map(([name, make]) => [name, async (b: Bench) => forge(await make(b))]),
  ),
  delta,
});

const allBy = (by: (bench: Bench) => Signer | Promise<Signer>): Forges => ({
  ...Object.fromEntries(
    Object.entries(whole).map(([name, make]) => [name, async (b: Bench) => make(b, await by(b))]),
  ),
  delta: async (b) => sealDelta(NOTHING, W1, await by(b), crypto),
});

/** By attack, in the order in which they are tried. */
export const UPDATES = {
  unsigned: all(
    (jws) => ({ ...jws, signatures: [] }),
    async (b) => {
      const { sender, ...rest } = JSON.parse(await sealed(b)) as { sender: Jws };
      return { ...rest, sender: { ...sender, signatures: [] } };
    },
  ),
  'another signature': all(
    (jws) => withSignature(jws, flipLast),
    async (b) => {
      const { sender, ...rest } = JSON.parse(await sealed(b)) as { sender: Jws };
      return { ...rest, sender: withSignature(sender, flipLast) };
    },
  ),
  'an unknown key': allBy(() => keyNamed('stranger')),
  'the key of another role': {
    ...allBy((b) => b.operator),
    // The operator's is the right one here.
    commit: async (b) => b.commit({ author: 'w1-1' }, await b.world.agentSigner('w1')),
  },
  stale: {
    commit: (b) => b.commit({ version: 1n, previous: null, lamport: 1n }),
    attestation: async (b) => {
      const past = { issuedAt: Date.now() - 60_000, expiresAt: Date.now() - 50_000 };
      return attest(b.held, 'w1', Date.now(), past, await b.world.agentSigner('w1'));
    },
    step: async (b) => signStep(tenant('bad', { notAfterVersion: 1n }), [await shopOf(b)]),
    batch: (b) => batchOf(b, [tenant('bad', { notAfterVersion: 1n })]),
  },
  gapped: {
    commit: (b) => b.commit({ version: b.version + 2n }),
    trust: (b) => signedTrust(b, { version: 3n }),
  },
  'another history': {
    commit: (b) => b.commit({ previous: OTHER }),
    trust: (b) => signedTrust(b, { previous: OTHER }),
  },
  equivocating: {
    commit: (b) => {
      const [last] = b.held.holder.chain.slice(-1);
      return b.commit({ version: b.version, previous: last?.previous ?? null });
    },
    trust: (b) => signedTrust(b, { version: 1n, previous: null }),
    step: async (b, loot) => {
      return signStep(tenant('bad', { opId: loot.step.opId }), [await shopOf(b)]);
    },
    batch: (b) => batchOf(b, [tenant('bad'), tenant('bad')]),
  },
  'too few signatures': {
    commit: (b) => cosignedCommit(b, 1),
    trust: async (b) => signedTrust(b, {}, (await b.roots()).slice(0, 1)),
  },
  'one site co-signing twice': {
    commit: (b) => cosignedCommit(b, 2),
    batch: async (b) => {
      const own = await b.world.agentSigner('w1');
      const stepSigners = [await shopOf(b)];
      return signBatch([tenant('bad')], { cosigners: [own, own], stepSigners });
    },
  },
  truncated: Object.fromEntries(
    [...Object.entries(whole), ['delta', sealed] as const].map(([name, make]) => [
      name,
      async (b: Bench) => {
        const made = await make(b);
        const text = typeof made === 'string' ? made : JSON.stringify(made);
        return text.slice(0, text.length / 2);
      },
    ]),
  ) as Forges,
  'a payload cut off': {
    // To whole groups of four: the base64url is right, the JSON inside ends early.
    ...all((jws) => ({ ...jws, payload: jws.payload.slice(0, 40) }), sealed),
    delta: async (b) => {
      const { sender, ...rest } = JSON.parse(await sealed(b)) as { sender: Jws };
      return { ...rest, sender: { ...sender, payload: sender.payload.slice(0, 40) } };
    },
  },
  oversized: {
    commit: long('commit', COMMIT_BYTES_MAX),
    attestation: long('attestation', ATTESTATION_BYTES_MAX),
    trust: long('trust', TRUST_BYTES_MAX),
    step: long('step', STEP_BYTES_MAX),
    batch: long('batch', COMMIT_BYTES_MAX),
    delta: () => ' '.repeat(DELTA_BYTES_MAX + 1),
  },
  malformed: all(
    (jws) => ({ ...jws, more: true }),
    async (b) => ({ ...JSON.parse(await sealed(b)), commits: 7 }),
  ),
  'another kind of document': {
    commit: (b) => whole.attestation(b),
    attestation: (b) => b.commit(),
    trust: (b) => whole.attestation(b),
    step: (b) => b.commit(),
    batch: (b) => whole.step(b),
  },
  'safety called normal': {
    commit: (b) => b.commit({}, b.operator, [WIDER]),
    step: async (b) => signStep(tenant('bad', { operations: [WIDER] }), [await shopOf(b)]),
    batch: (b) => batchOf(b, [tenant('bad', { operations: [WIDER] })]),
  },
  'safety without approvals': {
    commit: (b) => b.commit({ class: 'safety' }, b.operator, [WIDER]),
    step: async (b) => signStep(tenant('bad', { class: 'safety' }), [await shopOf(b)]),
    batch: (b) => batchOf(b, [tenant('bad', { class: 'safety' })]),
  },
  replayed: {
    commit: (b) => b.held.commits.at(0),
    attestation: (_, loot) => expired(loot.attestation),
    trust: (b) => b.world.deployment.trust.jws,
    step: async (b, loot) => signStep(loot.step, [await shopOf(b)]),
    batch: (b, loot) => batchOf(b, [loot.step]),
    delta: async (_, loot) => {
      await expired(loot.attestation);
      return loot.delta;
    },
  },
} as const satisfies Readonly<Record<string, Forges>>;

export type Attack = keyof typeof UPDATES;

/** null: nothing of that kind is made so. */
export function forgeOf(attack: Attack, document: DocumentName): Forge | null {
  return (UPDATES[attack] as Forges)[document] ?? null;
}

/** A step that could land: of the template, by its rules. */
export function tenant(id: string, changes: Partial<Step> = {}): Step {
  return creation(id, { home: 'eu1', tenant: { priority: 1 } }, changes);
}

export function shopOf({ world }: Bench): Promise<Signer> {
  return world.signerOf(world.deployment.project.keys.provisioner);
}

/** By then it is refused as expired; before, as older than what its site has said since. */
async function expired(word: Jws): Promise<Jws> {
  const { expiresAt } = JSON.parse(Buffer.from(word.payload, 'base64url').toString('utf8'));
  await until('it expires', () => Date.now() > expiresAt, { deadlineMs: ATTESTATION_LIFE_MS });
  return word;
}

function sealed({ world }: Bench): Promise<string> {
  return world.seal('w1', { commits: [], attestations: [] });
}

async function signedTrust(
  bench: Bench,
  changes: Partial<TrustDocument>,
  by?: readonly Signer[],
): Promise<Jws> {
  const { document, digest } = bench.world.deployment.trust;
  const next = { ...document, version: document.version + 1n, previous: digest };
  const edges = { edge: keyNamed('another edge').x };
  return signJws(trustKind.typ, { ...next, edges, ...changes }, by ?? (await bench.roots()));
}

async function batchOf(bench: Bench, steps: readonly Step[], by?: Signer): Promise<Jws> {
  const cosigners = [by ?? (await bench.world.agentSigner('w1'))];
  return signBatch(steps, { cosigners, stepSigners: [await shopOf(bench)] });
}

/** A commit by the agent of w1, whose batch that one site signed so many times. */
async function cosignedCommit(bench: Bench, times: number): Promise<Jws> {
  const own = await bench.world.agentSigner('w1');
  return agentCommit(bench.held, [tenant('bad')], {
    cosigners: Array.from({ length: times }, () => own),
    stepSigners: [await shopOf(bench)],
    signer: own,
    envelope: { author: 'w1-1' },
  });
}

/** Just more than fits, and less than the listeners' own bound. */
function long(name: keyof typeof whole, bytesMax: number): Forge {
  const payload = 'A'.repeat(Math.ceil((bytesMax * 4) / 3) + 4);
  return async (b) => ({ ...(await whole[name](b)), payload });
}
