// Taking in a delta (C9): verifying changes nothing, admitting is one run, and whatever came in
// between is judged again.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Admitted, Holder } from '../../../shared/control/holder.ts';
import type { Jws } from '../../../shared/control/jws.ts';
import {
  admitBatch,
  type HolderStorage,
  type VerifiedBatch,
  verifyBatch,
} from '../../../shared/control/receive.ts';
import type { Crypto } from '../../../shared/crypto.ts';
import { digestNamed, SEED, withBrokenSignature } from '../forge.ts';
import {
  attest,
  commit,
  crypto,
  FIRST,
  keyNamed,
  newHolder,
  put,
  signCommit,
  type TestHolder,
  testTrust,
} from '../kit.ts';

const NOW = 1_790_000_000_000;
const trust = await testTrust();

function scope(id: string) {
  return [put(`global/scopes/${id}`, { regions: ['eu1'], ingress: 'any' })];
}

async function historyOf(...scopes: readonly string[]): Promise<TestHolder> {
  const held = newHolder(trust);
  await commit(held, FIRST);
  for (const id of scopes) await commit(held, scope(id));
  return held;
}

const main = await historyOf('a', 'b', 'c');
const fork = await historyOf('a', 'x', 'y');
const [C1, C2, C3, C4] = main.commits as unknown as readonly [Jws, Jws, Jws, Jws];
const [, , F3, F4] = fork.commits as unknown as readonly [Jws, Jws, Jws, Jws];

/** A receiver that keeps what it is told to store. */
class Receiver {
  readonly held = newHolder(trust);
  readonly stored: bigint[] = [];
  /** Version whose storing fails. */
  failsAt: bigint | null = null;
  verified = 0;
  readonly crypto: Crypto = {
    ...crypto,
    verify: (key, bytes, signature) => {
      this.verified++;
      return crypto.verify(key, bytes, signature);
    },
  };
  readonly storage: HolderStorage = {
    nodes: (digest) => this.held.nodes.get(digest),
    store: (admitted) => this.#store(admitted),
  };

  get holder(): Holder {
    return this.held.holder;
  }

  get head(): bigint {
    return this.holder.state.manifest.version;
  }

  verify(commits: readonly unknown[], attestations: readonly unknown[] = []) {
    return verifyBatch(this.holder, { commits, attestations }, this.crypto);
  }

  /** The codes that were refused. */
  admit(batch: VerifiedBatch): readonly string[] {
    const taken = admitBatch(this.holder, batch, this.storage, NOW, this.crypto);
    this.held.holder = taken.holder;
    return taken.refused.map(({ code }) => code);
  }

  async take(commits: readonly unknown[], attestations: readonly unknown[] = []) {
    return this.admit(await this.verify(commits, attestations));
  }

  #store({ link, writes }: Admitted): void {
    if (link.version === this.failsAt) throw new Error('disk full');
    // Nothing is shown that is not stored.
    expect(this.head).toBeLessThan(link.version);
    for (const [digest, node] of writes.nodes) this.held.nodes.set(digest, node);
    this.stored.push(link.version);
  }
}

async function at(...commits: readonly Jws[]): Promise<Receiver> {
  const receiver = new Receiver();
  await receiver.take(commits);
  expect(receiver.head).toBe(BigInt(commits.length));
  receiver.verified = 0;
  receiver.stored.length = 0;
  return receiver;
}

describe('commits', () => {
  test('verifying changes nothing and stores nothing', async () => {
    const receiver = await at(C1);
    const before = receiver.holder;
    const batch = await receiver.verify([C2, C3]);
    expect(batch.commits.map(({ value }) => value.version)).toEqual([2n, 3n]);
    expect([receiver.holder, receiver.stored]).toEqual([before, []]);
  });

  test('each is stored, in order, before it is used', async () => {
    const receiver = await at(C1);
    expect(await receiver.take([C2, C3, C4])).toEqual([]);
    expect([receiver.head, receiver.stored]).toEqual([4n, [2n, 3n, 4n]]);
    expect(receiver.holder.state).toEqual(main.holder.state);
  });

  test('what is held is passed over, and no signature of it is paid for again', async () => {
    const receiver = await at(C1, C2);
    expect(await receiver.take([C1, C2, C3])).toEqual([]);
    expect([receiver.verified, receiver.stored]).toEqual([1, [3n]]);
  });

  const broken = withBrokenSignature(C3);
  test.each<readonly [string, readonly unknown[], readonly string[], bigint, number]>([
    ['no commit', [null], ['malformed'], 1n, 0],
    ['a hole', [C3], ['gap'], 1n, 0],
    ['a hole after a commit', [C2, C4], ['gap'], 2n, 1],
    ['commits in the wrong order', [C3, C2], ['gap'], 1n, 0],
    ['one commit twice', [C2, C2], ['gap'], 2n, 1],
    ['a broken signature', [C2, broken, C4], ['signature'], 2n, 2],
    ['a fork that does not follow', [C2, C3, F4], ['previous'], 3n, 3],
    ['a fork of what is held', [F3], ['gap'], 1n, 0],
  ])('%s ends the run where it stands', async (_, commits, codes, head, verified) => {
    const receiver = await at(C1);
    expect(await receiver.take(commits)).toEqual(codes);
    expect([receiver.head, receiver.verified]).toEqual([head, verified]);
  });

  test('a key that may not author ends the run, whatever else it may', async () => {
    const receiver = await at(C1);
    const held = newHolder(trust);
    await commit(held, FIRST);
    const forged = await signCommit(held, scope('a'), { author: 'p1' }, keyNamed('p1'));
    expect(await receiver.take([forged])).toEqual(['key-unknown']);
  });

  test('one that folds elsewhere than its author signed is refused on admission', async () => {
    const receiver = await at(C1);
    const held = newHolder(trust);
    await commit(held, FIRST);
    const forged = await signCommit(held, scope('a'), { manifest: digestNamed('elsewhere') });
    expect(await receiver.take([forged])).toEqual(['manifest']);
    expect([receiver.head, receiver.stored]).toEqual([1n, []]);
  });
});

