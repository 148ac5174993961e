// Rotation at the edge (C5, E1): a cold isolate, a running one and a store come to the newest trust
// before they judge, keep it, and never go back.

import { describe, expect, test } from 'vitest';
import { ingest } from '../../edge/control/ingest.ts';
import { View } from '../../edge/control/view.ts';
import type { Attestation } from '../../shared/control/attestation.ts';
import { sealDelta } from '../../shared/control/delta.ts';
import { trusting } from '../../shared/control/holder.ts';
import type { Jws } from '../../shared/control/jws.ts';
import { openTrust, type Trust } from '../../shared/control/trust.ts';
import { carriedTrust } from '../../shared/control/trust-chain.ts';
import { bob } from '../shared/forge.ts';
import {
  agentKey,
  attest,
  crypto,
  newHolder,
  receive,
  SITES,
  signCommit,
  type TestKey,
  testTrust,
} from '../shared/kit.ts';
import {
  newAgentKey,
  rotated,
  rotatedTimes,
  signedAfter,
  sitesWith,
  WITHOUT_ALICE,
} from '../shared/rotations.ts';
import { FakeStore, fakePorts } from './fake-ports.ts';
import { brief, HeldStore, inNewObject, withStore } from './held-store.ts';
import { change, NOW, Origin, sealed } from './origin.ts';

const one = await testTrust();
/** Every agent has a new key, and alice none. */
const two = await rotated(one, { ...WITHOUT_ALICE, sites: sitesWith(SITES) });
const origin = await Origin.start(one);

function words(keyOf: (site: string) => TestKey, changes: Partial<Attestation> = {}) {
  return Promise.all(SITES.map((site) => attest(origin.held, site, NOW, changes, keyOf(site))));
}

interface Parts {
  readonly trust?: readonly Jws[];
  readonly commits?: readonly Jws[];
  readonly attestations?: readonly Jws[];
}

/** A delta as the agent of eu1 seals it with its new key. */
function byNewKey(parts: Parts): Promise<string> {
  const from = { cluster: 'demo', site: 'eu1', agent: 'eu1-1' };
  const delta = { v: 1 as const, trust: [], commits: [], attestations: [], ...parts };
  return sealDelta(delta, from, newAgentKey('eu1'), crypto);
}

/** All that a store needs under the second document. */
const WHOLE = {
  trust: carriedTrust(two),
  commits: origin.commits,
  attestations: await words(newAgentKey),
};

describe('the ingest of an isolate that has just started', () => {
  async function edge(view = new View(one, crypto)) {
    const stores = ['weur', 'enam'].map((id) => new FakeStore(id, origin, ''));
    const ports = fakePorts(stores);
    const post = async (body: string) => {
      const request = new Request('https://any.example/.portolan/ingest', { method: 'POST', body });
      return (await ingest(request, view, ports)).status;
    };
    const touched = () => stores.flatMap(({ calls }) => calls).includes('ingest');
    return { view, post, touched };
  }

  test('verifies a rotated key before it touches a store', async () => {
    const { view, post, touched } = await edge();
    expect(await post(await byNewKey({}))).toBe(403);
    expect(touched()).toBe(false);
    expect(await post(await byNewKey(WHOLE))).toBe(200);
    expect([touched(), view.trust.document.version]).toEqual([true, 2n]);
    // From then on without the document, too.
    expect(await post(await byNewKey({}))).toBe(200);
  });

  test('refuses a key that the delta’s own trust takes out', async () => {
    const { view, post, touched } = await edge();
    const from = { cluster: 'demo', site: 'eu1', agent: 'eu1-1' };
    const delta = { v: 1 as const, trust: carriedTrust(two), commits: [], attestations: [] };
    const text = await sealDelta(delta, from, agentKey('eu1'), crypto);
    expect(await post(text)).toBe(403);
    expect([touched(), view.trust.document.version]).toEqual([false, 1n]);
  });

  test('counts trust that is refused, and takes the rest', async () => {
    const { view, post, touched } = await edge();
    const few = await signedAfter(one, {}, ['root r1']);
    const from = { cluster: 'demo', site: 'eu1', agent: 'eu1-1' };
    const delta = { v: 1 as const, trust: [few], commits: [], attestations: [] };
    expect(await post(await sealDelta(delta, from, agentKey('eu1'), crypto))).toBe(200);
    expect([touched(), view.trust]).toEqual([true, one]);
    expect(view.status(NOW).counters).toMatchObject({ 'trust-signatures': 1 });
  });
});

describe('a view', () => {
  async function headOfStore(): Promise<string> {
    return withStore(one, async (held) => {
      await held.running.ingest(await byNewKey(WHOLE));
      return held.running.head();
    });
  }

  test('comes to the newest trust, and to what is active by it, by one head', async () => {
    const view = new View(one, crypto);
    expect(await view.adopt(await headOfStore(), NOW)).toBe(true);
    expect(view.trust.digest).toBe(two.digest);
    expect(view.missingGlobal).toBe(origin.held.holder.state.manifest.global);
  });

  test('keeps its trust under an older head, and what is active under revoked words', async () => {
    const view = new View(one, crypto);
    await view.adopt(await headOfStore(), NOW);
    const later = await Origin.start(one, change(1));
    await view.adopt(await later.freshHead(NOW + 1_000), NOW + 1_000);
    expect(view.trust.digest).toBe(two.digest);
    expect(view.missingGlobal).toBe(origin.held.holder.state.manifest.global);
  });

  // Another request may adopt it while a head is verified.
  test('keeps trust that came while a head was on its way', async () => {
    const view = new View(one, crypto);
    const adopting = view.adopt(await origin.freshHead(NOW), NOW);
    view.trusting(two);
    expect(await adopting).toBe(true);
    expect(view.trust.digest).toBe(two.digest);
  });

  test('takes trust from a head that is older than what it holds', async () => {
    const view = new View(one, crypto);
    const later = await Origin.start(one, change(1));
    await view.adopt(await later.freshHead(NOW), NOW);
    const { global } = later.held.holder.state.manifest;
    await view.adopt(await headOfStore(), NOW);
    expect([view.trust.digest, view.missingGlobal]).toEqual([two.digest, global]);
  });
});

