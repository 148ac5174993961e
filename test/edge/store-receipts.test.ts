// A store's receipts (C11): written with what they say, signed after it, chained, bounded.

import { describe, expect, test } from 'vitest';
import { signerOf } from '../../edge/crypto.ts';
import { Rows } from '../../edge/store/rows.ts';
import { Store } from '../../edge/store/store.ts';
import { canonical, parseJson } from '../../shared/canonical.ts';
import { type StoreAnswer, storeAnswerSchema } from '../../shared/control/answer.ts';
import type { Verified } from '../../shared/control/jws.ts';
import {
  followReceipt,
  type Receipt,
  readReceipt,
  verifyReceipt,
} from '../../shared/control/receipt.ts';
import {
  COMMITS_PER_DELTA_MAX,
  PUSH_ANSWER_BYTES_MAX,
  RECEIPT_BURST_MS,
  RECEIPT_ROWS_MAX,
  RECEIPTS_ANSWERED_MAX,
  RECEIPTS_EARLIER_MAX,
} from '../../shared/limits.ts';
import { keyNamed, crypto as kitCrypto, testTrust } from '../shared/kit.ts';
import { failing, HeldStore, inNewObject, receiptsIn, STORE_ID, withStore } from './held-store.ts';
import { type Carried, change, NOW, Origin, sealed } from './origin.ts';

const trust = await testTrust();
const origin = await Origin.start(trust, change(1), change(2), change(3));
const { commits } = origin;
const gap = { commits: commits.slice(3) };
const changes = Array.from({ length: COMMITS_PER_DELTA_MAX - 1 }, (_, i) => change(i + 1));
const { commits: many } = await Origin.start(trust, ...changes);

async function verifiedOf({
  earlier = [],
  receipts = [],
}: StoreAnswer): Promise<readonly Verified<Receipt>[]> {
  const all = [...earlier, ...receipts].map(async (input) => {
    const decoded = readReceipt(input, STORE_ID, trust, kitCrypto);
    if (!('claimed' in decoded)) throw new Error(decoded.code);
    const verified = await verifyReceipt(decoded, trust, kitCrypto);
    if ('code' in verified) throw new Error(verified.code);
    return verified;
  });
  return Promise.all(all);
}

function short({ seq, outcome }: Receipt): string {
  return `${seq} ${outcome.kind === 'applied' ? outcome.version : outcome.code}`;
}

async function shortsOf(answer: StoreAnswer): Promise<readonly string[]> {
  return (await verifiedOf(answer)).map(({ value }) => short(value));
}

/** `count` refusals, each of a burst of its own; the answer to the last. */
async function flood(held: HeldStore, count: number, carried: Carried = gap): Promise<StoreAnswer> {
  for (let i = 1; i < count; i++) {
    held.nowMs += RECEIPT_BURST_MS;
    await held.take(carried);
  }
  held.nowMs += RECEIPT_BURST_MS;
  return held.take(carried);
}

describe('APPLIED', () => {
  test('is given for every commit, with its digests, in one chain', () =>
    withStore(trust, async (held) => {
      const verified = await verifiedOf(await held.take({ commits }));
      expect(verified.map(({ value }) => short(value))).toEqual(['1 1', '2 2', '3 3', '4 4']);
      const { chain } = origin.held.holder;
      expect(verified.map(({ value }) => value.outcome)).toEqual(
        chain.map(({ generation, version, digest: envelope, manifestDigest: manifest }) => {
          return { kind: 'applied', generation, version, envelope, manifest };
        }),
      );
      for (const [i, one] of verified.entries()) {
        const before = verified[i - 1];
        const place = before && { ...before.value, digest: before.digest };
        expect(followReceipt(place ?? null, one)).toEqual({ kind: 'next', missing: 0n });
      }
    }));

  test('goes on in its chain after a restart, and when commits come again', () =>
    withStore(trust, async (held) => {
      await held.take({ commits: commits.slice(0, 2) });
      await held.open();
      held.nowMs = NOW - 5_000;
      const verified = await verifiedOf(await held.take({ commits }));
      expect(verified.map(({ value }) => short(value))).toEqual(['1 1', '2 2', '3 3', '4 4']);
      // A clock that was put back does not make a later receipt an older one.
      expect(new Set(verified.map(({ value }) => value.at))).toEqual(new Set([NOW]));
    }));

  test('of a store that begins again is said again, in the same chain', () =>
    withStore(trust, async (held, storage) => {
      await held.take({ commits });
      storage.sql.exec("UPDATE commits SET jws = '{}' WHERE version = 2");
      await held.open();
      expect(await shortsOf(await held.take({ commits }))).toEqual([
        '1 1',
        '2 2',
        '3 3',
        '4 4',
        '5 1',
        '6 2',
        '7 3',
        '8 4',
      ]);
    }));
});

