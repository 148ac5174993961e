// The copy on an agent's own disk (E6): all that a start without a source needs, however long the
// history is and whoever has rotated keys since; and what peers are answered from.

import { beforeEach, describe, expect, test } from 'vitest';
import { apiPortsOf } from '../../agent/api/agent-ports.ts';
import { trusting } from '../../shared/control/holder.ts';
import { openTrust, type Trust } from '../../shared/control/trust.ts';
import { CHAIN_LINKS_MAX } from '../../shared/limits.ts';
import { Fleet, priorityOf } from '../fakes/fleet.ts';
import { MemoryKeep } from '../fakes/memory-keep.ts';
import { MemorySource } from '../fakes/memory-source.ts';
import { noTenants } from '../fakes/provisioners.ts';
import { bob } from '../shared/forge.ts';
import { crypto, FIRST, receive, SITES, type SiteName, signCommit } from '../shared/kit.ts';
import { rotated, WITHOUT_ALICE } from '../shared/rotations.ts';

let fleet: Fleet;
let copies: Readonly<Record<SiteName, MemorySource>>;
beforeEach(() => {
  fleet = new Fleet();
  copies = { eu1: new MemorySource(), us1: new MemorySource(), w1: new MemorySource() };
});

/** Each as it is now, with its copy; `pin`: what it starts from. */
async function start(sites: readonly SiteName[], pin?: Trust): Promise<void> {
  for (const site of sites) {
    const pinned = pin === undefined ? {} : { pin };
    await fleet.begin(site, { ...pinned, ports: { copy: copies[site] } });
  }
}

/** What peers are answered by the agent of a site. */
function apiOf(site: SiteName) {
  return apiPortsOf({
    agent: fleet.agent(site),
    source: fleet.source,
    copy: copies[site],
    tenants: noTenants,
    status: () => ({}),
    nowMs: () => fleet.nowMs,
    crypto,
    log: () => {},
  });
}

function inTheDark(): void {
  fleet.source.broken = 'no leader';
  for (const site of SITES) fleet.cutOff.add(site);
}

/** Under the second document, where alice is no operator any more; bob goes on. */
async function rotate(): Promise<Trust> {
  const two = await rotated(fleet.trust, WITHOUT_ALICE);
  for (const [version, { jws }] of two.held) {
    fleet.source.trusts.set(version, JSON.stringify(jws));
  }
  fleet.author.holder = trusting(fleet.author.holder, two);
  const jws = await signCommit(fleet.author, priorityOf(2), { author: 'bob' }, bob);
  await receive(fleet.author, jws);
  await fleet.source.append(2n, jws);
  return two;
}

/** An agent that is told nothing of what came before it. */
async function pinnedAt(trust: Trust): Promise<Trust> {
  const pin = await openTrust(trust.jws, crypto);
  if ('code' in pin) throw new Error(pin.code);
  return pin;
}

const alarmsBut = (site: SiteName) =>
  fleet.ownAlarms(site).filter((code) => code !== 'source-unreadable');

describe('a history longer than the chain', () => {
  const LONG = CHAIN_LINKS_MAX + 100;

  beforeEach(async () => {
    await fleet.commit(FIRST);
    for (let version = 2; version <= LONG; version++) {
      await fleet.commit(priorityOf(1 + (version % 9)));
    }
  }, 20_000);

  test('is on the disk of an agent that read it at once', async () => {
    await start(['eu1']);
    for (let i = 0; i <= CHAIN_LINKS_MAX / 64; i++) await fleet.turn('eu1');
    fleet.cutOff.add('eu1');
    await start(['eu1']);
    expect(fleet.headAt('eu1')).toBe(BigInt(LONG));
  }, 20_000);

  test('brings a new agent up without the source, by peers that have a copy', async () => {
    await start(['eu1', 'us1']);
    for (let i = 0; i <= CHAIN_LINKS_MAX / 64; i++) await fleet.turn('eu1', 'us1');
    inTheDark();
    const commitsOf = async (peer: string, from: bigint) =>
      (await apiOf(peer as SiteName).commits(from)).commits;
    await fleet.begin('w1', { join: null, ports: { commitsOf, keep: new MemoryKeep() } });
    await fleet.round(6);
    expect(fleet.headAt('w1')).toBe(BigInt(LONG));
    expect(fleet.wordsOf('w1').at(-1)).toMatchObject({ version: BigInt(LONG) });
  }, 20_000);
});

describe('after a rotation', () => {
  test('all start again without the source, and stand where they stood', async () => {
    await start(SITES);
    await fleet.commit(FIRST);
    await fleet.round(2);
    await rotate();
    await fleet.round(2);
    inTheDark();
    await start(SITES);
    await fleet.round(2);
    for (const site of SITES) {
      expect([fleet.activeAt(site), alarmsBut(site)]).toEqual([2n, []]);
      expect(fleet.agent(site).holder.trust.document.version).toBe(2n);
    }
  });

  test('a later pin folds what was committed before it, and that is no rollback', async () => {
    await fleet.commit(FIRST);
    const pin = await pinnedAt(await rotate());
    // Two documents to read back: the source has both.
    fleet.source.trusts.set(1n, JSON.stringify(fleet.trust.jws));
    await start(['eu1'], pin);
    await fleet.turn('eu1');
    expect(alarmsBut('eu1')).toEqual([]);
    inTheDark();
    await start(['eu1'], pin);
    await fleet.turn('eu1');
    expect([fleet.headAt('eu1'), alarmsBut('eu1')]).toEqual([2n, []]);
  });
});
