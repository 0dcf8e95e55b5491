/**
 * lock and elect: hold a lock, or lead, for as long as this program or the command under it runs.
 *
 * Keys and waiting are those of `@quorate/client`'s locks and elections, which are etcd's: etcdctl on one machine and
 * quoratectl on another exclude each other.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import {
  type Client,
  ClientError,
  campaign,
  type LeaseSession,
  observe,
  openLeaseSession,
  lock as takeLock,
} from '@quorate/client';
import * as wire from '@quorate/proto';
import { services } from '@quorate/proto';
import type { Run } from '../command.ts';
import type { Context } from '../context.ts';
import { badArgs, CommandError, callErrorText, ExitCode, endText, startProblem } from '../exit.ts';
import { interruption } from '../interrupt.ts';
import { rangeReport } from '../output/kv.ts';
import { encodeRaw } from '../raw-text.ts';

const { Range } = services['etcdserverpb.KV'];

export const lock: Run = async (context, { args, flags }) => {
  const [name, ...command] = args;
  if (name === undefined) throw badArgs('lock takes a lock name argument and an optional command to execute');
  const client = await context.client();
  const interrupt = interruption(context);
  try {
    await using session = await openSession(client, Number(flags.int('ttl')));
    const held = await takeLock(session, encodeRaw(name), { signal: interrupt.signal }).catch(failed);
    if (command.length > 0) {
      const { key, revision } = held;
      const result = await runCommand(context, command, Buffer.from(key).toString(), revision);
      await held.unlock().catch(failed);
      if (result.code !== 0) throw new CommandError(result.code, result.text);
      return;
    }
    if (!(await show(context, client, held.key))) throw new CommandError(ExitCode.ERROR, 'lock lost on init');
    await until(session.signal, interrupt.signal);
    if (session.loss !== null) throw new CommandError(ExitCode.ERROR, 'session expired');
    await held.unlock().catch(failed);
  } finally {
    interrupt.stop();
  }
};

export const elect: Run = async (context, { args, flags }) => {
  const [name, proposal] = args;
  const listen = flags.bool('listen');
  if (name === undefined || args.length > 2)
    throw badArgs('elect takes one election name argument and an optional proposal argument');
  if (proposal === undefined && !listen) throw badArgs('no proposal argument but -l not set');
  if (proposal !== undefined && listen) throw badArgs('proposal given but -l is set');
  const client = await context.client();
  const interrupt = interruption(context);
  try {
    if (proposal === undefined) await follow(context, client, name, interrupt.signal);
    else await lead(context, client, { name, proposal }, interrupt.signal);
  } finally {
    interrupt.stop();
  }
};

async function lead(
  context: Context,
  client: Client,
  { name, proposal }: { name: string; proposal: string },
  signal: AbortSignal,
): Promise<void> {
  await using session = await openSession(client, SESSION_TTL_SEC);
  const leadership = await campaign(session, encodeRaw(name), encodeRaw(proposal), { signal }).catch(failed);
  await show(context, client, leadership.key);
  await until(session.signal, signal);
  if (session.loss !== null) throw new CommandError(ExitCode.ERROR, 'elect: session expired');
  await leadership.resign().catch(failed);
}

async function follow(context: Context, client: Client, name: string, signal: AbortSignal): Promise<void> {
  try {
    for await (const leader of observe(client, encodeRaw(name), { signal })) {
      const header = { clusterId: 0n, memberId: 0n, revision: BigInt(leader.modRevision), raftTerm: 0n };
      const { key, value, lease } = leader;
      const [createRevision, modRevision, version] = [
        leader.createRevision,
        leader.modRevision,
        leader.version,
      ].map(BigInt) as [bigint, bigint, bigint];
      const kv = { key, value, createRevision, modRevision, version, lease };
      context.print(rangeReport({ ...wire.RangeResponse.empty(), header, kvs: [kv], count: 1n }, false));
    }
  } catch (error) {
    if (!signal.aborted) throw new CommandError(ExitCode.ERROR, 'elect: observer lost', { cause: error });
  }
}

const SESSION_TTL_SEC = 60;

/** These commands wait for as long as it takes; only the calls that set them up have the usual limit. */
function openSession(client: Client, ttlSec: number): Promise<LeaseSession> {
  return openLeaseSession(client, { ttlSec }).catch(failed);
}

function failed(error: unknown): never {
  if (error instanceof ClientError && error.code === 'CONNECTION_FAILED') throw error;
  throw new CommandError(ExitCode.ERROR, callErrorText(error), { cause: error });
}

async function show(context: Context, client: Client, key: Uint8Array): Promise<boolean> {
  const response = await client.call(Range, { key }, 'read');
  if (response.kvs.length === 0) return false;
  context.print(rangeReport(response, false));
  return true;
}

function until(...signals: readonly AbortSignal[]): Promise<void> {
  const any = AbortSignal.any([...signals]);
  return new Promise((resolve) => {
    if (any.aborted) resolve();
    else any.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Runs it with the lock's key and revision in its environment. @returns its exit code, and what Go would say of it */
function runCommand(
  context: Context,
  [program = '', ...args]: readonly string[],
  key: string,
  revision: number,
): Promise<{ code: number; text: string }> {
  const env = { ...context.io.env, ETCD_LOCK_KEY: key, ETCD_LOCK_REV: `${revision}` };
  const { inheritStdio = false } = context.io;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      env,
      stdio: inheritStdio ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    });
    child.stdout?.on('data', (bytes: Buffer) => context.io.stdout(bytes));
    child.stderr?.on('data', (bytes: Buffer) => context.io.stderr(bytes.toString()));
    child.once('error', (error) =>
      resolve({ code: ExitCode.ERROR, text: startProblem(program, error as NodeJS.ErrnoException) }),
    );
    child.once('close', (code, signal) => {
      if (code === 0) resolve({ code: 0, text: '' });
      // What a shell makes of a program that a signal ended.
      else resolve({ code: code ?? 128 + constants.signals[signal!], text: endText(code, signal) });
    });
  });
}
