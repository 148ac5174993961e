// Provisioning across three agents: a step that any of them takes becomes a commit that all of them
// hold, once, whoever collides, is silent, lies or starts again.

import { beforeEach, describe, expect, test } from 'vitest';
import { PROVISION_QUEUE_MAX } from '../../agent/limits.ts';
import { lookUpTenant } from '../../shared/admission/tenant.ts';
import { entryOf } from '../../shared/control/state.ts';
import type { Step } from '../../shared/control/step.ts';
import { Fleet, priorityOf, settled } from '../fakes/fleet.ts';
import { Marketplace } from '../fakes/provisioners.ts';
import { agentKey, crypto, keyNamed, put, SITES, type SiteName } from '../shared/kit.ts';
import {
  creation,
  retirement,
  signBatch,
  signStep,
  suspension,
  TEMPLATES,
} from '../shared/provisioning.ts';
import { until } from '../world/wait.ts';

const SOON = { deadlineMs: 5_000 };

let fleet: Fleet;
let market: Marketplace;

beforeEach(async () => {
  fleet = await Fleet.afloat();
  await fleet.commit(TEMPLATES);
  await fleet.round(2);
  market = new Marketplace(fleet);
});

const post = async (site: SiteName, step: Step) => market.post(site, await signStep(step));

/** The holder of a site in the form that tests write steps from. */
function heldAt(site: SiteName) {
  const agent = fleet.agent(site);
  const nodes = { get: (digest: Parameters<typeof agent.nodes>[0]) => agent.nodes(digest) };
  return { holder: agent.holder, nodes, commits: [] } as unknown as typeof fleet.author;
}

function tenantAt(site: SiteName, id: string) {
  const agent = fleet.agent(site);
  return entryOf(agent.holder.state, id, agent.nodes, crypto)?.tenant ?? null;
}

function servedAt(site: SiteName, host: string): string | null {
  const { standing } = fleet.agent(site);
  if (standing === null) return null;
  const found = lookUpTenant(host, standing.link.manifest, standing.nodes, crypto);
  return found.kind === 'known' ? found.id : null;
}

describe('a step', () => {
  test.each(SITES)('taken at %s lands, and is active everywhere', async (site) => {
    const answer = await post(site, creation('b'));
    expect(answer).toEqual({
      status: 200,
      body: { opId: 'create-b', state: 'landed', version: 3n },
    });
    await fleet.round(2);
    for (const each of SITES) expect(servedAt(each, 'b.tenants.example')).toBe('b');
  });

  test('is attested with the next turn, not with the next interval', async () => {
    await fleet.round(1);
    await fleet.turn('eu1');
    await fleet.deliverAll();
    const saidAtMs = fleet.nowMs;
    await post('eu1', creation('b'));
    fleet.nowMs = saidAtMs;
    await fleet.turn('eu1');
    expect(fleet.wordsOf('eu1').at(-1)?.version).toBe(3n);
  });

  test('sent again, also elsewhere and after a restart, lands once and says so', async () => {
    const step = await signStep(creation('b'));
    expect((await market.post('eu1', step)).status).toBe(200);
    await fleet.round(1);
    market.forget('eu1');
    for (const site of SITES) {
      const answer = await market.post(site, step);
      expect(answer).toMatchObject({ status: 200, body: { state: 'landed', version: 3n } });
    }
    expect(market.proposed).toEqual(['eu1']);
  });

  test('sent to two agents at once lands once', async () => {
    const step = await signStep(creation('b'));
    const answers = await Promise.all([market.post('eu1', step), market.post('us1', step)]);
    for (const answer of answers) expect(answer).toMatchObject({ status: 200 });
    await fleet.round(1);
    expect(fleet.headAt('w1')).toBe(3n);
  });

  test.each<readonly [string, Step, number, string]>([
    ['outside its template', creation('b', { hosts: ['shop.example'] }), 422, 'template'],
    [
      'that takes a host',
      creation('b', { hosts: ['acme.example'], template: 'own' }),
      409,
      'host-taken',
    ],
    ['for an id that is there', creation('acme'), 409, 'tenant-exists'],
    ['that had to land before', creation('b', {}, { notAfterVersion: 2n }), 409, 'step-expired'],
  ])('%s is refused', async (_name, step, status, code) => {
    expect(await post('eu1', step)).toMatchObject({ status, body: { code } });
    expect(market.proposed).toEqual([]);
  });

  test('by a key that is no provisioner’s is refused', async () => {
    for (const key of [keyNamed('alice'), agentKey('eu1'), keyNamed('x')]) {
      const answer = await market.post('eu1', await signStep(creation('b'), [key]));
      expect(answer).toMatchObject({ status: 403, body: { code: 'key-unknown' } });
    }
  });

  test('under the opId of another is refused', async () => {
    await post('eu1', creation('b'));
    const other = creation('c', {}, { opId: 'create-b' });
    expect(await post('eu1', other)).toMatchObject({ status: 409, body: { code: 'op-id' } });
  });

  test('that was refused may fit later', async () => {
    const step = creation('b', { template: 'late' });
    expect(await post('eu1', step)).toMatchObject({ status: 422 });
    const [basic] = TEMPLATES;
    await fleet.commit([put('global/templates/late', (basic as { value: unknown }).value)]);
    await fleet.round(1);
    expect(await post('eu1', step)).toMatchObject({ status: 200 });
  });

  test('about what landed elsewhere a moment ago is taken', async () => {
    await post('eu1', creation('b'));
    await fleet.agent('us1').catchUp();
    const step = suspension(heldAt('us1'), 'b');
    expect(fleet.headAt('w1')).toBe(2n);
    expect(await post('w1', step)).toMatchObject({ status: 200, body: { version: 4n } });
  });

  test('can be asked for by its opId', async () => {
    expect(market.get('eu1', 'create-b').status).toBe(404);
    await post('eu1', creation('b'));
    expect(market.get('eu1', 'create-b')).toMatchObject({ status: 200, body: { state: 'landed' } });
  });

  test('beyond what an agent holds is refused', async () => {
    for (const site of SITES) market.silent.add(site);
    const provisioner = market.at('eu1');
    for (let i = 0; i < PROVISION_QUEUE_MAX; i++) {
      const taken = await provisioner.submit(await signStep(creation(`t${i}`)));
      expect(taken.kind).toBe('ticket');
    }
    const over = await provisioner.submit(await signStep(creation('over')));
    expect(over).toMatchObject({ code: 'queue-full' });
  });
});

