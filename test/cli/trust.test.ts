// `trust`: from a draft to a document that everybody adopts, by those who hold the root keys.

import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { draftTrust, publishTrust, showTrust, signTrust } from '../../agent/cli/commands/trust.ts';
import type { CliError } from '../../agent/cli/exit.ts';
import type { Project } from '../../agent/cli/init.ts';
import { readSigner } from '../../agent/cli/project.ts';
import { readState } from '../../agent/cli/state.ts';
import type { TrustEdits } from '../../agent/cli/trust-draft.ts';
import { jwkOf } from '../fakes/agent-process.ts';
import { keyNamed } from '../shared/kit.ts';
import { objectOf, portolan } from './portolan.ts';
import {
  applying,
  commit,
  failureOf,
  land,
  newProject,
  planOf,
  slower,
  within,
  writeConfig,
} from './project-kit.ts';

const x = (name: string) => keyNamed(name).x;

let project: Project;
let flags: { readonly project: string };
let file: string;
beforeEach(async () => {
  project = await newProject();
  flags = { project: project.paths.folder };
  file = join(project.paths.folder, 'next.json');
});

const draft = (edits: TrustEdits, out = file) => draftTrust({ ...flags, out, ...edits });
const sign = (key: string) => signTrust(file, { ...flags, key });
const publish = () => publishTrust(file, flags);

async function signAll(): Promise<void> {
  for (const root of project.keys.roots) await sign(root);
}

async function rotate(edits: TrustEdits): Promise<void> {
  await rm(file, { force: true });
  await draft(edits);
  await signAll();
  await publish();
}

async function keyFile(name: string): Promise<string> {
  const path = join(project.paths.folder, `${name}.jwk`);
  await writeFile(path, jwkOf(name), { mode: 0o600 });
  return path;
}

async function codeAndExit(work: Promise<unknown>): Promise<readonly [string, number]> {
  const { code, exit }: CliError = await failureOf(work);
  return [code, exit];
}

const CAROL: TrustEdits = { set: [`operator/carol=${x('carol')}`] };

describe('from a draft to the next commit', () => {
  test('says what changes, who must sign, and what is left to do', async () => {
    await commit(project);
    const drafted = await draft({ ...CAROL, remove: ['operator/operator'] });
    const changes = [
      expect.stringMatching(/^- operator\/operator /),
      `+ operator/carol ${keyNamed('carol').kid}`,
    ];
    expect(drafted.data).toMatchObject({ version: 2n, changes, missing: { old: 2, new: 2 } });
    const [first = '', second = ''] = project.keys.roots;
    expect((await sign(first)).data).toMatchObject({ changes, missing: { old: 1, new: 1 } });
    // Twice by one key is once.
    expect((await sign(first)).data).toMatchObject({ missing: { old: 1, new: 1 } });
    expect(await codeAndExit(publish())).toEqual(['trust-signatures', 7]);
    expect((await sign(second)).data).toMatchObject({ missing: { old: 0, new: 0 } });
    const published = await publish();
    expect(published.data).toMatchObject({ version: 2n, changes });
    expect(published.notes?.[0]).toContain('portolan apply');
    const { holder, trust } = await readState(project.paths, project.trust);
    expect([trust.document.version, holder.state.manifest.trust]).toEqual([2n, 1n]);
  });

  test('the next plan completes it, without the key that was taken out', async () => {
    await commit(project);
    await rotate({ ...CAROL, remove: ['operator/operator'] });
    const plan = await planOf(project);
    expect(plan.commits).toMatchObject([{ operations: [], class: 'normal' }]);
    expect(await codeAndExit(land(project, plan))).toEqual(['key-unknown', 7]);
    const carol = await readSigner(await keyFile('carol'));
    expect(await land(project, plan, carol)).toMatchObject([{ version: 2n, operations: 0 }]);
    expect((await planOf(project)).commits).toEqual([]);
    expect((await showTrust(flags)).data).toMatchObject({ version: 2n, committed: 2n });
  });

  test('a plan from before a rotation is late, and nothing is written', async () => {
    await commit(project);
    const plan = await planOf(project, slower);
    await rotate(CAROL);
    expect(await codeAndExit(land(project, plan))).toEqual(['stale', 4]);
    expect(await land(project, await planOf(project, slower))).toMatchObject([{ operations: 1 }]);
  });

  test('new root keys sign beside the old ones', async () => {
    await draft({
      set: [`root/r3=${x('r3')}`],
      remove: ['root/root-1'],
    });
    await signAll();
    expect(await codeAndExit(publish())).toEqual(['trust-signatures', 7]);
    expect((await sign(await keyFile('r3'))).data).toMatchObject({ missing: { old: 0, new: 0 } });
    expect((await publish()).data).toMatchObject({ version: 2n });
  });

  test('a site comes with its first agent and goes with its last', async () => {
    await rotate({ set: [`agent/ap1/ap1-1=${x('ap1-1')}`], threshold: ['sites=3'] });
    expect((await showTrust(flags)).data).toMatchObject({
      documents: [{ sites: 3 }, { sites: 4 }],
    });
    await rotate({ remove: ['agent/w1/w1-1'], threshold: ['sites=2'] });
    expect((await showTrust(flags)).data).toMatchObject({ version: 3n });
    await expect(planOf(project)).rejects.toThrow('site: trust names no site w1');
  });
});

