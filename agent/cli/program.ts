// Every command and option of `portolan`, in one place to read. A command's own code is loaded when
// it is called, so that help and mistakes answer at once.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Outcome } from './exit.ts';

/** Performs a command and prints what came of it. */
export type Run = (work: () => Promise<Outcome>) => Promise<void>;

const EXIT_CODES = `
Exit codes:
  0  fine                          4  somebody else was first
  1  failure                       5  refused by a safety rule
  2  usage or invalid input        6  unreachable
  3  differences (only with        7  verification failed
     plan --detailed-exitcode)
`;

/** `runWorld` gets the arguments of `world` as they are. */
export function programOf(run: Run, runWorld: (args: readonly string[]) => Promise<void>): Command {
  const program = new Command('portolan')
    .description('Steers a multi-region service by signed, attested control state.')
    .version(versionOf())
    .enablePositionalOptions()
    .addHelpText('after', EXIT_CODES);
  addProject(program, run);
  addChanges(program, run);
  addAnswers(program, run);
  addTenants(program, run);
  addKeys(program, run);
  addTrust(program, run);
  program
    .command('world')
    .description('run the local world: agents, edges, gateways and services on this machine')
    .argument('[args...]', 'see: portolan world --help')
    .helpOption(false)
    .passThroughOptions()
    .allowUnknownOption()
    .action((args: string[]) => runWorld(args));
  return program;
}

function addProject(program: Command, run: Run): void {
  withJson(program.command('init'))
    .description('make a project: keys, trust, first files, checklist')
    .argument('[dir]', 'its folder', '.')
    .option('--cluster <name>', 'name of the cluster')
    .option('--config <path>', 'begin with this configuration instead of an example')
    .option('--agents <number>', 'agents a site', positive, 1)
    .action((folder, flags) => {
      return run(async () => (await import('./commands/init.ts')).init(folder, flags));
    });
  withConfig(withJson(program.command('validate')))
    .description('check the configuration, offline')
    .action((flags) => {
      return run(async () => (await import('./commands/validate.ts')).validate(flags));
    });
  withJson(program.command('schema'))
    .description('print the JSON Schema of the configuration')
    .action(() => run(async () => (await import('./commands/schema.ts')).schema()));
}

function addChanges(program: Command, run: Run): void {
  withAgents(withConfig(withJson(program.command('plan'))))
    .description('show what the configuration would change, and who is affected')
    .option('--out <file>', 'save the plan')
    .option('--prune', 'delete what the configuration does not name, but no provisioned tenant')
    .option('--detailed-exitcode', 'exit 3 when there are differences')
    .option('--full', 'list every change, however many')
    .action((flags) => run(async () => (await import('./commands/plan.ts')).plan(flags)));
  withAgents(withConfig(withJson(program.command('apply'))), null)
    .description('sign and append a saved plan, or what the configuration changes')
    .argument('[plan]', 'a saved plan (- reads standard input)')
    .requiredOption('--key <file>', 'the operator’s private key (- reads standard input)')
    .requiredOption('--reason <text>', 'why, for those who read the history')
    .option('--prune', 'delete what the configuration does not name, but no provisioned tenant')
    .action((file, flags) => {
      return run(async () => (await import('./commands/apply.ts')).apply(file, flags));
    });
}

function addAnswers(program: Command, run: Run): void {
  withAgents(withProject(withJson(program.command('history'))))
    .description('list the commits, verified')
    .option('--limit <number>', 'the newest only', positive)
    .action((flags) => run(async () => (await import('./commands/history.ts')).history(flags)));
  withAgents(withProject(withJson(program.command('show'))))
    .description('show a record (KEY), a tenant (tenant ID) or a commit (version N), verified')
    .argument('<what>', 'a key like global/scopes/eu, or the word tenant or version')
    .argument('[name]', 'id of the tenant, number of the version')
    .action((what, name, flags) => {
      return run(async () => (await import('./commands/show.ts')).show(what, name, flags));
    });
  withAgents(withProject(withJson(program.command('diff'))))
    .description('show what changed from one version to another, or to the head')
    .argument('<v1>', 'a version')
    .argument('[v2]', 'a later version')
    .action((from, to, flags) => {
      return run(async () => (await import('./commands/diff.ts')).diff(from, to, flags));
    });
  withAgents(withProject(withJson(program.command('explain'))))
    .description('say which region serves a request, and why each other does not')
    .option('--tenant <id>')
    .addOption(new Option('--op <class>').choices(['read', 'write', 'session']))
    .option('--from <country>', 'two letters, like DE', country)
    .option('--at <lat,lon>', 'where the client is, in degrees', coordinates)
    .option('--colo <code>', 'edge location, like FRA', colo)
    .option('--path <path>')
    .option('--client <address>', 'IP address of the client')
    .option('--down <region...>', 'suppose these regions are down')
    .option('--record <file>', 'decide a logged decision again (- reads standard input)')
    .action((flags) => run(async () => (await import('./commands/explain.ts')).explain(flags)));
  withAgents(withProject(withJson(program.command('status'))))
    .description('ask agents how they, the edges and the stores are')
    .action((flags) => run(async () => (await import('./commands/status.ts')).status(flags)));
}

