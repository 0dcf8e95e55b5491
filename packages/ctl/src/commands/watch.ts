/**
 * watch: events as they happen, printed or given to a command. With `-i` watches are asked for on standard input.
 *
 *   watch KEY [RANGE_END] [-- COMMAND ARGS...]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  type Client,
  ClientError,
  type KeyRange,
  type KeyValue,
  type WatchBatch,
  WatchCanceledError,
} from '@quorate/client';
import * as wire from '@quorate/proto';
import type { CommandLine, Run } from '../command.ts';
import type { Context } from '../context.ts';
import { badArgs, CommandError, callErrorText, ExitCode, endText, startProblem } from '../exit.ts';
import { FlagError, type FlagSpecs, FlagValues, parseFlags } from '../flags.ts';
import { quote } from '../go-values.ts';
import * as fields from '../output/fields.ts';
import { messageToJson } from '../output/json.ts';
import { keyValueLines } from '../output/kv.ts';
import { type Chunk, checkFormat, type Report } from '../output/report.ts';
import { encodeRaw } from '../raw-text.ts';
import { readLines } from '../stdin.ts';
import { splitWords } from '../words.ts';
import { keyRange } from './kv-requests.ts';
import { watchFlags } from './watch-flags.ts';

const FORMATS = ['simple', 'json', 'fields', 'protobuf'];

export const watch: Run = async (context, line) => {
  if (line.flags.bool('interactive')) return interactive(context);
  const request = parseRequest(line, context.io.env);
  checkFormat(context.globals.string('write-out'), FORMATS);
  await follow(context, await context.client(), request);
  throw new CommandError(ExitCode.INTERRUPTED, 'watch is canceled by the server');
};

interface WatchRequest {
  readonly range: KeyRange;
  readonly flags: FlagValues;
  /** Run for every event; empty for none. */
  readonly command: readonly string[];
}

/** The key comes from the words, or, when there are none before `--`, from ETCDCTL_WATCH_KEY. */
export function parseRequest(line: CommandLine, env: NodeJS.ProcessEnv): WatchRequest {
  const { args, separator, flags } = line;
  const command = separator === null ? [] : args.slice(separator);
  const words = separator === null ? args : args.slice(0, separator);
  const key = env.ETCDCTL_WATCH_KEY ?? '';
  if (key !== '' && words.length > 0)
    throw badArgs('bad number of arguments (found conflicting environment key)');
  if (key === '' && words.length === 0) throw badArgs('bad number of arguments');
  if (separator !== null && command.length === 0)
    throw badArgs('bad number of arguments (found separator --, but no commands)');
  const end = env.ETCDCTL_WATCH_RANGE_END ?? '';
  const named = key === '' ? words.slice(0, 2) : [key, ...(end === '' ? [] : [end])];
  if (named.length > 1 && flags.bool('prefix'))
    throw badArgs('`range_end` and `--prefix` are mutually exclusive');
  const [start = '', rangeEnd] = named;
  if (rangeEnd !== undefined)
    return { range: { key: encodeRaw(start), end: encodeRaw(rangeEnd) }, flags, command };
  const range = keyRange([start], withoutFromKey(flags));
  return { range: { key: range.key, end: range.rangeEnd }, flags, command };
}

/** A watch has no `--from-key`; the shared reading of ranges asks for it. */
function withoutFromKey(flags: FlagValues): FlagValues {
  const specs: FlagSpecs = { ...watchFlags, 'from-key': { type: 'bool', default: 'false', help: '' } };
  return new FlagValues(specs, new Map([['prefix', flags.text('prefix')]]));
}

/** Prints one watch until it ends. @throws CommandError when it ends otherwise than by the server */
async function follow(context: Context, client: Client, request: WatchRequest): Promise<void> {
  const { flags, range } = request;
  const watcher = client.watch(range, {
    startRevision: flags.int('rev'),
    previous: flags.bool('prev-kv'),
    progress: flags.bool('progress-notify'),
    // As etcdctl: rather end than listen to a member that lost its leader.
    requireLeader: true,
    establishTimeoutMs: Number.POSITIVE_INFINITY,
  });
  try {
    for await (const batch of watcher) {
      if (batch.events.length === 0) context.io.stdout(`progress notify: ${batch.header.revision}\n`);
      context.print(batchReport(batch, null));
      for (const event of batch.events)
        await runCommand(context, request.command, batch.header.revision, event.type, event.kv);
    }
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    // The command is over for another reason, and has said which.
    if (error.code === 'CLOSED') return;
    context.io.stderr(`watch was canceled (${callErrorText(error)})\n`);
    const header = error instanceof WatchCanceledError ? error.header : EMPTY_HEADER;
    context.print(batchReport({ header, events: [] }, error));
  }
}

const EMPTY_HEADER = { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0 };

