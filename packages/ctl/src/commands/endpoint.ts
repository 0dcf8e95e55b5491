/** endpoint health, status, hashkv: one question to every endpoint, each asked by a client of its own. */
import { ClientError } from '@quorate/client';
import * as wire from '@quorate/proto';
import { AlarmType, services } from '@quorate/proto';
import type { CommandLine, Run } from '../command.ts';
import type { Context } from '../context.ts';
import { CommandError, callErrorText, ExitCode } from '../exit.ts';
import { formatBytes, formatDuration, hex } from '../go-values.ts';
import * as fields from '../output/fields.ts';
import { type Json, messageToJson } from '../output/json.ts';
import { checkFormat } from '../output/report.ts';

const Maintenance = services['etcdserverpb.Maintenance'];
const FORMATS = ['simple', 'json', 'fields', 'table'];

export const health: Run = async (context, line) => {
  checkFormat(context.globals.string('write-out'), FORMATS);
  const endpoints = await endpointsOf(context, line);
  const results = await Promise.all(endpoints.map((endpoint) => probe(context, endpoint)));
  const simple = context.globals.string('write-out') === 'simple';
  for (const { endpoint, error } of results)
    if (simple && error !== '')
      context.io.stderr(`${endpoint} is unhealthy: failed to commit proposal: ${error}\n`);
  context.print({
    simple: () =>
      results
        .filter(({ error }) => error === '')
        .map(
          ({ endpoint, took }) => `${endpoint} is healthy: successfully committed proposal: took = ${took}\n`,
        ),
    json: () =>
      results.map(({ endpoint, healthy, took, error }): Json => {
        const result = { endpoint, health: healthy, took };
        return error === '' ? result : { ...result, error };
      }),
    fields: () =>
      results
        .map(
          ({ endpoint, healthy, took, error }) =>
            fields.text('Endpoint', endpoint) +
            fields.field('Health', healthy) +
            fields.field('Took', took) +
            `${fields.field('Error', error)}\n`,
        )
        .join(''),
    table: () => ({
      header: ['endpoint', 'health', 'took', 'error'],
      rows: results.map(({ endpoint, healthy, took, error }) => [endpoint, `${healthy}`, took, error]),
    }),
  });
  if (results.some(({ healthy }) => !healthy)) throw new CommandError(ExitCode.ERROR, 'unhealthy cluster');
};

interface Health {
  readonly endpoint: string;
  readonly healthy: boolean;
  readonly took: string;
  /** Empty when healthy. */
  readonly error: string;
}

/** Healthy: a linearizable read works (or is merely not allowed), and no alarm is on. */
async function probe(context: Context, endpoint: string): Promise<Health> {
  const client = await context.client([endpoint]);
  const start = performance.now();
  let error = '';
  let took = '';
  try {
    await client.kv.get('health').catch((failure: unknown) => {
      if (!(failure instanceof ClientError) || failure.code !== 'PERMISSION_DENIED') throw failure;
    });
    took = formatDuration(performance.now() - start);
    error = await alarmText(client);
  } catch (failure) {
    took = formatDuration(performance.now() - start);
    error = callErrorText(failure);
  }
  return { endpoint, healthy: error === '', took, error };
}

async function alarmText(client: Awaited<ReturnType<Context['client']>>): Promise<string> {
  try {
    const alarms = await client.maintenance.alarms();
    if (alarms.length === 0) return '';
    return `Active Alarm(s): ${alarms.map(({ kind }) => (typeof kind === 'number' ? 'UNKNOWN ' : `${kind} `)).join('')}`;
  } catch {
    return 'Unable to fetch the alarm list';
  }
}

export const status: Run = async (context, line) => {
  checkFormat(context.globals.string('write-out'), FORMATS);
  const { answers, failures } = await askEach(context, line, (client) =>
    client.call(Maintenance.Status, {}, 'read'),
  );
  for (const { endpoint, error } of failures)
    context.io.stderr(`Failed to get the status of endpoint ${endpoint} (${callErrorText(error)})\n`);
  context.print({
    simple: () => answers.map(([endpoint, answer]) => `${statusRow(endpoint, answer).join(', ')}\n`),
    json: () =>
      answers.map(
        ([endpoint, answer]): Json => ({
          Endpoint: endpoint,
          Status: messageToJson(wire.StatusResponse.typeName, answer),
        }),
      ),
    fields: () => answers.map(([endpoint, answer]) => statusFields(endpoint, answer)).join(''),
    table: () => ({
      header: STATUS_HEADER,
      rows: answers.map(([endpoint, answer]) => statusRow(endpoint, answer)),
    }),
  });
  if (failures.length > 0) throw new CommandError(ExitCode.ERROR, '');
};

const STATUS_HEADER = [
  'endpoint',
  'ID',
  'version',
  'storage version',
  'db size',
  'in use',
  'percentage not in use',
  'quota',
  'is leader',
  'is learner',
  'raft term',
  'raft index',
  'raft applied index',
  'errors',
  'downgrade target version',
  'downgrade enabled',
];

