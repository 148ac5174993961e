// What etcd must do for agents to be right, whatever stands behind the port: one suite, on three
// real members and on the fake in memory. Everything that follows a prefix is tried through `Tail`,
// which is what agents follow with: every revision once, in order and whole.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Etcd, EtcdError, endOf } from '../../agent/etcd-port.ts';
import { ETCD_RECEIVE_BYTES_MAX, ETCD_REQUEST_BYTES_MAX } from '../../agent/limits.ts';
import { until } from '../world/wait.ts';
import { dumpOf, Followed, PATIENT } from './followed.ts';

/** A cluster of three members, and what may happen to it. */
export interface EtcdRig {
  /** A client whose first member is the one that the ailments below befall. */
  readonly etcd: Etcd;
  /** A client whose way to the cluster is never broken. */
  readonly calm: Etcd;
  /** Below it nothing was written by anybody else. */
  readonly prefix: string;
  /** Resets the connections to the first member. */
  cut(): Promise<void>;
  /** Resets them in the middle of what a watch that is opened next is told. */
  cutNextReplay(): Promise<void>;
  /** The first member answers nothing, and its connections look alive. */
  silence(): Promise<void>;
  /** Cuts the first member off from the others. */
  isolate(): Promise<void>;
  /** What clients write reaches the first member, its answers do not come back. */
  loseAnswers(): Promise<void>;
  /** Two of three members stop. */
  loseQuorum(): Promise<void>;
  /** As if nothing of the above had happened. */
  heal(): Promise<void>;
  /** All members stop and start again with their data. */
  restart(): Promise<void>;
  dispose(): Promise<void>;
}

