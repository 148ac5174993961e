// Commits that agents author (C3): a batch co-signed by a threshold of distinct sites, and nothing
// in the commit but what provisioners signed. Each row is signed properly and wrong in one thing;
// the same is said by those who fold and, as far as no state is needed, by isolates.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonical, utf8Length } from '../../../shared/canonical.ts';
import { mandateFault, openBatch, openStep } from '../../../shared/control/batch.ts';
import { adoptHead } from '../../../shared/control/head.ts';
import {
  BATCH_BYTES_MAX,
  COMMIT_BYTES_MAX,
  SIGNATURES_MAX,
  STEP_BYTES_MAX,
  STEPS_PER_BATCH_MAX,
} from '../../../shared/limits.ts';
import { codeOf, digestNamed, outcomeOf, SEED, trustWith, withBrokenSignature } from '../forge.ts';
import { attested, empty, headOf, raise } from '../heads.ts';
import {
  agentKey,
  commit,
  crypto,
  keyNamed,
  newHolder,
  put,
  receive,
  SITES,
  type TestHolder,
} from '../kit.ts';
import {
  agentCommit,
  creation,
  type Forgery,
  marketplace,
  shop,
  signBatch,
  signStep,
  stepOf,
  TEMPLATES,
} from '../provisioning.ts';

const market = await marketplace();
const steps = [creation('b'), creation('c')];

/** A holder of its own with what `market` has. */
function fresh(): TestHolder {
  return { ...market, nodes: new Map(market.nodes), commits: [...market.commits] };
}

type Row = readonly [string, Forgery, string];

const BOTH: readonly Row[] = [
  ['as it should be', {}, 'taken'],
  ['co-signed by all sites', { sites: SITES }, 'taken'],
  ['co-signed by other sites than the author’s', { sites: ['us1', 'w1'] }, 'taken'],
  ['authored by another site', { signer: agentKey('w1'), envelope: { author: 'w1-1' } }, 'taken'],
  ['co-signed by one site alone', { sites: ['eu1'] }, 'cosignatures'],
  ['co-signed by a stranger', { cosigners: [agentKey('eu1'), keyNamed('x')] }, 'key-unknown'],
  ['co-signed by an operator', { cosigners: [agentKey('eu1'), keyNamed('alice')] }, 'key-unknown'],
  ['with steps of an operator', { stepSigners: [keyNamed('alice')] }, 'key-unknown'],
  ['with steps of an agent', { stepSigners: [agentKey('eu1')] }, 'key-unknown'],
  ['with steps of a stranger', { stepSigners: [keyNamed('x')] }, 'key-unknown'],
  ['with steps of two', { stepSigners: [shop, keyNamed('x')] }, 'step'],
  ['in another agent’s name', { envelope: { author: 'us1-1' } }, 'author'],
  ['authored by a provisioner', { signer: shop, envelope: { author: 'shop' } }, 'key-unknown'],
  [
    'authored by an operator',
    { signer: keyNamed('alice'), envelope: { author: 'alice' } },
    'approvals',
  ],
  ['without a batch', { envelope: { approvals: [] } }, 'approvals'],
  ['with another opId than the batch', { envelope: { opId: 'another-one' } }, 'op-id'],
  ['of class safety', { envelope: { class: 'safety' } }, 'class'],
  ['of a batch for another cluster', { batch: { cluster: 'other' } }, 'cluster'],
  ['of a batch for another generation', { batch: { generation: 2n } }, 'generation'],
  ['of a batch for other operations', { batch: { operations: digestNamed('x') } }, 'operations'],
  ['of a batch that had to land before', { batch: { notAfterVersion: 2n } }, 'step-expired'],
  ['with one operation less', { operations: creation('b').operations }, 'operations'],
  [
    'with one operation more',
    { operations: [...steps.flatMap((s) => s.operations), ...creation('d').operations] },
    'operations',
  ],
];