function statusRow(endpoint: string, s: wire.StatusResponse): string[] {
  const member = s.header?.memberId ?? 0n;
  const inUsePercent = s.dbSize === 0n ? 100n : (s.dbSizeInUse * 100n) / s.dbSize;
  return [
    endpoint,
    hex(member),
    s.version,
    s.storageVersion,
    formatBytes(s.dbSize),
    formatBytes(s.dbSizeInUse),
    `${100n - inUsePercent}%`,
    formatBytes(s.dbSizeQuota),
    `${s.leader === member}`,
    `${s.isLearner}`,
    `${s.raftTerm}`,
    `${s.raftIndex}`,
    `${s.raftAppliedIndex}`,
    s.errors.join(', '),
    s.downgradeInfo?.targetVersion ?? '',
    `${s.downgradeInfo?.enabled ?? false}`,
  ];
}

function statusFields(endpoint: string, s: wire.StatusResponse): string {
  return `${[
    fields.header(s.header),
    fields.text('Version', s.version),
    fields.text('StorageVersion', s.storageVersion),
    fields.field('DBSize', s.dbSize),
    fields.field('DBSizeInUse', s.dbSizeInUse),
    fields.field('DBSizeQuota', s.dbSizeQuota),
    fields.field('Leader', s.leader),
    fields.field('IsLearner', s.isLearner),
    fields.field('RaftIndex', s.raftIndex),
    fields.field('RaftTerm', s.raftTerm),
    fields.field('RaftAppliedIndex', s.raftAppliedIndex),
    fields.field('Errors', `[${s.errors.join(' ')}]`),
    fields.text('Endpoint', endpoint),
    fields.text('DowngradeTargetVersion', s.downgradeInfo?.targetVersion ?? ''),
    fields.field('DowngradeEnabled', s.downgradeInfo?.enabled ?? false),
  ].join('')}\n`;
}

export const hashKv: Run = async (context, line) => {
  checkFormat(context.globals.string('write-out'), FORMATS);
  const revision = line.flags.int('rev');
  const { answers, failures } = await askEach(context, line, (client) =>
    client.call(Maintenance.HashKV, { revision }, 'read'),
  );
  for (const { endpoint, error } of failures)
    context.io.stderr(`Failed to get the hash of endpoint ${endpoint} (${callErrorText(error)})\n`);
  const rows = answers.map(([endpoint, { hash, hashRevision }]) => [endpoint, `${hash}`, `${hashRevision}`]);
  context.print({
    simple: () => rows.map((row) => `${row.join(', ')}\n`),
    json: () =>
      answers.map(
        ([endpoint, answer]): Json => ({
          Endpoint: endpoint,
          HashKV: messageToJson(wire.HashKVResponse.typeName, answer),
        }),
      ),
    fields: () =>
      answers
        .map(
          ([endpoint, { header, hash, hashRevision }]) =>
            fields.header(header) +
            fields.text('Endpoint', endpoint) +
            fields.field('Hash', hash) +
            `${fields.field('HashRevision', hashRevision)}\n`,
        )
        .join(''),
    table: () => ({ header: ['endpoint', 'hash', 'hash_revision'], rows }),
  });
  const [first] = failures;
  if (first) throw new CommandError(ExitCode.ERROR, callErrorText(first.error));
};

type Answers<T> = {
  answers: [endpoint: string, answer: T][];
  failures: { endpoint: string; error: unknown }[];
};

/** Asks every endpoint at once; answers and failures are told in the order of the endpoints. */
export async function askEach<T>(
  context: Context,
  line: CommandLine,
  ask: (client: Awaited<ReturnType<Context['client']>>) => Promise<T>,
): Promise<Answers<T>> {
  const endpoints = await endpointsOf(context, line);
  const result: Answers<T> = { answers: [], failures: [] };
  const clients = await Promise.all(endpoints.map((endpoint) => context.client([endpoint])));
  const settled = await Promise.allSettled(clients.map((client) => ask(client)));
  for (const [i, outcome] of settled.entries()) {
    const endpoint = endpoints[i] ?? '';
    if (outcome.status === 'fulfilled') result.answers.push([endpoint, outcome.value]);
    else result.failures.push({ endpoint, error: outcome.reason });
  }
  return result;
}

/** `--endpoints`, or with `--cluster` the client URLs of every member. */
export async function endpointsOf(context: Context, { flags }: CommandLine): Promise<string[]> {
  if (!flags.bool('cluster')) return context.endpoints();
  const client = await context.client();
  const { members } = await client.cluster.memberList({ serializable: true }).catch((error: unknown) => {
    throw new CommandError(
      ExitCode.ERROR,
      `failed to fetch endpoints from etcd cluster member list: ${callErrorText(error)}`,
    );
  });
  return members.flatMap((member) => member.clientUrls);
}

/** Names of alarms, for texts. */
export function alarmName(alarm: number): string {
  return Object.entries(AlarmType).find(([, value]) => value === alarm)?.[0] ?? `${alarm}`;
}