describe('a store', () => {
  const taken = async (held: HeldStore, parts: Parts) =>
    brief(await held.running.ingest(await byNewKey(parts)));

  test('judges by the trust that comes along, and revoked words count for nobody', () =>
    withStore(one, async (held) => {
      const revoked = { ...WHOLE, attestations: await words(agentKey) };
      const codes = ' key-unknown'.repeat(SITES.length);
      expect(await taken(held, revoked)).toBe(`1/-${codes}`);
      expect(await taken(held, { attestations: WHOLE.attestations })).toBe('1/1');
    }));

  // Its head of before, which goes out while commits are on their way, would count revoked words.
  test('hands out nothing of before, also when words have overtaken its commits', () =>
    withStore(one, async (held) => {
      await held.take({ commits: origin.commits, attestations: await words(agentKey) });
      const ahead = origin.fork();
      await ahead.commit(change(3));
      const later = await Promise.all(
        SITES.map((site) => attest(ahead.held, site, NOW + 1, {}, newAgentKey(site))),
      );
      await taken(held, { trust: WHOLE.trust, attestations: later });
      const { trust, attestations } = JSON.parse(held.running.head());
      expect([trust, attestations]).toEqual([carriedTrust(two), later]);
    }));

  test('knows it after a restart', () =>
    withStore(one, async (held) => {
      await taken(held, WHOLE);
      await held.open();
      expect(await taken(held, { attestations: WHOLE.attestations })).toBe('1/1');
      expect(JSON.parse(held.running.head())).toMatchObject({ trust: carriedTrust(two) });
      expect(held.alarms()).toEqual([]);
    }));

  test('verifies commits of both documents after a restart, whichever of them is pinned', () =>
    inNewObject(async (storage) => {
      const own = newHolder(one);
      for (const jws of origin.commits) await receive(own, jws);
      own.holder = trusting(own.holder, two);
      const next = await signCommit(own, change(1), { author: 'bob' }, bob);
      const held = await HeldStore.open(storage, one);
      await taken(held, { ...WHOLE, commits: [...origin.commits, next] });
      const pin = await openTrust(two.jws, crypto);
      if ('code' in pin) throw new Error(pin.code);
      for (const trust of [pin, one]) {
        const again = await HeldStore.open(storage, trust);
        expect(await taken(again, {})).toBe('2/1');
        expect(again.alarms()).toEqual([]);
      }
    }));

  test.each<readonly [string, (storage: DurableObjectStorage) => void, readonly string[]]>([
    ['gone', (storage) => storage.sql.exec('DELETE FROM trust'), []],
    [
      'damaged',
      (storage) => storage.sql.exec("UPDATE trust SET jws = 'x' WHERE version = 2"),
      ['malformed'],
    ],
  ])('whose row is %s is back at its pin until a delta brings it', async (_, damage, alarms) => {
    await withStore(one, async (held, storage) => {
      await taken(held, WHOLE);
      damage(storage);
      await held.open();
      expect(held.alarms()).toEqual(alarms);
      expect(await taken(held, {})).toBe('1/1 key-unknown (key-unknown)');
      expect(await taken(held, WHOLE)).toBe('1/1');
      await held.open();
      expect(held.alarms().slice(alarms.length)).toEqual(['key-unknown']);
    });
  });

  test('does not adopt what somebody wrote into its rows', () =>
    withStore(one, async (held, storage) => {
      const few = await signedAfter(one, {}, ['root r1']);
      storage.sql.exec('INSERT INTO trust VALUES (2, ?)', JSON.stringify(few));
      await held.open();
      expect(held.alarms()).toEqual(['trust-signatures']);
      expect(storage.sql.exec('SELECT version FROM trust').toArray()).toEqual([{ version: 1 }]);
      const answer = await held.running.ingest(await sealed({}));
      expect(brief(answer)).toBe('0/-');
    }));

  test('keeps trust when all else is lost', () =>
    withStore(one, async (held, storage) => {
      await taken(held, WHOLE);
      storage.sql.exec('DELETE FROM pieces');
      await held.open();
      expect(await taken(held, {})).toBe('0/1');
      expect(held.alarms()).toEqual(['digest']);
    }));

  test('with a pin that is too old says so, and goes on by it', () =>
    withStore(one, async (held) => {
      const ten = await rotatedTimes(one, 9);
      const from = { cluster: 'demo', site: 'eu1', agent: 'eu1-1' };
      const delta = { v: 1 as const, trust: carriedTrust(ten), commits: [], attestations: [] };
      const text = await sealDelta(delta, from, agentKey('eu1'), crypto);
      const answer = await held.running.ingest(text);
      expect(new Set(answer.refused)).toEqual(new Set(['trust-gap']));
      expect(answer.head?.version).toBe(0n);
      expect(answer.code).toBeUndefined();
    }));
});

test('what a store answers of refused trust makes no sender go back', () =>
  withStore(one, async (held) => {
    const bad: Trust = await rotated(one);
    await held.running.ingest(await byNewKey(WHOLE));
    const answer = await held.running.ingest(await byNewKey({ trust: [bad.jws] }));
    expect(answer.refused).toEqual(['trust-fork']);
  }));
