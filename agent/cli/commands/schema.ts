// `schema`: the JSON Schema of the configuration, for editors and for those who generate it.

import { configJsonSchema } from '../config-schema.ts';
import { EXIT, type Outcome } from '../exit.ts';

/** `portolan schema`: JSON Schema of the configuration, for editors. */
export async function schema(): Promise<Outcome> {
  const found = configJsonSchema();
  return { exit: EXIT.fine, data: { schema: found }, text: JSON.stringify(found, null, 2) };
}