describe('suspending and retiring', () => {
  test('a suspended tenant keeps its record; resuming it is a commit of operators', async () => {
    await post('eu1', creation('b'));
    await fleet.round(1);
    expect(await post('us1', suspension(heldAt('us1'), 'b'))).toMatchObject({ status: 200 });
    await fleet.round(1);
    for (const site of SITES) expect(tenantAt(site, 'b')).toMatchObject({ suspended: true });
  });

  test('a retired tenant is nobody’s', async () => {
    await post('eu1', creation('b'));
    await fleet.round(1);
    const step = retirement(heldAt('us1'), 'b');
    expect(await post('us1', step)).toMatchObject({ status: 200 });
    await fleet.round(2);
    for (const site of SITES) expect(servedAt(site, 'b.tenants.example')).toBeNull();
    market.forget('us1');
    expect(await post('us1', step)).toMatchObject({ status: 200, body: { state: 'landed' } });
  });
});

describe('a batch', () => {
  test('takes what waits, 50 creations at most', async () => {
    const all = Array.from({ length: 51 }, (_, i) => post('eu1', creation(`t${i}`)));
    const versions = (await Promise.all(all)).map(
      ({ body }) => (body as { version: bigint }).version,
    );
    expect(versions.filter((version) => version === 3n)).toHaveLength(50);
    expect(versions.filter((version) => version === 4n)).toHaveLength(1);
  });

  test('leaves out the second of two that take one host, and tells it', async () => {
    const hosts = ['same.tenants.example'];
    const [first, second] = await Promise.all([
      post('eu1', creation('b', { hosts })),
      post('eu1', creation('c', { hosts })),
    ]);
    expect(first).toMatchObject({ status: 200 });
    expect(second).toMatchObject({ status: 409, body: { code: 'host-taken', state: 'refused' } });
  });

  test('lands though one peer is silent', async () => {
    market.silent.add('us1');
    expect(await post('eu1', creation('b'))).toMatchObject({ status: 200 });
  });

  test('does not land without a second site, and lands when one is back', async () => {
    market.silent.add('us1').add('w1');
    expect(await post('eu1', creation('b'))).toMatchObject({
      status: 202,
      body: { state: 'pending' },
    });
    expect(market.proposed).toEqual([]);
    market.silent.clear();
    await until('it lands', () => market.get('eu1', 'create-b').status === 200, SOON);
  });

  test('is given up after a while, and nothing has landed', async () => {
    market.silent.add('us1').add('w1');
    await post('eu1', creation('b'));
    await until('it is given up', () => market.get('eu1', 'create-b').status === 503, SOON);
    expect(market.get('eu1', 'create-b').body).toMatchObject({ code: 'cosignatures' });
    expect(fleet.headAt('eu1')).toBe(2n);
  });

  test('is not spoilt by a peer that lies', async () => {
    const foreign = await signBatch([creation('x')], { cosigners: [agentKey('us1')] });
    for (const lie of ['{}', 'no', JSON.stringify({ signature: foreign.signatures[0] })]) {
      const id = `l${lie.length}`;
      market.lies.set('us1', lie);
      expect(await post('eu1', creation(id))).toMatchObject({ status: 200 });
    }
    market.silent.add('w1');
    expect(await post('eu1', creation('alone'))).toMatchObject({ status: 202 });
  });
});

