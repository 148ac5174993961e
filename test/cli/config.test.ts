// The configuration's faults: all at once, each at the place where it was written.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../agent/cli/config.ts';
import { CONFIG_FILE_BYTES_MAX } from '../../agent/cli/limits.ts';
import type { TrustDocument } from '../../shared/control/trust.ts';
import { trustDocument } from '../shared/kit.ts';
import { failureOf, newFolder } from './project-kit.ts';

const FINE = `cluster: demo
sites:
  eu1: {slot: 1, at: [50.11, 8.68], gateway: "https://gw.eu1.example"}
  us1: {slot: 2, at: [39.04, -77.49], gateway: "https://gw.us1.example"}
  w1: {region: false}
threshold: 2
scopes:
  eu: {regions: [eu1], ingress: any}
policies:
  std: {}
tenants:
  acme: {hosts: [acme.example], scope: eu, home: eu1, policy: std}
`;

/** Lines of `FINE` replaced, from 1. */
function withLines(lines: Readonly<Record<number, string>>): string {
  const all = FINE.split('\n');
  for (const [line, text] of Object.entries(lines)) all[Number(line) - 1] = text;
  return all.join('\n');
}

async function faultsOf(text: string, trust: TrustDocument | null = null) {
  const path = join(await newFolder(), 'c.yaml');
  await writeFile(path, text);
  const { code, exit, lines } = await failureOf(readConfig(path, trust));
  expect([code, exit]).toEqual(['config', 2]);
  return lines.map((line) => line.replaceAll(path, 'c.yaml'));
}

async function filesIn(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(await newFolder(), 'conf');
  await mkdir(folder);
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

describe('a fault is shown where it was written', () => {
  const table: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'a value of the wrong kind',
      withLines({ 6: 'threshold: two' }),
      ['c.yaml:6:12: threshold: expected a number, found "two"'],
    ],
    [
      'a name that is none',
      withLines({ 1: 'cluster: Demo' }),
      ['c.yaml:1:10: cluster: expected lower-case letters, digits, hyphens; at most 63'],
    ],
    [
      'a key that is no name',
      withLines({ 12: '  Acme: {hosts: [acme.example], scope: eu, home: eu1, policy: std}' }),
      ['c.yaml:12:3: tenants.Acme: expected lower-case letters, digits, hyphens; at most 63'],
    ],
    [
      'a missing field, at what it is missing from',
      withLines({ 12: '  acme: {hosts: [acme.example], scope: eu, policy: std}' }),
      ['c.yaml:12:3: tenants.acme.home: is missing'],
    ],
    [
      'a missing field of a block, at its name',
      withLines({ 12: '  acme:\n    hosts: [acme.example]\n    scope: eu\n    policy: std' }),
      ['c.yaml:12:3: tenants.acme.home: is missing'],
    ],
    [
      'a missing collection, at the top',
      withLines({ 9: '', 10: '' }),
      [
        'c.yaml:1:1: policies: is missing',
        'c.yaml:12:63: tenants.acme.policy: there is no policy std',
      ],
    ],
    [
      'a misspelt field',
      withLines({ 10: '  std: {replicaRead: true}' }),
      [
        'c.yaml:10:9: policies.std.replicaRead: there is no such field; did you mean "replicaReads"?',
      ],
    ],
    [
      'a misspelt collection',
      withLines({ 11: 'tenant:' }),
      ['c.yaml:11:1: tenant: there is no such field; did you mean "tenants"?'],
    ],
    [
      'an item of a list',
      withLines({ 8: '  eu: {regions: [eu1], ingress: {countries: [DE, fr]}}' }),
      ['c.yaml:8:50: scopes.eu.ingress.countries.1: expected two capital letters, like DE'],
    ],
    [
      'a value that is one of few',
      withLines({ 8: '  eu: {regions: [eu1], ingress: some}' }),
      ['c.yaml:8:33: scopes.eu.ingress: expected any, or {countries: [DE, …]}'],
    ],
    [
      'a number beyond its bound',
      withLines({ 10: '  std: {hardAgeS: {read: 3601}}' }),
      ['c.yaml:10:26: policies.std.hardAgeS.read: Too big: expected number to be <=3600'],
    ],
    [
      'an empty record',
      withLines({ 10: '  std:' }),
      ['c.yaml:10:7: policies.std: expected a map, found nothing'],
    ],
    [
      'a gateway with a path, a host named twice',
      withLines({
        4: '  us1: {slot: 2, at: [39.04, -77.49], gateway: "https://gw.us1.example/x"}',
        12: '  acme: {hosts: [a.example, a.example], scope: eu, home: eu1, policy: std}',
      }),
      [
        'c.yaml:4:48: sites.us1.gateway: not valid: https://host[:port], no path',
        'c.yaml:12:17: tenants.acme.hosts: not valid: named twice',
      ],
    ],
    [
      'an unknown store',
      withLines({ 11: 'stores: {FRA: [weru]}\ntenants:' }),
      [
        'c.yaml:11:16: stores.FRA.0: expected one of wnam, enam, sam, weur, eeur, apac, oc, afr, me; ' +
          'did you mean "weur"?',
      ],
    ],
    [
      'a region that is no boolean',
      withLines({ 5: '  w1: {region: no}' }),
      ['c.yaml:5:16: sites.w1.region: expected true or false'],
    ],
  ];
  test.each(table)('%s', async (_, text, lines) => {
    expect(await faultsOf(text)).toEqual(lines);
  });
});

