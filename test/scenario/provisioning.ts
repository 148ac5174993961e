// provisioning: a shop makes tenants by itself. Each is served at every edge within 5 s of the
// order, by its home, on wildcards and hosts of its own too; nobody is given a host of another
// tenant; a suspended one is refused everywhere, a retired one is nobody's.

import { createTenant, retireTenant, suspendTenant } from '../../agent/cli/commands/tenant.ts';
import { CliError } from '../../agent/cli/exit.ts';
import { cities } from '../world/cities.ts';
import { EDGES, type EdgeId, SITES, type Site } from '../world/demo.ts';
import type { Report } from '../world/report.ts';
import { type ClientRequest, send } from '../world/traffic.ts';
import { until } from '../world/wait.ts';
import type { World } from '../world/world.ts';

const SERVED_MS = 5_000;
/** The policy's `revocation`: by default and at most. */
const REVOKED_MS = 60_000;
const DEADLINE = { deadlineMs: REVOKED_MS };
const MANY = 30;

export async function run(world: World, report: Report): Promise<void> {
  await checkOne(world, report);
  await checkHosts(world, report);
  await checkMany(world, report);
}

async function checkOne(world: World, report: Report): Promise<void> {
  const host = 'shop.tenants.example';
  for (const edge of EDGES) report.equal(`${edge} before`, await statusAt(world, edge, host), 404);
  const created = await slowest(world, host, 200, () => create(world, 'w1', 'shop', 'us1'));
  report.event('a tenant is served at every edge');
  report.equal('edges that served it within 5 s', within(created, SERVED_MS), EDGES.length);
  report.goalAtMost('from the order to the last edge', Math.max(...created), SERVED_MS, 'ms');

  const write: ClientRequest = {
    ...{ host, city: cities.tokyo, method: 'POST' as const, path: '/notes' },
    ...{ body: '{"text":"first"}', headers: { 'content-type': 'application/json' } },
  };
  const before = (await world.arrivals('us1')).total;
  const answer = await send(world.edges.nrt, write);
  report.equal('a write is answered', answer.status, 201);
  report.equal('by its home', (await world.arrivals('us1')).total - before, 1, 'requests');

  const flags = flagsOf(world, 'eu1');
  const suspended = await slowest(world, host, 403, () => suspendTenant('shop', flags));
  report.event('it is suspended at every edge');
  report.equal('edges that refused it within 60 s', within(suspended, REVOKED_MS), EDGES.length);
  report.goalAtMost('from the suspension to the last', Math.max(...suspended), SERVED_MS, 'ms');

  const retired = await slowest(world, host, 404, () => retireTenant('shop', flags));
  report.event('it is retired at every edge');
  report.goalAtMost('from the retirement to the last', Math.max(...retired), SERVED_MS, 'ms');
}

/** A wildcard, a host below a suffix, and one that the customer brings. */
const BRAND = ['*.brand.brands.example', 'brand.brands.example', 'www.brand.example'];
/** What each must be answered: the wildcard takes one label. */
const BRAND_ANSWERS = [
  ['shop.brand.brands.example', 200],
  ['brand.brands.example', 200],
  ['www.brand.example', 200],
  ['a.shop.brand.brands.example', 404],
  ['brand.example', 404],
] as const;
/** To anybody: another tenant's, one under its wildcard, one below another template's suffix. */
const NOT_GIVEN = [
  ['hooli.example', 'host-taken'],
  ['shop.acme.example', 'host-taken'],
  ['www.brand.example', 'host-taken'],
  ['new.tenants.example', 'template'],
] as const;

async function checkHosts(world: World, report: Report): Promise<void> {
  const began = performance.now();
  await order(world, 'w1', 'brand', 'eu1', { template: 'brand', host: BRAND });
  for (const [host, status] of BRAND_ANSWERS) {
    const times = await Promise.all(
      EDGES.map((edge) => servedAt(world, edge, host, status, began)),
    );
    report.equal(
      `edges that answered ${status} for ${host} within 5 s`,
      within(times, SERVED_MS),
      4,
    );
  }
  for (const [host, code] of NOT_GIVEN) {
    const refused = await order(world, 'us1', 'thief', 'eu1', {
      template: 'brand',
      host: [host],
    }).then(
      () => 'given',
      (error: unknown) => (error instanceof CliError ? error.code : String(error)),
    );
    report.equal(`an order of ${host}`, refused, code);
  }
}

async function checkMany(world: World, report: Report): Promise<void> {
  const ids = Array.from({ length: MANY }, (_, i) => `many${i}`);
  const began = performance.now();
  await Promise.all(ids.map((id, i) => create(world, SITES[i % 3] ?? 'eu1', id, 'eu1')));
  report.event(`${MANY} orders at three agents have landed`);
  const times = await Promise.all(
    ids.map((id) => servedAt(world, 'fra', `${id}.tenants.example`, 200, began)),
  );
  report.atMost('all of them served, from the orders', Math.max(...times), 4 * SERVED_MS, 'ms');
  report.goalAtMost('all of them served, from the orders', Math.max(...times), 2 * SERVED_MS, 'ms');
}

/** ms from the beginning of `change` until each edge answers `status`. */
async function slowest(
  world: World,
  host: string,
  status: number,
  change: () => Promise<unknown>,
): Promise<readonly number[]> {
  const began = performance.now();
  await change();
  return Promise.all(EDGES.map((edge) => servedAt(world, edge, host, status, began)));
}

async function servedAt(
  world: World,
  edge: EdgeId,
  host: string,
  status: number,
  began: number,
): Promise<number> {
  const what = `${edge} answers ${status} for ${host}`;
  await until(what, async () => (await statusAt(world, edge, host)) === status, DEADLINE);
  return Math.round(performance.now() - began);
}

async function statusAt(world: World, edge: EdgeId, host: string): Promise<number> {
  const request = { host, city: cities.frankfurt, path: '/notes' };
  return (await send(world.edges[edge], request)).status;
}

function within(times: readonly number[], most: number): number {
  return times.filter((ms) => ms <= most).length;
}

function create(world: World, site: Site, id: string, home: string): Promise<unknown> {
  const host = [`${id}.tenants.example`];
  return order(world, site, id, home, { template: 'basic', host });
}

function order(
  world: World,
  site: Site,
  id: string,
  home: string,
  what: { readonly template: string; readonly host: readonly string[] },
): Promise<unknown> {
  return createTenant(id, { ...flagsOf(world, site), ...what, home });
}

function flagsOf(world: World, site: Site) {
  const api = world.agents.get(site)?.ready['api'];
  const { paths, keys } = world.deployment.project;
  return { project: paths.folder, agent: `http://127.0.0.1:${api}`, key: keys.provisioner };
}
