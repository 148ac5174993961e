// The command line where it says no, and in odd surroundings: exit codes, usage, colours, no
// terminal.

import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { apply } from '../../agent/cli/commands/apply.ts';
import { diff } from '../../agent/cli/commands/diff.ts';
import { explain } from '../../agent/cli/commands/explain.ts';
import { init } from '../../agent/cli/commands/init.ts';
import { show } from '../../agent/cli/commands/show.ts';
import { status } from '../../agent/cli/commands/status.ts';
import { validate } from '../../agent/cli/commands/validate.ts';
import { world } from '../../agent/cli/commands/world.ts';
import { EXIT, exitOf } from '../../agent/cli/exit.ts';
import { objectOf, portolan } from './portolan.ts';
import {
  applying,
  commit,
  commitPath,
  failureOf,
  newFolder,
  newProject,
  wider,
  within,
  writeConfig,
} from './project-kit.ts';

const USAGE = ['usage', 2, expect.stringMatching(/./)];

describe('exit codes', () => {
  test('2 with every fault of the configuration on stderr, or in the object', async () => {
    const project = await newProject();
    await writeFile(project.paths.config, 'cluster: demo\nsites: {eu1: {slot: x}}\n');
    const [words, object] = await Promise.all([
      portolan(within(project, 'validate')),
      portolan(within(project, 'validate', '--json')),
    ]);
    expect([words.exit, words.stdout]).toEqual([2, '']);
    expect(words.stderr).toContain(`${project.paths.config}:2:21: sites.eu1.slot: `);
    expect(words.stderr).toContain(`${project.paths.config}:1:1: policies: is missing`);
    expect(object).toMatchObject({ exit: 2, stderr: '' });
    expect(objectOf(object)).toMatchObject({
      ok: false,
      error: {
        code: 'config',
        faults: expect.arrayContaining([
          expect.objectContaining({ line: 2, column: 21, path: 'sites.eu1.slot' }),
        ]),
      },
    });
  });

  test('7 when the pin itself does not verify, also for validate', async () => {
    const project = await newProject();
    const folder = project.paths.folder;
    await writeFile(project.paths.trust, '{}');
    const error = await failureOf(validate({ project: folder }));
    expect([error.code, error.exit]).toEqual(['malformed', 7]);
    await rm(project.paths.trust);
    expect(await validate({ project: folder })).toMatchObject({ exit: 0, data: { pinned: false } });
  });

  test('1 when what was asked for cannot be written', async () => {
    const project = await newProject();
    const out = join(project.paths.trust, 'plan.json');
    const failed = await portolan(within(project, 'plan', '--out', out, '--json'));
    expect([failed.exit, objectOf(failed)]).toMatchObject([1, { error: { code: 'failure' } }]);
  });

  test('5 with the difference, and nothing written, when a scope would widen', async () => {
    const project = await newProject();
    await commit(project);
    await writeConfig(project, wider);
    const [plan, apply] = await Promise.all([
      portolan(within(project, 'plan')),
      portolan(applying(project, '--json')),
    ]);
    expect(plan.exit).toBe(5);
    expect(plan.stdout).toContain('scope eu gains us1; 1 tenant (widens: class safety)');
    expect(plan.stderr).toContain('safety: the change is of class safety and needs approvals');
    expect(apply.exit).toBe(5);
    expect(objectOf(apply)).toMatchObject({ ok: false, error: { code: 'safety' } });
    expect(await readdir(join(project.paths.control, 'commits'))).toHaveLength(1);
  });

  test('7 with code and version when the directory was tampered with', async () => {
    const project = await newProject();
    await commit(project);
    const text = await readFile(commitPath(project, 1), 'utf8');
    await writeFile(commitPath(project, 1), text.replace('"signature":"', '"signature":"A'));
    const commands = ['plan', 'history'].map((name) => portolan(within(project, name, '--json')));
    for (const finished of await Promise.all(commands)) {
      expect(finished.exit).toBe(7);
      expect(objectOf(finished)).toMatchObject({
        ok: false,
        error: { version: '1', verified: '0' },
      });
    }
  });

  test('6 when the control directory is not there, 2 outside of a project', async () => {
    const project = await newProject();
    await rename(project.paths.control, `${project.paths.control}.away`);
    const [unmounted, outside] = await Promise.all([
      portolan(within(project, 'history', '--json')),
      portolan(['history', '--project', project.paths.keys]),
    ]);
    expect([unmounted.exit, objectOf(unmounted)]).toMatchObject([
      6,
      { error: { code: 'source-unreadable' } },
    ]);
    expect(outside.exit).toBe(2);
    expect(outside.stderr).toContain('is no project: run init');
  });

  test('every code of a refusal has one', () => {
    const codes = Object.values(exitOf);
    expect(codes.every((code) => code >= EXIT.failure && code <= EXIT.verification)).toBe(true);
    expect(exitOf).toMatchObject({
      safety: 5,
      'legal-home': 5,
      placement: 5,
      'tenant-home': 5,
      stale: 4,
      exists: 4,
      signature: 7,
      manifest: 7,
      previous: 7,
      unreachable: 6,
      config: 2,
    });
  });
});

