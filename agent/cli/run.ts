// Performs one call of the command line. The one place that prints and that sets the exit code:
// data on stdout, messages on stderr, and with --json one object on stdout whatever happened. The
// process is never cut short, so that what was printed into a pipe arrives.

import { CommanderError } from 'commander';
import { toWire } from '../../shared/canonical.ts';
import { codeOf } from '../adapters/durable-file.ts';
import { CliError, EXIT, type Exit, type Outcome } from './exit.ts';
import { programOf } from './program.ts';
import { paint, printable } from './words.ts';

const words = process.argv.slice(2);
// The world has an object of its own to print.
const json = words[0] !== 'world' && words.includes('--json');

export async function runCommandLine(): Promise<void> {
  // Whoever read us has enough (`portolan history | head -1`).
  process.stdout.on('error', (error) => {
    if (codeOf(error) !== 'EPIPE') throw error;
  });
  const program = programOf(run, runWorld).exitOverride();
  const writeErr = (text: string) => {
    if (!json) process.stderr.write(text);
  };
  for (const each of [program, ...program.commands, ...program.commands.flatMap(nested)]) {
    each.exitOverride().configureOutput({ writeErr });
  }
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = fail(error);
  }
}

async function run(work: () => Promise<Outcome>): Promise<void> {
  const { exit, data, text, notes = [] } = await work();
  if (json) print(JSON.stringify(toWire({ ok: true, ...data })));
  else {
    print(text);
    for (const note of notes) warn(note);
  }
  process.exitCode = exit;
}

async function runWorld(args: readonly string[]): Promise<void> {
  const { world } = await import('./commands/world.ts');
  process.exitCode = await world(args);
}

function fail(error: unknown): Exit {
  if (error instanceof CommanderError) return failedUsage(error);
  const known = error instanceof CliError ? error : unforeseen(error);
  const { code, message, details, lines, text, exit } = known;
  if (json) print(JSON.stringify(toWire({ ok: false, error: { code, message, ...details } })));
  else {
    print(text);
    warn(paint('red', `${code}: ${printable(message)}`, process.stderr));
    for (const line of lines) warn(printable(line));
  }
  return exit;
}

/** Usage errors are commander's, already said on stderr; asking for help is none. */
function failedUsage({ exitCode, message }: CommanderError): Exit {
  if (exitCode === 0) return EXIT.fine;
  if (json) {
    const error = { code: 'usage', message: message.replace(/^error: /, '') };
    print(JSON.stringify({ ok: false, error }));
  }
  return EXIT.input;
}

/** A bug shows where it is; what the system refused (`EACCES`) needs no stack. */
function unforeseen(error: unknown): CliError {
  if (!(error instanceof Error)) return new CliError('failure', String(error));
  const lines = codeOf(error) === '' ? (error.stack ?? '').split('\n').slice(1) : [];
  return new CliError('failure', error.message, { lines, cause: error });
}

function print(text: string): void {
  if (text !== '') process.stdout.write(`${text}\n`);
}

function warn(text: string): void {
  process.stderr.write(`${text}\n`);
}

function nested(command: { readonly commands: readonly Nested[] }): readonly Nested[] {
  return command.commands;
}

type Nested = ReturnType<typeof programOf>;
