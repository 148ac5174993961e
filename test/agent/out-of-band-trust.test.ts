// Trust documents that somebody with access to etcd writes there (C4, C5): none stops the next
// rotation, none takes the place of one that is held, and commits wait for the document they name.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canonical } from '../../shared/canonical.ts';
import { trusting } from '../../shared/control/holder.ts';
import { type Jws, signJws } from '../../shared/control/jws.ts';
import { type Trust, trustKind } from '../../shared/control/trust.ts';
import { Cluster, keys } from '../fakes/cluster.ts';
import { priorityOf, settled } from '../fakes/fleet.ts';
import { bob } from '../shared/forge.ts';
import { keyNamed, receive, SITES, signCommit } from '../shared/kit.ts';
import { rotated, signedAfter, WITHOUT_ALICE } from '../shared/rotations.ts';

let cluster: Cluster;
beforeEach(async () => {
  cluster = await Cluster.afloat();
});
afterEach(() => cluster.close());

async function write(version: bigint, text: string): Promise<void> {
  await cluster.write(keys.trust(version), text);
  await settled();
}

const trustAt = (site: (typeof SITES)[number]) => {
  return cluster.fleet.agent(site).holder.trust.document.version;
};

const publish = (trust: Trust) => cluster.fleet.agent('eu1').publishTrust(trust.jws);

/** A commit that names the newest document of `trust`. */
async function commitUnder(trust: Trust): Promise<Jws> {
  const { author } = cluster.fleet;
  author.holder = trusting(author.holder, trust);
  const jws = await signCommit(author, priorityOf(3), { author: 'bob' }, bob);
  expect(await receive(author, jws)).not.toHaveProperty('code');
  return jws;
}

describe('in the place of the next one', () => {
  const novel = (by: readonly string[]) => {
    const { document } = cluster.fleet.trust;
    const payload = { ...document, version: '2', novelty: true, sites: {} };
    return signJws(trustKind.typ, payload as never, by.map(keyNamed));
  };

  test.each<readonly [string, string, () => Promise<string>]>([
    ['what is no JSON', 'malformed', async () => '{"payload'],
    [
      'one by too few root keys',
      'trust-signatures',
      async () => canonical(await signedAfter(cluster.fleet.trust, {}, ['root r1'])),
    ],
    [
      'one of an unknown form by too few root keys',
      'malformed',
      async () => canonical(await novel(['root r1'])),
    ],
    ['the one before', 'trust-gap', async () => canonical(cluster.fleet.trust.jws)],
  ])('%s is moved to rejected/, and a rotation lands', async (_, code, make) => {
    const text = await make();
    await write(2n, text);
    await cluster.fleet.round();
    expect(cluster.fleet.ownAlarms('eu1')).toContain(code);
    expect(cluster.fleet.ownAlarms('eu1')).toContain('out-of-band');
    expect(await cluster.at(keys.trust(2n))).toBeNull();
    expect(Object.values(await cluster.under(keys.rejected))).toEqual([text]);
    expect(await publish(await rotated(cluster.fleet.trust))).toMatchObject({ kind: 'created' });
    await cluster.fleet.round(2);
    expect(SITES.map(trustAt)).toEqual([2n, 2n, 2n]);
  });

  test('one of an unknown form by a threshold of root keys is left: it may be valid', async () => {
    await write(2n, canonical(await novel(['root r1', 'root r2'])));
    await cluster.fleet.round(2);
    expect(cluster.fleet.ownAlarms('eu1')).toContain('malformed');
    expect(await cluster.at(keys.trust(2n))).not.toBeNull();
  });

  test('a commit under it waits there as well', async () => {
    await write(2n, canonical(await novel(['root r1', 'root r2'])));
    const under = await commitUnder(await rotated(cluster.fleet.trust, WITHOUT_ALICE));
    await cluster.write(keys.commit(3n), canonical(under));
    await settled();
    await cluster.fleet.round(2);
    expect(await cluster.at(keys.commit(3n))).not.toBeNull();
    expect(cluster.fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 2n, mode: 'frozen' });
  });
});

describe('in the place of one that is held', () => {
  beforeEach(async () => {
    await publish(await rotated(cluster.fleet.trust, WITHOUT_ALICE));
    await settled();
    await cluster.fleet.round(2);
  });

  test.each<readonly [string, bigint, () => Promise<unknown>]>([
    ['the newest, deleted', 2n, () => cluster.remove(keys.trust(2n))],
    ['the newest, overwritten', 2n, () => cluster.write(keys.trust(2n), '{}')],
    ['an older one, overwritten', 1n, () => cluster.write(keys.trust(1n), '{}')],
  ])('%s: it comes back', async (_, version, spoil) => {
    await spoil();
    await settled();
    await cluster.fleet.round(2);
    const held = cluster.fleet.agent('w1').holder.trust.held.get(version);
    expect(await cluster.at(keys.trust(version))).toBe(canonical(held?.jws));
    expect(cluster.fleet.ownAlarms('eu1')).toContain('out-of-band');
  });

  test('another by the same root keys: nobody writes one over the other', async () => {
    const rival = await signedAfter(cluster.fleet.trust, {}, ['root r1', 'root r2']);
    await write(2n, canonical(rival));
    await cluster.fleet.round(3);
    expect(await cluster.at(keys.trust(2n))).toBe(canonical(rival));
    expect(cluster.fleet.ownAlarms('eu1')).toContain('trust-fork');
    expect(SITES.map(trustAt)).toEqual([2n, 2n, 2n]);
  });
});

describe('a commit that names a document', () => {
  test('which was published after trust was read is folded, not moved', async () => {
    const next = await rotated(cluster.fleet.trust, WITHOUT_ALICE);
    const under = await commitUnder(next);
    const source = cluster.sources.get('eu1');
    if (source === undefined) throw new Error('no source');
    const read = source.read.bind(source);
    source.read = async (from) => {
      source.read = read;
      await cluster.write(keys.trust(2n), canonical(next.jws));
      await cluster.write(keys.commit(3n), canonical(under));
      return read(from);
    };
    await cluster.fleet.turn('eu1');
    expect(cluster.fleet.headAt('eu1')).toBe(3n);
    expect(await cluster.at(keys.commit(3n))).toBe(canonical(under));
  });

  test('which is nowhere is moved: nobody could sign under it', async () => {
    const under = await commitUnder(await rotated(cluster.fleet.trust, WITHOUT_ALICE));
    await cluster.write(keys.commit(3n), canonical(under));
    await settled();
    await cluster.fleet.round();
    expect(cluster.fleet.ownAlarms('eu1')).toContain('trust-missing');
    expect(await cluster.at(keys.commit(3n))).toBeNull();
  });
});
