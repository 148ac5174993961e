// The configuration as files: YAML and its traps, folders, bounds, and the pin it must agree with.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../agent/cli/config.ts';
import { CONFIG_FILE_BYTES_MAX, CONFIG_FILES_MAX } from '../../agent/cli/limits.ts';
import { trustDocument } from '../shared/kit.ts';
import { FINE, faultsOf, filesIn, withLines } from './config-kit.ts';
import { failureOf, newFolder } from './project-kit.ts';

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

  test('a file that is not UTF-8 is refused, not repaired', async () => {
    const path = join(await newFolder(), 'c.yaml');
    await writeFile(path, Buffer.concat([Buffer.from(FINE), Buffer.from([0x23, 0xff, 0x0a])]));
    const error = await failureOf(readConfig(path, null));
    expect([error.code, error.exit]).toEqual(['input', 2]);
    expect(error.message).toContain('not UTF-8');
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

test('a flood of faults is counted, and the first thousand are shown', async () => {
  const lines = (many: number) =>
    Array.from({ length: many }, (_, i) => `  t${i}: {hosts: [t${i}.example], scope: x}`);
  const text = (many: number) => `${FINE}${lines(many).join('\n')}\n`;
  // Three faults a tenant: no home, no policy, no such scope.
  const most = await faultsOf(text(333));
  expect([most.length, most.at(-1)]).toEqual([999, expect.stringContaining('tenants.t332')]);
  expect((await faultsOf(text(334))).slice(1000)).toEqual(['and 2 more']);
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

  test('has at most so many files', async () => {
    const names = Array.from({ length: CONFIG_FILES_MAX }, (_, i) => [`n${i}.yaml`, '']);
    const folder = await filesIn({ ...Object.fromEntries(names.slice(1)), 'a.yaml': FINE });
    expect((await readConfig(folder, null)).config.cluster).toBe('demo');
    await writeFile(join(folder, 'b.yaml'), '');
    const error = await failureOf(readConfig(folder, null));
    expect([error.code, error.exit]).toEqual(['input', 2]);
  });

  test('without a file in it is no configuration', async () => {
    const error = await failureOf(readConfig(await filesIn({}), null));
    expect([error.code, error.exit]).toEqual(['input', 2]);
  });
});