/** The command sees the event in its environment, quoted, and writes to our own output. */
async function runCommand(
  context: Context,
  [program, ...args]: readonly string[],
  revision: number,
  type: 'put' | 'delete',
  kv: KeyValue,
): Promise<void> {
  if (program === undefined) return;
  const env = {
    ...context.io.env,
    ETCD_WATCH_REVISION: `${revision}`,
    ETCD_WATCH_EVENT_TYPE: quote(type === 'put' ? 'PUT' : 'DELETE'),
    ETCD_WATCH_KEY: quote(kv.key),
    ETCD_WATCH_VALUE: quote(kv.value),
  };
  const failure = await new Promise<string | null>((resolve) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
    child.once('error', (error) => resolve(startProblem(program, error as NodeJS.ErrnoException)));
    child.once('exit', (code, signal) => resolve(code === 0 ? null : endText(code, signal)));
  });
  if (failure === null) return;
  context.io.stderr(`command [${[program, ...args].map(quote).join(' ')}] error (${failure})\n`);
  throw new CommandError(ExitCode.ERROR, '');
}

/** Lines `watch KEY ...` and `progress`; every watch goes on while more are asked for. */
async function interactive(context: Context): Promise<void> {
  checkFormat(context.globals.string('write-out'), FORMATS);
  const client = await context.client();
  const ended = new AbortController();
  let failure: unknown;
  const start = (request: WatchRequest): void => {
    follow(context, client, request).catch((error: unknown) => {
      failure ??= error;
      ended.abort();
    });
  };
  const lines = readLines(context.io.stdin);
  const aborted = once(ended.signal, 'abort').then(() => ({ done: true as const, value: undefined }));
  for (;;) {
    const { done, value } = await Promise.race([lines.next(), aborted]);
    if (failure !== undefined) throw failure;
    if (done || value === undefined)
      throw new CommandError(ExitCode.INVALID_INPUT, 'Error reading watch request line: EOF');
    const words = splitWords(value) ?? [];
    const [command] = words;
    if (command === undefined)
      context.io.stderr(`Invalid command: ${value} (watch and progress supported)\n`);
    else if (command === 'progress') client.requestWatchProgress();
    else if (command !== 'watch') context.io.stderr(`Invalid command ${value} (only support watch)\n`);
    else if (words.length < 2 && (context.io.env.ETCDCTL_WATCH_KEY ?? '') === '')
      context.io.stderr(`Invalid command ${value} (command type or key is not provided)\n`);
    else start(parseLine(words.slice(1), context.io.env));
  }
}

function parseLine(words: readonly string[], env: NodeJS.ProcessEnv): WatchRequest {
  try {
    const { given, args, separator } = parseFlags(words, watchFlags);
    return parseRequest({ args, separator, flags: new FlagValues(watchFlags, given) }, env);
  } catch (error) {
    if (error instanceof FlagError) throw badArgs(error.message);
    throw error;
  }
}

function toWire(kv: KeyValue): wire.KeyValue {
  return {
    key: kv.key,
    value: kv.value,
    createRevision: BigInt(kv.createRevision),
    modRevision: BigInt(kv.modRevision),
    version: BigInt(kv.version),
    lease: kv.lease,
  };
}

/** @param canceled the error that ended the watch, for its last report */
function batchReport(batch: WatchBatch, canceled: ClientError | null): Report {
  const header: wire.ResponseHeader = {
    clusterId: batch.header.clusterId,
    memberId: batch.header.memberId,
    revision: BigInt(batch.header.revision),
    raftTerm: BigInt(batch.header.raftTerm),
  };
  const events: wire.Event[] = batch.events.map((event) => ({
    type: event.type === 'put' ? wire.Event_EventType.PUT : wire.Event_EventType.DELETE,
    kv: toWire(event.kv),
    prevKv: event.previous === null ? undefined : toWire(event.previous),
  }));
  const name = (event: wire.Event): string => (event.type === wire.Event_EventType.PUT ? 'PUT' : 'DELETE');
  const compactRevision = canceled instanceof WatchCanceledError ? canceled.compactRevision : 0;
  return {
    simple: (format) =>
      events.flatMap((event): Chunk[] => [
        `${name(event)}\n`,
        ...(event.prevKv ? keyValueLines(event.prevKv, format) : []),
        ...(event.kv ? keyValueLines(event.kv, format) : []),
      ]),
    json: () => ({
      Header: messageToJson(wire.ResponseHeader.typeName, header),
      Events: events.map((event) => messageToJson(wire.Event.typeName, event)),
      CompactRevision: compactRevision,
      Canceled: canceled !== null,
      Created: false,
      CancelReason: canceled?.message ?? '',
    }),
    fields: () =>
      fields.header(header) +
      events
        .map(
          (event) =>
            fields.field('Type', name(event)) +
            (event.prevKv ? fields.keyValue('Prev', event.prevKv) : '') +
            (event.kv ? fields.keyValue('', event.kv) : ''),
        )
        .join(''),
    protobuf: () =>
      wire.WatchResponse.encode({
        header,
        events,
        canceled: canceled !== null,
        compactRevision: BigInt(compactRevision),
      }),
  };
}
