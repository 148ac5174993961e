// The source on etcd where it is more than a range and a transaction: answers that are lost, what a
// commit is put on top of, and a store that went back.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EtcdKeys } from '../../agent/control/etcd-keys.ts';
import { EtcdSource } from '../../agent/control/etcd-source.ts';
import { type Etcd, EtcdError } from '../../agent/etcd-port.ts';
import { ETCD_PAGE_KEYS_MAX, ETCD_READ_BYTES_MAX } from '../../agent/limits.ts';
import { SourceError } from '../../agent/ports.ts';
import { canonical } from '../../shared/canonical.ts';
import { commitNamed } from '../contract/commit-source.ts';
import { MemoryEtcd } from '../fakes/memory-etcd.ts';
import { crypto } from '../shared/kit.ts';
import { pause } from '../world/wait.ts';

const keys = new EtcdKeys('test');
const A = commitNamed('a');
const B = commitNamed('b', A);

let store: MemoryEtcd;
let calm: Etcd;
const opened: EtcdSource[] = [];
beforeEach(() => {
  store = new MemoryEtcd();
  calm = store.client();
});
afterEach(() => {
  for (const source of opened.splice(0)) source.close();
});

function sourceOn(changes: Partial<Etcd> = {}, since: bigint | null = null): EtcdSource {
  const etcd = { ...store.client(), ...changes };
  const ports = { etcd, hasher: crypto, pause, trouble: () => {}, elapsedMs: () => 0 };
  const source = new EtcdSource('test', since, ports);
  opened.push(source);
  return source;
}

function write(key: string, value: string): Promise<unknown> {
  return calm.txn({ compare: [], put: [{ key, value }], remove: [] });
}

async function at(key: string): Promise<string | null> {
  const { kvs } = await calm.range({ from: key, to: `${key}\0`, limit: 1 });
  return kvs[0]?.value ?? null;
}

type Txn = Etcd['txn'];

/** Nobody hears how a transaction ended; `arrives` is what became of it until it is read back. */
function unheard(arrives: Txn): Partial<Etcd> {
  return {
    txn: async (transaction) => {
      await arrives(transaction);
      throw new EtcdError('ambiguous', 'the answer was lost');
    },
  };
}

const nothing: Txn = async () => ({ succeeded: false, revision: 0n });

describe('an answer that was lost is read back', () => {
  const key = keys.commit(1n);
  const applied: Txn = (transaction) => calm.txn(transaction);
  const rival: Txn = async () => {
    await sourceOn().append(1n, commitNamed('rival'));
    return nothing({ compare: [], put: [], remove: [] });
  };

  test('landed: it was created, and its records are there', async () => {
    expect(await sourceOn(unheard(applied)).append(1n, A)).toBe('created');
    expect(await at(key)).toBe(canonical(A));
    expect(await at(keys.record('global/policies/p'))).toBe('{"name":"a"}');
  });

  test("somebody else's landed: it exists", async () => {
    expect(await sourceOn(unheard(rival)).append(1n, A)).toBe('exists');
    expect(await at(key)).toBe(canonical(commitNamed('rival')));
  });

  // It may still be on its way through the quorum: nobody may be told that it did not land.
  test('not landed: nobody knows, and the same bytes sent again land once', async () => {
    const lost = sourceOn(unheard(nothing)).append(1n, A);
    await expect(lost).rejects.toThrow(SourceError);
    await expect(lost).rejects.toThrow('written or not');
    expect(await sourceOn().append(1n, A)).toBe('created');
    const { revision } = store;
    expect(await sourceOn().append(1n, A)).toBe('created');
    expect(store.revision).toBe(revision);
  });

  test('it cannot be read back: nobody knows', async () => {
    const mute = unheard(async (transaction) => {
      const done = await calm.txn(transaction);
      for (const member of [0, 1]) store.ail(member, 'down');
      return done;
    });
    await expect(sourceOn(mute).append(1n, A)).rejects.toThrow(SourceError);
    for (const member of [0, 1]) store.ail(member, 'none');
    expect(await sourceOn().append(1n, A)).toBe('created');
  });

  test.each([
    ['landed', applied, 'created'],
    ["somebody else's landed", () => write(keys.trust(2n), '{}') as ReturnType<Txn>, 'exists'],
  ])('the same of a trust document: %s', async (_, arrives, expected) => {
    expect(await sourceOn(unheard(arrives)).writeTrust(2n, A)).toBe(expected);
  });

  test('the same of a trust document: not landed', async () => {
    const lost = sourceOn(unheard(nothing)).writeTrust(2n, A);
    await expect(lost).rejects.toThrow('written or not');
  });
});

