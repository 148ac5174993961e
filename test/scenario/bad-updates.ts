// bad-updates (C3, C4, C9, C10, I16): every bad update by every way in. Each is refused under its
// code, by whom the table says, and alarmed; nobody's state changes; the next commit lands as if
// nothing had been. What is written into etcd past Portolan is put right. At last one site says
// what it likes, and convinces nobody.

import { attest, receive } from '../shared/kit.ts';
import { Bench } from '../world/attacks/bench.ts';
import { keys, seenInEtcd, type Written } from '../world/attacks/in-etcd.ts';
import { type Loot, loot } from '../world/attacks/loot.ts';
import { changes, standingOf, untilLevel } from '../world/attacks/standing.ts';
import { type Attack, forgeOf, UPDATES } from '../world/attacks/updates.ts';
import { expected } from '../world/attacks/verdicts.ts';
import { Vitals } from '../world/attacks/vitals.ts';
import { seenOn, textOf, WAYS, type Way } from '../world/attacks/ways.ts';
import { change } from '../world/change.ts';
import { EDGES, SITES } from '../world/demo.ts';
import type { Report } from '../world/report.ts';
import { Stream } from '../world/stream.ts';
import type { World, WorldOptions } from '../world/world.ts';

export const options: WorldOptions = { control: 'etcd' };

/** Whose certificate for etcd, and whose key, are in bad hands. */
const STOLEN = 'us1';

/** Written by etcd's own client; what is seen of it. */
const OUT_OF_BAND: readonly (readonly [string, (head: bigint) => Written, string])[] = [
  [
    'a record, changed',
    () => ({ key: keys.record('tenants/acme/tenant'), value: '{"hosts":["evil.example"]}' }),
    'agents: out-of-band; put right',
  ],
  [
    'a record, deleted',
    () => ({ key: keys.record('tenants/acme/placement'), value: null }),
    'agents: out-of-band; put right',
  ],
  [
    'a record of a tenant that is none',
    () => ({ key: keys.record('tenants/evil/tenant'), value: '{}' }),
    'agents: out-of-band; put right',
  ],
  [
    'the head, moved',
    (head) => ({ key: keys.head, value: `{"generation":"1","version":"${head + 9n}"}` }),
    'agents: out-of-band; put right',
  ],
  ['the head, deleted', () => ({ key: keys.head, value: null }), 'agents: out-of-band; put right'],
  [
    'a commit that has landed, replaced',
    () => ({ key: keys.commit(1n), value: '{}' }),
    'agents: out-of-band; put right; rejected',
  ],
  [
    'a commit that has landed, deleted',
    () => ({ key: keys.commit(1n), value: null }),
    'agents: out-of-band; put right',
  ],
  [
    'the newest commit, replaced',
    (head) => ({ key: keys.commit(head), value: '{}' }),
    'agents: malformed; put right; rejected',
  ],
  [
    'a commit behind a hole',
    (head) => ({ key: keys.commit(head + 5n), value: '{}' }),
    'agents: out-of-band; put right; rejected',
  ],
  [
    'the trust document, replaced',
    () => ({ key: keys.trust(1n), value: '{}' }),
    'agents: malformed; put right; rejected',
  ],
];

export async function run(world: World, report: Report): Promise<void> {
  const vitals = new Vitals(world);
  const bench = await Bench.open(world, report);
  const stream = Stream.start(world);
  const looted = await loot(bench);
  for (const attack of Object.keys(UPDATES) as Attack[]) await attackWith(attack, bench, looted);
  await writeOutOfBand(bench);
  await voteTwice(bench);
  await stream.stop();
  await stream.check(report, 'throughout');
  await vitals.check(report);
}

/** By every way in; then nobody has moved, and an ordinary commit lands. */
async function attackWith(attack: Attack, bench: Bench, looted: Loot): Promise<void> {
  const { world, report } = bench;
  const before = await standingOf(world);
  for (const way of Object.keys(WAYS) as Way[]) {
    const document = WAYS[way];
    const forge = forgeOf(attack, document);
    if (forge === null) continue;
    const forged = await forge(bench, looted);
    const place = placeOf(way, attack, bench);
    const seen =
      place === null
        ? await seenOn(bench, way, forged)
        : await seenInEtcd(bench, STOLEN, { key: place, value: textOf(forged) });
    report.equal(`${attack}, ${way}`, seen, expected(attack, way));
  }
  report.equal(`${attack}: whose state has changed`, changes(before, await standingOf(world)), '');
  await goOn(bench, attack);
}

/** The key of etcd that it is written to: the next one, or that of its rival. */
function placeOf(way: Way, attack: Attack, { version }: Bench): string | null {
  const isRival = attack === 'equivocating';
  if (way === 'etcd commits/') return keys.commit(isRival ? version : version + 1n);
  return way === 'etcd trust/' ? keys.trust(isRival ? 1n : 2n) : null;
}

async function writeOutOfBand(bench: Bench): Promise<void> {
  const { world, report } = bench;
  const before = await standingOf(world);
  for (const [what, write, seen] of OUT_OF_BAND) {
    report.equal(what, await seenInEtcd(bench, STOLEN, write(bench.version)), seen);
  }
  report.equal(
    'out of band: whose state has changed',
    changes(before, await standingOf(world)),
    '',
  );
  await goOn(bench, 'out of band');
}

/** A commit that an operator signed and nobody decided: one site alone says that it is active. */
async function voteTwice(bench: Bench): Promise<void> {
  const { world, report } = bench;
  const undecided = await bench.commit();
  const { held } = await Bench.open(world, report);
  await receive(held, undecided);
  const key = await world.agentSigner('w1');
  // Times are sequence numbers too: later than anything that w1 itself ever says.
  const words = [0, 1].map((later) => attest(held, 'w1', Date.now() + later, {}, key));
  const carried = { commits: [undecided], attestations: await Promise.all(words) };
  const delta = await world.seal('w1', carried);
  for (const edge of EDGES) await world.push(edge, delta);
  for (const site of SITES) await world.post(site, '/v1/delta', delta);
  await bench.unchanged('one site votes twice');
  const statuses = await Promise.all(SITES.map((site) => world.agentStatus(site)));
  const active = statuses.map((status) => (status['active'] as { version: string }).version);
  report.equal('what agents have active', active.join(), SITES.map(() => bench.version).join());
  const alarms = await bench.alarms('equivocation');
  await goOn(bench, 'one site votes twice');
  await bench.unchanged('and now that another one is decided');
  // By then w1 attests what was decided, and has attested something else in its place.
  await bench.noticed('one site votes twice', async () => {
    const now = await bench.alarms('equivocation');
    return now.every((count, i) => count > (alarms[i] ?? 0));
  });
  const liars = await Promise.all(SITES.map((site) => world.agentStatus(site)));
  const named = liars.map((status) => String(status['equivocators']));
  report.equal('who counts for none', named.join(), 'w1,w1,w1');
}

async function goOn(bench: Bench, what: string): Promise<void> {
  const next = bench.version + 1n;
  const said = await change(bench.world, Number(next % 7n) + 2);
  bench.report.equal(`${what}: the next commit`, said, `landed ${next}`);
  await bench.follow();
  await untilLevel(bench.world, bench.version);
}
