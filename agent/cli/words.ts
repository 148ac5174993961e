// How people are shown things: tables, colours, text that came from elsewhere. Colour says nothing
// that the words do not, and is left out where NO_COLOR, a pipe or a file says so.

import { type InspectColor, styleText } from 'node:util';
import { NAMES_SHOWN_MAX } from './limits.ts';

export type Colour = Extract<InspectColor, 'red' | 'green' | 'yellow' | 'dim' | 'bold'>;

/** `stream` is where the text goes: each decides for itself. */
export function paint(
  colour: Colour,
  text: string,
  stream: NodeJS.WriteStream = process.stdout,
): string {
  return styleText(colour, text, { stream });
}

// Attack: a reason, a host or an agent's word that moves the cursor or rewrites the screen.
// Controls of ASCII and Latin-1, and the characters that turn the direction of the text.
const UNPRINTABLE = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu;

/** `text` on one line and without control characters. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

export interface Row {
  readonly cells: readonly string[];
  readonly colour?: Colour;
}

/** Columns padded to their widest cell; nothing is cut off. */
export function table(head: readonly string[], rows: readonly Row[]): string {
  const clean = rows.map(({ cells }) => cells.map(printable));
  const widths = head.map((title, i) => {
    return clean.reduce((most, cells) => Math.max(most, cells[i]?.length ?? 0), title.length);
  });
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  const body = clean.map((cells, i) => {
    const colour = rows[i]?.colour;
    return colour === undefined ? line(cells) : paint(colour, line(cells));
  });
  return [paint('bold', line(head)), ...body].join('\n');
}

/** `a, b and 12 more`. */
export function someOf(names: readonly string[], most = NAMES_SHOWN_MAX): string {
  const shown = names.slice(0, most).map(printable).join(', ');
  const more = names.length - most;
  return more > 0 ? `${shown} and ${more} more` : shown;
}

export function count(many: number, one: string, several = `${one}s`): string {
  return `${many} ${many === 1 ? one : several}`;
}
