// `portolan tenant`: steps signed by a provisioner and landed by an agent that answers over HTTP.

import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { listenApi } from '../../agent/api/listen.ts';
import { createTenant, retireTenant, suspendTenant } from '../../agent/cli/commands/tenant.ts';
import { encodeBase64url } from '../../shared/base64url.ts';
import { entryOf } from '../../shared/control/state.ts';
import { idlePorts } from '../agent/api-rig.ts';
import { Fleet } from '../fakes/fleet.ts';
import { Marketplace } from '../fakes/provisioners.ts';
import { crypto, keyNamed } from '../shared/kit.ts';
import { TEMPLATES } from '../shared/provisioning.ts';
import { objectOf, portolan } from './portolan.ts';
import { failureOf, newFolder } from './project-kit.ts';

let fleet: Fleet;
let flags: { project: string; agent: string; key: string };

beforeEach(async () => {
  fleet = await Fleet.afloat();
  await fleet.commit(TEMPLATES);
  await fleet.round(2);
  const market = new Marketplace(fleet);
  const ports = idlePorts({ tenants: market.ports('eu1') });
  const api = await listenApi({ host: '127.0.0.1', port: 0 }, ports);
  onTestFinished(() => api.close());
  const project = await newFolder();
  await writeFile(join(project, 'trust.json'), JSON.stringify(fleet.trust.jws));
  flags = { project, agent: `http://127.0.0.1:${api.port}`, key: await keyFile('shop') };
});

/** The private JWK of a test key, in a file for its owner alone. */
async function keyFile(name: string): Promise<string> {
  const d = encodeBase64url(createHash('sha256').update(`test key ${name}`).digest());
  const path = join(await newFolder(), 'key.jwk');
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: keyNamed(name).x, d };
  await writeFile(path, JSON.stringify(jwk), { mode: 0o600 });
  return path;
}

function entry(id: string) {
  const agent = fleet.agent('eu1');
  return entryOf(agent.holder.state, id, agent.nodes, crypto);
}

const beta = (more = {}) => ({
  ...flags,
  template: 'basic',
  host: ['beta.tenants.example'],
  ...more,
});

test('a tenant is made, suspended and retired', async () => {
  const made = await createTenant('beta', beta());
  expect(made).toMatchObject({ exit: 0, data: { tenant: 'beta', state: 'landed', version: 3n } });
  expect(entry('beta')).toMatchObject({
    tenant: { scope: 'atlantic', priority: 3, template: 'basic', hosts: ['beta.tenants.example'] },
    placement: { home: 'us1', epoch: 2n },
  });
  expect(await suspendTenant('beta', flags)).toMatchObject({ data: { version: 4n } });
  expect(entry('beta')?.tenant).toMatchObject({ suspended: true });
  expect(await retireTenant('beta', flags)).toMatchObject({ data: { version: 5n } });
  expect(entry('beta')).toEqual({ placement: { home: 'us1', epoch: 2n, state: 'ACTIVE' } });
});

test('hosts of its own, wildcards among them, where the template allows them', async () => {
  const host = ['shop.example', '*.shop.example', 'shop.example'];
  await createTenant('beta', beta({ template: 'own', host, home: 'eu1' }));
  expect(entry('beta')).toMatchObject({
    tenant: { hosts: ['*.shop.example', 'shop.example'] },
    placement: { home: 'eu1', epoch: 1n },
  });
});

test.each<readonly [string, object, string, number]>([
  ['a host that the template does not give', { host: ['shop.example'] }, 'template', 5],
  ['a host of another', { template: 'own', host: ['acme.example'], home: 'us1' }, 'host-taken', 5],
  ['a template that is not there', { template: 'basik' }, 'template', 5],
  ['no home where there are several', { template: 'own' }, 'template', 5],
  ['a home that the template does not have', { home: 'eu1' }, 'template', 5],
])('%s is refused', async (_name, more, code, exit) => {
  expect(await failureOf(createTenant('beta', beta(more)))).toMatchObject({ code, exit });
  expect(entry('beta')).toBeNull();
});

test('what is there, is not there, or is an operator’s is refused', async () => {
  const codes = [
    createTenant('acme', beta()),
    suspendTenant('nobody', flags),
    retireTenant('acme', flags),
  ];
  const found = await Promise.all(codes.map(async (work) => (await failureOf(work)).code));
  expect(found).toEqual(['tenant-exists', 'tenant-unknown', 'template']);
  expect((await failureOf(suspendTenant('acme', flags))).code).toBe('record');
});

test('a key that is no provisioner’s, and an agent that is not there, are told', async () => {
  const operator = { ...beta(), key: await keyFile('alice') };
  expect(await failureOf(createTenant('beta', operator))).toMatchObject({
    code: 'key-unknown',
    exit: 7,
  });
  const nowhere = { ...beta(), agent: 'http://127.0.0.1:1' };
  expect(await failureOf(createTenant('beta', nowhere))).toMatchObject({
    code: 'unreachable',
    exit: 6,
  });
  expect(await failureOf(createTenant('Beta!', beta()))).toMatchObject({ code: 'usage', exit: 2 });
});

test('the command line makes one', async () => {
  const { project, agent, key } = flags;
  const args = [
    'tenant',
    'create',
    'beta',
    '--template',
    'basic',
    '--host',
    'beta.tenants.example',
    '--project',
    project,
  ];
  const done = await portolan([...args, '--agent', agent, '--key', key, '--json']);
  expect(objectOf(done)).toMatchObject({ ok: true, tenant: 'beta', state: 'landed', version: '3' });
  expect(done.exit).toBe(0);
});