export function etcdContract(newRig: () => Promise<EtcdRig>, timeoutMs: number): void {
  let rig: EtcdRig;
  const tails: Followed[] = [];
  beforeEach(async () => {
    rig = await newRig();
  }, timeoutMs);
  afterEach(async () => {
    for (const tail of tails.splice(0)) await tail.close();
    await rig.dispose();
  }, timeoutMs);

  const key = (name: string | number) => `${rig.prefix}${name}`;
  const write = (name: string | number, value: string) => {
    return rig.calm.txn({ compare: [], put: [{ key: key(name), value }], remove: [] });
  };
  const follow = (since: bigint | null) => {
    const tail = new Followed(rig, since);
    tails.push(tail);
    return tail;
  };
  const dump = () => dumpOf(rig.calm, rig.prefix);
  const options = { timeout: timeoutMs };

  describe('transactions', () => {
    test('one whose comparisons hold writes all of it, at one revision', options, async () => {
      const { revision } = await write('a', '1');
      const done = await rig.etcd.txn({
        compare: [
          { key: key('a'), modRevision: revision },
          { key: key('b'), modRevision: 0n },
        ],
        put: [{ key: key('b'), value: '2' }],
        remove: [key('a')],
      });
      expect(done).toEqual({ succeeded: true, revision: revision + 1n });
      const at = revision + 1n;
      const b = { key: key('b'), value: '2', createRevision: at, modRevision: at };
      expect(await dump()).toEqual([b]);
    });

    test.each([
      ['a key that must not be there is', 0n],
      ['a key was changed meanwhile', -1n],
    ])('nothing is written when %s', options, async (_, off) => {
      await write('a', '0');
      const { revision } = await write('a', '1');
      const before = await dump();
      const done = await rig.etcd.txn({
        compare: [{ key: key('a'), modRevision: off === 0n ? 0n : revision + off }],
        put: [
          { key: key('a'), value: '2' },
          { key: key('c'), value: '3' },
        ],
        remove: [],
      });
      expect(done).toEqual({ succeeded: false, revision });
      expect(await dump()).toEqual(before);
    });

    test('of eight at once on one key one succeeds', options, async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          rig.etcd.txn({
            compare: [{ key: key('one'), modRevision: 0n }],
            put: [{ key: key('one'), value: `${i}` }],
            remove: [],
          }),
        ),
      );
      const won = outcomes.findIndex(({ succeeded }) => succeeded);
      expect(outcomes.filter(({ succeeded }) => succeeded)).toHaveLength(1);
      expect((await dump()).map(({ value }) => value)).toEqual([`${won}`]);
    });

    test.each([
      ['just under', 1.4 * 1024 * 1024, null],
      ['over', 1.6 * 1024 * 1024, 'too-large'],
      ['far over', 4 * 1024 * 1024, 'too-large'],
    ])('a value %s what etcd takes', options, async (_, bytes, code) => {
      const writing = rig.etcd.txn({
        compare: [],
        put: [{ key: key('large'), value: 'x'.repeat(bytes) }],
        remove: [],
      });
      expect(await codeOf(writing)).toBe(code);
      expect(await dump()).toHaveLength(code === null ? 1 : 0);
      // One that was refused stops nobody.
      expect((await write('small', '1')).succeeded).toBe(true);
    });

    test.each([
      [128, null],
      [129, 'refused'],
    ])('%i operations', options, async (count, code) => {
      const put = Array.from({ length: count }, (_, i) => ({ key: key(i), value: '' }));
      expect(await codeOf(rig.etcd.txn({ compare: [], put, remove: [] }))).toBe(code);
    });

    test('an answer that was lost is ambiguous, and the write is there', options, async () => {
      await rig.etcd.range({ from: key(''), to: endOf(rig.prefix), limit: 1 });
      await rig.loseAnswers();
      const put = [{ key: key('a'), value: '1' }];
      expect(await codeOf(rig.etcd.txn({ compare: [], put, remove: [] }))).toBe('ambiguous');
      await rig.heal();
      await until('the write is there', async () => (await dump()).length === 1, PATIENT);
    });
  });

  describe('ranges', () => {
    test('are sorted, end before their end, and say that there is more', options, async () => {
      for (const name of ['b', 'a', 'd', 'c']) await write(name, name);
      const read = await rig.etcd.range({ from: key('b'), to: key('d'), limit: 1 });
      expect(read.kvs.map(({ value }) => value)).toEqual(['b']);
      expect(read.more).toBe(true);
      const all = await rig.etcd.range({ from: key('b'), to: key('d'), limit: 2 });
      expect([all.kvs.map(({ value }) => value), all.more]).toEqual([['b', 'c'], false]);
      expect(all.term).toBeGreaterThan(0n);
    });

    test('an overwritten key keeps the revision at which it appeared', options, async () => {
      const { revision } = await write('a', '1');
      await write('a', '2');
      const [found] = await dump();
      expect(found).toMatchObject({ createRevision: revision, modRevision: revision + 1n });
    });

    test('read an older revision until it is compacted', options, async () => {
      const { revision } = await write('a', '1');
      await write('a', '2');
      const range = { from: key('a'), to: key('b'), limit: 1 };
      expect((await rig.etcd.range({ ...range, revision })).kvs[0]?.value).toBe('1');
      await rig.calm.compact(revision + 1n);
      expect(await codeOf(rig.etcd.range({ ...range, revision }))).toBe('compacted');
      expect((await rig.etcd.range(range)).kvs[0]?.value).toBe('2');
    });
  });

  describe('members', () => {
    test('a silent first member costs time and not the answer', options, async () => {
      await write('a', '1');
      await rig.silence();
      expect((await dumpOf(rig.etcd, rig.prefix)).map(({ value }) => value)).toEqual(['1']);
    });

    test('without a quorum a read is unavailable and a write ambiguous', options, async () => {
      await rig.loseQuorum();
      const range = { from: key(''), to: endOf(rig.prefix), limit: 1 };
      expect(await codeOf(rig.etcd.range(range))).toBe('unavailable');
      expect(await codeOf(rig.etcd.txn({ compare: [], put: [], remove: [key('x')] }))).toBe(
        'ambiguous',
      );
      await rig.heal();
      await until('reads are answered', async () => (await codeOf(dump())) === null, PATIENT);
    });
  });

  describe('following a prefix: every revision once, in order, whole', () => {
    test('from now on', options, async () => {
      await write('before', '1');
      const tail = follow(null);
      await until('it has begun', async () => tail.from !== null, PATIENT);
      expect(tail.lost).toBe(false);
      await writeMany(rig, 20);
      await tail.expectLevel(rig);
    });

    test('from a revision', options, async () => {
      const { revision } = await write('before', '1');
      await writeMany(rig, 10);
      const tail = follow(revision);
      await writeMany(rig, 10);
      await tail.expectLevel(rig);
      expect([tail.from, tail.revisions.length]).toEqual([null, 20]);
    });

    test('many keys of one transaction come together', options, async () => {
      const { revision } = await write('before', '1');
      const tail = follow(revision);
      const put = Array.from({ length: 100 }, (_, i) => ({
        key: key(i),
        value: 'x'.repeat(5_000),
      }));
      await rig.calm.txn({ compare: [], put, remove: [key('before')] });
      await tail.expectLevel(rig);
      expect(tail.revisions.map(({ events }) => events.length)).toEqual([101]);
    });

    test('more than 1,000 revisions of catch-up', options, async () => {
      const { revision } = await write('before', '1');
      await writeMany(rig, 2_300);
      const tail = follow(revision);
      await tail.expectLevel(rig);
      expect(tail.revisions).toHaveLength(2_300);
    });

    test('more than 4 MiB of catch-up, cut in the middle', options, async () => {
      const { revision } = await write('before', '1');
      await writeMany(rig, 60, 'x'.repeat(100_000));
      await rig.cutNextReplay();
      const tail = follow(revision);
      await tail.expectLevel(rig);
      expect(tail.revisions).toHaveLength(60);
      expect(tail.troubles.length).toBeGreaterThan(0);
    });

    test('connections that are cut, again and again', options, async () => {
      const { revision } = await write('before', '1');
      const tail = follow(revision);
      for (let round = 0; round < 5; round++) {
        await writeMany(rig, 10);
        await rig.cut();
      }
      await tail.expectLevel(rig);
      expect(tail.revisions).toHaveLength(50);
    });

    test(
      'a start that is compacted is told as lost, and it goes on from there',
      options,
      async () => {
        const { revision } = await write('before', '1');
        const { revision: last } = await writeMany(rig, 10);
        await rig.calm.compact(last);
        const tail = follow(revision);
        await until('it has begun', async () => tail.from !== null, PATIENT);
        expect([tail.lost, tail.from]).toEqual([true, last]);
        await writeMany(rig, 10);
        await tail.expectLevel(rig);
        expect(tail.revisions).toHaveLength(10);
      },
    );

    test('a compaction under way disturbs nobody who is level', options, async () => {
      const { revision } = await write('before', '1');
      const tail = follow(revision);
      const { revision: last } = await writeMany(rig, 10);
      await tail.expectLevel(rig);
      await rig.calm.compact(last);
      await writeMany(rig, 10);
      await tail.expectLevel(rig);
      expect([tail.from, tail.revisions.length]).toEqual([null, 20]);
    });

    test('a half-open connection, taken down by whoever knows of a write', options, async () => {
      const { revision } = await write('before', '1');
      const tail = follow(revision);
      await writeMany(rig, 5);
      await tail.expectLevel(rig);
      await rig.silence();
      await writeMany(rig, 5);
      expect(tail.revisions).toHaveLength(5);
      tail.renew();
      await tail.expectLevel(rig);
      expect(tail.revisions).toHaveLength(10);
    });

    test('a member without a leader says so, and another is asked', options, async () => {
      const { revision } = await write('before', '1');
      const tail = follow(revision);
      await writeMany(rig, 5);
      await tail.expectLevel(rig);
      await rig.isolate();
      await until('the stream ended', async () => tail.troubles.length > 0, PATIENT);
      expect(tail.troubles[0]).toContain('no leader');
      await rig.heal();
      await until('the cluster answers', async () => (await codeOf(dump())) === null, PATIENT);
      await writeMany(rig, 5);
      await tail.expectLevel(rig);
      expect(tail.revisions).toHaveLength(10);
    });

    test('a restart of all members', options, async () => {
      const { revision } = await write('before', '1');
      const tail = follow(revision);
      await writeMany(rig, 5);
      await rig.restart();
      await writeMany(rig, 5);
      await tail.expectLevel(rig);
      expect(tail.revisions).toHaveLength(10);
    });
  });

  // Last: what they write stays in the logs that members read when they start.
  describe('large values', () => {
    const largest = 'x'.repeat(ETCD_REQUEST_BYTES_MAX - 1024);
    const tooMany = Math.ceil(ETCD_RECEIVE_BYTES_MAX / largest.length) + 1;

    test('a write with no room left is too large, and nothing of it is done', options, async () => {
      await write('a', largest);
      const put = [{ key: key('b'), value: `${largest}${'x'.repeat(1024)}` }];
      const copied = rig.etcd.txn({ compare: [], put, remove: [key('a')] });
      expect(await codeOf(copied)).toBe('too-large');
      expect((await dump()).map((kv) => kv.key)).toEqual([key('a')]);
    });

    test('a page of too many is too large, and a part of it is read', options, async () => {
      for (let i = 0; i < tooMany; i++) await write(i, largest);
      const all = { from: key(''), to: endOf(rig.prefix), limit: tooMany };
      expect(await codeOf(rig.etcd.range(all))).toBe('too-large');
      const some = await rig.etcd.range({ ...all, limit: 4 });
      expect([some.kvs.length, some.more]).toEqual([4, true]);
    });
  });
}

/** `count` revisions, one key each, some of them deletions. */
async function writeMany(
  { calm, prefix }: EtcdRig,
  count: number,
  value = '',
): Promise<{ revision: bigint }> {
  let last = { revision: 0n };
  const names = value === '' ? 7 : count;
  for (let i = 0; i < count; i++) {
    const key = `${prefix}many/${i % names}`;
    const isRemoval = value === '' && i % 5 === 4;
    const put = [{ key: isRemoval ? `${prefix}mark` : key, value: `${value}${i}` }];
    last = await calm.txn({ compare: [], put, remove: isRemoval ? [key] : [] });
  }
  return last;
}

async function codeOf(work: Promise<unknown>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (error instanceof EtcdError) return error.code;
    throw error;
  }
}
