// The command line as a process, run as a person or a script runs it.

import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '..', '..', 'agent', 'cli', 'main.ts');

export interface Finished {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Surroundings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input; `open` is a pipe that nobody writes to and nobody closes. */
  readonly stdin?: string | 'open';
}

const DEADLINE_MS = 20_000;

/** Runs `portolan` as a person or a script would. */
export function portolan(args: readonly string[], around: Surroundings = {}): Promise<Finished> {
  const { cwd = tmpdir(), env = {}, stdin = '' } = around;
  const { FORCE_COLOR: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { ...inherited, ...env } });
  const deadline = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  if (stdin !== 'open') child.stdin.end(stdin);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exit) => {
      clearTimeout(deadline);
      resolve({ exit, stdout, stderr });
    });
  });
}

/** The one object on stdout. */
export function objectOf({ stdout }: Finished): unknown {
  return JSON.parse(stdout);
}
