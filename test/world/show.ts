// The world as one sees it: traffic from thirteen cities, one line a region and one an edge
// location, renewed every second on a terminal, printed now and then where there is none.

import { type CityId, cities } from './cities.ts';
import { EDGE_OF, EDGES, type EdgeId, REGIONS } from './demo.ts';
import { send } from './traffic.ts';
import { pause } from './wait.ts';
import type { World } from './world.ts';

const REQUEST_EVERY_MS = 100;
const TERMINAL_EVERY_MS = 1_000;
const PLAIN_EVERY_MS = 5_000;
const CLEAR_LINE = '\u001b[2K';

const HOSTS = [
  'acme.example',
  'shop.acme.example',
  'hooli.example',
  'globex.example',
  'initech.example',
  'umbrella.example',
] as const;

const DECIDED_BY = {
  etcd: 'an etcd of three members',
  file: 'a directory of commits',
} as const;

/** Requests of one edge by where they went: a region, or the status of the refusal. */
type Tally = Map<string, number>;

/** Runs until `ended`. Returns the exit code. */
export async function show(world: World, ended: AbortSignal): Promise<number> {
  const tallies = new Map<EdgeId, Tally>(EDGES.map((id) => [id, new Map()]));
  const traffic = keepSending(world, tallies, ended);
  const terminal = process.stdout.isTTY === true;
  process.stdout.write(introduction(world));
  let drawn = 0;
  while (!ended.aborted) {
    const lines = await describe(world, tallies);
    const up = terminal && drawn > 0 ? `\u001b[${drawn}A` : '';
    const clear = terminal ? CLEAR_LINE : '';
    const width = terminal ? process.stdout.columns - 1 : Number.POSITIVE_INFINITY;
    // A line that wrapped would be two, and the cursor would not come back to the first.
    const shown = lines.map((line) => `${clear}${line.slice(0, width)}\n`);
    process.stdout.write(up + shown.join(''));
    drawn = lines.length;
    await pause(terminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS, ended);
  }
  await traffic;
  process.stdout.write('the world has ended; nothing was left behind\n');
  return 0;
}

function introduction(world: World): string {
  const project = world.deployment.project.paths.folder;
  const api = world.agents.get('eu1')?.ready['api'];
  const way = world.control === 'etcd' ? `--agent http://127.0.0.1:${api} ` : '';
  return [
    '',
    `A world: two regions (eu1 Frankfurt, us1 Ashburn), a witness, ${DECIDED_BY[world.control]},`,
    'three edge stores, four edge locations, five tenants. Requests come from thirteen cities.',
    'Try one yourself:',
    '',
    `  curl -s -H 'Host: globex.example' -H 'MF-CF-Blob: {"country":"FR","colo":"CDG",` +
      `"continent":"EU","latitude":"48.85","longitude":"2.35"}' ${world.edges.fra}/notes -i`,
    '',
    'Or change something, as an operator does (its keys are in the project):',
    '',
    `  $EDITOR ${project}/portolan.yaml`,
    `  ./portolan apply --project ${project} ${way}--key ${project}/keys/operator.jwk --reason why`,
    '',
    'Ctrl-C ends it.',
    '',
    '',
  ].join('\n');
}

async function describe(world: World, tallies: ReadonlyMap<EdgeId, Tally>): Promise<string[]> {
  const regions = REGIONS.map(async (region) => {
    const status = await world.agentStatus(region).catch(() => null);
    const arrivals = await world.arrivals(region).catch(() => null);
    const active = status?.['active'] as { version: string; ageMs: number } | null | undefined;
    const verdicts = status?.['verdicts'] as Readonly<Record<string, string>> | undefined;
    const tenants = Object.entries(arrivals?.tenants ?? {}).map(([id, n]) => `${id} ${n}`);
    return row('region', region, verdicts?.[region], active?.version, active?.ageMs, [
      `${arrivals?.total ?? '?'} requests`,
      tenants.join(', '),
    ]);
  });
  const edges = EDGES.map(async (id) => {
    const edge = (await world.probe(id).catch(() => null))?.edge;
    const tally = [...(tallies.get(id) ?? [])];
    const total = tally.reduce((sum, [, n]) => sum + n, 0);
    const where = tally.map(([to, n]) => `${to} ${n}`).sort();
    const verdict = edge === undefined ? undefined : Object.values(edge.verdicts).join('/');
    const version = edge?.version?.toString();
    return row('edge', id, verdict, version, edge?.ageMs ?? undefined, [
      `${total} requests`,
      where.join(', '),
    ]);
  });
  const stores = storeRows(await world.agentStatus('eu1').catch(() => null));
  return [...(await Promise.all([...regions, ...edges])), ...stores];
}

/** What each store signed that it applied, and how far it is behind. */
function storeRows(status: Readonly<Record<string, unknown>> | null): readonly string[] {
  const stores = (status?.['stores'] ?? []) as readonly StoreLine[];
  return stores.map(({ store, applied, lag, lagMs, seq }) => {
    const behind = lagMs === null ? `${lag ?? '?'} versions` : `${(lagMs / 1000).toFixed(1)} s`;
    const version = `version ${applied?.version ?? '?'}`.padEnd(10);
    return `store   ${store.padEnd(12)}  ${version}  behind ${behind}  ${seq} receipts`;
  });
}

interface StoreLine {
  readonly store: string;
  readonly applied: { readonly version: string } | null;
  readonly lag: string | null;
  readonly lagMs: number | null;
  readonly seq: string;
}

function row(
  kind: string,
  id: string,
  verdict: string | undefined,
  version: string | undefined,
  ageMs: number | undefined,
  rest: readonly string[],
): string {
  const age = ageMs === undefined ? '?' : `${(ageMs / 1000).toFixed(1)} s`;
  const cells = [kind.padEnd(6), id.padEnd(4), (verdict ?? '?').padEnd(8)];
  return [...cells, `version ${version ?? '?'}`.padEnd(10), `age ${age}`.padEnd(10), ...rest].join(
    '  ',
  );
}

async function keepSending(
  world: World,
  tallies: ReadonlyMap<EdgeId, Tally>,
  ended: AbortSignal,
): Promise<void> {
  const places = Object.keys(cities) as CityId[];
  for (let n = 0; !ended.aborted; n++) {
    const city = places[n % places.length] ?? 'frankfurt';
    const host = HOSTS[n % HOSTS.length] ?? 'acme.example';
    void sendOne(world, city, host, tallies.get(EDGE_OF[city]) ?? new Map());
    await pause(REQUEST_EVERY_MS, ended);
  }
}

async function sendOne(world: World, city: CityId, host: string, tally: Tally): Promise<void> {
  let to: string;
  try {
    const answer = await send(world.edges[EDGE_OF[city]], {
      host,
      city: cities[city],
      path: '/notes',
    });
    const where = answer.headers['x-region'];
    to = typeof where === 'string' ? where : String(answer.status);
  } catch {
    to = 'no answer';
  }
  tally.set(to, (tally.get(to) ?? 0) + 1);
}
