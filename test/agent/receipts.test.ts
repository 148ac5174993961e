// What an agent makes of the receipts that stores hand it (C11): verified, followed, shown.

import { describe, expect, test } from 'vitest';
import { Receipts } from '../../agent/control/receipts.ts';
import { RECEIPTS_WAITING_MAX, STORES_HEARD_MAX } from '../../agent/limits.ts';
import { type Jws, signJws } from '../../shared/control/jws.ts';
import { type Receipt, receiptKind } from '../../shared/control/receipt.ts';
import { type Digest, digestOf } from '../../shared/digest.ts';
import { CHAIN_LINKS_MAX } from '../../shared/limits.ts';
import { crypto, keyNamed, testTrust } from '../shared/kit.ts';
import { NOW } from '../shared/words.ts';

const trust = await testTrust();
const SOME = digestOf('some', crypto);

class Rig {
  readonly alarms: string[] = [];
  readonly receipts = new Receipts(crypto, ({ code }) => this.alarms.push(code));

  hear(receipts: readonly unknown[], id = 'weur', earlier: readonly unknown[] = []): Promise<void> {
    const answer = { id, floor: null, refused: [], receipts: [...receipts] };
    return this.receipts.hear([{ ...answer, earlier: [...earlier] }], trust);
  }

  /** Numbers of those that wait to be collected. */
  waiting(): readonly number[] {
    return this.receipts.waiting.map(({ value }) => Number(value.seq));
  }

  /** `seq version lag lagMs missing refused` of the only store. */
  shown(head: bigint, nowMs = NOW): string {
    const [one] = this.receipts.status(head, nowMs);
    if (one === undefined) return 'nothing';
    const { seq, applied, lag, lagMs, missing, refused } = one;
    return `${seq} ${applied?.version ?? '-'} ${lag} ${lagMs} ${missing} ${refused}`;
  }
}

interface Said {
  readonly jws: Jws;
  readonly digest: Digest;
}

async function say(seq: number, changes: Partial<Receipt> = {}, key = 'edge'): Promise<Said> {
  const version = BigInt(seq);
  const receipt: Receipt = {
    kind: 'receipt',
    cluster: 'demo',
    store: 'weur',
    seq: BigInt(seq),
    previous: null,
    at: NOW + seq,
    outcome: { kind: 'applied', generation: 1n, version, envelope: SOME, manifest: SOME },
    ...changes,
  };
  const jws = await signJws(receiptKind.typ, receipt, [keyNamed(key)]);
  return { jws, digest: digestOf(receipt, crypto) };
}

const one = await say(1);
const two = await say(2, { previous: one.digest });
const three = await say(3, { previous: two.digest, outcome: { kind: 'refused', code: 'gap' } });
const five = await say(5);

describe('what is shown of a store', () => {
  test('is the version it APPLIED, and how far that is behind this agent', async () => {
    const rig = new Rig();
    for (const version of [1n, 2n, 3n]) rig.receipts.see(version, NOW + Number(version) * 1_000);
    expect(rig.shown(3n)).toBe('nothing');
    await rig.hear([one.jws]);
    expect(rig.shown(3n, NOW + 5_000)).toBe('1 1 2 3000 0 null');
    await rig.hear([one.jws, two.jws]);
    expect(rig.shown(3n, NOW + 5_000)).toBe('2 2 1 2000 0 null');
    expect(rig.shown(2n, NOW + 5_000)).toBe('2 2 0 0 0 null');
    expect(rig.alarms).toEqual([]);
  });

  test('is a refusal, with what was APPLIED before it', async () => {
    const rig = new Rig();
    await rig.hear([one.jws, two.jws, three.jws]);
    expect(rig.shown(2n)).toBe('3 2 0 0 0 gap');
  });

  test('is nothing APPLIED where no such receipt was heard', async () => {
    const rig = new Rig();
    await rig.hear([three.jws]);
    expect(rig.shown(2n)).toBe('3 - null null 0 gap');
  });

  test('has no seconds for a version that this agent never saw', async () => {
    const rig = new Rig();
    await rig.hear([one.jws]);
    expect(rig.shown(2n)).toBe('1 1 1 null 0 null');
  });

  test('a version counts from when it was seen first; CHAIN_LINKS_MAX are remembered', async () => {
    const rig = new Rig();
    await rig.hear([one.jws]);
    rig.receipts.see(2n, NOW);
    rig.receipts.see(2n, NOW + 500);
    for (let v = 3; v <= CHAIN_LINKS_MAX + 1; v++) rig.receipts.see(BigInt(v), NOW);
    expect(rig.shown(2n, NOW + 1_000)).toBe('1 1 1 1000 0 null');
    rig.receipts.see(BigInt(CHAIN_LINKS_MAX + 2), NOW);
    expect(rig.shown(2n, NOW + 1_000)).toBe('1 1 1 null 0 null');
  });
});

