// The versions before (E1): what was said in each is recorded, and said again to this one. It must
// answer as was answered then; it may say more.
//
// A recording is never changed once that version is released. When PROTOCOL moves, the first test
// fails and prints what to record as test/vectors/protocol-<v>.json; only what is more than one
// version old may be thrown away.

import { describe, expect, test } from 'vitest';
import { ingest } from '../../edge/control/ingest.ts';
import { View } from '../../edge/control/view.ts';
import { parseJson } from '../../shared/canonical.ts';
import { ingestAnswerSchema, storeAnswerSchema } from '../../shared/control/answer.ts';
import { PROTOCOL } from '../../shared/control/protocol.ts';
import { openTrust } from '../../shared/control/trust.ts';
import type { Digest } from '../../shared/digest.ts';
import { crypto, testTrust } from '../shared/kit.ts';
import one from '../vectors/protocol-1.json' with { type: 'json' };
import { type Conversation, converse, type Exchange, senders } from './conversation.ts';
import { FakeStore, fakePorts } from './fake-ports.ts';
import { withStore } from './held-store.ts';

const RECORDED: readonly Conversation[] = [one];

async function pinOf({ trust }: Conversation) {
  const pin = await openTrust(trust, crypto);
  if ('code' in pin) throw new Error(pin.code);
  return pin;
}

/** Texts as values: their bytes are not promised, but for pieces. */
function read({ status, answer, stored, head }: Exchange) {
  return { status, answer: asValue(answer), stored: asValue(stored), head: asValue(head) };
}

function asValue(text: string | null): unknown {
  const value: unknown = text === null ? null : JSON.parse(text);
  // How old an isolate's state is by then is a matter of pace.
  return JSON.parse(JSON.stringify(value, (key, held) => (key === 'ageMs' ? null : held)));
}

test('what is said in this version is recorded, and nothing else is said', async () => {
  const trust = await testTrust();
  const said = await withStore(trust, async (held) => converse(held, trust, await senders(trust)));
  const recorded = RECORDED.find(({ v }) => v === PROTOCOL);
  if (JSON.stringify(recorded) !== JSON.stringify(said)) console.log(JSON.stringify(said));
  expect(said.exchanges.map(read)).toEqual(recorded?.exchanges.map(read));
  expect(said.exchanges.map(({ delta }) => delta)).toEqual(
    recorded?.exchanges.map(({ delta }) => delta),
  );
});

test('the version before is recorded, where there was one', () => {
  const versions = RECORDED.map(({ v }) => v);
  expect(versions).toContain(Math.max(1, PROTOCOL - 1));
});

describe.each(RECORDED.map((recorded) => [recorded.v, recorded] as const))(
  'what was said in version %i',
  (_, recorded) => {
    test('is answered as it was', async () => {
      const pin = await pinOf(recorded);
      const now = await withStore(pin, (held) => converse(held, pin, recorded.exchanges));
      for (const [i, exchange] of recorded.exchanges.entries()) {
        // A head says which version it is of; what it says besides must be there.
        const { head, ...rest } = read(exchange);
        const { v: __, ...members } = head as { readonly v: number };
        expect(now.exchanges.map(read)[i]).toMatchObject({ ...rest, head: members });
      }
      expect(now.pieces).toEqual(recorded.pieces);
    });

    test('is read by an edge: the answers of its store', async () => {
      const pin = await pinOf(recorded);
      for (const { atMs, delta, stored } of recorded.exchanges) {
        if (stored === null) continue;
        const store = new FakeStore('weur', { pieces: new Map() });
        store.answer = stored;
        const ports = fakePorts([store]);
        ports.clock.nowMs = atMs;
        const request = new Request('https://any.example/', { method: 'POST', body: delta });
        const answer = await ingest(request, new View(pin, crypto), ports);
        const { stores } = ingestAnswerSchema.parse(await answer.json());
        expect(stores).toEqual([storeAnswerSchema.parse(parseJson(stored)?.value)]);
      }
    });

    test('is adopted by an isolate, with its pieces', async () => {
      const view = new View(await pinOf(recorded), crypto);
      for (const { atMs, head } of recorded.exchanges) {
        expect(await view.adopt(head, atMs)).toBe(true);
      }
      const global = view.missingGlobal as Digest;
      expect(view.takeGlobal(recorded.pieces[global] ?? '', global)).toBeNull();
      expect(view.status(recorded.exchanges.at(-1)?.atMs ?? 0)).toMatchObject({
        trust: 2n,
        version: 5n,
        verdicts: { eu1: 'up', us1: 'up' },
        counters: {},
      });
    });
  },
);
