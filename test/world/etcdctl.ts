// etcd's own client as a child process: tests look at a cluster through it from outside, and do
// what somebody does who writes past Portolan. Slow (a process a call), but nothing of the
// product's is in it.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findEtcd } from './etcd-binary.ts';
import type { CredentialFiles } from './etcd-credentials.ts';

const DEADLINE_MS = 15_000;
/** Of one call; a whole history of a test is a few megabytes. */
const OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Calls with these arguments and resolves with the JSON of its answer, which is empty for some
 * commands. Rejects with what it printed, also when the cluster does not answer in time.
 */
export type Etcdctl = (...args: readonly string[]) => Promise<EtcdctlAnswer>;

export type EtcdctlAnswer = {
  readonly header?: { readonly revision: number };
  readonly kvs?: readonly EtcdctlPair[];
};

/** `key` and `value` are base64. */
export type EtcdctlPair = {
  readonly key: string;
  readonly value?: string;
  readonly mod_revision: number;
  readonly create_revision: number;
  readonly version: number;
};

export function etcdctl(endpoints: readonly string[], files: CredentialFiles | null): Etcdctl {
  const call = caller(endpoints, files);
  return (...args) => call(args);
}

/** Writes one key. The value goes by standard input: an argument takes 128 KiB at most. */
export function etcdctlPut(
  endpoints: readonly string[],
  files: CredentialFiles | null,
): (key: string, value: string) => Promise<void> {
  const call = caller(endpoints, files);
  return async (key, value) => {
    await call(['put', key], value);
  };
}

/** The same under a key that is no text: what stands between the quotes of a Go string. */
export function etcdctlPutBytes(
  endpoints: readonly string[],
  files: CredentialFiles | null,
): (quoted: string, value: string) => Promise<void> {
  const call = caller(endpoints, files);
  return async (quoted, value) => {
    // Compared with nothing; done then; done otherwise.
    await call(['txn'], `\nput "${quoted}" "${value}"\n\n\n`);
  };
}

function caller(endpoints: readonly string[], files: CredentialFiles | null) {
  const tls =
    files === null ? [] : [`--cacert=${files.ca}`, `--cert=${files.cert}`, `--key=${files.key}`];
  const common = [`--endpoints=${endpoints.join(',')}`, ...tls, '--write-out=json'];
  return async (args: readonly string[], input = ''): Promise<EtcdctlAnswer> => {
    const program = findEtcd()?.etcdctl ?? 'etcdctl';
    const options = {
      env: { ETCDCTL_API: '3' },
      timeout: DEADLINE_MS,
      maxBuffer: OUTPUT_BYTES,
    };
    try {
      const running = promisify(execFile)(program, [...common, ...args], options);
      // One that ends before it has read all says why on its standard error.
      running.child.stdin?.on('error', () => {}).end(input);
      const { stdout } = await running;
      return stdout.startsWith('{') ? (JSON.parse(stdout) as EtcdctlAnswer) : {};
    } catch (error) {
      const { stderr } = error as { stderr?: string };
      throw new Error(`etcdctl ${args.join(' ')}: ${stderr || error}`, { cause: error });
    }
  };
}

/** The value of a key, null when it is not there. */
export async function valueAt(ask: Etcdctl, key: string): Promise<string | null> {
  const { kvs } = await ask('get', key);
  const pair = kvs?.[0];
  return pair === undefined ? null : Buffer.from(pair.value ?? '', 'base64').toString();
}
