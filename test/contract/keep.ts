// What every keep must do (C10): it is all that stands between a restart and a second digest for a
// version, so in doubt it refuses to say "nothing was kept".

import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Keep, Kept } from '../../agent/ports.ts';
import { digestNamed } from '../shared/forge.ts';

export interface KeepRig {
  /** The same medium, as the next start of the agent finds it. */
  open(): Keep;
  /** Makes what was kept unreadable. */
  damage(): Promise<void>;
  dispose(): Promise<void>;
}

/** Above what a double holds, in every number. */
const BIG = 2n ** 63n - 1n;

const FIRST: Kept = { seq: 1n, generation: 1n, version: 0n, envelope: null };
const LATER: Kept = { seq: BIG, generation: BIG, version: BIG, envelope: digestNamed('head') };
const ROTATED: Kept = { ...LATER, trust: { version: BIG, digest: digestNamed('trust') } };
const ACTIVE: Kept = { ...LATER, active: { generation: BIG, version: BIG - 1n } };

export function keepContract(newRig: () => Promise<KeepRig>): void {
  let rig: KeepRig;
  beforeEach(async () => {
    rig = await newRig();
  });
  afterEach(() => rig.dispose());

  test('of a new agent nothing was kept', async () => {
    expect(await rig.open().load()).toBeNull();
  });

  test.each([
    ['before the first commit', FIRST],
    ['the largest numbers', LATER],
    ['what was active', ACTIVE],
    ['what was adopted of trust', ROTATED],
  ])('what was saved is what the next start loads: %s', async (_, kept) => {
    await rig.open().save(kept);
    expect(await rig.open().load()).toEqual(kept);
  });

  test('the last save counts', async () => {
    const keep = rig.open();
    for (let seq = 1n; seq <= 20n; seq++) await keep.save({ ...LATER, seq });
    expect(await rig.open().load()).toEqual({ ...LATER, seq: 20n });
  });

  test('saves at once leave one of them, whole', async () => {
    const saves = [FIRST, LATER, { ...LATER, seq: 7n }];
    await Promise.all(saves.map((kept) => rig.open().save(kept)));
    expect(saves).toContainEqual(await rig.open().load());
  });

  // Attack: an agent made to forget what it swore to, so that it swears to something else (C10).
  test('what cannot be read rejects, and is never a new start', async () => {
    await rig.open().save(LATER);
    await rig.damage();
    await expect(rig.open().load()).rejects.toThrow();
  });
}