function addTenants(program: Command, run: Run): void {
  const tenant = program
    .command('tenant')
    .description('make tenants from templates, suspend and retire them, as a provisioner');
  withProvisioner(tenant.command('create'))
    .description('make a tenant from a template')
    .requiredOption('--template <id>', 'scope, policy, priority, and what hosts it may have')
    .requiredOption('--host <host...>', 'its hosts')
    .option('--home <region>', 'its home, where the template allows several')
    .action((id, flags) => {
      return run(async () => (await import('./commands/tenant.ts')).createTenant(id, flags));
    });
  withProvisioner(tenant.command('suspend'))
    .description('stop serving a tenant; operators resume it')
    .action((id, flags) => {
      return run(async () => (await import('./commands/tenant.ts')).suspendTenant(id, flags));
    });
  withProvisioner(tenant.command('retire'))
    .description('delete a tenant; its id is not used again')
    .action((id, flags) => {
      return run(async () => (await import('./commands/tenant.ts')).retireTenant(id, flags));
    });
}

function withProvisioner(command: Command): Command {
  return withProject(withJson(command))
    .argument('<tenant>', 'its id')
    .option('--ca <file>', 'authority of the agent’s certificate, PEM')
    .requiredOption('--agent <url>', 'any agent, like http://127.0.0.1:7101')
    .requiredOption('--key <file>', 'the provisioner’s private key (- reads standard input)');
}

function addKeys(program: Command, run: Run): void {
  const keys = program.command('keys').description('who may sign what, and new keys');
  withProject(withJson(keys.command('list')))
    .description('list the keys of the trust document')
    .action((flags) => run(async () => (await import('./commands/keys.ts')).listKeys(flags)));
  withJson(keys.command('new'))
    .description('make a key pair; the public half is printed')
    .requiredOption('--out <file>', 'where the private half goes, for its owner alone')
    .action((flags) => run(async () => (await import('./commands/keys.ts')).writeNewKey(flags)));
}

function addTrust(program: Command, run: Run): void {
  const trust = program.command('trust').description('who is trusted, and how that changes');
  withProject(withJson(trust.command('show')))
    .description('show the trust documents, and the keys of the newest')
    .action((flags) => run(async () => (await import('./commands/trust.ts')).showTrust(flags)));
  withProject(withJson(trust.command('draft')))
    .description('write the next trust document, to be signed by root keys')
    .requiredOption('--out <file>', 'where it goes')
    .option(
      '--set <role/name=key...>',
      'a new key, or another: operator/carol=KEY, agent/SITE/NAME=KEY',
    )
    .option(
      '--remove <role/name...>',
      'a key that is trusted no more; a site goes with its last agent',
    )
    .option('--threshold <what=number...>', 'sites=2, root=2, approver=2, recovery=1')
    .action((flags) => run(async () => (await import('./commands/trust.ts')).draftTrust(flags)));
  withProject(withJson(trust.command('sign')))
    .description('show what a draft changes, and add the signature of one root key')
    .argument('<file>', 'the draft')
    .requiredOption('--key <file>', 'the private root key (- reads standard input)')
    .action((file, flags) => {
      return run(async () => (await import('./commands/trust.ts')).signTrust(file, flags));
    });
  withAgents(withProject(withJson(trust.command('publish'))))
    .description('verify a signed draft and put it in place, for good')
    .argument('<file>', 'the draft')
    .action((file, flags) => {
      return run(async () => (await import('./commands/trust.ts')).publishTrust(file, flags));
    });
}

function withJson(command: Command): Command {
  return command.option('--json', 'one JSON object on standard output');
}

function withProject(command: Command): Command {
  return command.option('--project <dir>', 'the folder that init made', '.');
}

const SIGNING_KEY = 'an operator’s private key that signs the questions (default: of the project)';

/** `key` is null where the command asks for a key of its own. */
function withAgents(command: Command, key: string | null = SIGNING_KEY): Command {
  command
    .option('--agent <url>', 'go through this agent; may be repeated', gathered)
    .option('--ca <file>', 'authority of the agents’ certificates, PEM');
  return key === null ? command : command.option('--key <file>', key);
}

function gathered(url: string, before: readonly string[] = []): readonly string[] {
  return [...before, url];
}

function withConfig(command: Command): Command {
  return withProject(command).option(
    '--config <path>',
    'a file, or a folder of *.yaml (default: portolan.yaml of the project)',
  );
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Expected a number above 0.');
  return Number(text);
}

function country(text: string): string {
  if (!/^[A-Za-z]{2}$/.test(text)) throw new InvalidArgumentError('Expected two letters, like DE.');
  return text.toUpperCase();
}

function colo(text: string): string {
  if (!/^[A-Za-z]{3}$/.test(text)) throw new InvalidArgumentError('Expected a code like FRA.');
  return text.toUpperCase();
}

function coordinates(text: string): readonly [number, number] {
  const [, lat, lon] = /^(-?\d+(?:\.\d+)?),\s*(-?\d+(?:\.\d+)?)$/.exec(text) ?? [];
  const at = [Number(lat), Number(lon)] as const;
  if (Math.abs(at[0]) <= 90 && Math.abs(at[1]) <= 180) return at;
  throw new InvalidArgumentError('Expected degrees, like 50.11,8.68.');
}

function versionOf(): string {
  const path = join(import.meta.dirname, '..', '..', 'package.json');
  return String(JSON.parse(readFileSync(path, 'utf8')).version);
}