describe('usage', () => {
  const table: readonly (readonly [string, readonly string[], string])[] = [
    ['an unknown command', ['plna'], '(Did you mean plan?)'],
    ['an unknown option', ['plan', '--prun'], '(Did you mean --prune?)'],
    ['a missing option', ['apply', '--reason', 'x'], "required option '--key <file>'"],
    ['a value that is none', ['explain', '--at', '91,0'], 'Expected degrees, like 50.11,8.68.'],
    [
      'an unknown choice',
      ['explain', '--op', 'delete'],
      'Allowed choices are read, write, session.',
    ],
    ['no command', [], 'Usage: portolan'],
  ];
  test('a mistake exits 2 and says on stderr what was meant', async () => {
    const finished = await Promise.all(table.map(([, args]) => portolan(args)));
    for (const [i, [what, , said]] of table.entries()) {
      expect([what, finished[i]?.exit, finished[i]?.stdout]).toEqual([what, 2, '']);
      expect(finished[i]?.stderr).toContain(said);
    }
  });

  test('so does a mistake that only the command itself can see', async () => {
    const seen = await Promise.all([
      failureOf(explain({ project: '.' })),
      failureOf(explain({ project: '.', tenant: 'acme', op: 'read', record: '-' })),
      failureOf(init('/nowhere/at/all', { agents: 1 })),
      failureOf(init('/nowhere/at/all', { agents: 1, cluster: 'A b' })),
      failureOf(status({ project: '.', agent: ['eu1'] })),
      failureOf(status({ project: '.' })),
      failureOf(show('scopes', undefined, { project: '.' })),
      failureOf(show('tennant', 'acme', { project: '.' })),
      failureOf(diff('one', undefined, { project: '.' })),
      failureOf(apply('-', { project: '.', key: '-', reason: 'x' })),
      failureOf(apply('plan.json', { project: '.', key: 'k', reason: 'x', prune: true })),
    ]);
    for (const { code, exit, message } of seen) expect([code, exit, message]).toEqual(USAGE);
  });

  test('a mistake is an object with --json', async () => {
    const finished = await portolan(['plan', '--prun', '--json']);
    expect(finished).toMatchObject({ exit: 2, stderr: '' });
    expect(objectOf(finished)).toMatchObject({ ok: false, error: { code: 'usage' } });
  });

  test('help names every command and exit code, on stdout', async () => {
    const help = await portolan(['--help']);
    expect(help).toMatchObject({ exit: 0, stderr: '' });
    const commands = ['init', 'validate', 'plan', 'apply', 'history', 'explain', 'status', 'keys'];
    for (const name of [...commands, 'schema', 'world', '7  verification failed']) {
      expect(help.stdout).toContain(name);
    }
  });

  test('the schema is printed as it is, or in the object', async () => {
    const [plain, object] = await Promise.all([
      portolan(['schema']),
      portolan(['schema', '--json']),
    ]);
    const schema = JSON.parse(plain.stdout);
    expect(schema).toMatchObject({ type: 'object', required: expect.arrayContaining(['cluster']) });
    expect(objectOf(object)).toEqual({ ok: true, schema });
  });

  test('the world gets its arguments as they are, and its exit code is ours', async () => {
    const finished = await portolan(['world', '--scenario', 'no-such-thing', '--json']);
    expect(finished).toMatchObject({ exit: 2, stdout: '' });
    expect(finished.stderr).toContain('no-such-thing');
  });

  test('without the repository there is no world, and it says so', async () => {
    const error = await failureOf(world([], await newFolder()));
    expect([error.code, error.exit]).toEqual(['failure', 1]);
    expect(error.lines.join()).toContain('comes with the repository');
  });
});

describe('surroundings', () => {
  test('nobody is asked anything: an open, silent standard input changes nothing', async () => {
    const folder = join(await newFolder(), 'p');
    const made = await portolan(['init', folder, '--cluster', 'demo'], { stdin: 'open' });
    const project = await newProject();
    const applied = await portolan(applying(project), { stdin: 'open' });
    expect([made.exit, applied.exit]).toEqual([0, 0]);
  });

  test('colours come when they are forced and go with NO_COLOR', async () => {
    const project = await newProject();
    const [forced, plain] = await Promise.all([
      portolan(within(project, 'plan'), { env: { FORCE_COLOR: '1', NO_COLOR: '' } }),
      portolan(within(project, 'plan'), { env: { NO_COLOR: '1' } }),
    ]);
    expect(forced.stdout).toContain('\u001b[32m+ global/sites/eu1\u001b[39m');
    expect(plain.stdout).toContain('\n+ global/sites/us1\n');
    expect(plain.stdout).not.toContain('\u001b');
  });

  test('a project is the folder one stands in, unless another is named', async () => {
    const project = await newProject();
    const here = await portolan(['keys', 'list', '--json'], { cwd: project.paths.folder });
    const keys = [...project.trust.roles].map(([kid, { kind, name }]) => {
      return expect.objectContaining({ role: kind, name, kid });
    });
    expect(objectOf(here)).toEqual({
      ok: true,
      cluster: 'demo',
      version: '1',
      trust: project.trust.digest,
      keys,
    });
  });
});
