// Habits of the tests themselves: every test runs, and none waits for time to pass.

import type { Finding } from './finding.ts';
import { importsOf } from './imports.ts';
import {
  finding,
  isCode,
  isNode,
  nameOf,
  type Place,
  placesOf,
  type SyntaxNode,
} from './syntax.ts';

const WAITING = 'test/world/wait.ts';
const RUNNERS = new Set(['describe', 'it', 'suite', 'test']);
const LEFT_OUT = new Set(['only', 'runIf', 'skip', 'skipIf', 'todo']);

export function leftOutTests(path: string, text: string): readonly Finding[] {
  if (!path.startsWith('test/') || !isCode(path)) return [];
  return placesOf(path, text).flatMap(({ node }) => {
    if (node.type !== 'MemberExpression') return [];
    const word = nameOf(node.property) ?? '';
    if (!LEFT_OUT.has(word) || !RUNNERS.has(nameOf(innermost(node)) ?? '')) return [];
    return [finding(path, text, node.start, `.${word}: run every test, or delete it`)];
  });
}

/** `test` of `test.concurrent.skip`. */
function innermost(node: SyntaxNode): SyntaxNode {
  return node.type === 'MemberExpression' && isNode(node.object) ? innermost(node.object) : node;
}

/**
 * A sleep is a timer whose only deed is to fulfil a promise. It makes a test slow where the machine
 * is fast and wrong where it is slow. A timer that rejects, or does anything else, is a deadline.
 */
export function sleeps(path: string, text: string): readonly Finding[] {
  if (!path.startsWith('test/') || !isCode(path) || path === WAITING) return [];
  const says = `a sleep: wait for the condition with ${WAITING}`;
  const timers = importsOf(path, text).filter(({ specifier }) =>
    /timers\/promises$/.test(specifier),
  );
  const calls = placesOf(path, text).filter(isSleep);
  return [...timers.map(({ at }) => at), ...calls.map(({ node }) => node.start)].map((at) =>
    finding(path, text, at, says),
  );
}

function isSleep({ node, around }: Place): boolean {
  if (node.type !== 'CallExpression' || nameOf(node.callee) !== 'setTimeout') return false;
  const [callback] = Array.isArray(node.arguments) ? node.arguments : [];
  const fulfils = [...around.map(firstParameterOfExecutor), 'resolve'];
  return fulfils.some((name) => name !== null && onlyCalls(callback, name));
}

/** The name of `resolve` in `new Promise((resolve) => …)`, given the executor's node or another. */
function firstParameterOfExecutor(node: SyntaxNode, index: number, around: readonly SyntaxNode[]) {
  const parent = around[index + 1];
  if (parent?.type !== 'NewExpression' || nameOf(parent.callee) !== 'Promise') return null;
  return Array.isArray(node.params) ? nameOf(node.params[0]) : null;
}

function onlyCalls(callback: unknown, name: string): boolean {
  if (!isNode(callback)) return false;
  if (nameOf(callback) === name) return true;
  const body = isNode(callback.body) ? callback.body : null;
  const only = body?.type === 'BlockStatement' ? soleExpression(body.body) : body;
  return only?.type === 'CallExpression' && nameOf(only.callee) === name;
}

function soleExpression(statements: unknown): SyntaxNode | null {
  const [only, another] = Array.isArray(statements) ? statements : [];
  if (another !== undefined || !isNode(only)) return null;
  return isNode(only.expression) ? only.expression : null;
}