describe('a conflict', () => {
  test('with an operator: what is left is drafted again under the same co-signatures', async () => {
    let first = true;
    market.beforeProposal = async () => {
      if (first) await fleet.commit(priorityOf(5));
      first = false;
    };
    expect(await post('eu1', creation('b'))).toMatchObject({
      body: { state: 'landed', version: 4n },
    });
    expect(market.proposed).toEqual(['eu1', 'eu1']);
  });

  test('that made the step illegal: it is refused', async () => {
    let first = true;
    market.beforeProposal = async (site) => {
      if (site === 'us1' || !first) return;
      first = false;
      await post('us1', creation('c', { hosts: ['same.tenants.example'] }));
    };
    const answer = await post('eu1', creation('b', { hosts: ['same.tenants.example'] }));
    expect(answer).toMatchObject({ status: 409, body: { code: 'host-taken' } });
  });

  test('between three agents with many steps: each lands once', async () => {
    const steps = Array.from({ length: 60 }, (_, i) => creation(`t${i}`));
    const sent = steps.map((step, i) => post(SITES[i % 3] ?? 'eu1', step));
    for (const answer of await Promise.all(sent)) expect([200, 202]).toContain(answer.status);
    const all = () =>
      steps.every(({ opId }, i) => market.get(SITES[i % 3] ?? 'eu1', opId).status === 200);
    await until('all land', all, SOON);
    await fleet.round(2);
    for (const { opId } of steps) expect(tenantAt('w1', opId.slice(7))).not.toBeNull();
    for (const site of SITES) expect(fleet.alarms(site)).toEqual([]);
  });

  test('a source that cannot be read keeps the step waiting', async () => {
    fleet.source.broken = 'gone';
    expect(await post('eu1', creation('b'))).toMatchObject({ status: 202 });
    fleet.source.broken = null;
    await until('it lands', () => market.get('eu1', 'create-b').status === 200, SOON);
  });
});

describe('co-signing', () => {
  const asked = async (batch: unknown) => {
    const outcome = await fleet.agent('us1').cosign(batch);
    return 'code' in outcome ? outcome.code : 'signed';
  };
  test('is for what the peer would land itself', async () => {
    const by = { cosigners: [agentKey('eu1')] };
    expect(await asked(await signBatch([creation('b')], by))).toBe('signed');
    const greedy = creation('b', { hosts: ['shop.example'] });
    expect(await asked(await signBatch([greedy], by))).toBe('template');
    expect(await asked(await signBatch([creation('b')], { cosigners: [keyNamed('shop')] }))).toBe(
      'key-unknown',
    );
    expect(
      await asked(await signBatch([creation('b')], { ...by, stepSigners: [agentKey('eu1')] })),
    ).toBe('key-unknown');
    expect(
      await asked(await signBatch([creation('b')], { ...by, batch: { notAfterVersion: 2n } })),
    ).toBe('step-expired');
    expect(await asked(null)).toBe('malformed');
    await settled();
  });

  test('a peer that is behind reads its source before it says no', async () => {
    const [basic] = TEMPLATES;
    await fleet.commit([put('global/templates/late', (basic as { value: unknown }).value)]);
    const by = { cosigners: [agentKey('eu1')] };
    const batch = await signBatch([creation('b', { template: 'late' })], by);
    fleet.cutOff.add('us1');
    expect(await asked(batch)).toBe('template');
    fleet.cutOff.clear();
    expect(await asked(batch)).toBe('signed');
  });
});