describe('refused before anything is written', () => {
  test.each<readonly [string, TrustEdits, string]>([
    ['nothing', {}, 'usage'],
    ['a role that is none', { set: [`king/carol=${x('carol')}`] }, 'usage'],
    ['a key without a name', { set: [`operator=${x('carol')}`] }, 'usage'],
    ['a name without a key', { set: ['operator/carol'] }, 'usage'],
    ['an agent without a site', { set: [`agent/carol=${x('carol')}`] }, 'usage'],
    ['a name that is not there', { remove: ['operator/carol'] }, 'usage'],
    ['a threshold of something else', { threshold: ['kings=2'] }, 'usage'],
    ['a threshold of none', { threshold: ['root=0'] }, 'usage'],
    ['a threshold beyond the keys', { threshold: ['root=3'] }, 'trust-threshold'],
    ['a threshold below the majority', { threshold: ['sites=1'] }, 'trust-threshold'],
    ['a key that is none', { set: ['operator/carol=abc'] }, 'trust-key'],
    [
      'a key in two places',
      { set: [`edge/e=${x('a')}`, `operator/o=${x('a')}`] },
      'trust-shared-key',
    ],
    ['a name that is none', { set: [`operator/Carol=${x('carol')}`] }, 'usage'],
    ['a name that every object has', { set: [`operator/__proto__=${x('carol')}`] }, 'usage'],
    ['a site that every object has', { set: [`agent/__proto__/a=${x('carol')}`] }, 'usage'],
  ])('a draft of %s', async (_, edits, code) => {
    expect(await codeAndExit(draft(edits))).toEqual([code, 2]);
    await expect(readFile(file)).rejects.toThrow('ENOENT');
  });

  test('over another file', async () => {
    await draft(CAROL);
    expect(await codeAndExit(draft(CAROL))).toEqual(['exists', 4]);
  });

  test('a signature by a key that is no root key', async () => {
    await draft(CAROL);
    const before = await readFile(file, 'utf8');
    expect(await codeAndExit(sign(project.keys.operator))).toEqual(['role', 7]);
    expect(await readFile(file, 'utf8')).toBe(before);
  });

  test.each(['', '{}', '{"payload":"e30","signatures":[]}', '{"payload":"!","signatures":[]}'])(
    'a file that is no draft: %j',
    async (text) => {
      await writeFile(file, text);
      expect(await codeAndExit(publish())).toEqual(['input', 2]);
    },
  );

  test('a draft that was changed after it was signed', async () => {
    await draft(CAROL);
    await signAll();
    const signed = JSON.parse(await readFile(file, 'utf8'));
    await rm(file);
    await draft({ set: [`operator/mallory=${x('mallory')}`] });
    const other = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...signed, payload: other.payload }));
    expect(await codeAndExit(publish())).toEqual(['signature', 7]);
  });
});

describe('two at once', () => {
  test('one is published, the other drafts again', async () => {
    await draft(CAROL);
    await signAll();
    const second = await readFile(file, 'utf8');
    await rotate({ set: [`operator/dave=${x('dave')}`] });
    await writeFile(file, second);
    expect(await codeAndExit(publish())).toEqual(['stale', 4]);
    expect(await codeAndExit(sign(project.keys.roots[0] ?? ''))).toEqual(['stale', 4]);
  });

  test('the same twice is published once', async () => {
    await rotate(CAROL);
    expect(await codeAndExit(publish())).toEqual(['exists', 4]);
  });
});

test('without its control directory nothing is published, and the pin is shown', async () => {
  await draft(CAROL);
  await signAll();
  await rm(project.paths.control, { recursive: true });
  expect(await codeAndExit(publish())).toEqual(['source-unreadable', 6]);
  expect((await showTrust(flags)).data).toMatchObject({ version: 1n, committed: null });
});

test('a later document may be the pin', async () => {
  await commit(project);
  await rotate(CAROL);
  await rotate({ remove: ['operator/operator'] });
  const path = join(project.paths.control, 'trust', '3.json');
  await writeFile(project.paths.trust, await readFile(path, 'utf8'));
  expect((await showTrust(flags)).data).toMatchObject({ version: 3n, committed: 1n });
  // Without the documents before it, what was committed under them cannot be judged.
  await rm(join(project.paths.control, 'trust', '2.json'));
  expect((await showTrust(flags)).data).toMatchObject({ version: 3n, committed: null });
});

test('people draft, sign, publish and apply by the command line', async () => {
  await writeConfig(project);
  expect(await portolan(applying(project))).toMatchObject({ exit: 0 });
  const edits = ['--set', `operator/carol=${x('carol')}`, '--remove', 'operator/operator'];
  const drafted = await portolan(within(project, 'trust', 'draft', '--out', file, ...edits));
  expect(drafted).toMatchObject({ exit: 0 });
  expect(drafted.stdout).toContain('+ operator/carol');
  for (const key of project.keys.roots) {
    const signed = await portolan(within(project, 'trust', 'sign', file, '--key', key));
    expect(signed.exit).toBe(0);
  }
  const published = await portolan(within(project, 'trust', 'publish', file, '--json'));
  expect(objectOf(published)).toMatchObject({ ok: true, version: '2' });
  const shown = await portolan(within(project, 'trust', 'show'));
  expect(shown.stdout).toContain('carol');
  expect(shown.stderr).toContain('until it lands');
  const carol = await keyFile('carol');
  const applied = await portolan(within(project, 'apply', '--key', carol, '--reason', 'rotation'));
  expect(applied).toMatchObject({ exit: 0 });
  expect(applied.stdout).toContain('version 2: 0 operations');
}, 60_000);
