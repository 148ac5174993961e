// A project: the folder that `init` makes and every other command works in. Its trust document is
// the pin: nothing that the control directory says is believed unless keys of this file signed it.

import { join } from 'node:path';
import { parseJson } from '../../shared/canonical.ts';
import { isRefusal } from '../../shared/control/refusal.ts';
import { openTrust, type Trust } from '../../shared/control/trust.ts';
import type { Signer } from '../../shared/crypto.ts';
import { nodeCrypto, signerOf } from '../adapters/crypto.ts';
import { CliError, cliError } from './exit.ts';
import { readText, STDIN } from './files.ts';
import { SMALL_FILE_BYTES_MAX } from './limits.ts';

export interface ProjectPaths {
  readonly folder: string;
  readonly config: string;
  readonly schema: string;
  /** The signed first trust document. */
  readonly trust: string;
  /** `control: file`. */
  readonly control: string;
  readonly keys: string;
  readonly agents: string;
  readonly edgeSecrets: string;
  readonly storeSecrets: string;
  readonly checklist: string;
}

export function projectAt(folder: string): ProjectPaths {
  const at = (name: string) => join(folder, name);
  return {
    folder,
    config: at('portolan.yaml'),
    schema: at('portolan.schema.json'),
    trust: at('trust.json'),
    control: at('control'),
    keys: at('keys'),
    agents: at('agents'),
    edgeSecrets: at('edge.secrets.json'),
    storeSecrets: at('store.secrets.json'),
    checklist: at('CHECKLIST.md'),
  };
}

/** The pin. Rejects with CliError: `input` when it is missing, else the code of the refusal (7). */
export async function readPin({ trust: path, folder }: ProjectPaths): Promise<Trust> {
  const text = await readText(path, SMALL_FILE_BYTES_MAX).catch((error: unknown) => {
    if (!(error instanceof CliError)) throw error;
    const lines = [`${folder} is no project: run init, or name the folder with --project`];
    throw new CliError(error.code, error.message, { lines, cause: error });
  });
  const trust = await openTrust(parseJson(text)?.value ?? null, nodeCrypto);
  if ('kind' in trust && isRefusal(trust)) {
    throw cliError({ ...trust, detail: `${path}: ${trust.detail}` });
  }
  return trust as Trust;
}

/** The signer whose private JWK is in a file, or on standard input. Rejects with CliError. */
export async function readSigner(path: string): Promise<Signer> {
  const signer = signerOf(await readText(path, SMALL_FILE_BYTES_MAX));
  if (signer !== null) return signer;
  const name = path === STDIN ? 'standard input' : path;
  throw new CliError('input', `${name}: no private Ed25519 JWK`);
}
