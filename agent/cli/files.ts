// Files that an operator names: read whole and bounded, or from standard input (`-`). Secrets are
// written for their owner alone and never over another file; they come in by file or by standard
// input, because flags and the environment are read by every process of the user.

import { open, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from '../adapters/durable-file.ts';
import { CliError } from './exit.ts';

export const STDIN = '-';

/** Rejects with CliError `input`: missing, unreadable, over `maxBytes`. */
export async function readText(path: string, maxBytes: number): Promise<string> {
  if (path === STDIN) return readStdin(maxBytes);
  try {
    const { size } = await stat(path);
    if (size > maxBytes) throw new CliError('input', `${path}: over ${maxBytes} bytes`);
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = codeOf(error);
    if (error instanceof CliError || code === '') throw error;
    const says = code === 'ENOENT' ? 'there is no such file' : code;
    throw new CliError('input', `${path}: ${says}`, { cause: error });
  }
}

/** A new file of mode 0600, synced, as is its folder. Rejects with CliError `exists`. */
export async function writeSecret(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await syncFolder(dirname(path));
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw new CliError('exists', `${path}: is there already`);
    throw error;
  }
}

/** A note when others may read the file, else null. */
export async function looseMode(path: string): Promise<string | null> {
  if (path === STDIN) return null;
  const { mode } = await stat(path);
  return (mode & 0o077) === 0 ? null : `${path}: others may read this key; chmod 600 it`;
}

async function readStdin(maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxBytes) throw new CliError('input', `standard input: over ${maxBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Without it a new name may be forgotten when the power goes. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