describe('what the schema cannot see is shown too', () => {
  const table: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'a scope of a region that is not there',
      withLines({ 8: '  eu: {regions: [eu1, eu2], ingress: any}' }),
      ['c.yaml:8:23: scopes.eu.regions.1: there is no region eu2; did you mean "eu1"?'],
    ],
    [
      'a scope of a witness',
      withLines({ 8: '  eu: {regions: [eu1, w1], ingress: any}' }),
      ['c.yaml:8:23: scopes.eu.regions.1: w1 is a witness, not a region'],
    ],
    [
      'a misspelt scope and a misspelt policy',
      withLines({ 12: '  acme: {hosts: [acme.example], scope: ue, home: eu1, policy: sdt}' }),
      [
        'c.yaml:12:40: tenants.acme.scope: there is no scope ue; did you mean "eu"?',
        'c.yaml:12:63: tenants.acme.policy: there is no policy sdt; did you mean "std"?',
      ],
    ],
    [
      'a home outside its scope',
      withLines({ 12: '  acme: {hosts: [acme.example], scope: eu, home: us1, policy: std}' }),
      ['c.yaml:12:50: tenants.acme.home: us1 is outside scope eu (eu1)'],
    ],
    [
      'a host of two tenants',
      withLines({
        13: '  b: {hosts: [b.example, acme.example], scope: eu, home: eu1, policy: std}\n',
      }),
      ['c.yaml:13:26: tenants.b.hosts.1: acme.example is a host of acme'],
    ],
    [
      'a slot of two regions',
      withLines({ 4: '  us1: {slot: 1, at: [39.04, -77.49], gateway: "https://gw.us1.example"}' }),
      ['c.yaml:4:15: sites.us1.slot: slot 1 is that of eu1'],
    ],
    [
      'a threshold that is no majority',
      withLines({ 6: 'threshold: 1' }),
      ['c.yaml:6:12: threshold: 1 is not a majority of 3 sites'],
    ],
    [
      'a latency to nowhere',
      withLines({ 11: 'latency: {FRA: {eu1: 3, eu11: 4}}\ntenants:' }),
      ['c.yaml:11:25: latency.FRA.eu11: there is no region eu11; did you mean "eu1"?'],
    ],
  ];
  test.each(table)('%s', async (_, text, lines) => {
    expect(await faultsOf(text)).toEqual(lines);
  });

  test('a record with one broken field is still checked in the others', async () => {
    const line = '  acme: {hosts: [Acme.example], scope: ue, home: eu1, policy: std, priority: 11}';
    expect(await faultsOf(withLines({ 12: line }))).toEqual([
      'c.yaml:12:18: tenants.acme.hosts.0: expected a host name, or *. and a host name',
      'c.yaml:12:40: tenants.acme.scope: there is no scope ue; did you mean "eu"?',
      'c.yaml:12:78: tenants.acme.priority: Too big: expected number to be <=9',
    ]);
  });
});

describe('the configuration agrees with the pinned trust document', () => {
  test('where it does, it is read', async () => {
    const path = join(await newFolder(), 'c.yaml');
    await writeFile(path, FINE);
    const { config } = await readConfig(path, trustDocument());
    expect(config.tenants['acme']).toMatchObject({ home: 'eu1', priority: 1 });
    expect(config.policies['std']).toEqual({
      replicaReads: false,
      mode: 'enforce',
      hardAgeS: { write: 60, read: 300, revocation: 60 },
      slowStartS: 60,
      sessionPaths: [],
    });
  });

  test('another cluster, threshold or site is a fault', async () => {
    const text = withLines({ 1: 'cluster: damo', 5: '  w2: {region: false}', 6: 'threshold: 3' });
    expect(await faultsOf(text, trustDocument())).toEqual([
      'c.yaml:1:10: cluster: trust.json is of cluster demo',
      'c.yaml:2:1: sites: trust.json names w1 too',
      'c.yaml:5:3: sites.w2: trust.json names no such site; did you mean "w1"?',
      'c.yaml:6:12: threshold: trust.json says 2',
    ]);
  });
});

