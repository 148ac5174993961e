// steady: an ordinary day. Five tenants with different residency, reads and writes from ten cities
// over HTTP at four edge locations. Nothing fails, every request goes where this table says, the
// services count it there, and every decision comes out the same from the signed commits alone.

import type { CityId } from '../world/cities.ts';
import { cities } from '../world/cities.ts';
import { decisionsOf, explainer } from '../world/decisions.ts';
import { EDGE_OF, EDGES, REGIONS, type Region } from '../world/demo.ts';
import type { Report } from '../world/report.ts';
import { send } from '../world/traffic.ts';
import { until } from '../world/wait.ts';
import type { World } from '../world/world.ts';

const ROUNDS = 10;
const LOGGED_DEADLINE_MS = 5_000;

const CITIES = [
  'frankfurt',
  'paris',
  'london',
  'warsaw',
  'johannesburg',
  'tokyo',
  'new-york',
  'san-francisco',
  'toronto',
  'sao-paulo',
] as const satisfies readonly CityId[];

type Table = Readonly<Record<(typeof CITIES)[number], Region | 403>>;

function everywhere(region: Region): Table {
  return Object.fromEntries(CITIES.map((city) => [city, region])) as Table;
}

/** Nearest region by great circle from each city, worked out by hand from an atlas. */
const NEAREST: Table = {
  frankfurt: 'eu1',
  paris: 'eu1',
  london: 'eu1',
  warsaw: 'eu1',
  johannesburg: 'eu1',
  tokyo: 'eu1',
  'new-york': 'us1',
  'san-francisco': 'us1',
  toronto: 'us1',
  'sao-paulo': 'us1',
};

/** umbrella may be entered from Germany, Austria and Switzerland only. */
const DACH_ONLY: Table = {
  frankfurt: 'eu1',
  paris: 403,
  london: 403,
  warsaw: 403,
  johannesburg: 403,
  tokyo: 403,
  'new-york': 403,
  'san-francisco': 403,
  toronto: 403,
  'sao-paulo': 403,
};

interface Row {
  readonly host: string;
  readonly tenant: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly to: Table;
}

const TABLE: readonly Row[] = [
  { host: 'acme.example', tenant: 'acme', method: 'GET', path: '/notes', to: everywhere('eu1') },
  {
    host: 'shop.acme.example',
    tenant: 'acme',
    method: 'POST',
    path: '/notes',
    to: everywhere('eu1'),
  },
  { host: 'hooli.example', tenant: 'hooli', method: 'GET', path: '/notes', to: everywhere('us1') },
  { host: 'hooli.example', tenant: 'hooli', method: 'POST', path: '/notes', to: everywhere('us1') },
  { host: 'globex.example', tenant: 'globex', method: 'GET', path: '/notes', to: NEAREST },
  {
    host: 'globex.example',
    tenant: 'globex',
    method: 'POST',
    path: '/notes',
    to: everywhere('us1'),
  },
  {
    host: 'globex.example',
    tenant: 'globex',
    method: 'GET',
    path: '/session',
    to: everywhere('us1'),
  },
  {
    host: 'initech.example',
    tenant: 'initech',
    method: 'GET',
    path: '/notes',
    to: everywhere('eu1'),
  },
  {
    host: 'initech.example',
    tenant: 'initech',
    method: 'POST',
    path: '/notes',
    to: everywhere('eu1'),
  },
  { host: 'umbrella.example', tenant: 'umbrella', method: 'GET', path: '/notes', to: DACH_ONLY },
];

/** What the service answers: /session is a path that it does not know. */
const STATUS = { GET: { '/notes': 200, '/session': 404 }, POST: { '/notes': 201 } } as const;

interface Sent {
  readonly row: Row;
  readonly city: (typeof CITIES)[number];
  readonly status: number;
  readonly decision: string;
}

export async function run(world: World, report: Report): Promise<void> {
  const sent: Sent[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const batch = TABLE.flatMap((row) => CITIES.map((city) => sendOne(world, row, city)));
    sent.push(...(await Promise.all(batch)));
  }
  report.event(`${sent.length} requests from ${CITIES.length} cities`);
  const expected = (one: Sent) => {
    const to = one.row.to[one.city];
    const byPath: Readonly<Record<string, number>> = STATUS[one.row.method];
    return to === 403 ? 403 : (byPath[one.row.path] ?? 0);
  };
  report.equal('requests sent', sent.length, 1000, 'requests');
  report.equal('wrong status', sent.filter((one) => one.status !== expected(one)).length, 0);
  await checkArrivals(world, report, sent);
  await checkDecisions(world, report, sent);
}

async function sendOne(world: World, row: Row, city: Sent['city']): Promise<Sent> {
  const { method, host, path } = row;
  const body = JSON.stringify({ text: `from ${city}` });
  const answer = await send(world.edges[EDGE_OF[city]], {
    host,
    city: cities[city],
    method,
    path,
    ...(method === 'POST' ? { body, headers: { 'content-type': 'application/json' } } : {}),
  });
  const decision = String(answer.headers['portolan-decision']);
  return { row, city, status: answer.status, decision };
}

/** Counted by the services: which decision arrived where, and for which tenant. */
async function checkArrivals(world: World, report: Report, sent: readonly Sent[]): Promise<void> {
  const arrived = new Map<string, { readonly region: Region; readonly tenant: string | null }>();
  let total = 0;
  for (const region of REGIONS) {
    const { arrivals, total: count } = await world.arrivals(region);
    total += count;
    for (const { decision, tenant } of arrivals) arrived.set(decision ?? '', { region, tenant });
  }
  const forwarded = sent.filter((one) => one.row.to[one.city] !== 403);
  const misrouted = forwarded.filter(
    (one) => arrived.get(one.decision)?.region !== one.row.to[one.city],
  );
  const mistaken = forwarded.filter((one) => arrived.get(one.decision)?.tenant !== one.row.tenant);
  report.equal('arrivals counted by the services', total, 910, 'requests');
  report.equal('in another region than the table says', misrouted.length, 0, 'requests');
  report.equal('for another tenant', mistaken.length, 0, 'requests');
}

async function checkDecisions(world: World, report: Report, sent: readonly Sent[]): Promise<void> {
  const explain = await explainer(world);
  let same = 0;
  for (const edge of EDGES) {
    const ids = sent.filter((one) => EDGE_OF[one.city] === edge).map((one) => one.decision);
    const records = await until(
      `${edge} logged its decisions`,
      async () => {
        const found = await decisionsOf(world, edge);
        return ids.every((id) => found.has(id)) && found;
      },
      { deadlineMs: LOGGED_DEADLINE_MS },
    );
    for (const id of ids) {
      const record = records.get(id);
      if (record !== undefined && explain(record).kind === 'same') same++;
    }
  }
  report.equal('decisions that explain comes to again', same, 1000, 'decisions');
}
