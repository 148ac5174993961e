// Provisioning in tests: templates, steps that a provisioner signs, batches that agents co-sign,
// and commits that an agent authors from them. Every part can be forged.

import { type Batch, batchKind, batchOf, operationsOf } from '../../shared/control/batch.ts';
import { type Envelope, envelopeKind, type Operation } from '../../shared/control/envelope.ts';
import { decodeJws, type Jws, signJws } from '../../shared/control/jws.ts';
import type { Tenant } from '../../shared/control/record.ts';
import { entryOf } from '../../shared/control/state.ts';
import { type Step, stepKind } from '../../shared/control/step.ts';
import { draft } from '../../shared/control/validity.ts';
import type { Signer } from '../../shared/crypto.ts';
import { digestOf } from '../../shared/digest.ts';
import { del, nodesOf } from './drafts.ts';
import { vouched } from './forge.ts';
import {
  agentKey,
  commit,
  crypto,
  FIRST,
  keyNamed,
  newHolder,
  put,
  type SiteName,
  type TestHolder,
  testTrust,
} from './kit.ts';

export const shop = keyNamed('shop');

const BASIC = {
  scope: 'atlantic',
  policy: 'std',
  priority: 3,
  homes: ['us1'],
  hostSuffixes: ['tenants.example'],
  customHosts: false,
  wildcards: false,
};

/** `basic` gives hosts below one suffix; `own` lets tenants bring theirs, wildcards too. */
export const TEMPLATES: readonly Operation[] = [
  put('global/templates/basic', BASIC),
  put('global/templates/own', {
    ...{ ...BASIC, homes: ['eu1', 'us1'], hostSuffixes: ['own.example'] },
    ...{ customHosts: true, wildcards: true },
  }),
];

/** Version 2: two tenants of operators, two templates. */
export async function marketplace(): Promise<TestHolder> {
  const held = newHolder(await testTrust());
  await commit(held, FIRST);
  await commit(held, TEMPLATES);
  return held;
}

export interface Wish {
  readonly template?: string;
  readonly hosts?: readonly string[];
  readonly home?: string;
  readonly tenant?: Readonly<Record<string, unknown>>;
  readonly placement?: Readonly<Record<string, unknown>>;
}

/** A step that creates `id` as `basic` has it. */
export function creation(id: string, wish: Wish = {}, changes: Partial<Step> = {}): Step {
  const { template = 'basic', hosts = [`${id}.tenants.example`], home = 'us1' } = wish;
  const { opId } = { opId: `create-${id}`, ...changes };
  const tenant = {
    ...{ hosts, scope: 'atlantic', policy: 'std', priority: 3, template, step: opId },
    ...wish.tenant,
  };
  const epoch = home === 'eu1' ? 1n : 2n;
  const placement = { home, epoch, state: 'ACTIVE', ...wish.placement };
  const operations = [
    put(`tenants/${id}/tenant`, tenant),
    put(`tenants/${id}/placement`, placement),
  ];
  return stepOf(operations, { opId, ...changes });
}

export function suspension(held: TestHolder, id: string, changes: Partial<Step> = {}): Step {
  const { opId } = { opId: `suspend-${id}`, ...changes };
  const tenant = tenantOf(held, id);
  const suspended = put(`tenants/${id}/tenant`, { ...tenant, suspended: true, step: opId });
  return stepOf([suspended], { opId, reads: readOf(id, tenant), ...changes });
}

export function retirement(held: TestHolder, id: string, changes: Partial<Step> = {}): Step {
  const reads = readOf(id, tenantOf(held, id));
  return stepOf([del(`tenants/${id}/tenant`)], { opId: `retire-${id}`, reads, ...changes });
}

export function stepOf(operations: readonly Operation[], changes: Partial<Step> = {}): Step {
  return {
    ...{ kind: 'step', cluster: 'demo', generation: 1n, opId: 'step-0001', class: 'normal' },
    ...{ operations: [...operations], reads: {}, notAfterVersion: 1_000n },
    ...changes,
  };
}

export function tenantOf(held: TestHolder, id: string): Tenant {
  const tenant = entryOf(held.holder.state, id, nodesOf(held), crypto)?.tenant;
  if (tenant === undefined) throw new Error(`no tenant ${id}`);
  return tenant;
}

function readOf(id: string, tenant: Tenant): Step['reads'] {
  return { [`tenants/${id}/tenant`]: digestOf(tenant, crypto) };
}

export function signStep(step: Step, signers: readonly Signer[] = [shop]): Promise<Jws> {
  return signJws(stepKind.typ, step, signers);
}

export interface Forgery {
  /** Whose agents co-sign. */
  readonly sites?: readonly SiteName[];
  readonly cosigners?: readonly Signer[];
  readonly batch?: Partial<Batch>;
  readonly envelope?: Partial<Envelope>;
  readonly operations?: readonly Operation[];
  readonly signer?: Signer;
  readonly stepSigners?: readonly Signer[];
}

/** A batch of `steps`, co-signed. */
export async function signBatch(steps: readonly Step[], forgery: Forgery = {}): Promise<Jws> {
  const { sites = ['eu1', 'us1'], cosigners = sites.map(agentKey) } = forgery;
  const signed = await Promise.all(steps.map((step) => signStep(step, forgery.stepSigners)));
  const verified = await Promise.all(steps.map((step) => vouched(stepKind, step, shop.kid)));
  const place = { cluster: 'demo', generation: 1n, opId: `batch-${steps[0]?.opId}`.slice(0, 64) };
  const batch = { ...batchOf(verified, place, crypto), steps: signed, ...forgery.batch };
  return signJws(batchKind.typ, batch, cosigners);
}

/** The next commit on `held`, authored by the agent of eu1 from a co-signed batch of `steps`. */
export async function agentCommit(
  held: TestHolder,
  steps: readonly Step[],
  forgery: Forgery = {},
): Promise<Jws> {
  const jws = await signBatch(steps, forgery);
  const operations = forgery.operations ?? operationsOf(steps.map((value) => ({ value })));
  const { state, trust } = held.holder;
  const drafted = draft(state, operations, trust, nodesOf(held), crypto);
  const next = 'code' in drafted ? state : drafted.state;
  const batch = decodeJws(jws, batchKind, crypto);
  const envelope: Envelope = {
    ...{ kind: 'commit', cluster: 'demo', generation: 1n, class: 'normal', author: 'eu1-1' },
    version: state.manifest.version + 1n,
    previous: state.envelope,
    lamport: state.manifest.lamport + 1n,
    trust: trust.document.version,
    reason: 'provisioning',
    opId: 'claimed' in batch ? batch.claimed.opId : 'batch-none',
    operations: [...operations],
    manifest: next.manifestDigest,
    approvals: [jws],
    ...forgery.envelope,
  };
  return signJws(envelopeKind.typ, envelope, [forgery.signer ?? agentKey('eu1')]);
}