describe('the head is changed between reading and writing', () => {
  /** Somebody is faster, so many times. */
  function faster(times: number): Partial<Etcd> {
    let left = times;
    return {
      txn: async (transaction) => {
        if (left-- > 0) await write(keys.head, `${left}`);
        return calm.txn(transaction);
      },
    };
  }

  test('twice: the third attempt lands', async () => {
    expect(await sourceOn(faster(2)).append(1n, A)).toBe('created');
  });

  // 'exists' would say that somebody else's commit is there.
  test('every time: nothing is written, and nobody is told that it is taken', async () => {
    await expect(sourceOn(faster(3)).append(1n, A)).rejects.toThrow('not written');
    expect(await at(keys.commit(1n))).toBeNull();
  });
});

describe('a commit lands on top of the one that it names', () => {
  beforeEach(() => sourceOn().append(1n, A));

  test('which is there: it lands', async () => {
    expect(await sourceOn().append(2n, B)).toBe('created');
  });

  test.each([
    ['was deleted', () => calm.txn({ compare: [], put: [], remove: [keys.commit(1n)] })],
    ['is another', () => write(keys.commit(1n), canonical(commitNamed('other')))],
    ['is no commit', () => write(keys.commit(1n), '{}')],
  ])('which %s: nothing is written', async (_, spoil) => {
    await spoil();
    const { revision } = store;
    expect(await sourceOn().append(2n, B)).toBe('detached');
    expect(store.revision).toBe(revision);
  });

  test('which is deleted before the transaction is decided: nothing is written', async () => {
    const source = sourceOn({
      txn: async (transaction) => {
        await calm.txn({ compare: [], put: [], remove: [keys.commit(1n)] });
        return calm.txn(transaction);
      },
    });
    expect(await source.append(2n, B)).toBe('detached');
    expect(await at(keys.commit(2n))).toBeNull();
  });

  test('which is nothing, behind the first: nothing is written', async () => {
    expect(await sourceOn().append(2n, commitNamed('first again'))).toBe('detached');
  });
});

// Attack (I16): commits in form only, as large and as many as etcd takes, read by every agent at
// every turn.
test('one read takes in so many bytes, says that there is more, and the next goes on', async () => {
  const text = JSON.stringify('x'.repeat(1024 * 1024));
  const most = Math.ceil(ETCD_READ_BYTES_MAX / text.length);
  const count = most + ETCD_PAGE_KEYS_MAX;
  for (let i = 1; i <= count; i++) await write(keys.commit(BigInt(i)), text);
  const source = sourceOn();
  const lengths: number[] = [];
  for (let from = 1n; ; ) {
    const { commits, more } = await source.read(from);
    lengths.push(commits.length);
    from += BigInt(commits.length);
    if (more !== true) break;
  }
  expect(Math.max(...lengths)).toBeLessThanOrEqual(most + ETCD_PAGE_KEYS_MAX);
  expect(lengths.length).toBeGreaterThan(1);
  expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(count);
});

describe('a store that went back (C13)', () => {
  const marks = async (count: number) => {
    for (let i = 0; i < count; i++) await write('/elsewhere', `${i}`);
  };
  const told = async (source: EtcdSource) => {
    const { wentBack, restored } = await source.read(1n);
    return { wentBack, restored };
  };

  test('is told, and remembered when it has come as far again', async () => {
    const source = sourceOn({}, 5n);
    expect(await told(source)).toEqual({ wentBack: true, restored: true });
    await marks(10);
    expect(await told(source)).toEqual({ wentBack: false, restored: true });
  });

  test('is not one whose read was answered after a newer one', async () => {
    const held = Promise.withResolvers<void>();
    let reads = 0;
    const source = sourceOn({
      range: async (request) => {
        const read = await calm.range(request);
        if (reads++ === 0) await held.promise;
        return read;
      },
    });
    const older = source.read(1n);
    await marks(3);
    expect((await source.read(1n)).revision).toBe(store.revision);
    held.resolve();
    expect((await older).wentBack).toBe(false);
    expect(await told(source)).toEqual({ wentBack: false, restored: false });
  });
});