describe('a chain', () => {
  test('with a gap is shown with what is missing, and is no alarm', async () => {
    const rig = new Rig();
    await rig.hear([one.jws, five.jws]);
    expect([rig.shown(5n), rig.alarms]).toEqual(['5 5 0 0 3 null', []]);
  });

  test('heard again, or late, changes nothing', async () => {
    const rig = new Rig();
    await rig.hear([one.jws, two.jws]);
    await rig.hear([one.jws, two.jws, one.jws]);
    expect([rig.shown(2n), rig.alarms]).toEqual(['2 2 0 0 0 null', []]);
  });

  test('that contradicts itself is an alarm', async () => {
    const rig = new Rig();
    await rig.hear([one.jws, two.jws, (await say(2, { at: NOW })).jws]);
    expect([rig.shown(2n), rig.alarms]).toEqual(['2 2 0 0 0 null', ['equivocation']]);
    await rig.hear([(await say(3, { previous: SOME })).jws]);
    expect([rig.shown(3n), rig.alarms.at(-1)]).toEqual(['3 3 0 0 0 null', 'previous']);
  });

  test('that began again is an alarm, once, and followed from there', async () => {
    const rig = new Rig();
    await rig.hear([five.jws]);
    const again = await say(1, { at: NOW + 60 });
    await rig.hear([again.jws]);
    await rig.hear([again.jws]);
    expect([rig.shown(5n), rig.alarms]).toEqual(['1 1 4 null 0 null', ['rollback']]);
  });
});

describe('what waits to be collected', () => {
  const count = RECEIPTS_WAITING_MAX + 2;
  const numbers = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i);

  test('is all that an answer has, the earlier ones first', async () => {
    const rig = new Rig();
    await rig.hear([one.jws, three.jws], 'weur', [one.jws, two.jws]);
    expect([rig.waiting(), rig.alarms]).toEqual([[1, 2, 3], []]);
    expect(rig.shown(3n)).toBe('3 2 1 null 0 gap');
  });

  test('is RECEIPTS_WAITING_MAX at most; the oldest are let go', async () => {
    const rig = new Rig();
    const many = await Promise.all(numbers(1, count).map((seq) => say(seq)));
    const all = many.map(({ jws }) => jws);
    await rig.hear(all.slice(0, RECEIPTS_WAITING_MAX));
    expect(rig.waiting()).toEqual(numbers(1, RECEIPTS_WAITING_MAX));
    // A collection is under way: it was shown what waits now, and is done with the first three.
    const shown = rig.receipts.waiting;
    await rig.hear(all.slice(RECEIPTS_WAITING_MAX));
    expect(rig.waiting()).toEqual(numbers(3, count));
    rig.receipts.collected(shown.slice(0, 3));
    expect(rig.waiting()).toEqual(numbers(4, count));
  });
});

const UNBELIEVED: readonly (readonly [string, unknown, string])[] = [
  ['a stranger’s receipt', (await say(1, {}, 'stranger')).jws, 'key-unknown'],
  ["an agent's receipt", (await say(1, {}, 'agent eu1-1')).jws, 'key-unknown'],
  ["another store's receipt", (await say(1, { store: 'enam' })).jws, 'author'],
  ['another cluster’s receipt', (await say(1, { cluster: 'other' })).jws, 'cluster'],
  ['no document', 'receipt', 'malformed'],
  ['a changed one', { ...one.jws, payload: two.jws.payload }, 'signature'],
];

describe('what is not believed', () => {
  test.each(UNBELIEVED)('%s is an alarm and is not held', async (_, input, code) => {
    const rig = new Rig();
    await rig.hear([input]);
    expect([rig.shown(1n), rig.alarms]).toEqual(['nothing', [code]]);
  });

  test('more than STORES_HEARD_MAX stores are not held', async () => {
    const rig = new Rig();
    for (let i = 0; i <= STORES_HEARD_MAX; i++) {
      if (i === STORES_HEARD_MAX) expect(rig.receipts.newest.size).toBe(STORES_HEARD_MAX);
      await rig.hear([(await say(1, { store: `s${i}` })).jws], `s${i}`);
    }
    expect(rig.receipts.newest.size).toBe(STORES_HEARD_MAX);
  });
});
