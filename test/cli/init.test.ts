// A new project: complete, secret where it must be, and never over another.

import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { nodeCrypto, signerOf } from '../../agent/adapters/crypto.ts';
import { ControlDirectory } from '../../agent/adapters/directory.ts';
import { init } from '../../agent/cli/commands/init.ts';
import { readConfig } from '../../agent/cli/config.ts';
import { configJsonSchema } from '../../agent/cli/config-schema.ts';
import { initProject } from '../../agent/cli/init.ts';
import { projectAt, readPin, readSigner } from '../../agent/cli/project.ts';
import { readAgentConfig } from '../../agent/config.ts';
import { parseJson } from '../../shared/canonical.ts';
import { openJoin } from '../../shared/control/join.ts';
import { openTrust } from '../../shared/control/trust.ts';
import { configOf, failureOf, newFolder, newProject } from './project-kit.ts';

async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => relative(folder, join(parentPath, name))).sort();
}

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

test('a project has every file that the next steps need', async () => {
  const folder = await newFolder();
  await init(folder, { cluster: 'demo', agents: 1 });
  expect(await filesBelow(folder)).toEqual([
    'CHECKLIST.md',
    'agents/eu1-1.yaml',
    'agents/us1-1.yaml',
    'agents/w1-1.yaml',
    'control/joins/eu1-1.json',
    'control/joins/us1-1.json',
    'control/joins/w1-1.json',
    'control/trust/1.json',
    'edge.secrets.json',
    'keys/agent-eu1-1.jwk',
    'keys/agent-us1-1.jwk',
    'keys/agent-w1-1.jwk',
    'keys/approver-1.jwk',
    'keys/approver-2.jwk',
    'keys/edge.jwk',
    'keys/operator.jwk',
    'keys/provisioner.jwk',
    'keys/recovery.jwk',
    'keys/root-1.jwk',
    'keys/root-2.jwk',
    'portolan.schema.json',
    'portolan.yaml',
    'store.secrets.json',
    'trust.json',
  ]);
  expect(await readdir(join(folder, 'control', 'commits'))).toEqual([]);
});

test('its example is valid against its own pin, and names its schema', async () => {
  const folder = await newFolder();
  await init(folder, { cluster: 'demo', agents: 1 });
  const paths = projectAt(folder);
  const { config, text } = await readConfig(paths.config, (await readPin(paths)).document);
  expect(config).toMatchObject({ cluster: 'demo', threshold: 2 });
  expect(text?.split('\n')[0]).toBe('# yaml-language-server: $schema=./portolan.schema.json');
  const schema = JSON.parse(await readFile(paths.schema, 'utf8'));
  expect(schema).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
});

describe('keys', () => {
  test('are for their owner alone', async () => {
    const { paths, keys, agents } = await initProject(await newFolder(), configOf());
    expect(await modeOf(paths.keys)).toBe('700');
    const { provisioner, recovery, edge } = keys;
    const all = [...keys.roots, keys.operator, ...keys.approvers, provisioner, recovery, edge];
    for (const path of [...all, ...agents.map(({ key }) => key), paths.edgeSecrets]) {
      expect([path, await modeOf(path)]).toEqual([path, '600']);
    }
    expect((await readdir(paths.keys)).length).toBe(all.length + agents.length);
  });

  test('are the ones that trust names, each in its role', async () => {
    const { trust, keys, agents } = await newProject();
    const roleOf = async (path: string) => trust.roles.get((await readSigner(path)).kid);
    expect(await roleOf(keys.operator)).toEqual({ kind: 'operator', name: 'operator' });
    expect(await roleOf(keys.edge)).toEqual({ kind: 'edge', name: 'edge' });
    const shop = { kind: 'provisioner', name: 'provisioner' };
    expect(await roleOf(keys.provisioner)).toEqual(shop);
    expect(await roleOf(keys.recovery)).toEqual({ kind: 'recovery', name: 'recovery' });
    expect(await Promise.all(keys.roots.map(roleOf))).toEqual([
      { kind: 'root', name: 'root-1' },
      { kind: 'root', name: 'root-2' },
    ]);
    for (const { key, agent, site } of agents) {
      expect(await roleOf(key)).toEqual({ kind: 'agent', name: agent, site });
    }
  });

  test('of a root need one another', async () => {
    const { trust, paths } = await newProject();
    const { root, approvers, threshold } = trust.document;
    expect([root.threshold, approvers.threshold, threshold]).toEqual([2, 2, 2]);
    const jws = JSON.parse(await readFile(paths.trust, 'utf8'));
    const alone = await openTrust({ ...jws, signatures: [jws.signatures[0]] }, nodeCrypto);
    expect(alone).toMatchObject({ code: 'trust-signatures' });
  });

  test('are new every time', async () => {
    const folder = await newFolder();
    const [one, other] = [await newProject(), await initProject(folder, configOf())];
    const shared = [...one.trust.roles.keys()].filter((kid) => other.trust.roles.has(kid));
    expect(shared).toEqual([]);
  });
});

