// `shared` decides and `agent`, `edge` act (STYLE 1, 2): a clock or a die inside a decision makes
// it one that nobody can repeat.

import type { Finding } from './finding.ts';
import { finding, isMember, isReference, type Place, placesOf } from './syntax.ts';

export function hiddenInputs(path: string, text: string): readonly Finding[] {
  if (!path.startsWith('shared/') || !path.endsWith('.ts')) return [];
  return placesOf(path, text).flatMap((place) => {
    const says = hiddenInput(place);
    return says === null ? [] : [finding(path, text, place.node.start, says)];
  });
}

function hiddenInput(place: Place): string | null {
  if (!isReference(place)) return null;
  const parent = place.around[0];
  switch (place.node.name) {
    case 'Date':
    case 'Temporal':
      return `${place.node.name}: take the time as an argument (nowMs)`;
    case 'performance':
      return 'performance: take the time as an argument (nowMs)';
    case 'Math':
      if (parent?.type === 'MemberExpression' && !isMember(parent, 'Math', 'random')) return null;
      return 'Math.random, or Math under another name: take `random` as an argument';
    default:
      return null;
  }
}
