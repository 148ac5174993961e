// `portolan world`: the world on a laptop, to look at or to put through a scenario.

import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { ControlKind } from './control.ts';
import { findEtcd } from './etcd-binary.ts';
import { Report } from './report.ts';
import { show } from './show.ts';
import { closeTraffic } from './traffic.ts';
import { World, type WorldOptions } from './world.ts';

const SCENARIOS = fileURLToPath(new URL('../scenario/', import.meta.url));
const USAGE = `usage: portolan world [--scenario NAME] [--control etcd|file] [--json] [--keep]

  --scenario NAME  run a scenario and exit: 0 when every rule held
  --control KIND   where decisions are kept: etcd (three members; the default where there is one)
                   or file (a directory)
  --json           the scenario's report on stdout as one JSON object
  --keep           leave the world's folder behind
`;

interface Scenario {
  /** The world that it needs, where that is not the usual one. */
  readonly options?: WorldOptions;
  run(world: World, report: Report): Promise<void>;
}

/** The exit code: 0 fine, 1 a rule was broken or the world failed, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options === null) return 2;
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  const { name } = options;
  const scenario = name === undefined ? null : await loadScenario(name);
  if (name !== undefined && scenario === null) {
    say(`no scenario ${name}; there are: ${(await scenarioNames()).join(', ')}`);
    return 2;
  }
  const ended = endOnSignal();
  const world = await World.start(say, { control: options.control, ...scenario?.options });
  try {
    if (scenario === null || name === undefined) return await show(world, ended);
    const report = new Report(name, say, world.timeScale);
    report.event('the world is up');
    await Promise.race([scenario.run(world, report), whenAborted(ended)]);
    const finished = report.finish();
    if (options.json) process.stdout.write(`${JSON.stringify(finished)}\n`);
    return finished.ok && !ended.aborted ? 0 : 1;
  } finally {
    await closeTraffic();
    await world.stop({ keep: options.keep });
    if (options.keep) say(`kept ${world.folder}`);
  }
}

function readOptions(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        scenario: { type: 'string' },
        control: { type: 'string' },
        json: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    const { scenario: name, control, json, keep } = values;
    const kind = kindOf(control);
    if (!values.help) return { name, control: kind, json, keep };
    process.stdout.write(USAGE);
  } catch (error) {
    process.stderr.write(`${String(error)}\n${USAGE}`);
  }
  return null;
}

/** Where decisions are kept: etcd where there is one, unless somebody says otherwise. */
function kindOf(said: string | undefined): ControlKind {
  if (said === 'etcd' || said === 'file') return said;
  if (said !== undefined) throw new Error(`--control ${said}: etcd or file`);
  return findEtcd() === null ? 'file' : 'etcd';
}

async function scenarioNames(): Promise<readonly string[]> {
  return (await readdir(SCENARIOS)).map((file) => basename(file, '.ts')).sort();
}

async function loadScenario(name: string): Promise<Scenario | null> {
  if (!(await scenarioNames()).includes(name)) return null;
  return (await import(new URL(`../scenario/${name}.ts`, import.meta.url).href)) as Scenario;
}

/** Ctrl-C, a closed terminal, a kill: all end the world in order. */
function endOnSignal(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => controller.abort());
  }
  return controller.signal;
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2));
}