describe('a commit by an agent', () => {
  test.each(BOTH)('%s, to those who fold', async (_name, forgery, code) => {
    const held = fresh();
    expect(await outcomeOf(held, await agentCommit(held, steps, forgery))).toBe(code);
  });

  test.each(BOTH)('%s, to isolates', async (_name, forgery, code) => {
    const held = fresh();
    const good = await agentCommit(held, steps);
    const jws = await agentCommit(held, steps, forgery);
    await receive(held, good);
    await attested(held);
    const text = headOf(held, (body) => ({
      ...body,
      commits: [{ ...(body.commits.at(-1) ?? raise()), jws }],
    }));
    const outcome = codeOf(await adoptHead(empty, text, 1_790_000_000_000, crypto));
    expect(outcome).toBe(code === 'taken' ? 'adopted' : code);
  });

  test('two batches are refused, and one twice', async () => {
    const held = fresh();
    const [one, two] = [await signBatch(steps), await signBatch([creation('d')])];
    for (const approvals of [
      [one, two],
      [one, one],
    ]) {
      const jws = await agentCommit(held, steps, { envelope: { approvals } });
      expect(await outcomeOf(held, jws)).toBe('approvals');
    }
  });

  test('a signature inside that does not hold is refused', async () => {
    const held = fresh();
    const batch = await signBatch(steps);
    const broken = withBrokenSignature(batch);
    const jws = await agentCommit(held, steps, { envelope: { approvals: [broken] } });
    expect(await outcomeOf(held, jws)).toBe('signature');
    const step = withBrokenSignature(await signStep(steps[0] ?? raise()));
    const inside = await agentCommit(held, steps, {
      batch: { steps: [step, await signStep(steps[1] ?? raise())] },
    });
    expect(await outcomeOf(held, inside)).toBe('signature');
  });

  test('a step twice in one batch is refused', async () => {
    const held = fresh();
    const twice = [creation('b'), creation('c', {}, { opId: 'create-b' })];
    expect(await outcomeOf(held, await agentCommit(held, twice))).toBe('op-id');
  });

  test('a step that is not legal here is refused with all of its batch', async () => {
    const held = fresh();
    const greedy = creation('d', { hosts: ['shop.example'] });
    expect(await outcomeOf(held, await agentCommit(held, [...steps, greedy]))).toBe('template');
  });

  test('what landed does not land again (replay)', async () => {
    const held = fresh();
    expect(await outcomeOf(held, await agentCommit(held, steps))).toBe('taken');
    expect(await outcomeOf(held, await agentCommit(held, steps))).toBe('tenant-exists');
  });

  test('a commit in between does not void the co-signatures', async () => {
    const held = fresh();
    const batch = await signBatch(steps);
    await commit(held, TEMPLATES.slice(0, 1));
    const jws = await agentCommit(held, steps, { envelope: { approvals: [batch] } });
    expect(await outcomeOf(held, jws)).toBe('taken');
  });

  test('before there are templates an agent commits nothing', async () => {
    const held = newHolder(market.holder.trust);
    expect(await outcomeOf(held, await agentCommit(held, steps))).toBe('template');
  });

  test('a step goes with as many as fit a batch', async () => {
    const many = (count: number) =>
      signBatch(
        Array.from({ length: count }, (_, i) =>
          stepOf([{ op: 'delete', key: `tenants/t${i}/tenant` }], { opId: `retire-t${i}-00` }),
        ),
      );
    const { trust } = market.holder;
    expect(codeOf(await openBatch(await many(STEPS_PER_BATCH_MAX), trust, crypto))).toBe('mandate');
    expect(codeOf(await openBatch(await many(STEPS_PER_BATCH_MAX + 1), trust, crypto))).toBe(
      'malformed',
    );
  });
});

describe('bounds', () => {
  /** A step whose payload has `bytes` bytes: hosts are no tenant's before they are judged. */
  function stepOfBytes(bytes: number) {
    const step = (text: string) => stepOf([put('tenants/b/tenant', text)]);
    const room = utf8Length(canonical(step('')));
    return step('x'.repeat(bytes - room));
  }

  test('a step takes STEP_BYTES_MAX bytes', async () => {
    const { trust } = market.holder;
    const open = async (bytes: number) =>
      codeOf(await openStep(await signStep(stepOfBytes(bytes)), trust, crypto));
    expect(await open(STEP_BYTES_MAX)).toBe('taken');
    expect(await open(STEP_BYTES_MAX + 1)).toBe('too-large');
  });

  test('the largest batch, with its operations and all signatures, fits a commit', () => {
    const inBase64 = (bytes: number) => Math.ceil((bytes * 4) / 3);
    // In a batch each step stands as base64url, so its operations are three quarters of it.
    const operations = (BATCH_BYTES_MAX * 3) / 4;
    const signatures = SIGNATURES_MAX * 400;
    const envelope = 4 * 1024;
    const whole = inBase64(BATCH_BYTES_MAX) + operations + signatures + envelope;
    expect(whole).toBeLessThanOrEqual(COMMIT_BYTES_MAX);
  });
});

test('k sites co-sign or nothing lands, and a site counts once (C3, I16)', async () => {
  const agentsOf = (site: string) =>
    ['1', '2', '3'].map((n) => [`${site}-${n}`, keyNamed(`${site}-${n}`)] as const);
  const sites = ['s1', 's2', 's3', 's4', 's5'];
  const named = sites.map((site) => [
    site,
    { agents: Object.fromEntries(agentsOf(site).map(([name, { x }]) => [name, x])) },
  ]);
  const trust = await trustWith({ sites: Object.fromEntries(named), threshold: 3 });
  const signer = fc.record({ site: fc.constantFrom(...sites), agent: fc.nat(2) });
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(signer, {
        minLength: 1,
        maxLength: 8,
        selector: ({ site, agent }) => `${site}${agent}`,
      }),
      async (signers) => {
        const cosigners = signers.map(({ site, agent }) => keyNamed(`${site}-${agent + 1}`));
        const mandate = await openBatch(await signBatch(steps, { cosigners }), trust, crypto);
        if (mandate.kind === 'refused') throw new Error(mandate.code);
        const envelope = {
          ...{ version: 3n, generation: 1n, class: 'normal', opId: mandate.batch.value.opId },
          operations: steps.flatMap(({ operations }) => operations),
        } as Parameters<typeof mandateFault>[0];
        const distinct = new Set(signers.map(({ site }) => site)).size;
        expect(mandateFault(envelope, mandate, trust)?.code ?? 'fine').toBe(
          distinct >= 3 ? 'fine' : 'cosignatures',
        );
      },
    ),
    { seed: SEED, numRuns: 200 },
  );
});
