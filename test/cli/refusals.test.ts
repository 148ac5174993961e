// The command line where it says no, and in odd surroundings: exit codes, usage, colours, no terminal.

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXIT, exitOf } from '../../agent/cli/exit.ts';
import type { Project } from '../../agent/cli/init.ts';
import { ask } from '../../agent/cli/question.ts';
import { readState } from '../../agent/cli/state.ts';
import { decide } from '../../shared/steering/decide.ts';
import { recordOf } from '../../shared/steering/explain.ts';
import {
  commit,
  commitPath,
  type Edit,
  newFolder,
  newProject,
  objectOf,
  portolan,
  writeConfig,
} from './project-kit.ts';

const DIGEST = expect.stringMatching(/^[A-Za-z0-9_-]{43}$/);

const slower: Edit = ({ policies }) => {
  policies['std'] = { ...policies['std'], slowStartS: 30 } as never;
};
const narrower: Edit = ({ scopes }) => {
  scopes['atlantic'] = { regions: ['us1'], ingress: { countries: ['DE'] } };
};
const wider: Edit = ({ scopes }) => {
  scopes['eu'] = { regions: ['eu1', 'us1'], ingress: 'any' };
};

/** Arguments of `command` in a project. */
function within({ paths }: Project, ...args: readonly string[]): readonly string[] {
  return [...args, '--project', paths.folder];
}

function applying(project: Project, ...args: readonly string[]): readonly string[] {
  return within(project, 'apply', ...args, '--key', project.keys.operator, '--reason', 'why');
}

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
    ['a question without a tenant', ['explain', '--project', '/'], '--tenant and --op'],
    ['no cluster', ['init', '/nowhere/at/all'], '--cluster NAME'],
    ['an agent that is no URL', ['status', '--agent', 'eu1'], 'not an http(s) URL'],
  ];
  test('a mistake exits 2 and says on stderr what was meant', async () => {
    const finished = await Promise.all(table.map(([, args]) => portolan(args)));
    for (const [i, [what, , said]] of table.entries()) {
      expect([what, finished[i]?.exit, finished[i]?.stdout]).toEqual([what, 2, '']);
      expect(finished[i]?.stderr).toContain(said);
    }
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
});

describe('surroundings', () => {
  test('nobody is asked anything: an open, silent standard input changes nothing', async () => {
    const project = await newProject();
    const folder = join(await newFolder(), 'p');
    const finished = await Promise.all([
      portolan(['init', folder, '--cluster', 'demo'], { stdin: 'open' }),
      portolan(applying(project), { stdin: 'open' }),
      portolan(within(project, 'plan', '--prune'), { stdin: 'open' }),
    ]);
    expect(finished.map(({ exit }) => exit)).toEqual([0, 0, 0]);
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