describe('YAML itself', () => {
  test('a file that is no YAML is shown at its places and not judged further', async () => {
    expect(await faultsOf('cluster: demo\n\tsites: 1\nscopes: !!none 3\n')).toEqual([
      'c.yaml:2:1: Tabs are not allowed as indentation',
      'c.yaml:3:9: Unresolved tag: tag:yaml.org,2002:none',
    ]);
  });

  test('a key written twice is shown at both places, beside the other faults', async () => {
    const twice = '  std: {}\n  std: {mode: observe}';
    expect(await faultsOf(withLines({ 10: twice }))).toEqual([
      'c.yaml:11:3: policies.std: written twice; first at c.yaml:10:3',
      'c.yaml:11:15: policies.std.mode: expected enforce',
    ]);
  });

  test('a name that would be a prototype is refused', async () => {
    expect(await faultsOf(withLines({ 10: '  std: {}\n  __proto__: {}' }))).toEqual([
      'c.yaml:11:3: policies.__proto__: this name is reserved',
    ]);
  });

  test('aliases are expanded within bounds', async () => {
    const shared = '  std: &std {replicaReads: true}\n  other: *std';
    const path = join(await newFolder(), 'c.yaml');
    await writeFile(path, withLines({ 10: shared }));
    const { config } = await readConfig(path, null);
    expect(config.policies['other']).toEqual(config.policies['std']);
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x,x]', 'b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]'];
    bomb.push('c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]', 'd: [*c,*c,*c,*c,*c,*c,*c,*c]');
    expect(await faultsOf(bomb.join('\n'))).toEqual([
      'c.yaml:1:1: not read: Excessive alias count indicates a resource exhaustion attack',
    ]);
  });

  test('brackets without end are a fault and not a crash', async () => {
    const [first] = await faultsOf(`a: ${'['.repeat(50_000)}`);
    expect(first).toMatch(/^c\.yaml:1:\d+: /);
  });

  test('a file beyond the bound is not read', async () => {
    const path = join(await newFolder(), 'c.yaml');
    await writeFile(path, ' '.repeat(CONFIG_FILE_BYTES_MAX + 1));
    const error = await failureOf(readConfig(path, null));
    expect([error.code, error.exit]).toEqual(['input', 2]);
    await writeFile(path, FINE + ' '.repeat(CONFIG_FILE_BYTES_MAX - FINE.length));
    expect((await readConfig(path, null)).config.cluster).toBe('demo');
  });
});

describe('a folder', () => {
  const [top, tenants] = FINE.split('tenants:');

  test('is one configuration in parts', async () => {
    const folder = await filesIn({
      'a.yaml': `${top}`,
      'b.yml': `tenants:${tenants}`,
      'c.yaml': 'tenants:\n  b: {hosts: [b.example], scope: eu, home: eu1, policy: std}\n',
      'empty.yaml': '# nothing yet\n',
      'notes.txt': '[',
      '.hidden.yaml': '[',
    });
    const { config, text } = await readConfig(folder, null);
    expect(Object.keys(config.tenants)).toEqual(['acme', 'b']);
    expect(text).toBeNull();
  });

  test('a record or a field in two files is shown at both places', async () => {
    const folder = await filesIn({
      'a.yaml': FINE,
      'b.yaml': 'threshold: 2\nscopes:\n  eu: {regions: [us1], ingress: any}\n',
    });
    const { lines } = await failureOf(readConfig(folder, null));
    expect(lines.map((line) => line.replaceAll(`${folder}/`, ''))).toEqual([
      'b.yaml:1:1: threshold: written twice; first at a.yaml:6:1',
      'b.yaml:3:3: scopes.eu: written twice; first at a.yaml:8:3',
    ]);
  });

  test('a fault names the file it is in', async () => {
    const folder = await filesIn({
      'a.yaml': `${top}`,
      'b.yaml': 'tenants:\n  b: {hosts: [b.example], scope: eu, home: eu2, policy: std}\n',
    });
    const { lines } = await failureOf(readConfig(folder, null));
    expect(lines.map((line) => line.replaceAll(`${folder}/`, ''))).toEqual([
      'b.yaml:2:44: tenants.b.home: there is no region eu2; did you mean "eu1"?',
    ]);
  });

  test('without a file in it is no configuration', async () => {
    const error = await failureOf(readConfig(await filesIn({}), null));
    expect([error.code, error.exit]).toEqual(['input', 2]);
  });
});
