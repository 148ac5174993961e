// The keep as one small file, replaced whole. A file that is there and cannot be read is an error
// and never a new start: an agent that forgets what it swore to could swear to something else.

import { readFile } from 'node:fs/promises';
import * as z from 'zod/mini';
import { canonical } from '../../shared/canonical.ts';
import { placeSchema } from '../../shared/control/answer.ts';
import { counterSchema, digestSchema } from '../../shared/schema.ts';
import type { Keep, Kept } from '../ports.ts';
import { codeOf, replaceFile } from './durable-file.ts';

const keptSchema = z.strictObject({
  seq: counterSchema,
  generation: counterSchema,
  version: counterSchema,
  envelope: z.nullable(digestSchema),
  revision: z.exactOptional(counterSchema),
  trust: z.exactOptional(z.strictObject({ version: counterSchema, digest: digestSchema })),
  active: z.exactOptional(placeSchema),
});

export class KeepFile implements Keep {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async load(): Promise<Kept | null> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    }
    return keptSchema.parse(JSON.parse(text));
  }

  save(kept: Kept): Promise<void> {
    return replaceFile(this.#path, `${canonical(kept)}\n`);
  }
}