describe('what others start from', () => {
  test('the directory carries the pinned trust document', async () => {
    const { paths, trust, trustText } = await newProject();
    const stored = await new ControlDirectory(paths.control).trust(1n);
    expect(stored).toEqual(trust.jws);
    expect(parseJson(trustText)?.value).toEqual(stored);
  });

  test('each agent has a join that opens', async () => {
    const { paths, trust, agents } = await newProject();
    const directory = new ControlDirectory(paths.control);
    for (const who of agents) {
      const join = await openJoin(await directory.join(who.agent), who, trust, nodeCrypto);
      expect(join).toMatchObject({ cluster: 'demo', version: 0n, envelope: null });
    }
  });

  test('each agent has a configuration that it can read', async () => {
    const { paths, agents } = await newProject();
    const apis = new Set<number>();
    for (const { agent, site, key, config } of agents) {
      const read = await readAgentConfig(config);
      expect(read).toMatchObject({ agent, site, key, trust: paths.trust, assume: 'up' });
      expect(read.control).toEqual({ file: paths.control });
      expect(read.peers).toHaveLength(agents.length - 1);
      expect(read.gateway === undefined).toBe(site === 'w1');
      apis.add(read.api.port);
    }
    expect(apis.size).toBe(agents.length);
  });

  // Stores sign receipts with the key of the edge (C11).
  test.each(['edgeSecrets', 'storeSecrets'] as const)('%s has trust and key', async (file) => {
    const { paths, trust, keys } = await newProject();
    const secrets = JSON.parse(await readFile(paths[file], 'utf8'));
    expect(Object.keys(secrets).sort()).toEqual(['EDGE_KEY', 'TRUST']);
    const opened = await openTrust(parseJson(secrets.TRUST)?.value, nodeCrypto);
    expect(opened).toMatchObject({ digest: trust.digest });
    expect(signerOf(secrets.EDGE_KEY)?.kid).toBe((await readSigner(keys.edge)).kid);
  });

  test('the checklist names every agent’s file, in the order of things', async () => {
    const { paths, agents } = await newProject();
    const text = await readFile(paths.checklist, 'utf8');
    for (const { agent } of agents) expect(text).toContain(`agents/${agent}.yaml`);
    const steps = ['root keys offline', 'wrangler secret bulk', 'wrangler deploy', 'Start the'];
    const places = steps.map((step) => text.indexOf(step));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places).not.toContain(-1);
  });
});

describe('a configuration of one’s own', () => {
  test('is taken as it was written, with its sites, threshold and cluster', async () => {
    const path = join(await newFolder(), 'own.yaml');
    const site = '{slot: 5, at: [1, 2], gateway: "https://a.example"}';
    const text = `# ours\ncluster: own\nsites: {a: ${site}}
threshold: 1\nscopes: {}\npolicies: {}\n`;
    await writeFile(path, text);
    const folder = join(await newFolder(), 'p');
    await init(folder, { config: path, agents: 2 });
    const { document } = await readPin(projectAt(folder));
    expect([document.cluster, document.threshold]).toEqual(['own', 1]);
    expect(Object.keys(document.sites['a']?.agents ?? {})).toEqual(['a-1', 'a-2']);
    const written = await readFile(projectAt(folder).config, 'utf8');
    expect(written.endsWith(text)).toBe(true);
  });

  test('of another cluster than the one named is refused', async () => {
    const { paths } = await newProject();
    const folder = join(await newFolder(), 'p');
    const error = await failureOf(init(folder, { config: paths.config, cluster: 'b', agents: 1 }));
    expect([error.code, error.exit]).toEqual(['usage', 2]);
  });

  test('given as a value is written so that it reads the same', async () => {
    const config = configOf();
    const { paths, trust } = await initProject(await newFolder(), config);
    expect((await readConfig(paths.config, trust.document)).config).toEqual(config);
    expect(parse(await readFile(paths.config, 'utf8')).cluster).toBe('demo');
  });
});

describe('nothing is overwritten', () => {
  test('a project is refused, and nothing in it changes', async () => {
    const { paths } = await newProject();
    const before = await readFile(paths.trust, 'utf8');
    const error = await failureOf(initProject(paths.folder, configOf()));
    expect([error.code, error.exit]).toEqual(['exists', 4]);
    expect(await readFile(paths.trust, 'utf8')).toBe(before);
  });

  test.each(['portolan.yaml', 'trust.json', 'keys', 'control', 'CHECKLIST.md'])(
    'a folder with %s is refused before anything is written',
    async (name) => {
      const folder = await newFolder();
      if (name.includes('.')) await writeFile(join(folder, name), 'mine');
      else await mkdir(join(folder, name));
      const error = await failureOf(initProject(folder, configOf()));
      expect([error.code, error.exit]).toEqual(['exists', 4]);
      expect(await readdir(folder)).toEqual([name]);
    },
  );

  test('of two at once one makes the project', async () => {
    const folder = join(await newFolder(), 'p');
    const outcomes = await Promise.allSettled([
      initProject(folder, configOf()),
      initProject(folder, configOf()),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const made = outcomes.find((outcome) => outcome.status === 'fulfilled');
    const { digest } = await readPin(projectAt(folder));
    expect(made?.value.trust.digest).toBe(digest);
  });

  test('a folder that init did not finish is no project', async () => {
    const { paths } = await newProject();
    const error = await failureOf(readPin(projectAt(join(paths.folder, 'keys'))));
    expect([error.code, error.exit]).toEqual(['input', 2]);
  });
});
