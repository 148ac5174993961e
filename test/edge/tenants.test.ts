// Provisioned tenants at the edge: commits that agents authored reach stores and isolates under the
// same checks (E2), a suspended tenant is refused before anything else (S2), and an isolate that
// knows of newer state it cannot have refuses at the age of revocation (E3).

import { describe, expect, test } from 'vitest';
import { refresh } from '../../edge/control/refresh.ts';
import { View } from '../../edge/control/view.ts';
import { handle } from '../../edge/steering/handle.ts';
import type { Step } from '../../shared/control/step.ts';
import { agentKey, crypto, put, receive, testTrust } from '../shared/kit.ts';
import {
  agentCommit,
  creation,
  type Forgery,
  suspension,
  TEMPLATES,
} from '../shared/provisioning.ts';
import { type FakePorts, FakeStore, fakePorts } from './fake-ports.ts';
import { brief, withStore } from './held-store.ts';
import { CF } from './isolate.ts';
import { change, NOW, Origin } from './origin.ts';

const trust = await testTrust();

const SHOP = creation('shop', { template: 'own', hosts: ['*.shop.example', 'shop.example'] });

/** After `steps` were committed by an agent, each in a commit of its own. */
async function marketplace(...steps: readonly ((origin: Origin) => Step)[]): Promise<Origin> {
  const origin = await Origin.start(trust, TEMPLATES);
  for (const step of steps) await land(origin, step(origin));
  return origin;
}

async function land(origin: Origin, step: Step): Promise<void> {
  const written = await receive(origin.held, await agentCommit(origin.held, [step]));
  if (written === 'known' || 'code' in written) throw new Error(JSON.stringify(written));
  for (const [digest, text] of written.pieces) origin.pieces.set(digest, text);
}

interface Isolate {
  readonly view: View;
  readonly ports: FakePorts;
  readonly store: FakeStore;
  readonly ask: (host: string, method?: string) => Promise<number>;
}

async function isolate(origin: Origin): Promise<Isolate> {
  const store = new FakeStore('weur', origin, await origin.freshHead(NOW));
  const ports = fakePorts([store]);
  const view = new View(trust, crypto);
  await ports.clock.run(refresh(view, ports));
  const ask = async (host: string, method = 'GET') => {
    const cf = CF as unknown as IncomingRequestCfProperties;
    const request = new Request(`https://${host}/`, { cf, method });
    return (await ports.clock.run(handle(request, view, ports))).status;
  };
  return { view, ports, store, ask };
}

describe('a provisioned tenant', () => {
  test('is served by its hosts and its wildcard, and by no other', async () => {
    const { ask, ports } = await isolate(await marketplace(() => SHOP));
    expect(await ask('shop.example')).toBe(200);
    expect(await ask('www.shop.example')).toBe(200);
    expect(ports.sent).toHaveLength(2);
    expect(await ask('a.b.shop.example')).toBe(404);
    expect(await ask('shop.tenants.example')).toBe(404);
  });

  test('that is suspended is refused, whatever it asks for', async () => {
    const origin = await marketplace(
      () => SHOP,
      ({ held }) => suspension(held, 'shop'),
    );
    const { ask, ports, view } = await isolate(origin);
    for (const host of ['shop.example', 'www.shop.example']) {
      for (const method of ['GET', 'PUT']) expect(await ask(host, method)).toBe(403);
    }
    expect(ports.sent).toEqual([]);
    expect(view.status(NOW).counters).toEqual({ 'tenant-suspended': 4 });
    expect(await ask('globex.example')).toBe(200);
  });
});

describe('an isolate', () => {
  test.each<readonly [string, Forgery, string]>([
    ['co-signed by one site', { sites: ['eu1'] }, 'cosignatures'],
    ['with a step of an agent', { stepSigners: [agentKey('eu1')] }, 'key-unknown'],
    [
      'with more than was co-signed',
      { operations: [...SHOP.operations, put('global/scopes/x', {})] },
      'operations',
    ],
  ])('takes no commit of an agent %s', async (_name, forgery, code) => {
    const origin = await marketplace();
    const { view } = await isolate(origin);
    const jws = await agentCommit(origin.held, [SHOP], forgery);
    const honest = origin.fork();
    await land(honest, SHOP);
    const head = JSON.parse(await honest.freshHead(NOW + 2_000));
    head.commits.at(-1).jws = jws;
    expect(await view.adopt(JSON.stringify(head), NOW + 2_000)).toBe(false);
    expect(view.status(NOW).counters).toEqual({ [code]: 1 });
    expect(view.standing?.link.version).toBe(2n);
  });

  /** `newer` is active, and this isolate hears so, but cannot have the state. */
  async function cutOff(newer: Origin, isolated: Isolate, nowMs: number): Promise<void> {
    const { store, view } = isolated;
    store.headText = newer.head(await newer.words(nowMs), 2n);
    await view.adopt(store.headText, nowMs);
    store.broken = 'rejects';
  }

  test('that knows of newer state it lacks refuses reads past 60 s (E3)', async () => {
    const origin = await marketplace();
    const newer = origin.fork();
    await newer.commit(change(5));
    const isolated = await isolate(origin);
    const { ask, ports } = isolated;
    for (const host of ['globex.example', 'shop.example']) await ask(host);
    await cutOff(newer, isolated, NOW + 10_000);
    ports.clock.nowMs = NOW + 60_000;
    expect(await ask('globex.example')).toBe(200);
    ports.clock.nowMs = NOW + 60_001;
    expect(await ask('globex.example')).toBe(503);
    // So do hosts that nobody had then.
    expect(await ask('shop.example')).toBe(503);
  });

  test('that is merely cut off goes on with reads (E3, E6)', async () => {
    const isolated = await isolate(await marketplace());
    const { ask, ports, store } = isolated;
    await ask('globex.example');
    store.broken = 'rejects';
    ports.clock.nowMs = NOW + 300_000;
    expect(await ask('globex.example')).toBe(200);
    expect(await ask('globex.example', 'PUT')).toBe(503);
  });

  test('that lacks the global part of what is active is behind too', async () => {
    const origin = await marketplace();
    const { view } = await isolate(origin);
    const standing = view.standing;
    if (standing === null) throw new Error('it stands on nothing');
    expect(view.isBehind(standing)).toBe(false);
    await origin.commit(change(6));
    await view.adopt(await origin.freshHead(NOW + 2_000), NOW + 2_000);
    expect(view.standing).toBe(standing);
    expect(view.isBehind(standing)).toBe(true);
  });
});

test('a store folds what agents authored, and refuses what they forged', () =>
  withStore(trust, async (held) => {
    const origin = await marketplace(() => SHOP);
    const { commits } = origin;
    expect(brief(await held.take({ commits: commits.slice(0, 2) }))).toBe('2/-');
    const forged = await agentCommit((await marketplace()).held, [SHOP], { sites: ['us1'] });
    expect(brief(await held.take({ commits: [forged] }))).toBe('2/- cosignatures');
    expect(brief(await held.take({ commits: commits.slice(2) }))).toBe('3/-');
    // As after an eviction: rows are read back with the same suspicion.
    await held.open();
    expect(brief(await held.take({}))).toBe('3/-');
  }));
