// What an agent makes of the answers of the versions before (E1), as they were recorded: where the
// stores stand, and receipts that it can follow.

import { expect, test } from 'vitest';
import { readAnswer } from '../../agent/control/publish.ts';
import { Receipts } from '../../agent/control/receipts.ts';
import { parseJson } from '../../shared/canonical.ts';
import { openDelta } from '../../shared/control/delta.ts';
import { openTrust } from '../../shared/control/trust.ts';
import { crypto } from '../shared/kit.ts';
import one from '../vectors/protocol-1.json' with { type: 'json' };

/** By version: what its store had, one exchange after the other. */
const RECORDED = [[one.v, one, [0n, 3n, 4n, 4n, 5n]]] as const;

test.each(RECORDED)(
  'the answers of version %i are read',
  async (_, { trust, exchanges }, heads) => {
    const pin = await openTrust(trust, crypto);
    if ('code' in pin) throw new Error(pin.code);
    const alarms: string[] = [];
    const receipts = new Receipts(crypto, ({ code }) => alarms.push(code));
    const read = [];
    for (const { status, answer, stored, delta } of exchanges) {
      const opened = await openDelta(delta, pin, crypto);
      expect(opened.kind).toBe(status === 200 ? 'delta' : 'refused');
      if (status !== 200 || opened.kind === 'refused') continue;
      const edge = readAnswer('edge', answer);
      read.push(edge?.heads[0]?.version);
      await receipts.hear(edge?.stores ?? [], opened.trust);
      // A peer answers in the words of a store.
      expect(readAnswer('peer', stored ?? '')?.heads).toEqual(edge?.heads);
    }
    expect(read).toEqual(heads);
    expect(alarms).toEqual([]);
    expect(receipts.status(5n, 0)).toMatchObject([{ store: 'weur', lag: 0n, missing: 0n }]);
    expect(parseJson(exchanges.at(-1)?.answer ?? '')?.value).toEqual({ code: 'key-unknown' });
  },
);
