// What a store makes of its rows when it starts again: it believes them no more than the network
// (E2). Damage is noticed under a code, the store begins again from its floor (E5), and agents
// bring what it lacks.

import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, test } from 'vitest';
import { View } from '../../edge/control/view.ts';
import { withBrokenSignature } from '../shared/forge.ts';
import { crypto, keyNamed, signCommit, testTrust } from '../shared/kit.ts';
import { HeldStore, inNewObject } from './held-store.ts';
import { change, NOW, Origin } from './origin.ts';

const trust = await testTrust();
const origin = await Origin.start(trust, change(1), change(2), change(3));
const before = await Origin.start(trust, change(1), change(2));
const other = await Origin.start(trust, change(9), change(2), change(3));
const next = origin.fork();
await next.commit(change(4));
const { manifest } = origin.held.holder.state;
const [, second, third] = origin.commits;

/** A store at 4/4 whose rows are then changed, and started again. */
function withTampered(
  tamper: (sql: SqlStorage) => void,
  work: (held: HeldStore, storage: DurableObjectStorage) => Promise<void>,
): Promise<void> {
  return inNewObject(async (storage) => {
    const held = await HeldStore.open(storage, trust);
    const attestations = await origin.words(NOW);
    await held.take({ commits: origin.commits, attestations });
    tamper(storage.sql);
    await held.open();
    await work(held, storage);
  });
}

test('untouched rows give the same head, but for the words in memory', () =>
  withTampered(
    () => {},
    async (held) => {
      expect(held.alarms()).toEqual([]);
      const { commits, attestations } = JSON.parse(held.running.head());
      expect(commits.at(-1)).toEqual(JSON.parse(origin.head()).commits.at(-1));
      expect(attestations).toEqual([]);
      const answer = await held.take({ attestations: await origin.words(NOW + 1_000) });
      expect(answer).toMatchObject({ head: { version: 4n }, floor: { version: 4n }, refused: [] });
    },
  ));

interface Tamper {
  readonly name: string;
  /** Its code; null where any will do. */
  readonly alarm: string | null;
  readonly tamper: (sql: SqlStorage) => void;
}

function onCommit(name: string, alarm: string | null, jws: unknown): Tamper {
  const text = JSON.stringify(jws);
  const tamper = (sql: SqlStorage) =>
    void sql.exec('UPDATE commits SET jws = ? WHERE version = 3', text);
  return { name: `a commit: ${name}`, alarm, tamper };
}

function by(name: string, alarm: string | null, ...queries: readonly string[]): Tamper {
  return { name, alarm, tamper: (sql) => queries.forEach((query) => void sql.exec(query)) };
}

async function forged(changes: Parameters<typeof signCommit>[2], key = 'alice') {
  const at2 = await Origin.start(trust, change(1));
  return signCommit(at2.held, change(2), changes, keyNamed(key));
}

const [global, usage, hosts] = [manifest.global, manifest.usage, manifest.hosts];

const TAMPERS: readonly Tamper[] = [
  onCommit('nonsense', 'malformed', 'nonsense'),
  onCommit('padding', 'encoding', { ...third, payload: `${third?.payload}=` }),
  onCommit('a changed signature', 'signature', third && withBrokenSignature(third)),
  onCommit("a stranger's key", 'key-unknown', await forged({}, 'stranger')),
  onCommit("an agent's key", 'approvals', await forged({}, 'agent eu1-1')),
  onCommit('another cluster', 'cluster', await forged({ cluster: 'other' })),
  onCommit('the one before it', 'gap', second),
  onCommit('one of another history', 'previous', other.commits[2]),
  onCommit('another result', 'digest', await forged({ manifest: global })),
  by('a commit: bytes', 'malformed', "UPDATE commits SET jws = x'00ff' WHERE version = 3"),
  by('a manifest: nonsense', 'digest', "UPDATE commits SET manifest = '{}' WHERE version = 3"),
  by(
    'a manifest: another version',
    'digest',
    `UPDATE commits SET manifest = replace(manifest, '"version":"3"', '"version":"9"')`,
  ),
  by('a commit is missing', 'gap', 'DELETE FROM commits WHERE version = 2'),
  by('the newest commit is missing', null, 'DELETE FROM commits WHERE version = 4'),
  by('all commits are missing', null, 'DELETE FROM commits'),
  by('the order of commits', 'gap', 'UPDATE commits SET version = 10 - version'),
  by('the place of the newest commit', null, 'UPDATE commits SET version = 5 WHERE version = 4'),
  by('the place of all commits', null, 'UPDATE commits SET version = version + 100'),
  by('the global part', 'digest', `UPDATE pieces SET text = '{}' WHERE digest = '${global}'`),
  by('the global part is missing', 'digest', `DELETE FROM pieces WHERE digest = '${global}'`),
  by('the usage', 'digest', `UPDATE pieces SET text = '{}' WHERE digest = '${usage}'`),
  by('the usage is missing', 'digest', `DELETE FROM pieces WHERE digest = '${usage}'`),
  by('a node is missing', 'digest', `DELETE FROM pieces WHERE digest = '${hosts}'`),
  by(
    'a node',
    'digest',
    `UPDATE pieces SET text = replace(text, 'acme', 'evil') WHERE digest = '${hosts}'`,
  ),
  by('the floor: nonsense', null, "UPDATE floor SET version = 'x'"),
  by('the floor: raised', null, "UPDATE floor SET version = '999'"),
];