describe('a delta that brings many commits', () => {
  const count = COMMITS_PER_DELTA_MAX;
  const numbers = Array.from({ length: count }, (_, i) => `${i + 1} ${i + 1}`);

  // Nobody asks a store for older ones, so what an answer leaves out no agent ever hears.
  test('is answered with a receipt for each, once; the next answer has the newest', () =>
    withStore(trust, async (held) => {
      const answer = await held.take({ commits: many });
      expect(await shortsOf(answer)).toEqual(numbers);
      expect(answer.receipts).toHaveLength(RECEIPTS_ANSWERED_MAX);
      const next = await held.take({});
      expect([next.earlier, await shortsOf(next)]).toEqual([
        undefined,
        numbers.slice(-RECEIPTS_ANSWERED_MAX),
      ]);
    }));

  test('and whose answer never came is answered with the next one', () =>
    withStore(trust, async (held, storage) => {
      await held.take({ commits: many });
      storage.sql.exec('UPDATE receipts SET jws = NULL');
      await held.open();
      expect(await shortsOf(await held.take({}))).toEqual(numbers);
    }));

  test('is answered in order where refusals follow, too', () =>
    withStore(trust, async (held, storage) => {
      await held.take({ commits: many.slice(0, 1) });
      await flood(held, RECEIPTS_ANSWERED_MAX + 2);
      storage.sql.exec('UPDATE receipts SET jws = NULL WHERE seq > 1');
      const answer = await held.take({});
      const seqs = (await verifiedOf({ ...answer, receipts: [] })).map(({ value }) => value.seq);
      expect(seqs).toEqual([1n, 2n, 3n]);
      expect((await verifiedOf({ ...answer, earlier: [] }))[0]?.value.seq).toBe(1n);
    }));

  test('an answer has RECEIPTS_EARLIER_MAX beside the newest, and is read by those it is for', () =>
    withStore(trust, async (held, storage) => {
      await held.take({ commits: many });
      const unsigned = async (more: number) => {
        await flood(held, more, { commits: [{}] });
        storage.sql.exec('UPDATE receipts SET jws = NULL');
        return held.take({});
      };
      const at = await unsigned(RECEIPTS_EARLIER_MAX + RECEIPTS_ANSWERED_MAX - count);
      expect(at.earlier).toHaveLength(RECEIPTS_EARLIER_MAX);
      const over = await unsigned(1);
      expect(over.earlier).toHaveLength(RECEIPTS_EARLIER_MAX);
      const text = canonical(over);
      expect(storeAnswerSchema.safeParse(parseJson(text)?.value).success).toBe(true);
      expect(9 * text.length).toBeLessThan(PUSH_ANSWER_BYTES_MAX);
    }));
});

describe('a crash', () => {
  test('at whatever statement leaves a receipt for each whole commit, and no other', async () => {
    const delta = await sealed({ commits });
    let failures = 0;
    for (let n = 1, ended = false; !ended; n++) {
      await inNewObject(async (storage) => {
        const fault = failing(storage);
        const ports = { ...new HeldStore(storage, trust).ports, rows: new Rows(fault.storage) };
        const store = await Store.open(STORE_ID, trust, ports);
        fault.statements = 0;
        fault.failAt = n;
        ended = await store.ingest(delta).then(
          () => true,
          () => false,
        );
        failures += Number(!ended);
        const rows = storage.sql.exec('SELECT version FROM commits ORDER BY version').toArray();
        const stored = rows.map(({ version }, i) => `${i + 1} ${version}`);
        const said = receiptsIn(storage).map(({ says }) => short(says));
        expect([n, said]).toEqual([n, stored]);
        // What was not signed is, when the delta comes again after a restart.
        const again = await HeldStore.open(storage, trust);
        const answer = await again.running.ingest(delta);
        expect([n, await shortsOf(answer)]).toEqual([n, ['1 1', '2 2', '3 3', '4 4']]);
      });
    }
    expect(failures).toBeGreaterThan(10);
  });

  test('between the commit and its signature: the next answer signs it', () =>
    withStore(trust, async (held, storage) => {
      await held.take({ commits });
      storage.sql.exec('UPDATE receipts SET jws = NULL');
      await held.open();
      expect(await shortsOf(await held.take({}))).toEqual(['1 1', '2 2', '3 3', '4 4']);
      expect(receiptsIn(storage).every(({ isSigned }) => isSigned)).toBe(true);
    }));
});