describe('between verifying and admitting', () => {
  test('another delta may bring the same commits: each is stored once', async () => {
    const receiver = await at(C1);
    const [left, right] = [await receiver.verify([C2, C3]), await receiver.verify([C2, C3, C4])];
    expect(receiver.admit(left)).toEqual([]);
    expect(receiver.admit(right)).toEqual([]);
    expect([receiver.head, receiver.stored]).toEqual([4n, [2n, 3n, 4n]]);
  });

  test('the shorter may come last, and nothing goes down (I2)', async () => {
    const receiver = await at(C1);
    const [long, short] = [await receiver.verify([C2, C3, C4]), await receiver.verify([C2])];
    expect(receiver.admit(long)).toEqual([]);
    expect(receiver.admit(short)).toEqual([]);
    expect([receiver.head, receiver.stored]).toEqual([4n, [2n, 3n, 4n]]);
  });

  // C9: equal version and other digest is no old news but a second history, and alarmed as one.
  test('another history may be taken: the second is refused as what it is', async () => {
    const receiver = await at(C1, C2);
    const [left, right] = [await receiver.verify([C3]), await receiver.verify([F3])];
    expect(receiver.admit(left)).toEqual([]);
    expect(receiver.admit(right)).toEqual(['equivocation']);
    expect(receiver.holder.state.envelope).toBe(main.holder.chain[2]?.digest);
  });

  test('any number of deltas, in any order, lead to one history', async () => {
    const delta = fc.record({ from: fc.nat(3), to: fc.nat(4), forked: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(delta, { maxLength: 8 }), fc.nat(100), async (deltas, order) => {
        const receiver = await at(C1);
        const batches: VerifiedBatch[] = [];
        for (const { from, to, forked } of deltas) {
          const commits = (forked ? fork : main).commits.slice(from, to);
          batches.push(await receiver.verify(commits));
          const ready = batches.splice(order % batches.length, order % 2);
          for (const batch of ready) receiver.admit(batch);
        }
        for (const batch of batches) receiver.admit(batch);
        const versions = receiver.stored.map((_, i) => BigInt(i) + 2n);
        expect(receiver.stored).toEqual(versions);
        const digests = receiver.holder.chain.map((link) => link.digest);
        const histories = [main, fork].map(({ holder }) => holder.chain.map((link) => link.digest));
        const same = histories.some((all) => digests.every((digest, i) => digest === all[i]));
        expect(same).toBe(true);
      }),
      { seed: SEED, numRuns: 60 },
    );
  });
});

describe('storage that fails', () => {
  test('throws out of the run, and the value of before still stands', async () => {
    const receiver = await at(C1);
    const before = receiver.holder;
    receiver.failsAt = 3n;
    await expect(receiver.take([C2, C3, C4])).rejects.toThrow('disk full');
    expect(receiver.holder).toBe(before);
    receiver.failsAt = null;
    expect(await receiver.take([C2, C3, C4])).toEqual([]);
    // What was stored before the failure comes again, so storing twice must be harmless.
    expect(receiver.stored).toEqual([2n, 2n, 3n, 4n]);
  });
});

describe('words', () => {
  test('are taken, and counted with the commits that came with them', async () => {
    const receiver = await at(C1);
    const words = [await attest(main, 'eu1', NOW), await attest(main, 'us1', NOW)];
    expect(await receiver.take([C2, C3, C4], words)).toEqual([]);
    expect(receiver.holder.active?.version).toBe(4n);
    expect(receiver.holder.freshAtMs).toBe(NOW);
  });

  test('are taken though the commits beside them are refused', async () => {
    const receiver = await at(C1, C2, C3, C4);
    const words = [await attest(main, 'eu1', NOW), await attest(main, 'us1', NOW)];
    expect(await receiver.take([F3], words)).toEqual(['equivocation']);
    expect(receiver.holder.active?.version).toBe(4n);
  });

  test('one that is held is not verified again', async () => {
    const receiver = await at(C1);
    const word = await attest(main, 'eu1', NOW);
    await receiver.take([], [word]);
    await receiver.take([], [word, word]);
    expect(receiver.verified).toBe(1);
  });

  test('each refusal is named: commits first, then words in the order of arrival', async () => {
    const receiver = await at(C1);
    const old = await attest(main, 'eu1', NOW - 1_000);
    const words = [
      await attest(main, 'eu1', NOW),
      old,
      withBrokenSignature(await attest(main, 'us1', NOW)),
      await attest(main, 'w1', NOW, { cluster: 'other' }),
      'no word',
    ];
    // What cannot be verified is known before what the book refuses.
    const expected = ['gap', 'signature', 'malformed', 'attestation-old', 'cluster'];
    expect(await receiver.take([C4], words)).toEqual(expected);
    expect(receiver.holder.book.latest.size).toBe(1);
  });
});