describe.each(TAMPERS)('$name', ({ tamper, alarm }) => {
  test(`is an alarm (${alarm ?? 'any'}), lowers no floor, changes no piece (E2, E5)`, () =>
    withTampered(tamper, async (held) => {
      for (const digest of [global, usage, hosts, manifest.tenants]) {
        expect([null, origin.pieces.get(digest)]).toContain(held.running.piece(digest));
      }
      const { floor } = await held.take({ commits: next.commits });
      expect(floor?.version).toBeGreaterThanOrEqual(4n);
      expect(held.alarms()).toContain(alarm ?? held.alarms()[0] ?? 'any');
    }));

  test('is mended by what agents send, now and after another start', () =>
    withTampered(tamper, async (held) => {
      for (let turn = 1; turn <= 3; turn++) {
        held.nowMs = NOW + turn * 2_000;
        const attestations = await next.words(held.nowMs);
        await held.take({ commits: next.commits, attestations });
      }
      const view = new View(trust, crypto);
      await view.adopt(held.running.head(), held.nowMs);
      expect(view.missingGlobal).toBe(next.held.holder.state.manifest.global);
      const { head, floor } = await held.take({});
      expect([head?.version, floor?.version]).toEqual([5n, 5n]);
      await held.open();
      expect((await held.take({})).head?.version).toBe(5n);
    }));
});

describe('the floor (E5)', () => {
  test('stays when everything else begins again', () =>
    withTampered(
      (sql) => void sql.exec("UPDATE commits SET jws = '{}'"),
      async (held) => {
        expect(held.lines).toMatchObject([{ alarm: 'malformed', action: 'start again' }]);
        const answer = await held.take({});
        expect(answer).toMatchObject({ head: { version: 0n }, floor: { version: 4n } });
      },
    ));

  test('is not lowered by a shorter history that a threshold attests', () =>
    withTampered(
      (sql) => void sql.exec("UPDATE commits SET jws = '{}'"),
      async (held) => {
        const attestations = await before.words(NOW + 1_000);
        const answer = await held.take({ commits: before.commits, attestations });
        expect(answer).toMatchObject({ head: { version: 3n }, floor: { version: 4n } });
      },
    ));

  // Attack (rollback): words that are still valid, from before the newest version was active,
  // replayed to a store that has just been started again and remembers none.
  test('is the least that isolates are told is active, also after a restart', () =>
    inNewObject(async (storage) => {
      const held = await HeldStore.open(storage, trust);
      const old = await before.words(NOW);
      await held.take({ commits: before.commits, attestations: old });
      held.nowMs = NOW + 2_000;
      const young = await origin.words(held.nowMs);
      await held.take({ commits: origin.commits, attestations: young });
      await held.open();
      await held.take({ attestations: old });
      const view = new View(trust, crypto);
      await view.adopt(held.running.head(), held.nowMs);
      expect(view.missingGlobal).not.toBe(before.held.holder.state.manifest.global);
    }));
});

test('a start that failed is tried again with the next call', () => {
  const stub = env.EDGE_STORE_APAC.getByName('late');
  return runInDurableObject(stub, async (instance, { storage }) => {
    storage.sql.exec('CREATE TABLE commits (other TEXT)');
    await expect(instance.head('late')).rejects.toThrow();
    storage.sql.exec('DROP TABLE commits');
    expect(await instance.head('late')).toBe('{"v":1,"trust":[],"commits":[],"attestations":[]}');
  });
});