describe('what is not stored is not signed', () => {
  test.each([
    ['a body that was made up', `UPDATE receipts SET body = replace(body, '"4"', '"9"')`],
    ['a body under another digest', "UPDATE receipts SET digest = 'x'"],
    ['no JSON', "UPDATE receipts SET body = 'x'"],
  ])('%s', (_, tamper) =>
    withStore(trust, async (held, storage) => {
      await held.take({ commits });
      storage.sql.exec(`${tamper} WHERE seq = 4`);
      storage.sql.exec('UPDATE receipts SET jws = NULL');
      await held.open();
      expect(await shortsOf(await held.take({}))).toEqual(['1 1', '2 2', '3 3']);
    }),
  );

  test('an APPLIED for a commit that the store does not hold', () =>
    withStore(trust, async (held, storage) => {
      await held.take({ commits });
      storage.sql.exec('UPDATE receipts SET jws = NULL');
      storage.sql.exec('DELETE FROM commits WHERE version = 4');
      await held.open();
      storage.sql.exec('DELETE FROM commits WHERE version > 0');
      expect((await shortsOf(await held.take({}))).includes('4 4')).toBe(false);
    }));
});

describe('REFUSED', () => {
  test('is given once a code and burst, however long the flood', () =>
    withStore(trust, async (held, storage) => {
      for (let i = 0; i < 50; i++) {
        held.nowMs += RECEIPT_BURST_MS - 1;
        await held.take(gap);
      }
      expect(receiptsIn(storage).map(({ says }) => short(says))).toEqual(['1 gap']);
      held.nowMs += RECEIPT_BURST_MS;
      expect(await shortsOf(await held.take(gap))).toEqual(['1 gap', '2 gap']);
    }));

  test('is one for each code', () =>
    withStore(trust, async (held) => {
      await held.take(gap);
      const answer = await held.take({ commits: [{}] });
      expect(await shortsOf(answer)).toEqual(['1 gap', '2 malformed']);
    }));
});

describe('bounds', () => {
  test('RECEIPTS_ANSWERED_MAX are answered, and the newest APPLIED', () =>
    withStore(trust, async (held) => {
      await held.take({ commits: commits.slice(0, 1) });
      const at = await flood(held, RECEIPTS_ANSWERED_MAX - 1);
      expect(at.receipts).toHaveLength(RECEIPTS_ANSWERED_MAX);
      const over = await flood(held, 2);
      const shorts = await shortsOf(over);
      expect(shorts).toHaveLength(RECEIPTS_ANSWERED_MAX + 1);
      expect([shorts[0], shorts[1]]).toEqual(['1 1', '3 gap']);
    }));

  test('RECEIPT_ROWS_MAX rows are kept, and the newest APPLIED', () =>
    withStore(trust, async (held, storage) => {
      await held.take({ commits: commits.slice(0, 1) });
      await flood(held, RECEIPT_ROWS_MAX - 1);
      expect(receiptsIn(storage)).toHaveLength(RECEIPT_ROWS_MAX);
      await flood(held, 2);
      const kept = receiptsIn(storage).map(({ says }) => says.seq);
      expect(kept).toHaveLength(RECEIPT_ROWS_MAX + 1);
      expect([kept[0], kept[1]]).toEqual([1n, 3n]);
    }));
});

describe('without a key of its own', () => {
  test.each([
    ['no key', null],
    ["an agent's key", keyNamed('agent eu1-1')],
  ])('%s: the store works, alarms and gives no receipts', (_, signer) =>
    inNewObject(async (storage) => {
      const held = new HeldStore(storage, trust);
      const store = await Store.open(STORE_ID, trust, {
        ...held.ports,
        signers: signer === null ? [] : [signer],
      });
      const answer = await store.ingest(await sealed({ commits }));
      expect([answer.head?.version, answer.receipts]).toEqual([4n, undefined]);
      expect(held.lines).toMatchObject([{ alarm: 'key-unknown', action: 'no receipts' }]);
      expect(receiptsIn(storage)).toEqual([]);
    }),
  );
});

describe('the key of a Worker', () => {
  async function jwk(): Promise<{ text: string; other: string; x: string }> {
    const make = async () => {
      const pair = (await crypto.subtle.generateKey('Ed25519', true, [
        'sign',
        'verify',
      ])) as CryptoKeyPair;
      return (await crypto.subtle.exportKey('jwk', pair.privateKey)) as JsonWebKey;
    };
    const [own, stranger] = [await make(), await make()];
    const { kty, crv, x = '', d } = own;
    const mixed = { kty, crv, x: stranger.x, d };
    return { text: JSON.stringify({ kty, crv, x, d }), other: JSON.stringify(mixed), x };
  }

  test('signs what its public half verifies', async () => {
    const { text } = await jwk();
    const signer = await signerOf(text);
    expect(signer?.kid).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect((await signer?.sign(new Uint8Array([1])))?.length).toBe(64);
  });

  test('whose halves are not of one key is none', async () => {
    expect(await signerOf((await jwk()).other)).toBeNull();
  });

  test.each(['', '{}', 'garbage', '{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}'])(
    '%o is none',
    async (text) => {
      expect(await signerOf(text)).toBeNull();
    },
  );
});
