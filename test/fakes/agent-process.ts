// The real agent process on a folder of its own: keys, trust, control directory, configuration.

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ControlDirectory } from '../../agent/adapters/directory.ts';
import { askAgent } from '../../agent/cli/agent-http.ts';
import { joinKind } from '../../shared/control/join.ts';
import { signJws } from '../../shared/control/jws.ts';
import { commit, FIRST, keyNamed, newHolder, testTrust } from '../shared/kit.ts';
import { joinOf } from './fleet.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const trust = await testTrust();
const author = newHolder(trust);
await commit(author, FIRST);

export type Line = Readonly<Record<string, unknown>>;

/** The private key that the kit derives from a name, as a file holds it. */
export function jwkOf(name: string): string {
  const d = createHash('sha256').update(`test key ${name}`).digest('base64url');
  return JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: keyNamed(name).x, d });
}

export class AgentFolder {
  readonly path: string;
  readonly control: ControlDirectory;

  private constructor(path: string) {
    this.path = path;
    this.control = new ControlDirectory(this.at('control'));
  }

  /** All that the agent of eu1 needs to start; the first commit is there. */
  static async make(): Promise<AgentFolder> {
    const folder = new AgentFolder(await mkdtemp(join(tmpdir(), 'portolan-agent-')));
    await mkdir(folder.at('keys'));
    await writeFile(folder.at('keys', 'eu1-1.jwk'), jwkOf('agent eu1-1'));
    await writeFile(folder.at('trust.json'), JSON.stringify(trust.jws));
    const [first] = author.commits;
    if (first !== undefined) await folder.control.append(1n, first);
    const signed = await signJws(joinKind.typ, joinOf('eu1'), [keyNamed('alice')]);
    await folder.control.writeJoin('eu1-1', signed);
    await folder.configure({});
    return folder;
  }

  at(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  /** Writes `agent.yaml`. */
  configure(changes: object): Promise<void> {
    const config = {
      site: 'eu1',
      agent: 'eu1-1',
      key: 'keys/eu1-1.jwk',
      trust: 'trust.json',
      control: { file: 'control' },
      keep: 'state/keep.json',
      ingest: [],
      peers: [],
      api: { host: '127.0.0.1', port: 0 },
      ...changes,
    };
    return writeFile(this.at('agent.yaml'), stringify(config));
  }

  start(config = this.at('agent.yaml'), stdin: 'pipe' | 'ignore' = 'pipe'): AgentProcess {
    const args = [join(ROOT, 'agent', 'main.ts'), config];
    const stdio: StdioOptions = [stdin, 'pipe', 'pipe'];
    return new AgentProcess(spawn(process.execPath, args, { cwd: this.path, stdio }));
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}

export class AgentProcess {
  readonly child: ChildProcess;
  /** Every line of its log so far. */
  readonly log: Line[] = [];
  /** Its first line of output; rejects when it ends before. */
  readonly ready: Promise<{ readonly api: number; readonly gateway: number | null }>;
  /** Code and signal, once its output has ended. */
  readonly ended: Promise<readonly [code: number | null, signal: string | null]>;
  readonly #waiting = new Set<() => void>();

  constructor(child: ChildProcess) {
    this.child = child;
    if (child.stdout === null || child.stderr === null)
      throw new Error('it was spawned with pipes');
    child.stdin?.on('error', () => {});
    const lines = createInterface({ input: child.stderr });
    lines.on('line', (line) => {
      this.log.push(JSON.parse(line) as Line);
      for (const look of this.#waiting) look();
    });
    this.ended = once(child, 'close').then(([code, signal]) => [code, signal]);
    const output = createInterface({ input: child.stdout });
    const first = once(output, 'line').then(
      ([line]) => (JSON.parse(line) as { ready: never }).ready,
    );
    const early = this.ended.then(([code]) => {
      throw new Error(`it ended with ${code}: ${JSON.stringify(this.log)}`);
    });
    this.ready = Promise.race([first, early]);
    this.ready.catch(() => {});
    early.catch(() => {});
  }

  /** The first line of the log, past or to come, that a test looks for. */
  logged(wanted: (line: Line) => boolean): Promise<Line> {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.log.find(wanted);
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  async status(): Promise<Line> {
    const { api } = await this.ready;
    const access = { cluster: trust.cluster, signer: keyNamed('alice'), ca: null };
    const question = { method: 'GET', target: '/v1/status' } as const;
    const { status, value } = await askAgent(`http://127.0.0.1:${api}`, question, access);
    if (status !== 200) throw new Error(`answered ${status}`);
    return value as Line;
  }

  kill(): Promise<unknown> {
    this.child.kill('SIGKILL');
    return this.ended;
  }
}
